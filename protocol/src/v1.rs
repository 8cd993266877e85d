//! What Mesos's public v1 messages say, as our own types, and back: for the gateways, which stand for clients of those APIs.
//! Of what is only carried the message itself is kept, so that it goes back as it came.

mod constraints;
mod executor;
mod framework;
mod offer;
mod secret;
mod status;
mod task;

use std::time::Duration;

use ::api::v1;

use crate::resources::Resources;
use crate::time::WallTime;

pub use constraints::constraints_to_v1;
pub use executor::{AGENT_CAPABILITIES, agent_pid, agent_port};
pub use framework::{BadFramework, wishes_from_v1};
pub use offer::{Form, domain_to_v1};
pub use secret::BadSecret;
pub(crate) use secret::{hide_of_container, value_of};
pub use task::BadTask;

/// A span of nanoseconds; below zero: `None`.
pub fn duration_from_v1(info: &v1::DurationInfo) -> Option<Duration> {
    u64::try_from(info.nanoseconds).ok().map(Duration::from_nanos)
}

/// As nanoseconds; what is too long is as long as may be.
pub fn duration_to_v1(span: Duration) -> v1::DurationInfo {
    v1::DurationInfo { nanoseconds: i64::try_from(span.as_nanos()).unwrap_or(i64::MAX) }
}

/// Seconds as a number; what is no span is `None`.
pub fn seconds(number: f64) -> Option<Duration> {
    // A century: more cannot be meant, and what is infinite is for ever.
    const MOST: f64 = 100.0 * 365.0 * 86_400.0;
    (number >= 0.0).then(|| Duration::from_secs_f64(number.min(MOST)))
}

/// A moment.
pub fn time_to_v1(at: WallTime) -> v1::TimeInfo {
    v1::TimeInfo { nanoseconds: i64::try_from(at.0).unwrap_or(i64::MAX) }
}

/// Resources as operators read them: in both forms, as far as the older one can say it.
pub fn resources_to_endpoint(resources: &Resources) -> Vec<v1::Resource> {
    let mut all = resources.to_v1();
    all.iter_mut().for_each(::api::resources::to_endpoint);
    all
}
