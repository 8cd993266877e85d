//! Regular expressions of schedulers, as RE2 has them: a text matches as a whole, in time that grows with its length only,
//! and an expression that would grow too large is refused.

use std::fmt;

use regex::RegexBuilder;

use super::{BadConstraints, Bounds};

/// What one instruction of a program of RE2's comes to here, in bytes, and a little more.
const BYTES_PER_INSTRUCTION: usize = 80;
/// What RE2 reckons with for each instruction out of the memory that it may use.
const MEMORY_PER_INSTRUCTION: usize = 24;
/// How deep groups may lie within groups.
const NESTING_MAX: u32 = 64;

/// A regular expression, ready to use.
#[derive(Clone)]
pub(super) struct Pattern {
    source: String,
    whole: regex::Regex,
}

impl Pattern {
    pub(super) fn compile(source: &str, bounds: &Bounds) -> Result<Self, BadConstraints> {
        let ours = translated(source);
        // By itself first: what closes a group that it did not open would end the one around it.
        build(&ours, source, bounds)?;
        let whole = build(&format!(r"\A(?:{ours})\z"), source, bounds)?;
        Ok(Self { source: source.to_owned(), whole })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.source)
    }
}

impl Bounds {
    /// In which a compiled expression must find room.
    fn program_bytes_max(&self) -> usize {
        let by_memory = self.offer_constraints_re2_max_mem / MEMORY_PER_INSTRUCTION;
        let instructions = by_memory.min(self.offer_constraints_re2_max_program_size);
        instructions.saturating_mul(BYTES_PER_INSTRUCTION)
    }
}

fn build(ours: &str, source: &str, bounds: &Bounds) -> Result<regex::Regex, BadConstraints> {
    let bytes = bounds.program_bytes_max();
    let mut builder = RegexBuilder::new(ours);
    builder.size_limit(bytes).dfa_size_limit(bytes).nest_limit(NESTING_MAX);
    builder.build().map_err(|bad| {
        let regex = source.to_owned();
        if let regex::Error::CompiledTooBig(_) = bad {
            return BadConstraints::TooComplex { regex };
        }
        // Its words are of several lines, with a drawing; the last one says what is wrong.
        let words = bad.to_string();
        let last = words.lines().last().unwrap_or_default();
        let why = last.trim_start_matches("error: ").to_owned();
        BadConstraints::Regex { regex, why }
    })
}

/// In the words of the engine that is used here: RE2's short names of classes are of ASCII, and within brackets nothing but a
/// named class means another class.
fn translated(source: &str) -> String {
    let mut ours = String::with_capacity(source.len() + 16);
    let mut rest = source.chars().peekable();
    let mut within_brackets = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some('d') => ours.push_str("[0-9]"),
                Some('D') => ours.push_str("[^0-9]"),
                Some('s') => ours.push_str(r"[\t\n\f\r ]"),
                Some('S') => ours.push_str(r"[^\t\n\f\r ]"),
                Some('w') => ours.push_str("[0-9A-Za-z_]"),
                Some('W') => ours.push_str("[^0-9A-Za-z_]"),
                Some(edge @ ('b' | 'B')) if !within_brackets => {
                    ours.push_str(&format!(r"(?-u:\{edge})"));
                }
                Some(escaped) => ours.extend(['\\', escaped]),
                None => ours.push('\\'),
            },
            '[' if !within_brackets => {
                within_brackets = true;
                ours.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    ours.push('^');
                }
                // The first of a class is no end of it.
                if rest.next_if_eq(&']').is_some() {
                    ours.push_str(r"\]");
                }
            }
            '[' if rest.peek() != Some(&':') => ours.push_str(r"\["),
            '[' => {
                // `[:alpha:]`, or whatever the engine makes of it.
                ours.push('[');
                for named in rest.by_ref() {
                    ours.push(named);
                    if named == ']' {
                        break;
                    }
                }
            }
            ']' => {
                within_brackets = false;
                ours.push(']');
            }
            '&' | '~' if within_brackets => ours.extend(['\\', c]),
            c => ours.push(c),
        }
    }
    ours
}
