//! Three masters, three ZooKeeper servers, four agents, three frameworks: all real, on this machine.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coordination::detect::detector;
use coordination::election::{Candidate, Detector};
use ensemble::Ensemble;
use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, eventually, happens_by, page};
use tests::holder::{Held, are_whole};
use tests::line::{Weather, line};
use tests::network::{HUB, Network, Others, Room, SERVERS};

const AGENTS: u8 = 4;
const MASTERS: usize = 3;
const FRAMEWORKS: usize = 3;
const TASKS_EACH: usize = 6;

/// How long a leader that says nothing is waited for by ZooKeeper.
pub(crate) const SESSION: Duration = Duration::from_secs(4);

/// And how long it may take until another one leads.
pub(crate) const LEADS_WITHIN: Duration = Duration::from_secs(4 + 2);

/// Where masters are elected.
pub(crate) const PATH: &str = "/airside";

/// Where the rooms of masters and of agents are, if they have rooms.
const MASTER_ROOMS: [u8; 4] = [10, 77, 0, 16];
const AGENT_ROOMS: [u8; 4] = [10, 77, 0, 32];

/// Where a master listens that has a room and is found elsewhere.
const PORT: u16 = 5050;

/// All agents that have rooms.
pub(crate) const AGENTS_APART: Others =
    Others { first: Ipv4Addr::from_octets(AGENT_ROOMS), prefix: 27 };

/// A process, and the room in which it is.
pub(crate) struct Placed {
    pub(crate) process: Process,
    pub(crate) room: Option<Room>,
}

pub(crate) struct Stage<'n> {
    runtime: tokio::runtime::Runtime,
    pub(crate) home: Home,
    pub(crate) ensemble: Ensemble,
    network: Option<&'n Network>,
    /// Of the lines to masters and to ZooKeeper, which are direct if there is none.
    weather: Option<Weather>,
    /// Beside those that all need.
    master_flags: &'static [&'static str],
    /// By the address at which each is found.
    masters: BTreeMap<String, Placed>,
    masters_made: u8,
    agents: Vec<Placed>,
    pub(crate) frameworks: Vec<Held>,
    detector: Arc<dyn Detector>,
    url: String,
    notes: PathBuf,
}

impl<'n> Stage<'n> {
    pub(crate) fn set() -> Self {
        Self::set_in(None, None, &[])
    }

    /// Masters and agents each have a room; ZooKeeper and frameworks are at the hub.
    pub(crate) fn set_apart(network: &'n Network) -> Self {
        Self::set_in(Some(network), None, &[])
    }

    /// The same, with masters that are told more.
    pub(crate) fn set_apart_with(network: &'n Network, flags: &'static [&'static str]) -> Self {
        Self::set_in(Some(network), None, flags)
    }

    /// The same, and every word to a master or to ZooKeeper goes over a bad line.
    pub(crate) fn set_in_bad_weather(network: &'n Network, weather: Weather) -> Self {
        Self::set_in(Some(network), Some(weather), &[])
    }

    fn set_in(
        network: Option<&'n Network>,
        weather: Option<Weather>,
        master_flags: &'static [&'static str],
    ) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let home = Home::new();
        let at = network.map_or(Ipv4Addr::LOCALHOST, |_| SERVERS);
        let ensemble = Ensemble::start_at(at, 3).unwrap();
        let url = weather.map_or(ensemble.url(PATH), |weather| {
            let server = |number| line(HUB.into(), ensemble.address(number), weather).unwrap();
            let servers: Vec<_> = (1..=3).map(|number| server(number).to_string()).collect();
            format!("zk://{}{PATH}", servers.join(","))
        });
        let notes = home.path("notes");
        let mut stage = Self {
            runtime,
            ensemble,
            network,
            weather,
            master_flags,
            masters: BTreeMap::new(),
            masters_made: 0,
            agents: Vec::new(),
            frameworks: Vec::new(),
            detector: detector(&url).unwrap(),
            url,
            notes,
            home,
        };
        for _ in 0..MASTERS {
            stage.start_master();
        }
        stage.agents = (0..AGENTS).map(|n| stage.start_agent(n)).collect();
        for n in 0..FRAMEWORKS {
            let name = format!("holder{n}");
            let held = Held::start(&name, &stage.url, TASKS_EACH, &stage.notes);
            let held = stage.runtime.block_on(held);
            stage.frameworks.push(held);
        }
        stage.is_whole();
        stage
    }

    fn place(&self, name: &str, [a, b, c, d]: [u8; 4], arguments: &[&str]) -> Placed {
        let work_dir = self.home.path(name);
        let mut command = self.home.command(arguments);
        command.args(["--log", "debug"]).arg("--work-dir").arg(work_dir);
        let room = self.network.map(|network| network.room(Ipv4Addr::new(a, b, c, d)));
        let process = match &room {
            None => Process::start(name, &mut command),
            Some(room) => {
                command.arg("--ip").arg(room.address.to_string());
                room.start(name, &mut command)
            }
        };
        Placed { process, room }
    }

    pub(crate) fn start_master(&mut self) {
        self.masters_made += 1;
        let name = format!("master-{}", self.masters_made);
        let session = format!("{}secs", SESSION.as_secs());
        let mut arguments = vec!["master", "--hostname", &name, "--zk", &self.url];
        arguments.extend(["--zk-session-timeout", &session]);
        arguments.extend(self.master_flags);
        let [a, b, c, d] = MASTER_ROOMS;
        let room = [a, b, c, d + self.masters_made];
        let found_at = self.weather.map(|weather| {
            let here = SocketAddr::from((room, PORT));
            line(HUB.into(), here, weather).unwrap()
        });
        let there = found_at.map(|at| [PORT, at.port()].map(|port| port.to_string()));
        let hub = HUB.to_string();
        match &there {
            None => arguments.extend(["--port", "0"]),
            Some([port, outside]) => {
                arguments.extend(["--port", port, "--advertise-ip", &hub]);
                arguments.extend(["--advertise-port", outside]);
            }
        }
        let mut master = self.place(&name, room, &arguments);
        let ready = master.process.says("master@");
        let address = ready.trim_start_matches("master@").trim().to_owned();
        self.masters.insert(address, master);
    }

    fn start_agent(&self, n: u8) -> Placed {
        let mut arguments = vec!["agent", "--master", &self.url, "--port", "0"];
        arguments.extend(["--resources", "cpus:4;mem:2048;disk:1024"]);
        let [a, b, c, d] = AGENT_ROOMS;
        let mut agent = self.place(&format!("agent-{n}"), [a, b, c, d + n], &arguments);
        agent.process.says("agent@");
        agent
    }

    pub(crate) fn waits<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Where masters are elected, for those who look for the leader.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// All rooms there are.
    pub(crate) fn rooms(&self) -> Vec<&Room> {
        self.masters
            .values()
            .chain(&self.agents)
            .filter_map(|placed| placed.room.as_ref())
            .collect()
    }

    /// Who leads now.
    pub(crate) fn leader(&self) -> Option<Candidate> {
        self.detector.leader().borrow().clone()
    }

    /// Whoever leads now hears no more: it is killed, and started anew beside the others.
    pub(crate) fn kill_leader(&mut self) {
        let old = self.leader().expect("somebody leads");
        let mut killed = self.masters.remove(&old.address).expect("it is one of ours");
        killed.process.signal(Signal::SIGKILL);
        let since = Instant::now();
        killed.process.ended();
        self.another_leads(&old, since, LEADS_WITHIN);
        self.start_master();
    }

    /// Freezes whoever leads; [`Stage::thaw`] lets it go on.
    pub(crate) fn freeze_leader(&self) -> Candidate {
        let old = self.leader().expect("somebody leads");
        self.masters[&old.address].process.signal(Signal::SIGSTOP);
        self.another_leads(&old, Instant::now(), LEADS_WITHIN);
        old
    }

    /// Lets a frozen master go on, and waits until it says so.
    #[track_caller]
    pub(crate) fn thaw_master(&mut self, master: &Candidate, words: &str) {
        let master = self.master(master);
        master.process.signal(Signal::SIGCONT);
        master.process.says(words);
    }

    /// One of ours.
    #[track_caller]
    pub(crate) fn master(&mut self, master: &Candidate) -> &mut Placed {
        self.masters.get_mut(&master.address).expect("it is one of ours")
    }

    /// So many agents are connected with this master; `None` if it does not lead, or cannot be reached.
    pub(crate) fn agents_of(&self, address: &str) -> Option<u8> {
        let text = page(address, "/metrics").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("airside_master_agents_active "));
        line?.parse().ok()
    }

    /// One master leads and no other one, and it has all agents.
    #[track_caller]
    pub(crate) fn one_leads(&self) {
        eventually("one master leads, with all agents", || {
            let leading = self.masters.keys().filter_map(|address| self.agents_of(address));
            leading.collect::<Vec<_>>() == [AGENTS]
        });
    }

    /// For so long everything is looked at again and again, and is well.
    #[track_caller]
    pub(crate) fn stays_whole_for(&self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.looks_whole();
        }
    }

    /// While one server of ZooKeeper is frozen somebody leads in time: the other servers name a master to whoever asks them
    /// only now, and that one answers. Who asks the frozen one first loses the time in which it gives up.
    #[track_caller]
    pub(crate) fn leads_without(&self, frozen: usize, since: Instant, within: Duration) {
        let others = (1..=self.ensemble.size()).filter(|number| *number != frozen);
        let others: Vec<_> = others.map(|n| self.ensemble.address(n).to_string()).collect();
        let finder = detector(&format!("zk://{}{PATH}", others.join(","))).unwrap();
        let answers = || {
            let leader = finder.leader().borrow().clone();
            leader.is_some_and(|leader| {
                let asked = ["agents", "--json", "--master", &leader.address];
                self.home.airside(&asked).code == Some(0)
            })
        };
        let answered = happens_by(since + within, answers);
        eprintln!("somebody leads and answers after {:?}", since.elapsed());
        assert!(answered, "nobody leads and answers within {within:?}");
    }

    /// Another one leads in time: ZooKeeper names it, and it has begun its reign, so that it answers who asks.
    #[track_caller]
    pub(crate) fn another_leads(&self, old: &Candidate, since: Instant, within: Duration) {
        let until = since + within;
        let other = |now: &Option<Candidate>| now.as_ref().is_some_and(|now| now.id != old.id);
        let mut leader = self.detector.leader();
        let left = until.saturating_duration_since(Instant::now());
        let found = async {
            let found = tokio::time::timeout(left, leader.wait_for(other)).await;
            found.is_ok_and(|found| found.is_ok())
        };
        assert!(self.runtime.block_on(found), "nobody else is named within {within:?}");
        eprintln!("another is named after {:?}", since.elapsed());
        // Whoever is named has the lowest seat; it leads once it has raised the epoch and read the registry.
        let reigns = || {
            let now = self.leader().filter(|now| now.id != old.id);
            now.is_some_and(|now| self.agents_of(&now.address).is_some())
        };
        assert!(happens_by(until, reigns), "whoever is named does not lead within {within:?}");
        eprintln!("another leads after {:?}", since.elapsed());
    }

    /// Every task runs, once and as the same process as ever; the leader and every framework see just that.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        let since = Instant::now();
        self.looks_whole();
        eprintln!("whole after {:?}", since.elapsed());
    }

    #[track_caller]
    fn looks_whole(&self) {
        are_whole(&self.home, &self.frameworks, &self.url, &self.notes);
    }
}
