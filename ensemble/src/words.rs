//! ZooKeeper's four-letter words: a question in four bytes, an answer in text, and the connection ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a server that serves is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Leads,
    Follows,
    Alone,
}

/// What a server is; `None` if it does not serve.
pub(crate) fn mode(address: SocketAddr, within: Duration) -> Option<Mode> {
    let answer = ask(address, "srvr", within).ok()?;
    read_mode(&answer)
}

fn ask(address: SocketAddr, word: &str, within: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn read_mode(answer: &str) -> Option<Mode> {
    let mode = answer.lines().find_map(|line| line.strip_prefix("Mode: "))?;
    match mode.trim() {
        "leader" => Some(Mode::Leads),
        "follower" => Some(Mode::Follows),
        "standalone" => Some(Mode::Alone),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_serves_when_it_says_what_it_is() {
        assert_eq!(
            read_mode("Zookeeper version: 3\nMode: leader\nNode count: 5\n"),
            Some(Mode::Leads)
        );
        assert_eq!(read_mode("Mode: follower\n"), Some(Mode::Follows));
        assert_eq!(read_mode("Mode: standalone"), Some(Mode::Alone));
        assert_eq!(read_mode("This ZooKeeper instance is not currently serving requests\n"), None);
    }
}
