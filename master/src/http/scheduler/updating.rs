//! What a framework is, as its gateway knows it, and the update of it that is being written. Pure: who asked is answered by whoever
//! calls.

use protocol::framework::FrameworkInfo;
use protocol::wishes::RoleWishes;

/// A framework, and what its scheduler wants it to be instead. `R` is by which that scheduler is answered.
pub(super) struct Described<R> {
    pub(super) info: FrameworkInfo,
    pub(super) wishes: Vec<RoleWishes>,
    /// Of the newest update.
    number: u64,
    updating: Option<Updating<R>>,
}

struct Updating<R> {
    info: FrameworkInfo,
    wishes: Vec<RoleWishes>,
    reply: R,
}

/// What is to be done about an update.
#[derive(Debug, PartialEq)]
pub(super) enum Begun<R> {
    /// Tell the master, under this number.
    Tell(u64),
    /// It is so already.
    Already(R),
    /// Another is being written.
    Busy(R),
}

impl<R> Described<R> {
    pub(super) fn new(info: FrameworkInfo, wishes: Vec<RoleWishes>) -> Self {
        Self { info, wishes, number: 0, updating: None }
    }

    pub(super) fn update(
        &mut self,
        info: FrameworkInfo,
        wishes: Vec<RoleWishes>,
        reply: R,
    ) -> Begun<R> {
        if self.updating.is_some() {
            return Begun::Busy(reply);
        }
        if (&info, &wishes) == (&self.info, &self.wishes) {
            return Begun::Already(reply);
        }
        self.number += 1;
        self.updating = Some(Updating { info, wishes, reply });
        Begun::Tell(self.number)
    }

    /// The master has dealt with the update of this number. Who asked for it, if anybody still waits.
    pub(super) fn updated(&mut self, number: u64, is_refused: bool) -> Option<R> {
        if number != self.number {
            return None;
        }
        let Updating { info, wishes, reply } = self.updating.take()?;
        if !is_refused {
            (self.info, self.wishes) = (info, wishes);
        }
        Some(reply)
    }
}

#[cfg(test)]
mod tests {
    use protocol::ids::FrameworkId;

    use super::*;

    fn named(name: &str) -> FrameworkInfo {
        FrameworkInfo { name: name.into(), ..FrameworkInfo::plain(FrameworkId::new("f")) }
    }

    fn described() -> Described<&'static str> {
        Described::new(named("one"), Vec::new())
    }

    #[test]
    fn fwk_09_an_update_holds_once_it_is_written_and_answers_who_asked() {
        let mut is = described();
        assert_eq!(is.update(named("two"), Vec::new(), "first"), Begun::Tell(1));
        assert_eq!(is.info.name, "one");
        assert_eq!(is.updated(1, false), Some("first"));
        assert_eq!(is.info.name, "two");
        assert_eq!(is.updated(1, false), None, "it is answered once");
        assert_eq!(is.update(named("two"), Vec::new(), "again"), Begun::Already("again"));
    }

    #[test]
    fn fwk_09_what_is_refused_changes_nothing() {
        let mut is = described();
        assert_eq!(is.update(named("two"), Vec::new(), "first"), Begun::Tell(1));
        assert_eq!(is.updated(1, true), Some("first"));
        assert_eq!(is.info.name, "one");
        assert_eq!(is.update(named("two"), Vec::new(), "second"), Begun::Tell(2));
        assert_eq!(is.updated(1, false), None, "that was another");
        assert_eq!(is.info.name, "one");
        assert_eq!(is.updated(2, false), Some("second"));
    }

    #[test]
    fn fwk_09_one_is_written_at_a_time() {
        let mut is = described();
        assert_eq!(is.update(named("two"), Vec::new(), "first"), Begun::Tell(1));
        assert_eq!(is.update(named("three"), Vec::new(), "second"), Begun::Busy("second"));
        assert_eq!(is.updated(1, false), Some("first"));
        assert_eq!(is.info.name, "two");
    }
}
