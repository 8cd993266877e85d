//! What a word is: a longest run of Unicode alphanumerics, each lower-cased by itself. Bytes that are no UTF-8 separate
//! words, as any other character does. Pure.

use std::collections::BTreeMap;

/// How often each word occurs.
pub type Counts = BTreeMap<String, u64>;

/// Adds the words of `text` to `counts`.
pub fn count(text: &[u8], counts: &mut Counts) {
    let text = String::from_utf8_lossy(text);
    let mut word = String::new();
    for run in text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()) {
        word.clear();
        word.extend(run.chars().flat_map(char::to_lowercase));
        match counts.get_mut(&word) {
            Some(count) => *count += 1,
            None => drop(counts.insert(word.clone(), 1)),
        }
    }
}

/// Where a text may be cut at or after `from` without changing its words: before a byte that is ASCII and in no word.
/// Such a byte is never within a character, so neither side is decoded differently.
pub(crate) fn cut_after(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let at = rest.iter().position(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric())?;
    Some(from + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(text: &[u8]) -> Counts {
        let mut counts = Counts::new();
        count(text, &mut counts);
        counts
    }

    /// Another way to the same: character by character, with the decoder for chunks of bytes.
    fn by_other_means(text: &[u8]) -> Counts {
        let mut counts = Counts::new();
        let mut word = String::new();
        let mut end = |word: &mut String| {
            if !word.is_empty() {
                *counts.entry(std::mem::take(word)).or_default() += 1;
            }
        };
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_alphanumeric() {
                    c.to_lowercase().for_each(|low| word.push(low));
                } else {
                    end(&mut word);
                }
            }
            if !chunk.invalid().is_empty() {
                end(&mut word);
            }
        }
        end(&mut word);
        counts
    }

    #[test]
    fn words_are_what_people_think() {
        let counts =
            counted("Straße straße STRASSE, 1st x86_64 don't — naïve\u{301} É é".as_bytes());
        let list: Vec<_> = counts.iter().map(|(word, n)| format!("{word}:{n}")).collect();
        assert_eq!(list.join(" "), "1st:1 64:1 don:1 naïve:1 strasse:1 straße:2 t:1 x86:1 é:2");
        assert_eq!(counted(b"a\xffb \xe2\x82 c").len(), 3);
        assert!(counted(b" \n\t--").is_empty());
    }

    proptest! {
        #[test]
        fn counts_agree_with_those_made_by_other_means(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(counted(&text), by_other_means(&text));
        }

        #[test]
        fn text_agrees_too(text in "\\PC{0,200}") {
            prop_assert_eq!(counted(text.as_bytes()), by_other_means(text.as_bytes()));
        }

        #[test]
        fn a_cut_changes_no_word(
            text in proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(b' '), Just(b'a'), Just(0xc3), Just(0xa9)], 1..500),
            from in 0usize..500,
        ) {
            if let Some(at) = cut_after(&text, from) {
                let mut both = counted(&text[..at]);
                count(&text[at..], &mut both);
                prop_assert_eq!(both, counted(&text));
            }
        }
    }
}
