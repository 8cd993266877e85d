//! Which devices a container may use: rules that allow, in the kernel's words of version 1. Everything else is denied.

use std::fmt::{self, Display};
use std::str::FromStr;

/// Devices that may be used, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Character or block devices.
    pub kind: Kind,
    /// `None`: any.
    pub major: Option<u32>,
    /// `None`: any.
    pub minor: Option<u32>,
    /// How they may be used.
    pub access: Access,
}

/// The two kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Terminals, `/dev/null` and the like.
    Character,
    /// Disks.
    Block,
}

/// How a device may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
    /// Made by `mknod`.
    pub make: bool,
}

/// A text that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no rule for devices such as `c 1:3 rwm` or `b *:* m`: kind, major:minor, and some of r, w and m"
)]
pub struct BadRule(String);

const ALL: Access = Access { read: true, write: true, make: true };
const MAKE: Access = Access { read: false, write: false, make: true };

/// What every container may use, the list of Mesos: terminals, the usual devices without hardware behind them, tunnels; and any
/// device may be made, though not opened.
pub const DEFAULT: [Rule; 14] = [
    Rule { kind: Kind::Character, major: None, minor: None, access: MAKE },
    Rule { kind: Kind::Block, major: None, minor: None, access: MAKE },
    character(5, Some(1)),    // /dev/console
    character(4, Some(0)),    // /dev/tty0
    character(4, Some(1)),    // /dev/tty1
    character(136, None),     // /dev/pts/*
    character(5, Some(2)),    // /dev/ptmx
    character(10, Some(200)), // /dev/net/tun
    character(1, Some(3)),    // /dev/null
    character(1, Some(5)),    // /dev/zero
    character(1, Some(7)),    // /dev/full
    character(5, Some(0)),    // /dev/tty
    character(1, Some(9)),    // /dev/urandom
    character(1, Some(8)),    // /dev/random
];

const fn character(major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: Kind::Character, major: Some(major), minor, access: ALL }
}

impl Rule {
    /// Whether a use of a device is one that this allows.
    pub fn allows(&self, kind: Kind, major: u32, minor: u32, wanted: Access) -> bool {
        let access = self.access;
        self.kind == kind
            && self.major.is_none_or(|of_rule| of_rule == major)
            && self.minor.is_none_or(|of_rule| of_rule == minor)
            && (access.read || !wanted.read)
            && (access.write || !wanted.write)
            && (access.make || !wanted.make)
    }
}

impl Rule {
    /// Whether both name the same devices.
    pub fn is_of_same_device(&self, other: &Self) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }

    /// What it allows beyond these; `None`: nothing.
    pub fn without(&self, allowed: impl Iterator<Item = Access>) -> Option<Self> {
        let mut access = self.access;
        for other in allowed {
            access.read &= !other.read;
            access.write &= !other.write;
            access.make &= !other.make;
        }
        (access != Access::default()).then_some(Self { access, ..*self })
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Character => 'c',
            Kind::Block => 'b',
        };
        write!(f, "{kind} ")?;
        for (number, after) in [(self.major, ":"), (self.minor, " ")] {
            match number {
                Some(number) => write!(f, "{number}{after}")?,
                None => write!(f, "*{after}")?,
            }
        }
        let Access { read, write, make } = self.access;
        let letters = [(read, "r"), (write, "w"), (make, "m")];
        letters.into_iter().filter(|(has, _)| *has).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        read(text).ok_or_else(|| BadRule(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Rule> {
    let [kind, numbers, letters] = text.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let kind = match kind {
        "c" => Kind::Character,
        "b" => Kind::Block,
        _ => return None,
    };
    let number = |text: &str| match text {
        "*" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    let (major, minor) = numbers.split_once(':')?;
    let (major, minor) = (number(major)?, number(minor)?);
    let mut access = Access::default();
    for letter in letters.chars() {
        let has = match letter {
            'r' => &mut access.read,
            'w' => &mut access.write,
            'm' => &mut access.make,
            _ => return None,
        };
        if std::mem::replace(has, true) {
            return None;
        }
    }
    (access != Access::default()).then_some(Rule { kind, major, minor, access })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_as_it_is_written() {
        for text in ["c 1:3 rwm", "b *:* m", "c 136:* rw", "b 8:0 r"] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        assert_eq!(DEFAULT.map(|rule| rule.to_string())[8], "c 1:3 rwm");
    }

    #[test]
    fn what_is_no_rule_says_so() {
        for text in [
            "",
            "c",
            "c 1:3",
            "c 1:3 ",
            "d 1:3 r",
            "c 1 r",
            "c 1:3 x",
            "c 1:3 rr",
            "c +1:3 r",
            "c -1:3 r",
            "c 4294967296:0 r",
            "c 1:3 r ",
            "c  1:3 r",
            "a *:* rwm",
            "c :3 r",
        ] {
            assert_eq!(text.parse::<Rule>(), Err(BadRule(text.into())), "{text:?}");
        }
    }

    #[test]
    fn a_rule_allows_what_it_names_and_no_more() {
        let null: Rule = "c 1:3 rw".parse().unwrap();
        let read = Access { read: true, ..Access::default() };
        assert!(null.allows(Kind::Character, 1, 3, read));
        assert!(!null.allows(Kind::Block, 1, 3, read));
        assert!(!null.allows(Kind::Character, 1, 5, read));
        assert!(!null.allows(Kind::Character, 1, 3, ALL));
        let any: Rule = "b *:* r".parse().unwrap();
        assert!(any.allows(Kind::Block, 8, 1, read) && !any.allows(Kind::Block, 8, 1, MAKE));
    }
}
