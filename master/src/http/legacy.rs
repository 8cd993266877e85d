//! Mesos's older endpoints: pages about the cluster, and the few by which operators change it.

mod changes;

use std::future::Future;
use std::sync::Arc;

use actix_web::HttpResponse;
use gateway::{Call, Realm, Refused, Route, json};
use protocol::legacy::Written;

use super::Gateways;
use super::reads::page;
use crate::actors::registrar::ReadRegistry;
use crate::start::Running;
use crate::view::View;
use crate::view::legacy::{Order, TaskQuery};

/// Tasks on a page, unless somebody says how many.
const TASKS: usize = 100;

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let pages = [
        read(gateways, ("/state", "The whole cluster, as JSON."), async |gateways, reign, call| {
            let about = gateways.about(&reign);
            shown(&reign, &call, Some("/state"), move |view| view.state_page(&about)).await
        }),
        read(
            gateways,
            ("/state-summary", "Agents and frameworks with the numbers of their tasks."),
            async |gateways, reign, call| {
                let about = gateways.about(&reign);
                let name = Some("/state-summary");
                shown(&reign, &call, name, move |view| view.summary_page(&about)).await
            },
        ),
        read(gateways, ("/slaves", "Agents; of one with ?slave_id=."), async |_, reign, call| {
            let only = call.query("slave_id");
            let name = whole(&call, "/slaves");
            shown(&reign, &call, name, move |view| view.slaves(only.as_deref())).await
        }),
        read(
            gateways,
            ("/frameworks", "Frameworks; of one with ?framework_id=."),
            async |_, reign, call| {
                let only = call.query("framework_id");
                let name = whole(&call, "/frameworks");
                shown(&reign, &call, name, move |view| view.frameworks_page(only.as_deref())).await
            },
        ),
        read(
            gateways,
            ("/tasks", "Tasks, by ?limit=&offset=&order=&framework_id=&task_id=."),
            async |_, reign, call| {
                let query = task_query(&call)?;
                let name = whole(&call, "/tasks");
                shown(&reign, &call, name, move |view| view.tasks_page(&query)).await
            },
        ),
        read(
            gateways,
            ("/roles", "Roles, with what they hold, their weights and quota."),
            async |_, reign, call| shown(&reign, &call, Some("/roles"), View::roles_page).await,
        ),
        change(
            gateways,
            ("/maintenance/schedule", "Planned down time: none, in this release."),
            async |_, _, call| empty_of(&call, r#"{"windows":[]}"#),
        ),
        change(
            gateways,
            ("/maintenance/status", "Machines about to go down: none, in this release."),
            async |_, _, call| empty_of(&call, "{}"),
        ),
    ];
    pages.into_iter().chain(changes::routes(gateways)).chain([registry(gateways)]).collect()
}

/// What comes with a later release is not there yet.
fn empty_of(call: &Call, nothing: &'static str) -> Result<HttpResponse, Refused> {
    match call.insist_on_one(&["GET", "POST"])? {
        "GET" => Ok(json(call, nothing)),
        _ => Err(Refused::new(501, "501 Not Implemented. Maintenance comes with a later release.")),
    }
}

/// What is written, as the actor shows it that writes. Before it has read that, nothing is there.
fn registry(gateways: &Gateways) -> Route {
    let gateways = gateways.clone();
    Route::new("registrar(1)", "/registry", move |call| {
        let gateways = gateways.clone();
        async move {
            let reign = match gateways.reign(&call) {
                Ok(reign) => reign,
                Err(refused) if refused.status == 503 => return json(&call, "{}"),
                Err(refused) => return refused.into(),
            };
            let master = api::wire::write(&gateways.master_info(&reign));
            match reign.registrar().ask(ReadRegistry(master)).await {
                Ok(text) => json(&call, text.0),
                Err(error) => {
                    let words = format!("the registrar does not answer: {error}");
                    Refused::new(503, words).into()
                }
            }
        }
    })
    .realm(Realm::ReadOnly)
    .about("What the registry holds.")
}

/// A page of the leader's.
fn read<F>(
    gateways: &Gateways,
    page: (&'static str, &'static str),
    answer: impl Fn(Gateways, Arc<Running>, Call) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Result<HttpResponse, Refused>> + 'static,
{
    page_of(gateways, Realm::ReadOnly, page, answer)
}

/// A page by which something can be changed.
fn change<F>(
    gateways: &Gateways,
    page: (&'static str, &'static str),
    answer: impl Fn(Gateways, Arc<Running>, Call) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Result<HttpResponse, Refused>> + 'static,
{
    page_of(gateways, Realm::ReadWrite, page, answer)
}

/// Its path, and what it is for in a line.
fn page_of<F>(
    gateways: &Gateways,
    realm: Realm,
    (path, line): (&'static str, &'static str),
    answer: impl Fn(Gateways, Arc<Running>, Call) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Result<HttpResponse, Refused>> + 'static,
{
    let gateways = gateways.clone();
    Route::new("master", path, move |call| {
        let gateways = gateways.clone();
        async move {
            let reign = match gateways.reign(&call) {
                Ok(reign) => reign,
                Err(refused) => return refused.into(),
            };
            answer(gateways, reign, call).await.unwrap_or_else(HttpResponse::from)
        }
    })
    .realm(realm)
    .about(line)
}

async fn shown(
    reign: &Running,
    call: &Call,
    name: Option<&'static str>,
    write: impl FnOnce(&View) -> Written + Send + 'static,
) -> Result<HttpResponse, Refused> {
    Ok(json(call, page(reign, name.map(str::to_owned), write).await?))
}

/// The name under which a page is kept for whoever asks for the same: of parts of it, of which there are as many as clients can think
/// of, nothing is kept.
fn whole(call: &Call, name: &'static str) -> Option<&'static str> {
    call.request.query_string().is_empty().then_some(name)
}

fn task_query(call: &Call) -> Result<TaskQuery, Refused> {
    let number = |key: &str, unsaid: usize| match call.query(key) {
        None => Ok(unsaid),
        Some(text) => text.parse().map_err(|_| {
            Refused::new(400, format!("the query's {key} is '{text}', and must be a whole number"))
        }),
    };
    Ok(TaskQuery {
        framework: call.query("framework_id"),
        task: call.query("task_id"),
        limit: number("limit", TASKS)?,
        offset: number("offset", 0)?,
        // Whatever else is said is the default, as in Mesos.
        order: if call.query("order").as_deref() == Some("asc") {
            Order::Oldest
        } else {
            Order::Newest
        },
    })
}
