//! The address on which a node listens, as a command of its operator's says.

use std::net::IpAddr;
use std::process::{Command, Stdio};

/// Characters of what a command says that are shown.
const SAID_MAX: usize = 100;

/// A command that says no address.
#[derive(Debug, thiserror::Error)]
#[error(
    "--ip_discovery_command '{command}' {why}; it must print one address, such as 10.0.0.7, and end with status 0"
)]
pub(crate) struct NoAddress {
    command: String,
    why: String,
}

/// What the command prints, if that is an address. It is run by a shell.
pub(crate) fn address(command: &str) -> Result<IpAddr, NoAddress> {
    let failed = |why: String| NoAddress { command: command.to_owned(), why };
    let shell = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output();
    let said = shell.map_err(|error| failed(format!("could not be run: {error}")))?;
    if !said.status.success() {
        let words: String =
            String::from_utf8_lossy(&said.stderr).trim().chars().take(SAID_MAX).collect();
        return Err(failed(format!("failed ({}): {words}", said.status)));
    }
    let text = String::from_utf8_lossy(&said.stdout);
    let text = text.trim();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(SAID_MAX).collect();
        failed(format!("printed '{}'", shown.escape_debug()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_the_command_prints_and_nothing_else() {
        assert_eq!(address("echo 127.0.0.9").unwrap().to_string(), "127.0.0.9");
        assert_eq!(address("printf ' ::1\\n'").unwrap().to_string(), "::1");
        for (command, words) in [
            ("echo no >&2; exit 3", "failed (exit status: 3): no; it must print one address"),
            ("echo here", "printed 'here'"),
            ("true", "printed ''"),
        ] {
            let said = address(command).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
