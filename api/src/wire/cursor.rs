//! One message's bytes, field by field, without knowing what they mean.

/// Walks the fields of one message.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A field as it was met.
pub(crate) struct Met<'a> {
    /// Its number.
    pub(crate) number: u32,
    /// Where its tag begins.
    pub(crate) start: usize,
    /// What it holds.
    pub(crate) raw: Raw<'a>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Raw<'a> {
    /// Integers, enums and bools.
    Varint(u64),
    /// Doubles.
    Eight([u8; 8]),
    /// Texts, bytes and messages.
    Bytes(&'a [u8]),
    /// Four bytes or a group: nothing that we know has either.
    Unknown,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// As deep as groups may be within one another.
const GROUPS_MAX: usize = 100;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next field begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next field; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Met<'a>>, Malformed> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let (number, wire_type) = self.tag()?;
        let raw = self.value(number, wire_type, 0)?;
        Ok(Some(Met { number, start, raw }))
    }

    fn tag(&mut self) -> Result<(u32, u64), Malformed> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed)?;
        if number == 0 { Err(Malformed) } else { Ok((number, tag & 7)) }
    }

    fn value(&mut self, number: u32, wire_type: u64, groups: usize) -> Result<Raw<'a>, Malformed> {
        match wire_type {
            0 => self.varint().map(Raw::Varint),
            1 => {
                let bytes = self.take(8)?;
                Ok(Raw::Eight(bytes.try_into().expect("eight were taken")))
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                self.take(length).map(Raw::Bytes)
            }
            3 if groups < GROUPS_MAX => self.group(number, groups + 1),
            5 => self.take(4).map(|_| Raw::Unknown),
            _ => Err(Malformed),
        }
    }

    fn group(&mut self, group: u32, groups: usize) -> Result<Raw<'a>, Malformed> {
        loop {
            let (number, wire_type) = self.tag()?;
            if wire_type == 4 {
                return if number == group { Ok(Raw::Unknown) } else { Err(Malformed) };
            }
            self.value(number, wire_type, groups)?;
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(Malformed)?;
        self.at += length;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Raw<'_>)>, Malformed> {
        let mut cursor = Cursor::new(bytes);
        let mut found = Vec::new();
        while let Some(met) = cursor.next()? {
            found.push((met.number, met.raw));
        }
        Ok(found)
    }

    #[test]
    fn fields_of_every_wire_type_are_met() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],               // 1: 150
            &[0x11, 1, 2, 3, 4, 5, 6, 7, 8],       // 2: eight bytes
            &[0x1a, 0x02, b'h', b'i'],             // 3: two bytes
            &[0x23, 0x08, 0x01, 0x2b, 0x2c, 0x24], // 4: a group with a group in it
            &[0x2d, 0, 0, 0, 0],                   // 5: four bytes
        ]
        .concat();
        let found = all(&bytes).expect("a message");
        let eight = Raw::Eight([1, 2, 3, 4, 5, 6, 7, 8]);
        let wanted = [
            (1, Raw::Varint(150)),
            (2, eight),
            (3, Raw::Bytes(b"hi")),
            (4, Raw::Unknown),
            (5, Raw::Unknown),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_cut_off_or_wrong_is_malformed() {
        let deep = vec![0x0b; 10_000];
        let bad: [&[u8]; 8] = [
            &[0x08],       // a number that is not there
            &[0x0a, 5, 1], // more bytes than there are
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0xff; 11],   // a number without an end
            &[0x00, 0x00], // field 0
            &[0x0b, 0x14], // a group that ends as another
            &[0x0c],       // the end of no group
            &deep,
        ];
        for bytes in bad {
            assert_eq!(all(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
