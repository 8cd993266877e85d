//! Registries that want a token of a server elsewhere: with nothing to say, with a password, with an identity token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use images::{Credentials, Failure, PullOptions, Store};
use tempfile::TempDir;

use crate::fake::{Fake, Reply, Request, settings};
use crate::made::{Image, failure, layer};

/// A registry that takes the token `good`, and is the token server itself.
async fn registry(token: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::with(move |request, reply| {
        if request.path.starts_with("/token") {
            return token(request);
        }
        let shown = request.headers.get("authorization");
        if request.path == "/v2/" || shown.is_some_and(|shown| shown == "Bearer good") {
            return reply;
        }
        let host = &request.headers["host"];
        let challenge = format!(
            r#"Bearer realm="http://{host}/token",service="s",scope="repository:app:pull""#
        );
        Reply::status(401).header("www-authenticate", &challenge)
    })
    .await
}

fn image() -> Image {
    Image::of(&[layer(&[("f", b"x")]), layer(&[("g", b"y")])])
}

fn token() -> Reply {
    Reply::body(br#"{"token":"good"}"#)
}

async fn pull_as(
    fake: &Fake,
    credentials: Credentials,
) -> Result<images::Pulled, images::PullError> {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), settings()).unwrap();
    let options = PullOptions { credentials: Some(credentials), ..PullOptions::default() };
    store.pull(&fake.push("app", "v1", &image()), &options).wait().await
}

#[tokio::test]
async fn img_01_a_token_is_fetched_once_for_a_pull_and_asked_for_what_the_registry_says() {
    let fake = registry(|_| token()).await;
    pull_as(&fake, Credentials::none()).await.unwrap();
    let asked = fake.asked("/token");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].path.contains("service=s&scope=repository%3Aapp%3Apull"), "{}", asked[0].path);
    assert!(!asked[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn img_01_a_password_is_for_the_token_server_only() {
    let fake = registry(|request| match request.headers.get("authorization").map(String::as_str) {
        Some("Basic bWU6c2VjcmV0") => token(),
        _ => Reply::status(401),
    })
    .await;
    let (failed, _) = failure(pull_as(&fake, Credentials::none()).await);
    assert!(matches!(*failed, Failure::Unauthorised { .. }));
    let host = fake.address.to_string();
    let wrong = Credentials::none().with_password(&host, "me", "wrong");
    assert!(matches!(*failure(pull_as(&fake, wrong).await).0, Failure::WrongCredentials { .. }));
    pull_as(&fake, Credentials::none().with_password(&host, "me", "secret")).await.unwrap();
    let shown =
        fake.asked("/v2/").into_iter().filter_map(|r| r.headers.get("authorization").cloned());
    assert!(shown.into_iter().all(|shown| shown == "Bearer good"));
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let fake = registry(|request| match request.headers.get("content-type").map(String::as_str) {
        Some("application/x-www-form-urlencoded") => Reply::body(br#"{"access_token":"good"}"#),
        _ => Reply::status(401),
    })
    .await;
    let config = format!(r#"{{"auths":{{"{}":{{"identitytoken":"i"}}}}}}"#, fake.address);
    pull_as(&fake, Credentials::from_docker_config(&config).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_grows_old_during_a_pull_is_fetched_anew() {
    let given = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&given);
    let fake = Fake::with(move |request, reply| {
        if request.path.starts_with("/token") {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            return Reply::body(format!(r#"{{"token":"t{number}"}}"#).as_bytes());
        }
        // The first token is good for the manifest only.
        let shown = request.headers.get("authorization").map(String::as_str);
        let is_good = match shown {
            Some("Bearer t0") => request.path.contains("manifests"),
            Some(_) => true,
            None => request.path == "/v2/",
        };
        let realm = format!(r#"Bearer realm="http://{}/token""#, request.headers["host"]);
        if is_good { reply } else { Reply::status(401).header("www-authenticate", &realm) }
    })
    .await;
    pull_as(&fake, Credentials::none()).await.unwrap();
    assert!(given.load(Ordering::Relaxed) >= 2);
}

#[tokio::test]
async fn what_cannot_be_answered_is_said() {
    let challenges = [
        ("Negotiate", "neither Basic nor Bearer"),
        (r#"Bearer realm="nowhere""#, "is no address"),
        (r#"Bearer realm="http://elsewhere.invalid/token""#, "without TLS"),
    ];
    for (challenge, expected) in challenges {
        let fake = Fake::with(move |request, reply| match request.path.as_str() {
            "/v2/" => reply,
            _ => Reply::status(401).header("www-authenticate", challenge),
        })
        .await;
        let (_, words) = failure(pull_as(&fake, Credentials::none()).await);
        assert!(words.contains(expected), "{challenge}: {words}");
    }
    let (_, words) =
        failure(pull_as(&registry(|_| Reply::body(b"{}")).await, Credentials::none()).await);
    assert!(words.contains("gives none"), "{words}");
}
