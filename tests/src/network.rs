//! Networks of their own for stories: a hub, and rooms that are namespaces, each joined to the hub by a cable with two ends
//! (veth). Rules (iptables) and routes cut a room off, in both directions or in one. Nothing of it has a name outside: a
//! namespace lives as long as a thread, a process or an open file of it, so nothing is left of a story that fails.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Command, Output};

use nix::sched::{CloneFlags, setns, unshare};

use crate::cluster::Process;

/// How long an address is common to all of a network.
const PREFIX: u8 = 24;

/// The hub, and whatever was started by the thread that tells the story.
pub const HUB: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Another address of the hub, for servers that something is to be cut from.
pub const SERVERS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// All there is: rooms have addresses of the lower half, so that this is narrower than the route to all.
pub const EVERYBODY: Others = Others { first: Ipv4Addr::new(10, 77, 0, 0), prefix: PREFIX + 1 };

/// Those that something is cut from: the addresses that begin as the first does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// The first of them.
    pub first: Ipv4Addr,
    /// So many bits are common to all.
    pub prefix: u8,
}

impl Others {
    /// Only this one.
    pub const fn only(first: Ipv4Addr) -> Self {
        Self { first, prefix: 32 }
    }

    fn written(self) -> String {
        format!("{}/{}", self.first, self.prefix)
    }
}

/// What does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing, and nobody is told so.
    Both,
    /// It hears nothing of what others say.
    Deaf,
    /// Nothing of what it says is heard.
    Mute,
    /// It has no route: whatever it says fails at once.
    Unroutable,
}

/// The hub, which is where the story is told.
#[derive(Debug)]
pub struct Network(());

/// Tells a story in a network of its own, or says that this machine cannot have one.
pub fn in_own_network(story: impl FnOnce(&Network) + Send) {
    let told = std::thread::scope(|scope| {
        let teller = scope.spawn(|| Network::make().map(|network| story(&network)));
        teller.join()
    });
    match told {
        Ok(Ok(())) => (),
        Ok(Err(why)) => crate::skipped(&why),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Network {
    fn make() -> Result<Self, String> {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|error| format!("this user may have no network of its own: {error}"))?;
        for line in [
            "ip link set lo up".to_owned(),
            "ip link add hub type bridge".to_owned(),
            format!("ip address add {HUB}/{PREFIX} dev hub"),
            format!("ip address add {SERVERS}/32 dev hub"),
            "ip link set hub up".to_owned(),
            // What rooms will need is tried here, where a machine that cannot do it can still say so.
            "iptables -A INPUT -s 192.0.2.1 -j DROP".to_owned(),
            "ip route add blackhole 192.0.2.1".to_owned(),
        ] {
            run(&line)?;
        }
        Ok(Self(()))
    }

    /// A room with an address, joined to the hub.
    pub fn room(&self, address: Ipv4Addr) -> Room {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("the hub has been made");
            File::open("/proc/thread-self/ns/net").expect("a thread knows its namespace")
        };
        let namespace = std::thread::scope(|scope| scope.spawn(make).join());
        let room = Room { address, namespace: namespace.expect("nothing in it panics") };
        let [.., last] = address.octets();
        let far = format!("/proc/{}/fd/{}", std::process::id(), room.namespace.as_raw_fd());
        must(&format!("ip link add cable{last} type veth peer name line netns {far}"));
        must(&format!("ip link set cable{last} master hub up"));
        room.run("ip link set lo up");
        room.run(&format!("ip address add {address}/{PREFIX} dev line"));
        room.run("ip link set line up");
        room
    }
}

/// A namespace with one cable out of it.
#[derive(Debug)]
pub struct Room {
    /// Where it is found.
    pub address: Ipv4Addr,
    namespace: File,
}

impl Room {
    /// Starts a process in it.
    pub fn start(&self, name: &str, command: &mut Command) -> Process {
        self.enter(|| Process::start(name, command))
    }

    /// Cuts it from others, at once and for whatever is open between them.
    pub fn cut(&self, others: Others, how: Cut) {
        let others = others.written();
        let deaf = format!("iptables -A INPUT -s {others} -j DROP");
        let mute = format!("iptables -A OUTPUT -d {others} -j DROP");
        match how {
            Cut::Both => [deaf, mute].iter().for_each(|line| self.run(line)),
            Cut::Deaf => self.run(&deaf),
            Cut::Mute => self.run(&mute),
            Cut::Unroutable => self.run(&format!("ip route add blackhole {others}")),
        }
    }

    /// All is as if nothing had been cut.
    pub fn heal(&self) {
        self.run("iptables -F");
        self.run("ip route flush type blackhole");
    }

    /// Its network, as all show it that are in it.
    pub fn network(&self) -> PathBuf {
        self.enter(here)
    }

    fn run(&self, line: &str) {
        self.enter(|| must(line));
    }

    /// Threads begin in the network of who starts them, and so do processes.
    fn enter<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET).expect("the namespace is held");
            what()
        };
        match std::thread::scope(|scope| scope.spawn(entered).join()) {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The network in which this thread is, as all show it that are in it.
pub fn here() -> PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").expect("a thread knows its namespace")
}

#[track_caller]
fn must(line: &str) {
    if let Err(words) = run(line) {
        panic!("{words}");
    }
}

fn run(line: &str) -> Result<(), String> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output();
    let Output { status, stderr, .. } = output.map_err(|error| format!("{program}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{line}` ended with {status}: {}", String::from_utf8_lossy(&stderr).trim()))
}
