//! `airside up`: a cluster on this machine, until Ctrl-C.

use std::io;
use std::time::Instant;

use agent::detect::DetectError;
use protocol::ids::Role;

use crate::arguments::UpArguments;
use crate::cluster::{ClusterFile, FileError, create_dir};
use crate::ending;
use crate::environment::Environment;
use crate::local::{Local, LocalError, Masters, Plan};
use crate::output;

/// Addresses of agents that are printed before the rest is only counted.
const AGENTS_SHOWN: usize = 4;

/// `up` that does not come up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    #[error(transparent)]
    Detect(#[from] DetectError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot listen for signals")]
    Signals { source: io::Error },
}

/// Starts the cluster, says where it is, waits, and ends it.
pub(crate) async fn up(arguments: UpArguments, environment: &Environment) -> Result<(), UpError> {
    let started_at = Instant::now();
    let end = ending::asked(arguments.end_with_stdin);
    tokio::pin!(end);
    let cache_dir = environment.cache_dir();
    let work_dir = match (arguments.work_dir, &cache_dir) {
        (Some(given), _) => std::path::absolute(&given).unwrap_or(given),
        (None, Some(cache)) => cache.join("up"),
        (None, None) => return Err(FileError::NoCacheDir.into()),
    };
    create_dir(&work_dir)?;
    let plan = Plan {
        agents: arguments.agents,
        masters: Masters::One,
        port: arguments.port,
        log: arguments.log,
        resources: agent::detect::resources(&work_dir, None, &Role::everybody())?,
        work_dir,
    };
    let local = match Local::start(&plan, environment, &mut end).await {
        Err(LocalError::Interrupted) => return Ok(()),
        local => local?,
    };
    let file = ClusterFile {
        master: local.master_at.clone(),
        secret_file: local.secret_file(),
        process: std::process::id(),
    };
    if let Some(cache_dir) = &cache_dir {
        file.leave(cache_dir)?;
    }
    output::print(&lines(
        &local.master_at,
        &local.agents_at,
        &plan,
        started_at.elapsed().as_millis(),
    ));
    let asked = end.await;
    output::narrate("Ending…\n");
    if let Some(cache_dir) = &cache_dir {
        file.take_back(cache_dir);
    }
    local.stop().await;
    asked.map_err(|source| UpError::Signals { source })
}

/// What is said when all is ready: where everything is, and what to do next.
fn lines(master: &str, agents: &[String], plan: &Plan, ms: u128) -> String {
    let mut shown = agents[..agents.len().min(AGENTS_SHOWN)].join("  ");
    if agents.len() > AGENTS_SHOWN {
        shown += &format!("  and {} more", agents.len() - AGENTS_SHOWN);
    }
    let work_dir = plan.work_dir.display();
    let mut lines = format!("Airside {} is up ({ms} ms)\n", env!("CARGO_PKG_VERSION"));
    for (key, value) in [
        ("Master", master.to_owned()),
        ("Agents", shown),
        ("Metrics", format!("http://{master}/metrics")),
        ("Secret", format!("{work_dir}/secret")),
        ("Logs", format!("{work_dir}/logs")),
    ] {
        lines += &format!("  {key:<9}{value}\n");
    }
    lines + "Next: airside run --cpus 0.5 --mem 64MB -- echo hi    (Ctrl-C here ends all)\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_says_where_everything_is_in_eight_lines() {
        let plan = Plan {
            work_dir: "/home/me/.cache/airside/up".into(),
            agents: 6,
            masters: Masters::One,
            port: 5050,
            log: "info".into(),
            resources: protocol::resources::Resources::none(),
        };
        let agents: Vec<String> = (5051..5057).map(|port| format!("127.0.0.1:{port}")).collect();
        let lines = lines("127.0.0.1:5050", &agents, &plan, 412);
        assert!(lines.lines().count() <= 8);
        insta::assert_snapshot!("up", lines);
    }
}
