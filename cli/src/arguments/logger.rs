//! The flags of what keeps what containers print to a bound. Mesos has that as a module, which is loaded; here it is part of the
//! program, and is told in the same words.

use clap::Args;
use containerizer::logger::logic::{LOGROTATE, Logger};
use serde::Deserialize;

/// Where what containers print goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct LoggerArguments {
    /// What keeps what containers print to a bound: `org_apache_mesos_LogrotateContainerLogger` begins `stdout` and `stderr` anew when
    /// they are full, and keeps some before as `stdout.1` and so on [default: each is one file without a bound]
    #[arg(long, value_name = "NAME", value_parser = container_logger)]
    container_logger: Option<String>,
    /// How it does that, as Mesos is told of its modules: JSON with the parameters `max_stdout_size`, `max_stderr_size` (10MB),
    /// `logrotate_stdout_options`, `logrotate_stderr_options` (`rotate 9`) and `environment_variable_prefix`; nothing is loaded
    #[arg(long, value_name = "JSON", value_parser = modules)]
    modules: Option<Logger>,
}

impl LoggerArguments {
    /// For an agent; `None`: there is no bound.
    pub(crate) fn logger(&self) -> Option<Logger> {
        self.container_logger.as_ref().map(|_| self.modules.clone().unwrap_or_default())
    }
}

fn container_logger(text: &str) -> Result<String, String> {
    match text == LOGROTATE {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "modules of Mesos are C++ libraries, which this program does not load; '{LOGROTATE}' is part of it, and without the flag each stream is one file of the sandbox"
        )),
    }
}

#[derive(Deserialize)]
struct Modules {
    #[serde(default)]
    libraries: Vec<Library>,
}

#[derive(Deserialize)]
struct Library {
    #[serde(default)]
    modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Module {
    name: String,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    key: String,
    value: String,
}

fn modules(text: &str) -> Result<Logger, String> {
    let all: Modules = serde_json::from_str(text)
        .map_err(|error| format!("it is no list of modules as Mesos has it: {error}"))?;
    let mut logger = None;
    for module in all.libraries.iter().flat_map(|library| &library.modules) {
        if module.name != LOGROTATE || logger.is_some() {
            return Err(format!(
                "it names '{}': modules of Mesos are C++ libraries, which this program does not load; '{LOGROTATE}' is part of it, and may be named once",
                module.name
            ));
        }
        let parameters = module.parameters.iter();
        let pairs = parameters.map(|one| (one.key.as_str(), one.value.as_str()));
        logger = Some(Logger::of(pairs)?);
    }
    logger.ok_or_else(|| format!("it names no module; '{LOGROTATE}' is there"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        logger: LoggerArguments,
    }

    fn read(flags: &[&str]) -> Result<Option<Logger>, String> {
        let line = Line::try_parse_from(std::iter::once("agent").chain(flags.iter().copied()));
        line.map(|line| line.logger.logger()).map_err(|error| error.to_string())
    }

    #[test]
    fn cont_09_the_logger_is_told_as_the_module_of_mesos_is() {
        let chosen = format!("--container-logger={LOGROTATE}");
        let told = |parameter: &str| {
            format!(
                r#"--modules={{"libraries":[{{"file":"/usr/lib/liblogrotate_container_logger.so","modules":[{{"name":"{LOGROTATE}","parameters":[{parameter}]}}]}}]}}"#
            )
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[&chosen]), Ok(Some(Logger::default())));
        let five = told(r#"{"key":"max_stdout_size","value":"5MB"}"#);
        assert_eq!(read(&[&chosen, &five]).unwrap().unwrap().stdout.bytes_max, 5 << 20);
        assert_eq!(read(&[&five]), Ok(None), "it is there, and not chosen");
        for (flags, words) in [
            (&["--container-logger=org_example_Logger"][..], "which this program does not load"),
            (&[&told(r#"{"key":"size","value":"5MB"}"#)], "'size' is no parameter of"),
            (&["--modules={}"], "it names no module"),
            (&["--modules=[1]"], "it is no list of modules as Mesos has it"),
            (
                &[r#"--modules={"libraries":[{"modules":[{"name":"org_example_Isolator"}]}]}"#],
                "it names 'org_example_Isolator': modules of Mesos are",
            ),
        ] {
            let said = read(flags).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
