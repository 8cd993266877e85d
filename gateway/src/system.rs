//! The machine, as Mesos shows it: its load, its processors, its memory.

use nix::sys::sysinfo::sysinfo;
use nix::unistd::{SysconfVar, sysconf};

/// Read at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct System {
    load: (f64, f64, f64),
    cpus: f64,
    memory: f64,
    free: f64,
}

impl System {
    /// As it is now. What cannot be read is zero.
    pub(crate) fn read() -> Self {
        let cpus = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or_default();
        let Ok(info) = sysinfo() else { return Self { cpus: cpus as f64, ..Self::default() } };
        Self {
            load: info.load_average(),
            cpus: cpus as f64,
            memory: info.ram_total() as f64,
            free: info.ram_unused() as f64,
        }
    }

    /// Under the names that metrics have.
    pub(crate) fn metrics(self) -> [(&'static str, f64); 6] {
        [
            ("system/cpus_total", self.cpus),
            ("system/load_1min", self.load.0),
            ("system/load_5min", self.load.1),
            ("system/load_15min", self.load.2),
            ("system/mem_total_bytes", self.memory),
            ("system/mem_free_bytes", self.free),
        ]
    }

    /// The page of its own.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "whole numbers that were made from integers"
    )]
    pub(crate) fn page(self) -> String {
        serde_json::json!({
            "avg_load_1min": self.load.0,
            "avg_load_5min": self.load.1,
            "avg_load_15min": self.load.2,
            "cpus_total": self.cpus as i64,
            "mem_total_bytes": self.memory as i64,
            "mem_free_bytes": self.free as i64,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lp_27_a_machine_has_processors_and_memory_of_which_some_is_free() {
        let page: serde_json::Value = serde_json::from_str(&System::read().page()).unwrap();
        let number = |key: &str| page[key].as_f64().unwrap_or_else(|| panic!("{key} in {page}"));
        assert!(number("cpus_total") >= 1.0);
        assert!(number("mem_free_bytes") > 0.0);
        assert!(number("mem_free_bytes") < number("mem_total_bytes"));
        for load in ["avg_load_1min", "avg_load_5min", "avg_load_15min"] {
            assert!(number(load) >= 0.0);
        }
    }
}
