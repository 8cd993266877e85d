//! Which route a path means. Its first part names an actor; if there is none of that name, the whole path is one of the
//! component's own. Of an actor's routes the longest that the path begins with is meant, so that more parts may follow.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::HttpResponse;
use percent_encoding::percent_decode_str;

use crate::answer::Call;
use crate::help;
use crate::realm::{Realm, Realms};

/// What a route does: on the thread of its connection.
type Handler = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = HttpResponse>>> + Send + Sync>;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// The actor, such as `master` or `metrics`.
    pub(crate) actor: &'static str,
    /// Below the actor: empty, or with a slash before each part.
    pub(crate) path: &'static str,
    pub(crate) realm: Realm,
    /// What it is for, in a line.
    pub(crate) line: &'static str,
    /// Whether what lies below is its own, too, though its path is empty.
    all_below: bool,
    pub(crate) handler: Handler,
}

/// A route of which nobody has said yet for whom it is: [`Unrealmed::realm`] makes a [`Route`] of it, and nothing else does.
pub struct Unrealmed {
    actor: &'static str,
    path: &'static str,
    handler: Handler,
}

impl Unrealmed {
    /// The route, within this realm.
    pub fn realm(self, realm: Realm) -> Route {
        let Self { actor, path, handler } = self;
        Route { actor, path, realm, line: "", all_below: false, handler }
    }
}

impl Route {
    /// `/actor/path`, whatever the method; its realm is to be said, too.
    #[expect(clippy::new_ret_no_self, reason = "there is no route before its realm is known")]
    pub fn new<F>(
        actor: &'static str,
        path: &'static str,
        handler: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Unrealmed
    where
        F: Future<Output = HttpResponse> + 'static,
    {
        Unrealmed { actor, path, handler: Arc::new(move |call| Box::pin(handler(call))) }
    }

    /// The same with a line on what it is for: `/help` shows it.
    pub fn about(self, line: &'static str) -> Self {
        Self { line, ..self }
    }

    /// The same for whatever lies below its actor and is no route of its own.
    pub(crate) fn with_all_below(self) -> Self {
        Self { all_below: true, ..self }
    }
}

/// All routes of a node.
pub struct Routes {
    /// The actor to whom paths go that name none.
    delegate: &'static str,
    routes: Vec<Route>,
    pub(crate) realms: Realms,
}

/// What a path means.
pub(crate) struct Meant<'r> {
    pub(crate) route: &'r Route,
    /// The actor that the path does not name, if it names none.
    delegate: Option<&'r str>,
    /// What follows the route, without a slash before it.
    pub(crate) rest: String,
}

impl Meant<'_> {
    /// The path as it was written, with the actor in it.
    pub(crate) fn location(&self, path: &str) -> String {
        match self.delegate {
            Some(delegate) => format!("/{delegate}{path}"),
            None => path.to_owned(),
        }
    }
}

impl Routes {
    /// Those of a component whose own actor is `delegate`, of whose realms these are guarded. `/help` comes with them.
    pub fn new(delegate: &'static str, realms: Realms, mut routes: Vec<Route>) -> Self {
        routes.push(help::route(&routes));
        Self { delegate, routes, realms }
    }

    /// `None`: nothing is there.
    pub(crate) fn find(&self, path: &str) -> Option<Meant<'_>> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        // Nobody who wants a page writes such a path.
        if path.contains("/..") {
            return None;
        }
        let path = path.trim_end_matches('/');
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        let is_actor = self.routes.iter().any(|route| route.actor == first);
        let whole = match is_actor {
            true => path.to_owned(),
            false => format!("/{}{path}", self.delegate),
        };
        let (actor, below) = match whole[1..].split_once('/') {
            Some((actor, below)) => (actor, format!("/{below}")),
            None => (&whole[1..], String::new()),
        };
        let meant = |route: &&Route| {
            let after = below.strip_prefix(route.path);
            route.actor == actor
                && after.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let route = self.routes.iter().filter(meant).max_by_key(|route| route.path.len())?;
        // The empty path is the actor's first page alone.
        let rest = below[route.path.len()..].trim_start_matches('/').to_owned();
        if route.path.is_empty() && !rest.is_empty() && !route.all_below {
            return None;
        }
        let delegate = (!is_actor).then_some(self.delegate);
        Some(Meant { route, delegate, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer;

    fn routes() -> Routes {
        let route = |actor, path| {
            Route::new(actor, path, |_| async { answer::empty(200) }).realm(Realm::Open)
        };
        Routes::new(
            "slave(1)",
            Realms::of("agent"),
            vec![
                route("slave(1)", ""),
                route("slave(1)", "/state"),
                route("slave(1)", "/api/v1"),
                route("slave(1)", "/api/v1/executor"),
                route("metrics", "/snapshot"),
            ],
        )
    }

    #[track_caller]
    fn found(path: &str) -> Option<(String, String)> {
        let routes = routes();
        let meant = routes.find(path)?;
        Some((format!("{}{}", meant.route.actor, meant.route.path), meant.rest))
    }

    #[test]
    fn lp_11_a_path_without_an_actor_is_the_delegates() {
        for path in ["/state", "/state/", "/slave(1)/state", "/slave%281%29/state"] {
            assert_eq!(found(path), Some(("slave(1)/state".into(), String::new())), "{path}");
        }
        assert_eq!(found("/metrics/snapshot"), Some(("metrics/snapshot".into(), String::new())));
        assert_eq!(found("/"), Some(("slave(1)".into(), String::new())));
    }

    #[test]
    fn lp_10_the_longest_route_that_a_path_begins_with_is_meant() {
        let api = |rest: &str| Some(("slave(1)/api/v1".to_owned(), rest.to_owned()));
        assert_eq!(found("/api/v1"), api(""));
        assert_eq!(found("/api/v1/operator"), api("operator"));
        let executor = |rest: &str| Some(("slave(1)/api/v1/executor".to_owned(), rest.to_owned()));
        assert_eq!(found("/api/v1/executor"), executor(""));
        assert_eq!(found("/api/v1/executor/a/b"), executor("a/b"));
        assert_eq!(found("/state/x"), Some(("slave(1)/state".into(), "x".into())));
    }

    #[test]
    fn a_path_is_handed_on_as_it_was_written() {
        let routes = routes();
        for (path, location) in [
            ("/state%3F/a%20b", None),
            ("/state/a%20b", Some("/slave(1)/state/a%20b")),
            ("/slave%281%29/state", Some("/slave%281%29/state")),
        ] {
            let meant = routes.find(path).map(|meant| meant.location(path));
            assert_eq!(meant.as_deref(), location, "{path}");
        }
    }

    #[test]
    fn lp_12_what_is_not_there_is_not_found() {
        for path in [
            "/nothing",
            "/stateful",
            "/state/../state",
            "/metrics",
            "/metrics/state",
            "/%ff",
            "/..",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
