//! How long to wait before a request is made again, and when not to. Pure.

use std::time::Duration;

/// How often, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Requests are made again so many times. Any byte that arrives begins the count anew.
    pub retries: u32,
    /// Before the first repetition; doubled for each further one.
    pub wait: Duration,
    /// Never longer than this, unless the registry says so.
    pub wait_max: Duration,
    /// A registry that wants a longer wait is not waited for.
    pub asked_wait_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 5,
            wait: Duration::from_millis(250),
            wait_max: Duration::from_secs(10),
            asked_wait_max: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// The pause before repetition `number`, counted from 0; `None` to give up. `asked` is what the registry says.
    #[must_use]
    pub fn wait_before(&self, number: u32, asked: Option<Duration>) -> Option<Duration> {
        if number >= self.retries {
            return None;
        }
        let ours = self.wait.saturating_mul(2_u32.saturating_pow(number)).min(self.wait_max);
        match asked {
            None => Some(ours),
            Some(asked) if asked > self.asked_wait_max => None,
            Some(asked) => Some(asked.max(ours)),
        }
    }
}

/// `Retry-After` in seconds. Its other form is a date, for which one would need a clock: our own wait does there.
pub(crate) fn read_retry_after(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waits(asked: Option<u64>) -> Vec<Option<u64>> {
        let patience = Patience {
            retries: 4,
            wait: Duration::from_secs(1),
            wait_max: Duration::from_secs(5),
            asked_wait_max: Duration::from_secs(30),
        };
        let wait = |number| patience.wait_before(number, asked.map(Duration::from_secs));
        (0..5).map(|number| wait(number).map(|wait| wait.as_secs())).collect()
    }

    #[test]
    fn waits_double_up_to_a_limit_and_end() {
        assert_eq!(waits(None), [Some(1), Some(2), Some(4), Some(5), None]);
    }

    #[test]
    fn a_registry_that_asks_for_a_wait_gets_it_within_reason() {
        assert_eq!(waits(Some(3)), [Some(3), Some(3), Some(4), Some(5), None]);
        assert_eq!(waits(Some(31)), [None; 5]);
        assert_eq!(read_retry_after(" 7"), Some(Duration::from_secs(7)));
        assert_eq!(read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }

    proptest! {
        #[test]
        fn no_number_overflows(number: u32, seconds: u64) {
            let asked = Some(Duration::from_secs(seconds));
            let patience = Patience { retries: u32::MAX, ..Patience::default() };
            let wait = patience.wait_before(number, asked);
            prop_assert!(wait.is_none_or(|wait| wait <= patience.asked_wait_max));
        }
    }
}
