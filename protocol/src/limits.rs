//! How much more than it holds a task may take where there is more, as a task says it: read from the v1 message in which that is
//! carried. Whoever refuses what makes no sense, and whoever limits the container, read it here. Pure.

use std::collections::BTreeMap;
use std::fmt;

use api::v1;
use api::v1::value::Scalar;
use serde::{Deserialize, Serialize};

use crate::container::names_field;
use crate::resources::{Milli, Resources};
use crate::task::TaskSpec;

/// The number of the field `limits` in a `TaskInfo`.
const LIMITS: u32 = 15;

/// Of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Most {
    /// This much.
    At(Milli),
    /// All that there is.
    Unbounded,
}

/// What a task may take at most. What is not said of a resource is for the agent to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLimits {
    /// Of processors.
    pub cpus: Option<Most>,
    /// Of memory, in MiB.
    pub mem: Option<Most>,
}

/// Why a limit cannot be one. The first words are those that Mesos's frameworks get.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLimit {
    /// Of a resource that nobody limits.
    #[error(
        "Only cpus and mem may be included in a task's resource limits; leave '{0}' out of 'limits'"
    )]
    Name(String),
    /// No amount.
    #[error(
        "Task's limit of {name} is {value}, and it is to be an amount or 'Infinity': correct it, or leave it out"
    )]
    Amount {
        /// Of which.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// It would have less than it holds.
    #[error(
        "Task's limit of {name} is {limit}, less than the {holds} that it asks for: raise the limit, or ask for less"
    )]
    Below {
        /// Of which.
        name: &'static str,
        /// What it says.
        limit: Milli,
        /// What it asks for.
        holds: Milli,
    },
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(amount) => amount.fmt(f),
            Self::Unbounded => f.write_str("unbounded"),
        }
    }
}

impl Most {
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(one), Self::At(other)) => Self::At(Milli(one.0.saturating_add(other.0))),
            (Self::Unbounded, _) | (_, Self::Unbounded) => Self::Unbounded,
        }
    }

    fn to_v1(self) -> Scalar {
        match self {
            Self::At(amount) => Scalar { value: amount.as_f64() },
            Self::Unbounded => Scalar { value: f64::INFINITY },
        }
    }

    fn of(name: &'static str, value: f64, holds: Milli) -> Result<Self, BadLimit> {
        if value == f64::INFINITY {
            return Ok(Self::Unbounded);
        }
        if !value.is_finite() || value < 0.0 {
            return Err(BadLimit::Amount { name, value: value.to_string() });
        }
        let limit = Milli::from_f64(value);
        if limit < holds {
            Err(BadLimit::Below { name, limit, holds })
        } else {
            Ok(Self::At(limit))
        }
    }
}

impl TaskLimits {
    /// Of a task that holds this.
    ///
    /// # Errors
    /// What of it cannot be a limit.
    pub fn of(info: &v1::TaskInfo, holds: &Resources) -> Result<Self, BadLimit> {
        let mut limits = Self::default();
        for (name, scalar) in &info.limits {
            match name.as_str() {
                "cpus" => limits.cpus = Some(Most::of("cpus", scalar.value, holds.cpus())?),
                "mem" => limits.mem = Some(Most::of("mem", scalar.value, holds.mem())?),
                _ => return Err(BadLimit::Name(name.clone())),
            }
        }
        Ok(limits)
    }

    /// As v1 messages say it.
    pub fn to_v1(&self) -> BTreeMap<String, Scalar> {
        let named = [("cpus", self.cpus), ("mem", self.mem)].into_iter();
        named.filter_map(|(name, most)| Some((name.to_owned(), most?.to_v1()))).collect()
    }

    /// What an executor that holds this, and its tasks, may take together: who says nothing of a resource takes what it holds,
    /// beside those that do.
    pub fn together<'t>(
        executor: &Resources,
        tasks: impl Iterator<Item = &'t TaskSpec> + Clone,
    ) -> Self {
        let all: Vec<_> = tasks.map(|task| (&task.resources, task.limits())).collect();
        let sum = |said: fn(&Self) -> Option<Most>, held: fn(&Resources) -> Milli| {
            all.iter().any(|(_, limits)| said(limits).is_some()).then(|| {
                let each = all.iter();
                let each =
                    each.map(|(holds, limits)| said(limits).unwrap_or(Most::At(held(holds))));
                each.fold(Most::At(held(executor)), Most::plus)
            })
        };
        Self {
            cpus: sum(|limits| limits.cpus, Resources::cpus),
            mem: sum(|limits| limits.mem, Resources::mem),
        }
    }
}

impl TaskSpec {
    /// What it says that it may take at most. Nothing if that makes no sense, which is refused at its launch.
    pub fn limits(&self) -> TaskLimits {
        // Most say nothing, and are not decoded for that.
        if !names_field(self.carried.as_bytes(), &[LIMITS]) {
            return TaskLimits::default();
        }
        let said = self.carried.decode().ok();
        said.and_then(|info| TaskLimits::of(&info, &self.resources).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carried::Carried;
    use crate::ids::TaskId;
    use crate::task::{CommandSpec, Run};

    fn info(limits: &[(&str, f64)]) -> v1::TaskInfo {
        let scalar = |(name, value): &(&str, f64)| ((*name).to_owned(), Scalar { value: *value });
        v1::TaskInfo { limits: limits.iter().map(scalar).collect(), ..Default::default() }
    }

    fn task(limits: &[(&str, f64)]) -> TaskSpec {
        TaskSpec {
            task: TaskId::new("a"),
            name: String::new(),
            resources: Resources::cpus_mem(1.0, 64.0),
            run: Run::Command(CommandSpec::default()),
            kill_grace: None,
            carried: Carried::new(&info(limits)),
        }
    }

    fn at(units: i64) -> Option<Most> {
        Some(Most::At(Milli::whole(units)))
    }

    #[test]
    fn op_15_a_task_may_be_limited_to_what_it_holds_or_more_or_not_at_all() {
        for (said, is) in [
            (&[][..], TaskLimits::default()),
            (&[("cpus", 1.0), ("mem", 128.0)], TaskLimits { cpus: at(1), mem: at(128) }),
            (&[("mem", f64::INFINITY)], TaskLimits { cpus: None, mem: Some(Most::Unbounded) }),
        ] {
            let task = task(said);
            assert_eq!(task.limits(), is);
            assert_eq!(is.to_v1(), info(said).limits, "and is shown as it was said");
        }
    }

    #[test]
    fn op_15_limits_below_what_is_asked_for_of_other_resources_and_that_are_no_amounts_are_refused()
    {
        for (said, words) in [
            (
                ("disk", 1.0),
                "Only cpus and mem may be included in a task's resource limits; leave 'disk'",
            ),
            (("cpus", 0.5), "Task's limit of cpus is 0.5, less than the 1 that it asks for"),
            (("mem", 63.999), "Task's limit of mem is 63.999, less than the 64"),
            (
                ("mem", f64::NAN),
                "Task's limit of mem is NaN, and it is to be an amount or 'Infinity'",
            ),
            (("cpus", f64::NEG_INFINITY), "Task's limit of cpus is -inf, and"),
            (("cpus", -1.0), "Task's limit of cpus is -1, and"),
        ] {
            let refused = TaskLimits::of(&info(&[said]), &task(&[]).resources).unwrap_err();
            assert!(refused.to_string().starts_with(words), "{refused}");
        }
    }

    #[test]
    fn op_15_tasks_that_say_nothing_take_what_they_hold_beside_those_that_do() {
        let executor = Resources::cpus_mem(0.5, 32.0);
        let of = |tasks: &[TaskSpec]| TaskLimits::together(&executor, tasks.iter());
        assert_eq!(of(&[task(&[]), task(&[])]), TaskLimits::default());
        let both = of(&[task(&[("cpus", 3.0)]), task(&[])]);
        assert_eq!(both, TaskLimits { cpus: Some(Most::At(Milli(4500))), mem: None });
        let most = [task(&[("mem", f64::INFINITY)]), task(&[("mem", 100.0)])];
        assert_eq!(of(&most), TaskLimits { cpus: None, mem: Some(Most::Unbounded) });
        assert_eq!(of(&most[1..]), TaskLimits { cpus: None, mem: at(132) });
    }
}
