//! The wire, attacked: cut, flipped, truncated, random; nothing panics, nothing is allocated beyond the limit.

use super::*;
use crate::session::{Greeting, Hello, Proof, Verdict};

const LIMIT: usize = 300_000;

/// A small generator, so that a failure names its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % most as u64).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll().to_le_bytes()[3]).collect()
    }
}

fn framed(lane: Lane, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = FrameWriter::new(&mut out, lane, LIMIT);
    writer.put(message).unwrap();
    assert_eq!(writer.finish(), out.len());
    out
}

type Messages = Vec<(Lane, Vec<u8>)>;

/// Everything that comes out of a stream of bytes, and the most that was held meanwhile.
fn read_all(mut bytes: &[u8]) -> (Messages, Option<WireError>, usize) {
    let (mut assembler, mut out, mut held) = (Assembler::default(), Vec::new(), 0);
    loop {
        let frame = match next_frame(bytes) {
            Ok(Some(frame)) => frame,
            Ok(None) => return (out, None, held),
            Err(error) => return (out, Some(error), held),
        };
        match assembler.push(&frame, bytes, LIMIT) {
            Ok(Some(whole)) => out.push((frame.lane, whole.bytes().to_vec())),
            Ok(None) => (),
            Err(error) => return (out, Some(error), held),
        }
        held = held.max(assembler.partial.iter().flatten().map(Vec::capacity).sum());
        bytes = &bytes[frame.body.end..];
    }
}

#[test]
fn messages_of_every_size_come_back_whole() {
    let room = MAX_FRAME - FRAME_HEADER;
    let mut dice = Dice(1);
    for size in [0, 1, room - 1, room, room + 1, 2 * room, 2 * room + 1, LIMIT] {
        let message = dice.bytes(size);
        let bytes = framed(Lane::Bulk, &message);
        assert_eq!(read_all(&bytes), (vec![(Lane::Bulk, message)], None, held(size)), "{size}");
    }

    /// A message of one frame is not copied; others are put together in a buffer that doubles.
    fn held(size: usize) -> usize {
        let room = MAX_FRAME - FRAME_HEADER;
        let chunks = size.div_ceil(room).saturating_sub(1);
        let mut capacity = 0;
        for chunk in 1..=chunks {
            let needed = chunk * room;
            if needed > capacity {
                capacity = needed.max(capacity * 2);
            }
        }
        capacity
    }
}

#[test]
fn chunks_of_lanes_interleave() {
    let mut dice = Dice(2);
    let (big, small) = (dice.bytes(150_000), dice.bytes(100));
    let chunks = framed(Lane::Bulk, &big);
    let (first, rest) = chunks.split_at(MAX_FRAME);
    let mixed = [first, &framed(Lane::Normal, &small), rest].concat();
    assert_eq!(read_all(&mixed).0, [(Lane::Normal, small), (Lane::Bulk, big)]);
}

#[test]
fn a_message_over_the_limit_is_taken_back() {
    let mut out = framed(Lane::Normal, b"before");
    let before = out.clone();
    let mut writer = FrameWriter::new(&mut out, Lane::Normal, 100_000);
    let payload = vec![7_u8; 200_000];
    assert_eq!(writer.payload(&payload), Err(WireError::TooLarge { limit: 100_000 }));
    writer.undo();
    assert_eq!(out, before);
}

#[test]
fn bad_frames_are_named() {
    let frame = |length: u32, lane: u8, flags: u8| {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend([lane, flags, 0, 0]);
        bytes.extend([0; 64]);
        bytes
    };
    for length in [0, 3, 65_533, u32::MAX] {
        assert_eq!(read_all(&frame(length, 1, 3)).1, Some(WireError::FrameLength(length)));
    }
    assert_eq!(read_all(&frame(10, 3, 3)).1, Some(WireError::FrameHeader { lane: 3, flags: 3 }));
    assert_eq!(read_all(&frame(10, 0, 4)).1, Some(WireError::FrameHeader { lane: 0, flags: 4 }));
    assert_eq!(read_all(&frame(4, 1, LAST)).1, Some(WireError::ChunkOrder("normal")));
    let twice = [&frame(4, 2, FIRST)[..8], &frame(4, 2, FIRST)[..8]].concat();
    assert_eq!(read_all(&twice).1, Some(WireError::ChunkOrder("bulk")));
}

#[test]
fn chunks_without_end_stop_at_the_limit() {
    let mut bytes = Vec::new();
    for at in 0..100 {
        bytes.extend(65_532_u32.to_le_bytes());
        bytes.extend([1, if at == 0 { FIRST } else { 0 }, 0, 0]);
        bytes.extend([0; MAX_FRAME - FRAME_HEADER]);
    }
    let (out, error, held) = read_all(&bytes);
    assert_eq!((out.len(), error), (0, Some(WireError::TooLarge { limit: LIMIT })));
    assert!(held <= 2 * LIMIT, "{held}");
}

#[test]
fn an_announced_length_is_no_allocation() {
    let huge = (1_u64 << 40).to_le_bytes();
    assert!(decode::<Vec<u64>>(&huge).is_err());
    assert!(decode::<String>(&huge).is_err());
    assert!(decode::<Vec<Vec<String>>>(&[&huge[..], &huge].concat()).is_err());
    assert!(decode::<u32>(&[1, 0, 0, 0, 0]).is_err(), "a trailing byte");
    assert!(decode::<u32>(&[1, 0, 0]).is_err());
}

#[test]
fn fuzz_frames_truncated_flipped_and_random() {
    for seed in 1..3000_u64 {
        let mut dice = Dice(seed);
        let mut bytes = Vec::new();
        for _ in 0..dice.below(4) {
            let lane = Lane::ALL[dice.below(3)];
            let size = dice.below(if seed % 10 == 0 { 200_000 } else { 300 });
            bytes.extend(framed(lane, &dice.bytes(size)));
        }
        match seed % 3 {
            0 if !bytes.is_empty() => {
                for _ in 0..=dice.below(4) {
                    let at = dice.below(bytes.len());
                    bytes[at] ^= 1 << dice.below(8);
                }
            }
            1 => bytes.truncate(dice.below(bytes.len() + 1)),
            _ => {
                let more = dice.below(100);
                bytes.extend(dice.bytes(more));
            }
        }
        let (messages, _, held) = read_all(&bytes);
        assert!(held <= 2 * 3 * LIMIT, "seed {seed}: {held} bytes held");
        for (_, message) in messages {
            if let Ok((header, payload)) = Header::read(&message, || 5) {
                assert!(
                    header.name.len() + payload.len() + MESSAGE_HEADER == message.len(),
                    "seed {seed}"
                );
                let _ = decode::<crate::control::Control>(payload);
            }
        }
    }
}

#[test]
fn fuzz_handshakes_and_statements() {
    let hello = Hello {
        oldest: 1,
        newest: 2,
        node: 3,
        incarnation: 4,
        advertise: Some("[::1]:5050".parse().unwrap()),
        secret: true,
        window: 9,
        nonce: [5; 32],
        lent: false,
    };
    let good = encode(&Greeting::Hello(hello, Some([6; 32])), MAX_HELLO).unwrap();
    let mut accepted = 0;
    for seed in 1..20_000_u64 {
        let mut dice = Dice(seed);
        let mut bytes = good.clone();
        let at = dice.below(bytes.len());
        match seed % 3 {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            _ => bytes = dice.bytes(at),
        }
        accepted += u32::from(decode::<Greeting>(&bytes).is_ok());
        let _ = (decode::<Hello>(&bytes), decode::<Proof>(&bytes), decode::<Verdict>(&bytes));
        let _ = decode::<crate::control::Control>(&bytes);
    }
    assert!(accepted > 1000, "flips inside numbers are still a greeting: {accepted}");
}

#[test]
fn a_header_is_read_as_written() {
    let to = Life { node: 1, incarnation: 2, actor: 0 };
    let head = Head { trace: 3, span: 4, ..Head::default() };
    let header =
        Header { kind: Kind::Ask, relayed: true, to, name: "master", head, tag: tag("x"), ask: 6 };
    let message = [&header.bytes(|| 1)[..], b"master", b"payload"].concat();
    assert_eq!(Header::read(&message, || 1), Ok((header, &b"payload"[..])));
    for short in 0..MESSAGE_HEADER + 6 {
        assert_eq!(Header::read(&message[..short], || 1), Err(WireError::ShortMessage(short)));
    }
    assert_eq!(Header::read(&[9; 200], || 1), Err(WireError::UnknownKind(9)));
}

/// Short ones are copied in pieces; the last of a message has no room behind it.
#[test]
fn texts_of_every_length_come_back_whole_wherever_they_stand() {
    let letters: String = ('a'..='z').cycle().take(80).collect();
    for length in 0..=70 {
        let (text, next) = (letters[..length].to_owned(), letters[length..length + 3].to_owned());
        for value in [vec![text.clone()], vec![text.clone(), next, text.clone()]] {
            let bytes = encode(&value, LIMIT).unwrap();
            assert_eq!(decode::<Vec<String>>(&bytes).as_ref(), Ok(&value), "{length}");
            for cut in 0..bytes.len() {
                assert!(decode::<Vec<String>>(&bytes[..cut]).is_err(), "{length}, cut at {cut}");
            }
        }
    }
}
