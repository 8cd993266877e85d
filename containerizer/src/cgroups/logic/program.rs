//! Device rules as a program that the kernel runs at each use of a device: version 2 has no file for them. The few
//! instructions that it takes are put together here; their form is that of the kernel's `instruction-set.rst`.

use super::devices::{Kind, Rule};

/// One instruction, as the kernel takes it.
pub type Instruction = [u8; 8];

/// More rules than any container has; a program of theirs is far below what the kernel takes.
pub const RULES_MAX: usize = 10_000;

// What the kernel says of a use, `struct bpf_cgroup_dev_ctx`: kind and access in one word, major, minor.
const ACCESS_TYPE: i16 = 0;
const MAJOR: i16 = 4;
const MINOR: i16 = 8;
const BLOCK: u32 = 1;
const CHARACTER: u32 = 2;
const MAKE: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;

// Where the program keeps what.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const WANTED: u8 = 3;
const OF_MAJOR: u8 = 4;
const OF_MINOR: u8 = 5;
const SCRATCH: u8 = 1;

const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const COPY: u8 = 0xbc;
const SET: u8 = 0xb7;
const JUMP_UNLESS: u8 = 0x56;
const EXIT: u8 = 0x95;

/// A program that allows what one of the rules allows, and nothing else: as version 1 does it, one rule must allow all of a
/// use that reads and writes.
pub fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        instruction(LOAD_WORD, KIND, CONTEXT, ACCESS_TYPE, 0),
        instruction(COPY, WANTED, KIND, 0, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, WANTED, 0, 0, 16),
        instruction(LOAD_WORD, OF_MAJOR, CONTEXT, MAJOR, 0),
        instruction(LOAD_WORD, OF_MINOR, CONTEXT, MINOR, 0),
    ];
    for rule in rules {
        program.extend(of_rule(rule));
    }
    program.extend(answer(0));
    program
}

/// Answers, or goes on behind itself.
fn of_rule(rule: &Rule) -> Vec<Instruction> {
    let kind = match rule.kind {
        Kind::Block => BLOCK,
        Kind::Character => CHARACTER,
    };
    let access = rule.access;
    let bits = [(access.make, MAKE), (access.read, READ), (access.write, WRITE)];
    let denied: u32 = bits.iter().filter(|(allowed, _)| !allowed).map(|(_, bit)| bit).sum();
    // A register must have this value, or the rule does not fit.
    let mut tests = vec![(vec![], KIND, kind)];
    if denied != 0 {
        let wanted = instruction(COPY, SCRATCH, WANTED, 0, 0);
        tests.push((vec![wanted, instruction(AND, SCRATCH, 0, 0, denied)], SCRATCH, 0));
    }
    tests.extend(rule.major.map(|major| (vec![], OF_MAJOR, major)));
    tests.extend(rule.minor.map(|minor| (vec![], OF_MINOR, minor)));

    let answer = answer(1);
    let mut left: usize = tests.iter().map(|(before, _, _)| before.len() + 1).sum();
    let mut of_rule = Vec::with_capacity(left + answer.len());
    for (before, register, value) in tests {
        left -= before.len() + 1;
        of_rule.extend(before);
        // A rule has a handful of instructions.
        let behind = i16::try_from(left + answer.len()).unwrap_or(i16::MAX);
        of_rule.push(instruction(JUMP_UNLESS, register, 0, behind, value));
    }
    of_rule.extend(answer);
    of_rule
}

fn answer(allowed: u32) -> [Instruction; 2] {
    [instruction(SET, ANSWER, 0, 0, allowed), instruction(EXIT, 0, 0, 0, 0)]
}

fn instruction(operation: u8, to: u8, from: u8, offset: i16, value: u32) -> Instruction {
    let [low, high] = offset.to_ne_bytes();
    let [a, b, c, d] = value.to_ne_bytes();
    let registers = if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    [operation, registers, low, high, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroups::logic::devices::{Access, DEFAULT};
    use proptest::prelude::*;

    /// What the kernel's machine would answer.
    fn run(program: &[Instruction], context: [u32; 3]) -> u32 {
        let mut registers = [0_u32; 6];
        let mut at = 0;
        for _ in 0..=program.len() {
            let [operation, r, low, high, a, b, c, d] = program[at];
            let (to, from) = (usize::from(r & 15), usize::from(r >> 4));
            let offset = usize::try_from(i16::from_ne_bytes([low, high])).unwrap();
            let value = u32::from_ne_bytes([a, b, c, d]);
            at += 1;
            match operation {
                LOAD_WORD => registers[to] = context[offset / 4],
                AND => registers[to] &= value,
                SHIFT_RIGHT => registers[to] >>= value,
                COPY => registers[to] = registers[from],
                SET => registers[to] = value,
                JUMP_UNLESS if registers[to] != value => at += offset,
                JUMP_UNLESS => {}
                EXIT => return registers[0],
                odd => panic!("operation {odd:#x}"),
            }
        }
        panic!("it does not end");
    }

    fn answer_of(rules: &[Rule], kind: Kind, major: u32, minor: u32, wanted: Access) -> bool {
        let bits = [(wanted.make, MAKE), (wanted.read, READ), (wanted.write, WRITE)];
        let access: u32 = bits.iter().filter(|(is, _)| *is).map(|(_, bit)| bit).sum();
        let kind = if kind == Kind::Block { BLOCK } else { CHARACTER };
        run(&program(rules), [access << 16 | kind, major, minor]) == 1
    }

    #[test]
    fn the_default_rules_allow_null_and_no_disk() {
        let read = Access { read: true, ..Access::default() };
        assert!(answer_of(&DEFAULT, Kind::Character, 1, 3, read));
        assert!(!answer_of(&DEFAULT, Kind::Character, 1, 1, read), "memory");
        assert!(!answer_of(&DEFAULT, Kind::Block, 8, 0, read));
        let make = Access { make: true, ..Access::default() };
        assert!(answer_of(&DEFAULT, Kind::Block, 8, 0, make));
        assert!(!answer_of(&[], Kind::Block, 8, 0, make), "without rules nothing is allowed");
    }

    fn any_access() -> impl Strategy<Value = Access> {
        any::<(bool, bool, bool)>().prop_map(|(read, write, make)| Access { read, write, make })
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Block), Just(Kind::Character)]
    }

    /// Few, so that rules fit, and some that are negative as numbers with a sign.
    fn any_number() -> impl Strategy<Value = u32> {
        prop_oneof![0..3_u32, Just(u32::MAX), Just(1 << 31)]
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let number = || proptest::option::of(any_number());
        let parts = (any_kind(), number(), number(), any_access());
        parts.prop_map(|(kind, major, minor, access)| Rule { kind, major, minor, access })
    }

    proptest! {
        #[test]
        fn the_program_answers_as_the_rules_do(
            rules in proptest::collection::vec(any_rule(), 0..6),
            kind in any_kind(), major in any_number(), minor in any_number(), wanted in any_access(),
        ) {
            let expected = rules.iter().any(|rule| rule.allows(kind, major, minor, wanted));
            prop_assert_eq!(answer_of(&rules, kind, major, minor, wanted), expected);
        }
    }
}
