//! When the program was built and by whom, for `/version`. `SOURCE_DATE_EPOCH` says another time, so that the same sources can make
//! the same program.

use std::time::{Duration, SystemTime};

fn main() {
    let variable =
        |name: &str| std::env::vars().find(|(one, _)| one == name).map(|(_, value)| value);
    let said = variable("SOURCE_DATE_EPOCH").and_then(|seconds| seconds.parse().ok());
    #[allow(clippy::disallowed_methods, reason = "it is the time of the build that is wanted")]
    let now = || {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
    };
    let seconds: u64 = said.unwrap_or_else(now);
    println!("cargo::rustc-env=AIRSIDE_BUILD_TIME={seconds}");
    println!("cargo::rustc-env=AIRSIDE_BUILD_DATE={}", date(Duration::from_secs(seconds)));
    println!("cargo::rustc-env=AIRSIDE_BUILD_USER={}", variable("USER").unwrap_or_default());
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
}

/// `2026-11-30 14:05:09`, of time since 1970 in UTC. By the rule for days of the Gregorian calendar, in years that begin in March.
fn date(since: Duration) -> String {
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}")
}
