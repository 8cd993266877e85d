//! Numbers as Mesos takes them: a whole number of 64 bits with a sign, or else a floating-point one,
//! and cast to whatever its field is.

/// A number of JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// Without a fraction or exponent, and not too large.
    Whole(i64),
    /// Any other.
    Float(f64),
}

impl From<u64> for Number {
    /// What is above the largest whole number loses its last digits.
    fn from(number: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "Mesos reads such numbers as doubles")]
        i64::try_from(number).map_or(Self::Float(number as f64), Self::Whole)
    }
}

/// Casts: whole numbers wrap around as in C; floating-point ones lose their fraction and stop at the
/// end of the range, where C leaves open what happens.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "casts are what is wanted"
)]
impl Number {
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    pub(super) fn as_i64(self) -> i64 {
        match self {
            Self::Whole(number) => number,
            Self::Float(number) => number as i64,
        }
    }

    pub(super) fn as_u64(self) -> u64 {
        match self {
            Self::Whole(number) => number as u64,
            Self::Float(number) => number as u64,
        }
    }

    pub(super) fn as_i32(self) -> i32 {
        match self {
            Self::Whole(number) => number as i32,
            Self::Float(number) => number as i32,
        }
    }

    pub(super) fn as_u32(self) -> u32 {
        match self {
            Self::Whole(number) => number as u32,
            Self::Float(number) => number as u32,
        }
    }
}

/// A number that was given as a text. Only fields that have fractions may be infinite.
pub(super) fn parse(text: &str, may_be_infinite: bool) -> serde_json::Result<Number> {
    match text {
        "Infinity" if may_be_infinite => return Ok(Number::Float(f64::INFINITY)),
        "-Infinity" if may_be_infinite => return Ok(Number::Float(f64::NEG_INFINITY)),
        _ => (),
    }
    let number: serde_json::Number = serde_json::from_str(text)?;
    if let Some(whole) = number.as_u64() {
        return Ok(Number::from(whole));
    }
    let whole = number.as_i64().map(Number::Whole);
    Ok(whole.unwrap_or_else(|| Number::Float(number.as_f64().expect("it is one of the three"))))
}

/// A floating-point number as it is written: the shortest text that is read as the same number, with
/// a fraction or an exponent.
pub(super) fn write(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    if number.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else if size == 0.0 || (1e-5..1e16).contains(&size) {
        serde_json::to_writer(out, &number).expect("a vector takes all that is written");
    } else {
        // What is rare: here serde's exponents would begin elsewhere and look different.
        let text = match size {
            1e16..1e21 => format!("{number}.0"),
            1e-6..1e-5 => number.to_string(),
            _ => format!("{number:e}"),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floating_point_number_is_short_and_shows_that_it_is_one() {
        let written = |number: f64| {
            let mut out = Vec::new();
            write(number, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (number, text) in [
            (15.0, "15.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1_600_000_000.123_456, "1600000000.123456"),
            (1e15, "1000000000000000.0"),
            (1e16, "10000000000000000.0"),
            (123_456_789_012_345_680_000.0, "123456789012345680000.0"),
            (1e21, "1e21"),
            (1.5e300, "1.5e300"),
            (0.00001, "0.00001"),
            (0.000_001_5, "0.0000015"),
            (1e-7, "1e-7"),
            (f64::MAX, "1.7976931348623157e308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(written(number), text);
        }
    }

    #[test]
    fn casts_wrap_whole_numbers_and_stop_floating_point_ones() {
        let minus_one = Number::Whole(-1);
        assert_eq!((minus_one.as_u32(), minus_one.as_u64()), (u32::MAX, u64::MAX));
        assert_eq!(Number::Whole(5_000_000_000).as_i32(), 705_032_704);
        assert_eq!(Number::Float(5.7).as_i32(), 5);
        assert_eq!(Number::Float(-5.7).as_i64(), -5);
        assert_eq!(Number::Float(-5.7).as_u32(), 0);
        assert_eq!(Number::Float(1e300).as_i64(), i64::MAX);
        assert_eq!(Number::from(u64::MAX), Number::Float(18_446_744_073_709_551_616.0));
        assert_eq!(Number::from(u64::MAX).as_u64(), u64::MAX);
    }

    #[test]
    fn a_text_is_a_number_with_space_around_it_at_most() {
        assert_eq!(parse(" 5\n", false).unwrap(), Number::Whole(5));
        assert_eq!(parse("-5", false).unwrap(), Number::Whole(-5));
        assert_eq!(parse("5.5", false).unwrap(), Number::Float(5.5));
        assert_eq!(parse("Infinity", true).unwrap(), Number::Float(f64::INFINITY));
        for bad in ["", "5 5", "five", "0x5", "true", "NaN", "Infinity", "[5]", "\"5\"", "1e400"] {
            assert!(parse(bad, false).is_err(), "{bad}");
        }
        assert!(parse("NaN", true).is_err());
    }
}
