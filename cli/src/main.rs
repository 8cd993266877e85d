//! The `airside` command: arguments to calls, answers to words. It decides nothing about clusters; what does is in the
//! crates that it wires together.

mod amounts;
mod arguments;
mod boxes;
mod client;
mod cluster;
mod commands;
mod demo;
mod discovery;
mod domains;
mod doubt;
mod ending;
mod environment;
mod flow;
mod frameworks;
mod lead;
mod lists;
mod local;
mod log;
mod node;
mod output;
mod pages;
mod prefix;
mod registry;
mod reign;
mod roles;
mod run;
mod serve;
mod supervise;
mod tail;
mod units;
mod up;
mod why;

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use arguments::{Arguments, Command};
use environment::Environment;

/// Delivery between nodes costs far less with it than with the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code of `run` when the task did not run, so that it is not taken for the task's own; as `docker run` has it.
const NOT_RUN: u8 = 125;

fn main() -> ExitCode {
    // The executor of command tasks has no flags but its environment, and stays small.
    if std::env::args_os().nth(1).is_some_and(|command| command == "executor") {
        return executor::main();
    }
    // So does what starts containers for a process with threads.
    if std::env::args_os().nth(1).is_some_and(|command| command == "launcher") {
        return containerizer::launcher::main();
    }
    // Nor has what fetches files for tasks, which is told on standard input.
    if std::env::args_os().nth(1).is_some_and(|command| command == agent::FETCH) {
        return fetcher::main();
    }
    // Nor what keeps what containers print to a bound.
    if std::env::args_os().nth(1).is_some_and(|command| command == agent::KEEP_LOG) {
        return containerizer::logger::main(std::env::args_os().skip(2));
    }
    let environment = Environment::of_this_process();
    let line: Vec<OsString> = std::env::args_os().collect();
    let is_daemon = Command::is_daemon(&line);
    let arguments = match arguments::parse(line, &environment) {
        Ok(arguments) => arguments,
        // As daemons of Mesos end, for whoever supervises them.
        Err(error) if is_daemon && error.use_stderr() => {
            output::narrate(&error.to_string());
            return ExitCode::FAILURE;
        }
        // `--help` and `--version` are errors to clap, too; it knows where they go and which code they give.
        Err(error) => error.exit(),
    };
    // A container is made by copying a process, which must have no other thread: no runtime is made.
    if let Command::Box(command) = &arguments.command {
        return boxes::perform(command);
    }
    let is_run = matches!(arguments.command, Command::Run(_));
    let failure = if is_run { ExitCode::from(NOT_RUN) } else { ExitCode::FAILURE };
    match actix_rt::System::new().block_on(perform(arguments, &environment)) {
        Ok(code) => code,
        Err(error) => {
            output::narrate(&format!("airside: {}\n", output::chain(&*error)));
            failure
        }
    }
}

async fn perform(
    arguments: Arguments,
    environment: &Environment,
) -> Result<ExitCode, Box<dyn Error>> {
    let log = arguments.command.log().map(|log| log::start(&log)).transpose()?;
    let told = arguments.told;
    match arguments.command {
        Command::Up(arguments) => up::up(arguments, environment).await?,
        Command::Demo(arguments) => demo::demo(arguments, environment).await?,
        Command::Master(arguments) => serve::master(arguments, told, log).await?,
        Command::Agent(arguments) => serve::agent(arguments, told, log).await?,
        Command::Node(arguments) => serve::node(arguments).await?,
        Command::Run(arguments) => return Ok(run::run(arguments, environment).await?),
        Command::Agents(arguments) => commands::agents(arguments, environment).await?,
        Command::Frameworks(arguments) => commands::frameworks(arguments, environment).await?,
        Command::Tasks(arguments) => commands::tasks(arguments, environment).await?,
        Command::Roles(arguments) => roles::roles(arguments, environment).await?,
        Command::Quota(arguments) => roles::quota(arguments, environment).await?,
        Command::Weights(arguments) => roles::weights(arguments, environment).await?,
        Command::Why(arguments) => why::why(arguments, environment).await?,
        Command::Kill(arguments) => commands::kill(arguments, environment).await?,
        Command::Logs(arguments) => commands::logs(arguments, environment).await?,
        Command::Flow(arguments) => flow::flow(arguments, environment).await?,
        Command::Batch(arguments) => return Ok(frameworks::batch(arguments, environment).await?),
        Command::Periodic(arguments) => frameworks::periodic(arguments, environment).await?,
        Command::WordcountScheduler(arguments) => {
            frameworks::wordcount_scheduler(arguments, environment).await?;
        }
        Command::WordcountExecutor => frameworks::wordcount_executor().await?,
        Command::Registry(command) => registry::registry(&command)?,
        Command::Box(command) => return Ok(boxes::perform(&command)),
        Command::Version => output::print(&version()),
    }
    Ok(ExitCode::SUCCESS)
}

fn version() -> String {
    let (version, protocol) = (env!("CARGO_PKG_VERSION"), protocol::PROTOCOL_VERSION);
    format!("airside {version} (protocol {protocol})\n")
}
