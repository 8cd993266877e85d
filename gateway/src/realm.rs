//! Realms: which pages are open to whom. A realm that credentials guard is entered by basic authentication, as in Mesos; one that
//! nobody guards is open, and what a client says of itself there is ignored.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::answer::Refused;
use crate::credentials::Credentials;

/// What a page is for, so that a component's operator can guard all pages of a kind at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Realm {
    /// Nobody ever guards it: how a component is, which version it has, and where the leader is.
    Open,
    /// What is counted, which no secret hides.
    Counted,
    /// It shows.
    ReadOnly,
    /// It changes something, or may.
    ReadWrite,
    /// A framework's scheduler speaks for itself.
    Scheduler,
    /// Executors speak for themselves.
    Executor,
}

impl Realm {
    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Counted | Self::ReadOnly => "readonly",
            Self::ReadWrite => "readwrite",
            Self::Scheduler => "scheduler",
            Self::Executor => "executor",
        }
    }
}

/// Which realms of a component are guarded, and by which credentials.
#[derive(Clone, Debug)]
pub struct Realms {
    /// As Mesos names it: `master` or `agent`.
    component: &'static str,
    /// Whether the cluster has a secret: then nobody comes in where nobody guards.
    is_closed: bool,
    guarded: BTreeMap<Realm, Arc<Credentials>>,
}

impl Realms {
    /// Of a component, with nothing guarded.
    pub fn of(component: &'static str) -> Self {
        Self { component, is_closed: false, guarded: BTreeMap::new() }
    }

    /// The same of a cluster that has a secret.
    #[must_use]
    pub fn closed(self) -> Self {
        Self { is_closed: true, ..self }
    }

    /// The same with a guard for one of them.
    pub fn guarded(mut self, realm: Realm, by: Arc<Credentials>) -> Self {
        assert!(realm != Realm::Open, "what is open to all has no guard");
        self.guarded.insert(realm, by);
        self
    }

    /// Whether callers there must show who they are.
    pub fn guards(&self, realm: Realm) -> bool {
        self.guarded.contains_key(&realm)
    }

    /// As clients are told: `mesos-master-readonly`.
    fn name(&self, realm: Realm) -> String {
        format!("mesos-{}-{}", self.component, realm.word())
    }

    /// Why nobody comes in where nobody guards.
    fn is_shut(&self, realm: Realm) -> Option<Refused> {
        let flag = match realm {
            Realm::Open | Realm::Counted => return None,
            Realm::ReadOnly => "--authenticate_http_readonly",
            Realm::ReadWrite => "--authenticate_http_readwrite",
            Realm::Scheduler => "--authenticate_http_frameworks",
            Realm::Executor => {
                let words = "This agent has a secret, by which executors of the v1 API cannot show yet who they are: they run on agents \
                    without --cluster-secret-file.";
                return self.is_closed.then(|| Refused::new(403, words));
            }
        };
        let credentials =
            if self.component == "agent" { "--http_credentials" } else { "--credentials" };
        let component = self.component;
        let words = format!(
            "This cluster has a secret, and nobody shows here who it is. Start each {component} with {flag} and {credentials}; or \
             without --cluster-secret-file, and then whoever reaches its port may run anything."
        );
        self.is_closed.then(|| Refused::new(403, words))
    }

    /// Who a caller proved to be, by its `Authorization` headers; nobody, where nobody asks.
    ///
    /// # Errors
    ///
    /// 401, and what it has to prove; 403 where a cluster has a secret and nobody asks.
    pub(crate) fn admit(&self, realm: Realm, said: &[&str]) -> Result<Option<String>, Refused> {
        // What is counted is guarded as what is shown.
        let guard = if realm == Realm::Counted { Realm::ReadOnly } else { realm };
        let Some(credentials) = self.guarded.get(&guard) else {
            return self.is_shut(realm).map_or(Ok(None), Err);
        };
        // Of two nobody could say which one was meant.
        let pair = if let [said] = said { basic(said) } else { None };
        let proved = pair.filter(|(principal, secret)| credentials.knows(principal, secret));
        match proved {
            Some((principal, _)) => Ok(Some(principal)),
            None => {
                Err(Refused::plainly(401)
                    .challenged(format!("Basic realm=\"{}\"", self.name(realm))))
            }
        }
    }
}

/// A principal and its secret, from the text of a header.
fn basic(said: &str) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = said.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(encoded.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let principal = std::str::from_utf8(&pair[..colon]).ok()?.to_owned();
    Some((principal, pair[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;

    use super::*;

    fn realms() -> Realms {
        let credentials = "ops s3cret\nbatch a:b".parse().unwrap();
        Realms::of("master").guarded(Realm::ReadOnly, Arc::new(credentials))
    }

    fn header(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn lp_17_who_does_not_show_who_it_is_is_told_what_to_show() {
        for said in [
            vec![],
            vec![String::new()],
            vec!["Basic".to_owned()],
            vec!["Basic !!".to_owned()],
            vec!["Bearer abc".to_owned()],
            vec![STANDARD.encode("ops:s3cret")],
            vec![header("ops")],
            vec![header("ops:")],
            vec![header(":")],
            vec![header("ops:S3cret")],
            vec![header("ops:s3cret ")],
            vec![header("nobody:s3cret")],
            vec![header("ops:s3cret"), header("ops:s3cret")],
        ] {
            let texts: Vec<&str> = said.iter().map(String::as_str).collect();
            let refused = realms().admit(Realm::ReadOnly, &texts).unwrap_err();
            let response = HttpResponse::from(refused);
            assert_eq!(response.status().as_u16(), 401, "{said:?}");
            let challenge = response.headers().get("www-authenticate").unwrap().to_str().unwrap();
            assert_eq!(challenge, "Basic realm=\"mesos-master-readonly\"");
        }
    }

    #[test]
    fn auth_02_who_shows_who_it_is_is_known_by_its_principal() {
        let admitted = |pair: &str| realms().admit(Realm::ReadOnly, &[&header(pair)]);
        assert_eq!(admitted("ops:s3cret"), Ok(Some("ops".to_owned())));
        assert_eq!(admitted("batch:a:b"), Ok(Some("batch".to_owned())), "a secret may have colons");
        let other_case = header("ops:s3cret").replace("Basic", "bAsIc");
        assert_eq!(realms().admit(Realm::ReadOnly, &[&other_case]), Ok(Some("ops".to_owned())));
    }

    #[test]
    fn where_a_cluster_has_a_secret_nobody_comes_in_who_does_not_show_who_it_is() {
        let closed = realms().closed();
        let executors = closed.admit(Realm::Executor, &[]).unwrap_err();
        assert!(executors.words.starts_with("This agent has a secret"), "{executors:?}");
        for realm in [Realm::ReadWrite, Realm::Scheduler] {
            let refused = closed.admit(realm, &[&header("ops:s3cret")]).unwrap_err();
            assert_eq!(refused.status, 403);
            assert!(refused.words.starts_with("This cluster has a secret, and "), "{refused:?}");
        }
        assert_eq!(closed.admit(Realm::Open, &[]), Ok(None));
        let shown = closed.admit(Realm::ReadOnly, &[&header("ops:s3cret")]);
        assert_eq!(shown, Ok(Some("ops".to_owned())));
        assert_eq!(Realms::of("agent").closed().admit(Realm::Counted, &[]), Ok(None));
    }

    #[test]
    fn where_nobody_asks_nobody_is_turned_away_and_nothing_is_believed() {
        for realm in [Realm::Open, Realm::ReadWrite, Realm::Scheduler] {
            for said in [&[][..], &["Basic Og=="], &["nonsense"]] {
                assert_eq!(realms().admit(realm, said), Ok(None), "{realm:?} {said:?}");
            }
        }
    }
}
