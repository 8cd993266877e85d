//! `picture NAME OUT.svg`: what is measured, drawn.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::draw::{self, Line, Picture};
use crate::live::{self, Place};
use crate::{cycles, shares};

const HELP: &str = "picture cost OUT.svg    a cycle and one change against the size of the cluster
picture shares OUT.svg  shares of roles over time, of an allocator alone
picture live OUT.svg [--master HOST:PORT [--cluster-secret-file FILE]] [--seconds N]
                        the same of a live cluster; without --master of one that is started for it";

const SECONDS: u64 = 60;

pub(crate) fn draw(
    airside: PathBuf,
    arguments: impl Iterator<Item = OsString>,
) -> Result<(), Box<dyn Error>> {
    let mut words = Vec::new();
    let mut place = Place { airside, master: None, secret_file: None };
    let mut seconds = SECONDS;
    let mut arguments = arguments.filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(HELP);
        match argument.to_str() {
            Some("--master") => place.master = Some(value()?.into_string().map_err(|_| HELP)?),
            Some("--cluster-secret-file") => place.secret_file = Some(value()?.into()),
            Some("--seconds") => seconds = value()?.to_str().ok_or(HELP)?.parse()?,
            Some(_) | None => words.push(argument),
        }
    }
    let [name, to] = <[OsString; 2]>::try_from(words).map_err(|_| HELP)?;
    let to = PathBuf::from(to);
    match name.to_str() {
        Some("cost") => draw::logarithmic(&cost()?, &to),
        Some("shares") => {
            let title = "An allocator alone: 100 agents, 5 frameworks of each role";
            draw::of_shares(&of_shares(title, shares::simulated()), &to)
        }
        Some("live") => {
            let runtime = tokio::runtime::Runtime::new()?;
            let lines = match &place.master {
                Some(_) => runtime.block_on(live::of_cluster(&place, seconds)),
                None => runtime.block_on(live::of_two_batches(&place.airside, seconds)),
            };
            draw::of_shares(&of_shares("A live cluster, looked at once a second", lines?), &to)
        }
        _ => Err(HELP.into()),
    }
}

fn of_shares(title: &str, lines: Vec<Line>) -> Picture {
    Picture { title: title.to_owned(), across: "seconds", up: "dominant share", lines }
}

/// Of the rows of the case `sizes`.
fn cost() -> Result<Picture, Box<dyn Error>> {
    let rows = cycles::sizes()?;
    let line = |name: &str, prefix: &str| {
        let point = |row: &measure::Row| {
            let agents = row.name.strip_prefix(prefix)?.parse::<f64>().ok()?;
            Some((agents, row.value))
        };
        Line { name: name.to_owned(), points: rows.iter().filter_map(point).collect() }
    };
    let minimal = |row: &measure::Row| {
        let agents = row.name.strip_prefix("cycle_")?.parse::<f64>().ok()?;
        Some((agents, row.peer?.1))
    };
    let floor = Line {
        name: "a minimal cycle".to_owned(),
        points: rows.iter().filter_map(minimal).collect(),
    };
    Ok(Picture {
        title: "Cost against size: 1,000 frameworks of 100 roles".to_owned(),
        across: "agents",
        up: "microseconds",
        lines: vec![
            line("a cycle in which all is free", "cycle_"),
            floor,
            line("one change", "change_"),
        ],
    })
}
