//! Mesos's older endpoints of an agent.

use std::future::Future;

use actix_web::HttpResponse;
use gateway::{Call, Realm, Refused, Route, json};
use protocol::legacy::Written;

use super::books::aside;
use super::looks::used;
use super::{Gateways, SLAVE};
use crate::view::{Filter, legacy};

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    vec![
        page(gateways, ("/state", "All of this agent, as JSON."), async |gateways, call| {
            let shown = gateways.shown().await?;
            let about = gateways.about(shown.master)?;
            let body = aside(move || legacy::state(&shown.books, &about)).await?;
            answered(&call, body)
        }),
        page(
            gateways,
            (
                "/containers",
                "Containers; some by ?container_id=, ?framework_id= and ?executor_id=.",
            ),
            async |gateways, call| {
                let filter = filter(&call)?;
                let all = used(&gateways, filter).await?;
                answered(&call, legacy::containers(&all, true))
            },
        ),
        page(
            gateways,
            ("/monitor/statistics", "What containers use; two answers a second."),
            async |gateways, call| {
                gateways.0.statistics.turn().await?;
                let all = used(&gateways, Filter::default()).await?;
                answered(&call, legacy::containers(&all, false))
            },
        ),
        page(
            gateways,
            ("/containerizer/debug", "Which containers are being started or ended."),
            async |gateways, call| {
                let books = gateways.shown().await?.books;
                answered(&call, legacy::pending(&books))
            },
        ),
    ]
}

/// A page, and what it is for in a line.
fn page<F>(
    gateways: &Gateways,
    (path, line): (&'static str, &'static str),
    answer: impl Fn(Gateways, Call) -> F + Copy + Send + Sync + 'static,
) -> Route
where
    F: Future<Output = Result<HttpResponse, Refused>> + 'static,
{
    let gateways = gateways.clone();
    Route::new(SLAVE, path, move |call| {
        let gateways = gateways.clone();
        async move { answer(gateways, call).await.unwrap_or_else(HttpResponse::from) }
    })
    .realm(Realm::ReadOnly)
    .about(line)
}

/// A page, if there is one.
fn answered(call: &Call, page: Written) -> Result<HttpResponse, Refused> {
    let body = page.map_err(|error| {
        tracing::error!(%error, path = call.request.path(), "a page was not written");
        Refused::new(500, format!("the page was not written: {error}"))
    })?;
    Ok(json(call, body))
}

/// One container, or those of a framework, or of one of its executors.
fn filter(call: &Call) -> Result<Filter, Refused> {
    let filter = Filter {
        container: call.query("container_id"),
        framework: call.query("framework_id"),
        executor: call.query("executor_id"),
    };
    let names = [&filter.container, &filter.framework, &filter.executor].map(Option::is_some);
    match names {
        [true, false, false] | [false, true, _] | [false, false, false] => Ok(filter),
        [true, _, _] | [false, false, true] => Err(Refused::new(
            400,
            "Expecting either 'container_id', or 'framework_id' with or without 'executor_id', in query.\n",
        )),
    }
}
