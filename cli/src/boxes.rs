//! `airside box run`: the containerizer alone. This process, which has one thread, starts the container itself, waits for it,
//! and removes what it made. If it is killed the container ends, and the next box removes what is left.

mod plan;

use std::error::Error;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use containerizer::cgroups::logic::limits::Limits;
use containerizer::cgroups::{self, Hierarchies, hierarchies};
use containerizer::container::ContainerName;
use containerizer::isolation::Isolation;
use containerizer::isolator::{ContainerPath, Isolators};
use containerizer::launcher::Handed;
use containerizer::life::attend;
use containerizer::life::{Running, Starter};
use containerizer::limits::ControlGroups;
use containerizer::runtime::Runtime;
use nix::unistd::geteuid;

use crate::NOT_RUN;
use crate::arguments::{BoxArguments, BoxCommand};
use crate::output;

/// Where the groups of all boxes are, below the host's.
const GROUPS: &str = "airside";

pub(crate) fn perform(command: &BoxCommand) -> ExitCode {
    let BoxCommand::Run(arguments) = command;
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::narrate(&format!("airside box: {}\n", output::chain(&*error)));
            ExitCode::from(NOT_RUN)
        }
    }
}

fn run(arguments: &BoxArguments) -> Result<u8, Box<dyn Error>> {
    containerizer::unwritable::begin()
        .map_err(|error| format!("be run from a file that no container writes: {error}"))?;
    let right = plan::right(arguments);
    let mut container = plan::container(arguments, right)?;
    let limits = plan::limits(arguments);
    let (runtime_path, agent) = runtime_path(arguments);
    let runtime = Runtime::open(&runtime_path).map_err(|error| {
        format!("make {}: {error}; give another --runtime-dir", runtime_path.display())
    })?;
    let wants_limits = limits != Limits::default();
    let groups = match wants_limits {
        true => Some(open_groups(&limits, &agent)?),
        false => None,
    };
    let signals = attend::listen()?;
    let name = name()?;
    let (folder, _owner) = {
        let _alone = runtime.lock()?;
        sweep(&runtime, &agent);
        let folder = runtime.make(&name)?;
        let owner = folder.own()?.ok_or("another process has the container's folder")?;
        (folder, owner)
    };
    plan::finish(arguments, &folder, &name, &mut container)?;
    let isolators = isolators(groups.as_ref(), &limits);
    if arguments.verbose {
        let words = plan::limits_in_words(arguments, groups.as_ref());
        output::narrate(&Isolation::of(&container, &words).to_string());
    }
    // Held by this process alone: the container ends with it.
    let (lifeline, _held) = io::pipe()?;
    let handed = Handed {
        stdio: [
            io::stdin().as_fd().try_clone_to_owned()?,
            io::stdout().as_fd().try_clone_to_owned()?,
            io::stderr().as_fd().try_clone_to_owned()?,
        ],
        folder: folder.handle()?,
        lifeline: Some(OwnedFd::from(lifeline)),
        group: None,
    };
    let id = ContainerPath::standalone(name);
    let mut running = Running::new(id, folder, container, &isolators);
    running.start(&mut Starter::Itself, handed);
    let not_started = attend::until_gone(&mut running, &signals)?;
    Ok(end(&running, not_started.map(|error| (error.code, error.words))))
}

fn isolators(groups: Option<&Hierarchies>, limits: &Limits) -> Isolators {
    let groups = groups.map(|groups| ControlGroups::fixed(groups, limits.clone()));
    Isolators::new(groups.into_iter().map(|groups| Arc::new(groups) as _).collect())
}

fn end(running: &Running, not_started: Option<(u8, String)>) -> u8 {
    let complain = |words: &str| output::narrate(&format!("airside box: {words}\n"));
    let termination = running.termination();
    for left in termination.iter().flat_map(|termination| &termination.left) {
        complain(&format!("could not clean up, the next box tries again: {left}"));
    }
    if let Some((code, words)) = not_started {
        complain(&words);
        return code;
    }
    match termination {
        Some(termination) => match (&termination.why, termination.exit) {
            (None, Some(exit)) => exit.shell_code(),
            (why, _) => {
                complain(why.as_deref().unwrap_or("the program never ran"));
                NOT_RUN
            }
        },
        None => NOT_RUN,
    }
}

/// What other boxes left whose process was killed.
fn sweep(runtime: &Runtime, agent: &str) {
    for (name, folder) in runtime.all().unwrap_or_default() {
        let Ok(Some(_owner)) = folder.own() else { continue };
        let groups = open_groups(&Limits::default(), agent).ok();
        let isolators = isolators(groups.as_ref(), &Limits::default());
        let id = ContainerPath::standalone(name.clone());
        let cleared = Running::clear(id, folder, &isolators);
        for left in cleared.termination().iter().flat_map(|termination| &termination.left) {
            output::narrate(&format!(
                "airside box: an earlier box, {name}, is not cleaned up: {left}\n"
            ));
        }
    }
}

/// The trees that these limits need; for none, all that boxes use.
fn open_groups(limits: &Limits, agent: &str) -> Result<Hierarchies, String> {
    use cgroups::logic::controller::Controller;
    let words = |error: cgroups::CgroupError| format!("limits need control groups: {error}");
    let found = hierarchies::look().map_err(words)?;
    let wanted = match limits == &Limits::default() {
        true => vec![Controller::Cpu, Controller::Memory, Controller::Pids],
        false => limits.needs(),
    };
    let available = found.available();
    let lenient = limits == &Limits::default();
    let controllers =
        wanted.into_iter().filter(|one| !lenient || available.contains(one)).collect();
    let settings = hierarchies::Settings {
        root: GROUPS.into(),
        agent: agent.into(),
        below_own: !geteuid().is_root(),
        controllers,
    };
    Hierarchies::open(&found, &settings).map_err(words)
}

/// And the name of the folder of groups that goes with it.
fn runtime_path(arguments: &BoxArguments) -> (PathBuf, String) {
    let user = geteuid();
    let agent = format!("boxes-{user}");
    if let Some(path) = &arguments.runtime_dir {
        return (path.clone(), agent);
    }
    let path = match std::env::var_os("XDG_RUNTIME_DIR") {
        _ if user.is_root() => PathBuf::from("/run/airside/boxes"),
        Some(path) => PathBuf::from(path).join("airside/boxes"),
        None => std::env::temp_dir().join(format!("airside-boxes-{user}")),
    };
    (path, agent)
}

fn name() -> Result<ContainerName, Box<dyn Error>> {
    let number = getrandom::u32().map_err(|error| format!("read random bytes: {error}"))?;
    Ok(ContainerName::new(&format!("box-{number:08x}"))?)
}
