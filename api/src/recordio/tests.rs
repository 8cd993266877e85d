//! Records come out as they went in, however the stream is cut, and a wrong length ends it.

use proptest::prelude::*;

use super::*;

const MAX: usize = 1000;

fn decoded(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), BadRecord>) {
    let (mut decoder, mut records) = (Decoder::new(MAX), Vec::new());
    for chunk in chunks {
        if let Err(why) = decoder.feed(chunk, &mut records) {
            assert!(!decoder.is_between_records());
            assert_eq!(decoder.feed(b"1\na", &mut records), Err(BadRecord::Broken), "for good");
            return (records, Err(why));
        }
    }
    (records, Ok(()))
}

#[test]
fn a_record_is_its_length_a_line_feed_and_its_bytes() {
    assert_eq!(encode(b"hello\n"), b"6\nhello\n");
    assert_eq!(encode(b""), b"0\n");
    let mut out = b"1\na".to_vec();
    encode_into(b"bc", &mut out);
    assert_eq!(out, b"1\na2\nbc");
}

#[test]
fn an_empty_record_is_one() {
    let (records, ended) = decoded(&[b"0\n1\na0\n"]);
    assert_eq!((records, ended), (vec![vec![], b"a".to_vec(), vec![]], Ok(())));
}

#[test]
fn a_stream_may_end_between_records_only() {
    let (mut decoder, mut records) = (Decoder::new(MAX), Vec::new());
    assert!(decoder.is_between_records());
    for (chunk, between) in [("1", false), ("\n", false), ("a", true), ("0\n", true)] {
        decoder.feed(chunk.as_bytes(), &mut records).expect("right");
        assert_eq!(decoder.is_between_records(), between, "after {chunk}");
    }
}

#[test]
fn a_wrong_length_ends_the_stream_behind_the_records_before_it() {
    let nines = "9".repeat(10_000);
    let wrong =
        ["x\n", "-1\n", "+1\n", " 1\n", "1 \n", "1\r\n", "0x1\n", "1.0\n", "\n", "é\n", &nines];
    for wrong in wrong {
        let stream = format!("2\nab{wrong}1\na");
        let (records, ended) = decoded(&[stream.as_bytes()]);
        assert_eq!(records, [b"ab"], "{wrong:?}");
        assert!(matches!(ended, Err(BadRecord::Length(_))), "{wrong:?}: {ended:?}");
    }
}

#[test]
fn a_record_that_is_too_long_is_refused_by_its_length() {
    let long = vec![b'a'; MAX];
    assert_eq!(decoded(&[&encode(&long)]), (vec![long], Ok(())));
    let too_long = |bytes| Err(BadRecord::TooLong { bytes, bytes_max: MAX });
    assert_eq!(decoded(&[b"1001\n"]).1, too_long(1001));
    assert_eq!(decoded(&[b"18446744073709551615\n"]).1, too_long(u64::MAX));
    assert!(matches!(decoded(&[b"18446744073709551616\n"]).1, Err(BadRecord::Length(_))));
}

proptest! {
    #[test]
    fn records_come_out_as_they_went_in_however_the_stream_is_cut(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
        cuts in prop::collection::vec(1..30usize, 1..20),
    ) {
        let stream: Vec<u8> = records.iter().flat_map(|record| encode(record)).collect();
        let (mut chunks, mut rest) = (Vec::new(), stream.as_slice());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, behind) = rest.split_at(rest.len().min(*cut));
            chunks.push(chunk);
            rest = behind;
        }
        prop_assert_eq!(decoded(&chunks), (records, Ok(())));
    }

    #[test]
    fn no_bytes_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let (records, _) = decoded(&chunks);
        prop_assert!(records.iter().all(|record| record.len() <= MAX));
    }
}
