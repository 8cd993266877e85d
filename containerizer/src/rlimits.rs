//! The isolator of resource limits: what `setrlimit` is told, by the container's own init, before its program begins.

use crate::confinement::Limit;
use crate::isolator::{ContainerPath, Isolator, Launch};

/// The same for all containers that do not say it themselves.
#[derive(Clone, Debug)]
pub struct Rlimits(Vec<Limit>);

impl Rlimits {
    /// These.
    pub fn new(limits: Vec<Limit>) -> Self {
        Self(limits)
    }
}

impl Isolator for Rlimits {
    fn name(&self) -> &str {
        "posix/rlimits"
    }

    fn supports_nesting(&self) -> bool {
        true
    }

    fn supports_standalone(&self) -> bool {
        true
    }

    fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        let limits = &mut launch.container.confinement.identity.limits;
        let said: Vec<_> = limits.iter().map(|limit| limit.of).collect();
        limits.extend(self.0.iter().filter(|limit| !said.contains(&limit.of)));
        Ok(())
    }

    fn clean_up(&self, _: &ContainerPath) -> Result<(), String> {
        // They end with the processes that have them.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confinement::LimitOf;
    use crate::container::{Container, ContainerName};
    use crate::isolator::Allowance;

    #[test]
    fn iso_02_a_container_has_the_limits_that_it_does_not_say_itself() {
        let limit = |of, value| Limit { of, soft: Some(value), hard: Some(value) };
        let mut container = Container::default();
        container.confinement.identity.limits = vec![limit(LimitOf::OpenFiles, 7)];
        let rlimits = Rlimits::new(vec![limit(LimitOf::OpenFiles, 100), limit(LimitOf::Core, 0)]);
        let id = ContainerPath::standalone(ContainerName::new("c").unwrap());
        let allowance = Allowance::default();
        let (id, allowance) = (&id, &allowance);
        let mut launch = Launch { id, container: &mut container, allowance, folders: &[] };
        rlimits.prepare(&mut launch).unwrap();
        let limits = &container.confinement.identity.limits;
        assert_eq!(*limits, [limit(LimitOf::OpenFiles, 7), limit(LimitOf::Core, 0)]);
    }
}
