//! Times as queries of Mesos's pages have them: a number and one of its units, `5secs`, `1.5hrs`.

use std::time::Duration;

/// `None`: it is none, or less than nothing.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let ends = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(ends);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_units_of_mesos() {
        let read = |text| parse(text).map(|time| time.as_millis());
        assert_eq!(
            (read("5secs"), read("1.5hrs"), read("10ms")),
            (Some(5000), Some(5_400_000), Some(10))
        );
        for bad in ["", "5", "secs", "5 secs x", "-1secs", "1e9weeks", "5s", "1.2.3secs"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
