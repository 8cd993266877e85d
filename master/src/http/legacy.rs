//! Mesos's older endpoints: pages about the cluster, and the few by which operators change it.

mod changes;

use std::future::Future;
use std::sync::Arc;

use actix_web::HttpResponse;
use gateway::{Call, Refused, Route, json};

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
        read(gateways, "/state", async |gateways, reign, call| {
            let about = gateways.about(&reign);
            shown(&reign, &call, "/state".into(), move |view| view.state_page(&about)).await
        }),
        read(gateways, "/state-summary", async |gateways, reign, call| {
            let about = gateways.about(&reign);
            let name = "/state-summary".into();
            shown(&reign, &call, name, move |view| view.summary_page(&about)).await
        }),
        read(gateways, "/slaves", async |_, reign, call| {
            let only = call.query("slave_id");
            let name = format!("/slaves {only:?}");
            shown(&reign, &call, name, move |view| view.slaves(only.as_deref())).await
        }),
        read(gateways, "/frameworks", async |_, reign, call| {
            let only = call.query("framework_id");
            let name = format!("/frameworks {only:?}");
            shown(&reign, &call, name, move |view| view.frameworks_page(only.as_deref())).await
        }),
        read(gateways, "/tasks", async |_, reign, call| {
            let query = task_query(&call)?;
            let name = format!("/tasks {query:?}");
            shown(&reign, &call, name, move |view| view.tasks_page(&query)).await
        }),
        read(gateways, "/roles", async |_, reign, call| {
            shown(&reign, &call, "/roles".into(), View::roles_page).await
        }),
        read(gateways, "/maintenance/schedule", async |_, _, call| {
            call.insist_on("GET")?;
            Ok(json(&call, r#"{"windows":[]}"#))
        }),
        read(gateways, "/maintenance/status", async |_, _, call| {
            call.insist_on("GET")?;
            Ok(json(&call, "{}"))
        }),
    ];
    pages.into_iter().chain(changes::routes(gateways)).chain([registry(gateways)]).collect()
}

/// What is written, as the actor shows it that writes.
fn registry(gateways: &Gateways) -> Route {
    read_of("registrar(1)", gateways, "/registry", async |gateways, reign, call| {
        let master = api::wire::write(&gateways.master_info(&reign));
        let text = reign.registrar().ask(ReadRegistry(master)).await.map_err(|error| {
            Refused::new(503, format!("the registrar does not answer: {error}"))
        })?;
        Ok(json(&call, text.0))
    })
}

/// A page of the leader's.
fn read<F>(
    gateways: &Gateways,
    path: &'static str,
    answer: impl Fn(Gateways, Arc<Running>, Call) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Result<HttpResponse, Refused>> + 'static,
{
    read_of("master", gateways, path, answer)
}

fn read_of<F>(
    actor: &'static str,
    gateways: &Gateways,
    path: &'static str,
    answer: impl Fn(Gateways, Arc<Running>, Call) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Result<HttpResponse, Refused>> + 'static,
{
    let gateways = gateways.clone();
    Route::new(actor, path, move |call| {
        let gateways = gateways.clone();
        async move {
            let reign = match gateways.reign(&call) {
                Ok(reign) => reign,
                Err(refused) => return refused.into(),
            };
            answer(gateways, reign, call).await.unwrap_or_else(HttpResponse::from)
        }
    })
}

async fn shown(
    reign: &Running,
    call: &Call,
    name: String,
    write: impl FnOnce(&View) -> Vec<u8> + Send + 'static,
) -> Result<HttpResponse, Refused> {
    Ok(json(call, page(reign, name, write).await?))
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
