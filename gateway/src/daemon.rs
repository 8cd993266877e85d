//! The pages that every daemon serves, whatever else it does: its version, how it was started, what it counts, how much it logs, its
//! files, the machine that it is on. What they show is there without HTTP, too.

mod messages;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use libactor::Node;
use libactor::http::Figures;
use serde_json::json;

use crate::answer::{Call, Refused, TEXT, empty, json as answered, plain};
use crate::files::{self, Files};
use crate::logging::{self, Logging};
use crate::numbers::{self, Numbers, Snapshot};
use crate::realm::{Realm, Realms};
use crate::route::Route;
use crate::system::System;

/// How long what a component counts may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A daemon, as its pages show it. Made before its node, which is told later.
#[derive(Clone)]
pub struct Daemon(Arc<Shared>);

/// What a daemon is made of.
pub struct Parts {
    /// What the program says of itself: `version`, `build_date` and so on, in JSON.
    pub version: serde_json::Map<String, serde_json::Value>,
    /// How it was started: flags as Mesos writes them, with their values. None of them is a secret.
    pub flags: BTreeMap<String, String>,
    /// What it counts, as Prometheus reads it.
    pub figures: Figures,
    /// What it counts, as Mesos shows it.
    pub numbers: Numbers,
    /// Under which name it counts for how long it has run.
    pub uptime: &'static str,
    /// Which of its pages are guarded.
    pub realms: Realms,
    /// How much it logs.
    pub logging: Logging,
    /// What may be read of it.
    pub files: Files,
}

struct Shared {
    parts: Parts,
    started: Instant,
    node: OnceLock<Node>,
}

impl Daemon {
    /// Made of these, and started now.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Shared { parts, started: Instant::now(), node: OnceLock::new() }))
    }

    /// The node on which it is.
    pub fn is_on(&self, node: &Node) {
        // It is said once.
        let _ = self.0.node.set(node.clone());
    }

    /// Once there is one: calls come only then.
    pub fn node(&self) -> Option<&Node> {
        self.0.node.get()
    }

    /// Which of its pages are guarded.
    pub fn realms(&self) -> &Realms {
        &self.0.parts.realms
    }

    /// What the program says of itself.
    pub fn version(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.0.parts.version
    }

    /// How it was started: flags as Mesos writes them, with their values.
    pub fn flags(&self) -> &BTreeMap<String, String> {
        &self.0.parts.flags
    }

    /// How much it logs.
    pub fn logging(&self) -> &Logging {
        &self.0.parts.logging
    }

    /// What may be read of it.
    pub fn files(&self) -> &Files {
        &self.0.parts.files
    }

    /// For how long it has run.
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// What it counts, by name. What takes longer than this is zero.
    pub async fn metrics(&self, patience: Option<Duration>) -> Snapshot {
        let mut all = self.0.parts.numbers.read(patience.unwrap_or(PATIENCE)).await;
        let system = System::read().metrics();
        all.extend(system.into_iter().map(|(name, number)| (name.to_owned(), number)));
        all.insert(self.0.parts.uptime.to_owned(), self.uptime().as_secs_f64());
        all
    }

    /// All pages of it.
    pub fn routes(&self) -> Vec<Route> {
        let mut routes = vec![
            self.page("version", "", Realm::Open, |daemon, call| {
                answered(&call, json!(daemon.version()).to_string())
            })
            .about("Which program this is, and when it was built."),
            self.page("system", "/stats.json", Realm::ReadOnly, |_, call| {
                answered(&call, System::read().page())
            })
            .about("The load of this machine, its processors and its memory."),
            self.page("logging", "/toggle", Realm::ReadWrite, |daemon, call| {
                toggle(&daemon, &call).unwrap_or_else(HttpResponse::from)
            })
            .about("How much is logged; with ?level=&duration= more of it for a while."),
            self.figures(),
            self.snapshot(),
        ];
        routes.extend(files::routes(self.files()));
        routes
    }

    /// What the program says of itself, wherever it runs.
    pub fn program(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut program = self.version().clone();
        program.remove("hostname");
        program
    }

    /// `/flags` of the component itself.
    pub fn flags_of(&self, actor: &'static str) -> Route {
        self.page(actor, "/flags", Realm::ReadOnly, |daemon, call| {
            answered(&call, json!({ "flags": daemon.flags() }).to_string())
        })
        .about("How this was started.")
    }

    /// `/health` of the component itself: that it answers is the answer.
    pub fn health_of(&self, actor: &'static str) -> Route {
        self.page(actor, "/health", Realm::Open, |_, _| empty(200)).about("Whether this is alive.")
    }

    /// A page for which nobody waits.
    fn page(
        &self,
        actor: &'static str,
        path: &'static str,
        realm: Realm,
        answer: fn(Self, Call) -> HttpResponse,
    ) -> Route {
        let daemon = self.clone();
        let handler = move |call| {
            let daemon = daemon.clone();
            async move { answer(daemon, call) }
        };
        Route::new(actor, path, handler).realm(realm)
    }

    fn figures(&self) -> Route {
        let daemon = self.clone();
        Route::new("metrics", "", move |call| {
            let daemon = daemon.clone();
            async move {
                let own = daemon.node().map(|node| node.metrics().prometheus());
                let figures = daemon.0.parts.figures.text(PATIENCE).await;
                let numbers = numbers::prometheus(&daemon.metrics(None).await);
                let text = own.unwrap_or_default() + &figures + &numbers;
                plain(&call, "text/plain; version=0.0.4; charset=utf-8", text)
            }
        })
        .realm(Realm::Counted)
        .about("All that is counted, as Prometheus reads it.")
    }

    fn snapshot(&self) -> Route {
        let daemon = self.clone();
        Route::new("metrics", "/snapshot", move |call| {
            let daemon = daemon.clone();
            async move {
                let patience = match call.query("timeout") {
                    None => None,
                    Some(text) => match crate::duration::parse(&text) {
                        Some(patience) => Some(patience),
                        None => return bad_timeout(&text).into(),
                    },
                };
                answered(&call, numbers::written(&daemon.metrics(patience).await))
            }
        })
        .realm(Realm::Counted)
        .about("All that is counted, as Mesos shows it; with ?timeout= what is known by then.")
    }
}

fn bad_timeout(text: &str) -> Refused {
    Refused::new(
        400,
        format!("Invalid timeout '{text}': write a number and a unit, such as 5secs.\n"),
    )
}

fn toggle(daemon: &Daemon, call: &Call) -> Result<HttpResponse, Refused> {
    let (level, duration) = (call.query("level"), call.query("duration"));
    match logging::asked(level.as_deref(), duration.as_deref())? {
        None => Ok(plain(call, TEXT, format!("{}\n", daemon.logging().level()))),
        Some((level, duration)) => {
            daemon.logging().set(level, duration);
            Ok(empty(200))
        }
    }
}
