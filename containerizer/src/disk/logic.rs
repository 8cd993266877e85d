//! What it means that a container takes so much of the disk. Pure.

use protocol::resources::{Milli, Resources};
use protocol::task::Reason;

use crate::isolator::{Allowance, Limitation};
use crate::limits::logic::bytes;

const MIB: f64 = (1 << 20) as f64;

/// Whether it takes more bytes than it may. One that holds no disk has no limit, as in Mesos.
pub fn exceeded(allowance: &Allowance, taken: u64) -> Option<Limitation> {
    let disk = allowance.holds.disk();
    let exceeds = disk > Milli(0) && taken > bytes(disk);
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MIB);
    exceeds.then(|| Limitation {
        reason: Reason::ContainerLimitationDisk,
        resources: Resources::none().with_scalar("disk", disk),
        words: format!(
            "Disk usage ({}) exceeds quota ({}): that is what its sandbox takes, and what its tasks and its executor hold; let the task ask for more disk",
            mib(taken),
            mib(bytes(disk)),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_16_a_container_may_take_the_disk_that_it_holds_and_without_any_it_has_no_limit() {
        let mut allowance = Allowance::default();
        assert_eq!(exceeded(&allowance, u64::MAX), None);
        allowance.holds = Resources::none().with_scalar("disk", Milli::whole(2));
        assert_eq!(exceeded(&allowance, 2 << 20), None);
        let limitation = exceeded(&allowance, (2 << 20) + 1).expect("one byte more");
        assert_eq!(limitation.reason, Reason::ContainerLimitationDisk);
        assert_eq!(limitation.resources, allowance.holds);
        assert!(limitation.words.starts_with("Disk usage (2.0 MiB) exceeds quota (2.0 MiB)"));
    }
}
