//! Streams of messages, cut into records: a length in decimal digits, a line feed, and so many bytes.
//! Where the transport cuts its chunks means nothing.

/// More digits than any length has.
const DIGITS_MAX: usize = 20;

/// Why a stream cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// What stands where a length must.
    #[error("'{0}' is not the length of a record")]
    Length(String),
    /// More than the reader takes.
    #[error("a record of {bytes} bytes is longer than {bytes_max}")]
    TooLong {
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        bytes_max: usize,
    },
    /// The stream was wrong before; where its next record begins is not known.
    #[error("the stream of records is broken")]
    Broken,
}

/// A record as it stands in a stream.
pub fn encode(record: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() + DIGITS_MAX + 1);
    encode_into(record, &mut out);
    out
}

/// Puts a record behind whatever is there already.
pub fn encode_into(record: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&length(record));
    out.extend_from_slice(record);
}

/// What stands before a record.
pub fn length(record: &[u8]) -> Vec<u8> {
    let mut out = itoa::Buffer::new().format(record.len()).as_bytes().to_vec();
    out.push(b'\n');
    out
}

/// Reads records out of the chunks of a stream.
#[derive(Clone, Debug)]
pub struct Decoder {
    record_bytes_max: usize,
    state: State,
}

/// Length -> Record -> Length; Broken for good.
#[derive(Clone, Debug)]
enum State {
    Length { digits: Vec<u8> },
    Record { bytes: Vec<u8>, missing: usize },
    Broken,
}

impl Decoder {
    /// Of a stream whose records are no longer than so many bytes each.
    pub fn new(record_bytes_max: usize) -> Self {
        Self { record_bytes_max, state: State::Length { digits: Vec::new() } }
    }

    /// Takes the next chunk, and adds the records that it completes.
    ///
    /// # Errors
    ///
    /// If a length is wrong: the records before it have been added, and all later chunks are refused.
    pub fn feed(&mut self, chunk: &[u8], records: &mut Vec<Vec<u8>>) -> Result<(), BadRecord> {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = match self.step(rest, records) {
                Ok(rest) => rest,
                Err(why) => {
                    self.state = State::Broken;
                    return Err(why);
                }
            };
        }
        match self.state {
            State::Broken => Err(BadRecord::Broken),
            State::Length { .. } | State::Record { .. } => Ok(()),
        }
    }

    /// Whether the last record is whole: a stream may end here.
    pub fn is_between_records(&self) -> bool {
        match &self.state {
            State::Length { digits } => digits.is_empty(),
            State::Record { .. } | State::Broken => false,
        }
    }

    /// One length or record, or what there is of it.
    fn step<'a>(
        &mut self,
        chunk: &'a [u8],
        records: &mut Vec<Vec<u8>>,
    ) -> Result<&'a [u8], BadRecord> {
        match &mut self.state {
            State::Length { digits } => {
                let end = chunk.iter().position(|byte| *byte == b'\n');
                let more = &chunk[..end.unwrap_or(chunk.len())];
                digits.extend_from_slice(&more[..more.len().min(DIGITS_MAX + 1)]);
                if digits.len() > DIGITS_MAX || (end.is_some() && digits.is_empty()) {
                    return Err(bad_length(digits));
                }
                let Some(end) = end else { return Ok(&[]) };
                let missing = self.length()?;
                self.state = match missing {
                    0 => {
                        records.push(Vec::new());
                        State::Length { digits: Vec::new() }
                    }
                    _ => State::Record { bytes: Vec::new(), missing },
                };
                Ok(&chunk[end + 1..])
            }
            State::Record { bytes, missing } => {
                let (more, rest) = chunk.split_at(chunk.len().min(*missing));
                bytes.extend_from_slice(more);
                *missing -= more.len();
                if *missing == 0 {
                    records.push(std::mem::take(bytes));
                    self.state = State::Length { digits: Vec::new() };
                }
                Ok(rest)
            }
            State::Broken => Err(BadRecord::Broken),
        }
    }

    fn length(&self) -> Result<usize, BadRecord> {
        let State::Length { digits } = &self.state else { return Err(BadRecord::Broken) };
        let text = std::str::from_utf8(digits).map_err(|_| bad_length(digits))?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad_length(digits)); // parse would take a sign
        }
        let bytes: u64 = text.parse().map_err(|_| bad_length(digits))?;
        let bytes_max = self.record_bytes_max;
        let length = usize::try_from(bytes).ok().filter(|length| *length <= bytes_max);
        length.ok_or(BadRecord::TooLong { bytes, bytes_max })
    }
}

fn bad_length(digits: &[u8]) -> BadRecord {
    BadRecord::Length(digits.escape_ascii().to_string())
}

#[cfg(test)]
mod tests;
