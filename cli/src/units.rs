//! Quantities as people write them: `64MB`, `10secs`, `NAME=VALUE`; and the way to a master.

use std::path::PathBuf;
use std::time::Duration;

use coordination::detect::{BadMaster, Way};
use coordination::zookeeper::url::{BadUrl, Url};
use master::config::RateLimit;
use protocol::ids::{BadRole, Role};
use protocol::limits::Most;
use protocol::resources::{BadResources, Milli, Resources, parse_attributes};

/// Why a text is no quantity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadQuantity {
    #[error("'{0}' is no size: expected a number with MB, GB or TB")]
    Size(String),
    #[error("'{0}' must be more than zero")]
    NotPositive(String),
    #[error("'{0}' is no amount: expected a number such as 0.5")]
    Amount(String),
    #[error(
        "'{0}' is no job: expected a name, a period and a command, such as 'backup=1hr ./backup.sh'"
    )]
    Job(String),
    #[error("'{0}' is no time: expected a number with ms, s, mins or hrs")]
    Duration(String),
    #[error("'{0}' is no rate: expected a number and a time, such as 1/10mins")]
    Rate(String),
    #[error("'{0}' is no share: expected a number from 0 to 100 with %")]
    Share(String),
    #[error("'{0}' is no part of a whole: expected a number from 0 to 1")]
    Part(String),
    #[error("'{0}' is no variable: expected NAME=VALUE")]
    Variable(String),
}

/// A number and what follows it.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let ends = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-' || c == '+'));
    let (number, unit) = text.split_at(ends.unwrap_or(text.len()));
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, unit.trim()))
}

/// Megabytes, rounded up; a bare number counts megabytes. Units are powers of 1024, as in Mesos.
pub(crate) fn megabytes(text: &str) -> Result<u64, BadQuantity> {
    let bad = || BadQuantity::Size(text.into());
    let (number, unit) = split(text).ok_or_else(bad)?;
    let factor = match unit.to_ascii_uppercase().as_str() {
        "B" => 1.0 / (1024.0 * 1024.0),
        "K" | "KB" | "KIB" => 1.0 / 1024.0,
        "" | "M" | "MB" | "MIB" => 1.0,
        "G" | "GB" | "GIB" => 1024.0,
        "T" | "TB" | "TIB" => 1024.0 * 1024.0,
        _ => return Err(bad()),
    };
    let megabytes = (number * factor).ceil();
    if number <= 0.0 {
        return Err(BadQuantity::NotPositive(text.into()));
    }
    // More than a quintillion megabytes is a slip of the finger; below, the conversion is exact enough.
    if megabytes > 1e12 {
        return Err(bad());
    }
    // `as` from float saturates, and the range was checked above.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(megabytes as u64)
}

/// A size in bytes, such as `4KB`.
pub(crate) fn bytes(text: &str) -> Result<usize, BadQuantity> {
    let bad = || BadQuantity::Size(text.into());
    let (number, unit) = split(text).ok_or_else(bad)?;
    let factor = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "K" | "KB" | "KIB" => 1024.0,
        "M" | "MB" | "MIB" => 1024.0 * 1024.0,
        _ => return Err(bad()),
    };
    if number <= 0.0 {
        return Err(BadQuantity::NotPositive(text.into()));
    }
    if number * factor > 1e9 {
        return Err(bad());
    }
    // `as` from float saturates, and the range was checked above.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok((number * factor).ceil() as usize)
}

/// An amount of a scalar resource.
pub(crate) fn amount(text: &str) -> Result<f64, BadQuantity> {
    let number: f64 = text.trim().parse().map_err(|_| BadQuantity::Amount(text.into()))?;
    if !number.is_finite() || number > 1e9 {
        return Err(BadQuantity::Amount(text.into()));
    }
    // Amounts are whole thousandths; what would round to nothing is nothing.
    if number < 0.0005 {
        return Err(BadQuantity::NotPositive(text.into()));
    }
    Ok(number)
}

/// How many cores at most.
pub(crate) fn most_cpus(text: &str) -> Result<Most, BadQuantity> {
    most(text, |text| amount(text).map(Milli::from_f64))
}

/// How much memory at most.
pub(crate) fn most_memory(text: &str) -> Result<Most, BadQuantity> {
    let whole = |megabytes| Milli::whole(i64::try_from(megabytes).unwrap_or(i64::MAX / 1000));
    most(text, |text| megabytes(text).map(whole))
}

fn most(
    text: &str,
    amount: impl Fn(&str) -> Result<Milli, BadQuantity>,
) -> Result<Most, BadQuantity> {
    if text == "none" { Ok(Most::Unbounded) } else { amount(text).map(Most::At) }
}

/// A time span; a bare number counts seconds. The units are Mesos's, and their short forms.
pub(crate) fn duration(text: &str) -> Result<Duration, BadQuantity> {
    let bad = || BadQuantity::Duration(text.into());
    let (number, unit) = split(text).ok_or_else(bad)?;
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" | "sec" | "secs" => 1.0,
        "m" | "min" | "mins" => 60.0,
        "h" | "hr" | "hrs" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return Err(bad()),
    };
    if number <= 0.0 {
        return Err(BadQuantity::NotPositive(text.into()));
    }
    Duration::try_from_secs_f64(number * seconds).map_err(|_| bad())
}

/// How the leader is found. A URL stays as it was written: what it shows of itself has no password.
pub(crate) fn master(text: &str) -> Result<String, BadMaster> {
    match text.parse()? {
        Way::At(address) => Ok(address),
        Way::Elected(_) => Ok(text.trim().to_owned()),
    }
}

/// An ensemble in which masters are elected, and the path that is theirs.
pub(crate) fn zookeeper(text: &str) -> Result<Url, BadUrl> {
    Url::parse(text)
}

/// The same, as it was written: what a URL shows of itself has no password.
pub(crate) fn zookeeper_url(text: &str) -> Result<String, BadUrl> {
    zookeeper(text).map(|_| text.trim().to_owned())
}

/// `NAME=TIME COMMAND`.
pub(crate) fn job(text: &str) -> Result<(String, Duration, String), BadQuantity> {
    let bad = || BadQuantity::Job(text.into());
    let (name, rest) = text.split_once('=').ok_or_else(bad)?;
    let (every, line) = rest.trim().split_once(char::is_whitespace).ok_or_else(bad)?;
    if name.trim().is_empty() || line.trim().is_empty() {
        return Err(bad());
    }
    Ok((name.trim().to_owned(), duration(every)?, line.trim().to_owned()))
}

/// `NAME=VALUE`.
pub(crate) fn variable(text: &str) -> Result<(String, String), BadQuantity> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        Some(_) | None => Err(BadQuantity::Variable(text.into())),
    }
}

/// `HOST:TASK`, `HOST:TASK:ro`: a path of the agent's machine, where the task sees it, and whether it is read-only.
pub(crate) fn volume(text: &str) -> Result<(String, String, bool), String> {
    let parts: Vec<_> = text.split(':').collect();
    let (host, task, read_only) = match parts.as_slice() {
        [host, task] => (host, task, false),
        [host, task, "ro"] => (host, task, true),
        _ => return Err("write HOST:TASK or HOST:TASK:ro".into()),
    };
    match host.starts_with('/') && !task.is_empty() {
        true => Ok(((*host).to_owned(), (*task).to_owned(), read_only)),
        false => Err("the path on the agent's machine begins with /, and where the task sees it is not empty".into()),
    }
}

/// Resources in Mesos's text form or as JSON, checked; the agent reads them, zeros among them, and the file that they may be in.
pub(crate) fn resources(text: &str) -> Result<String, BadResources> {
    if text.trim().starts_with(agent::detect::FILE) {
        return Ok(text.to_owned());
    }
    text.parse::<Resources>().map(|_| text.to_owned())
}

/// A role, as it is written.
pub(crate) fn role(text: &str) -> Result<Role, BadRole> {
    text.parse()
}

/// Attributes in Mesos's text form, checked.
pub(crate) fn attributes(text: &str) -> Result<String, BadResources> {
    parse_attributes(text).map(|_| text.to_owned())
}

/// A path for a UNIX domain socket.
pub(crate) fn socket(text: &str) -> Result<PathBuf, BadSocketPath> {
    if text.starts_with("systemd:") {
        return Err(BadSocketPath::Systemd);
    }
    std::path::absolute(text).map_err(|_| BadSocketPath::Empty)
}

/// Why a text is no place for a socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadSocketPath {
    #[error("sockets of systemd are not taken over; give a path")]
    Systemd,
    #[error("it is empty; give a path")]
    Empty,
}

/// So many within so long: `1/10mins`.
pub(crate) fn rate(text: &str) -> Result<RateLimit, BadQuantity> {
    let bad = || BadQuantity::Rate(text.into());
    let (count, within) = text.split_once('/').ok_or_else(bad)?;
    let count = count.trim().parse().ok().filter(|count| *count > 0).ok_or_else(bad)?;
    Ok(RateLimit { count, within: duration(within).map_err(|_| bad())? })
}

/// A part of a whole: `10%`.
pub(crate) fn percent(text: &str) -> Result<u8, BadQuantity> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    number.filter(|number| *number <= 100).ok_or_else(|| BadQuantity::Share(text.into()))
}

/// A part of a whole, as a number from 0 to 1.
pub(crate) fn part(text: &str) -> Result<f64, BadQuantity> {
    let number = text.trim().parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| BadQuantity::Part(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_a_name_a_period_and_a_command() {
        let read = job("backup = 1hr  ./backup.sh --to=here").unwrap();
        let (name, every, line) =
            ("backup".into(), Duration::from_secs(3600), "./backup.sh --to=here");
        assert_eq!(read, (name, every, line.to_owned()));
        for bad in ["", "backup", "backup=1hr", "=1hr x", "backup=1hr  "] {
            let words = job(bad).unwrap_err().to_string();
            assert!(words.contains("a name, a period and a command"), "{words}");
        }
        assert!(job("backup=soon ./x").unwrap_err().to_string().contains("'soon' is no time"));
    }

    #[test]
    fn sizes_are_read_in_the_units_people_write() {
        for (text, expected) in [("4KB", 4096), ("512", 512), ("1.5M", 3 << 19)] {
            assert_eq!(bytes(text).unwrap(), expected);
        }
        assert!(bytes("0").is_err() && bytes("4G").is_err() && bytes("9999M").is_err());
        let read = |text| megabytes(text).ok();
        assert_eq!(read("64MB"), Some(64));
        assert_eq!(read("64"), Some(64));
        assert_eq!(read("1.5 GB"), Some(1536));
        assert_eq!(read("1KB"), Some(1));
        for bad in ["", "MB", "0", "-64MB", "64XB", "nan", "1e400", "99999999TB"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_read_in_the_units_of_mesos_and_short_ones() {
        let read = |text| duration(text).ok().map(|d| d.as_millis());
        assert_eq!(read("10secs"), Some(10_000));
        assert_eq!(read("1.5hrs"), Some(5_400_000));
        assert_eq!(read("250ms"), Some(250));
        assert_eq!(read("5"), Some(5000));
        for bad in ["", "0s", "-1s", "1 fortnight", "1e300weeks"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn rates_and_shares_are_read_as_mesos_writes_them() {
        let read = |text| rate(text).ok().map(|rate| (rate.count, rate.within.as_secs()));
        assert_eq!((read("1/10mins"), read("30/1hrs")), (Some((1, 600)), Some((30, 3600))));
        for bad in ["", "1", "0/1mins", "1/", "x/1mins", "1/0secs"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!((percent("10%").ok(), percent("100 %").ok()), (Some(10), Some(100)));
        for bad in ["", "10", "101%", "-1%"] {
            assert_eq!(percent(bad).ok(), None, "{bad}");
        }
    }

    #[test]
    fn amounts_that_are_nothing_are_refused_in_words() {
        assert_eq!(amount("0.5").ok(), Some(0.5));
        for (bad, words) in [
            ("0", "'0' must be more than zero"),
            ("-1", "'-1' must be more than zero"),
            ("many", "'many' is no amount: expected a number such as 0.5"),
            ("inf", "'inf' is no amount: expected a number such as 0.5"),
        ] {
            assert_eq!(amount(bad).expect_err(bad).to_string(), words);
        }
    }
}
