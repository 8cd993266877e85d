//! How much of what has come on a connection its server may look at: one request after the other, and nothing of the next before the
//! last is answered. The server takes all apart that it is given, and what it makes of a request is a hundred times as large; and a
//! request that is whole is answered as the last of its connection when part of another is behind it.

/// How a request's body says where it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    #[default]
    Absent,
    /// So many bytes.
    Length(u64),
    /// In chunks, of which the last is empty.
    Chunks,
    /// Where the connection does.
    Connection,
}

/// How a connection's requests are dealt with, by those who answer them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dealt {
    /// Requests that were answered.
    pub(crate) answered: usize,
    /// Of the one that is being answered.
    pub(crate) body: Option<Framing>,
}

/// Where a connection's requests begin and end.
#[derive(Debug, Default)]
pub(crate) struct Portions {
    at: At,
    /// Heads that were given whole.
    heads: usize,
}

#[derive(Debug)]
enum At {
    Head(Head),
    /// A head was given, and nobody has looked at it yet.
    Given,
    /// Of which so many bytes are missing.
    Length(u64),
    Chunks(Chunks),
    Connection,
}

impl Default for At {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

impl Portions {
    /// How many of the next bytes may be looked at, which they are then.
    pub(crate) fn take(&mut self, bytes: &[u8], dealt: Dealt) -> usize {
        loop {
            let is_over = dealt.answered >= self.heads;
            match &mut self.at {
                At::Head(head) => {
                    let (taken, is_whole) = head.take(bytes);
                    if is_whole {
                        self.heads += 1;
                        self.at = At::Given;
                    }
                    return taken;
                }
                // Behind a body that was not read to its end there is no request any more: the server looks for that end itself.
                At::Length(1..)
                | At::Chunks(Chunks::Size { .. } | Chunks::Extension { .. })
                | At::Chunks(Chunks::Data(_) | Chunks::Trailer { .. })
                    if is_over =>
                {
                    self.at = At::Connection;
                }
                At::Given | At::Length(0) | At::Chunks(Chunks::Over) if is_over => {
                    self.at = At::default();
                }
                At::Given => match dealt.body {
                    None | Some(Framing::Absent) => return 0,
                    Some(Framing::Length(length)) => self.at = At::Length(length),
                    Some(Framing::Chunks) => self.at = At::Chunks(Chunks::default()),
                    Some(Framing::Connection) => self.at = At::Connection,
                },
                At::Length(left) => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let taken = bytes.len().min(most);
                    *left -= taken as u64;
                    return taken;
                }
                At::Chunks(chunks) => return chunks.take(bytes),
                At::Connection => return bytes.len(),
            }
        }
    }
}

/// Where in a head its bytes are.
#[derive(Debug, Default)]
enum Head {
    /// Empty lines before it mean nothing.
    #[default]
    Before,
    Within,
    /// Of this line nothing has come.
    Line,
    /// Of this line a carriage return has come, and nothing else.
    Return,
}

impl Head {
    /// How many of these are of it, and whether they are its last.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, byte) in bytes.iter().enumerate() {
            *self = match (&self, byte) {
                (Self::Before, b'\r' | b'\n') => Self::Before,
                (Self::Line | Self::Return, b'\n') => return (at + 1, true),
                (Self::Line, b'\r') => Self::Return,
                (_, b'\n') => Self::Line,
                (_, _) => Self::Within,
            };
        }
        (bytes.len(), false)
    }
}

/// Where in a body of chunks its bytes are. What is wrong with one is for the server to say, which is given all of it then.
#[derive(Debug)]
enum Chunks {
    Size {
        bytes: u64,
    },
    Extension {
        bytes: u64,
    },
    /// With the end of the line behind it.
    Data(u64),
    /// Lines behind the last, up to an empty one.
    Trailer {
        is_empty: bool,
    },
    Over,
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Size { bytes: 0 }
    }
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            *self = match *self {
                Self::Size { bytes } => match char::from(*byte).to_digit(16) {
                    Some(digit) => {
                        Self::Size { bytes: bytes.saturating_mul(16).saturating_add(digit.into()) }
                    }
                    None if *byte == b'\n' => Self::behind_size(bytes),
                    None => Self::Extension { bytes },
                },
                Self::Extension { bytes } if *byte == b'\n' => Self::behind_size(bytes),
                Self::Extension { bytes } => Self::Extension { bytes },
                Self::Data(left) => {
                    let there = (bytes.len() - at) as u64;
                    let taken = left.min(there);
                    at += usize::try_from(taken).unwrap_or(usize::MAX);
                    *self = match left - taken {
                        0 => Self::default(),
                        left => Self::Data(left),
                    };
                    continue;
                }
                Self::Trailer { is_empty: true } if *byte == b'\n' => {
                    *self = Self::Over;
                    return at + 1;
                }
                Self::Trailer { is_empty } => {
                    Self::Trailer { is_empty: *byte == b'\n' || is_empty && *byte == b'\r' }
                }
                Self::Over => return at,
            };
            at += 1;
        }
        at
    }

    fn behind_size(bytes: u64) -> Self {
        match bytes {
            0 => Self::Trailer { is_empty: true },
            bytes => Self::Data(bytes.saturating_add(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Dealt = Dealt { answered: 0, body: None };

    fn with(answered: usize, body: Framing) -> Dealt {
        Dealt { answered, body: Some(body) }
    }

    /// Byte by byte and all at once.
    fn each_way(bytes: &[u8], try_it: impl Fn(&mut dyn FnMut(&mut Portions, Dealt) -> usize)) {
        for at_once in [1, 2, 3, bytes.len()] {
            let mut rest = bytes;
            try_it(&mut |portions, dealt| {
                let mut taken = 0;
                loop {
                    let part = &rest[..rest.len().min(at_once)];
                    let more = portions.take(part, dealt);
                    if more == 0 || part.is_empty() {
                        return taken;
                    }
                    (taken, rest) = (taken + more, &rest[more..]);
                }
            });
        }
    }

    #[test]
    fn a_head_is_given_and_its_body_when_it_is_asked_for_and_the_next_head_when_it_is_answered() {
        let head = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n".len();
        let twice = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
        each_way(twice, |take| {
            let mut portions = Portions::default();
            assert_eq!(take(&mut portions, NOBODY), head);
            assert_eq!(take(&mut portions, NOBODY), 0, "nobody has looked at it");
            assert_eq!(take(&mut portions, with(0, Framing::Length(3))), 3);
            assert_eq!(take(&mut portions, with(0, Framing::Length(3))), 0, "it is not answered");
            assert_eq!(take(&mut portions, Dealt { answered: 1, body: None }), head);
            assert_eq!(take(&mut portions, with(1, Framing::Length(3))), 3);
        });
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_lines_end() {
        for head in ["\r\n\nGET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let more = format!("{head}GET ");
            each_way(more.as_bytes(), |take| {
                let mut portions = Portions::default();
                assert_eq!(take(&mut portions, NOBODY), head.len(), "{head:?}");
                assert_eq!(take(&mut portions, with(0, Framing::Absent)), 0);
                assert_eq!(take(&mut portions, Dealt { answered: 1, body: None }), 4);
            });
        }
    }

    #[test]
    fn a_body_of_chunks_ends_behind_the_last_and_its_trailer() {
        let body = "5;x=y\r\nab\r\n0\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX: y\r\n\r\n";
        let more = format!("\n\nG\n\n{body}GET");
        each_way(more.as_bytes(), |take| {
            let mut portions = Portions::default();
            assert_eq!(take(&mut portions, NOBODY), 5);
            assert_eq!(take(&mut portions, with(0, Framing::Chunks)), body.len());
            assert_eq!(take(&mut portions, with(0, Framing::Chunks)), 0);
            assert_eq!(take(&mut portions, Dealt { answered: 1, body: None }), 3);
        });
    }

    #[test]
    fn behind_a_body_that_was_left_no_request_is_looked_for() {
        let more = b"G\n\nabcdefGET";
        each_way(more, |take| {
            let mut portions = Portions::default();
            assert_eq!(take(&mut portions, NOBODY), 3);
            let dealt = Dealt { answered: 1, body: None };
            assert_eq!(take(&mut portions, with(0, Framing::Length(0))), 0);
            assert_eq!(take(&mut portions, dealt), 9);
        });
        let mut portions = Portions::default();
        assert_eq!(portions.take(b"G\n\n", NOBODY), 3);
        assert_eq!(portions.take(b"ab", with(0, Framing::Length(9))), 2);
        assert_eq!(portions.take(b"cdef\n\nG\n\nG", Dealt { answered: 1, body: None }), 10);
    }
}
