//! The older endpoints that change something.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use api::v1;
use gateway::{Call, Refused, Route, empty, json};
use protocol::ids::Role;
use serde::Deserialize;

use super::{change, page};
use crate::http::Gateways;
use crate::http::changes::{self, Changer, quota_request};
use crate::start::Running;
use crate::view::View;

/// What comes with a later release.
const LATER: [&str; 6] = [
    "/reserve",
    "/unreserve",
    "/create-volumes",
    "/destroy-volumes",
    "/machine/down",
    "/machine/up",
];

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let later = LATER.map(|path| {
        change(gateways, (path, "Comes with a later release."), async |_, _, call: Call| {
            call.insist_on("POST")?;
            Err(Refused::new(501, "501 Not Implemented. This comes with a later release."))
        })
    });
    let own = [
        change(
            gateways,
            ("/teardown", "Ends a framework: POST frameworkId=."),
            async |_, reign, call| teardown(&reign, call).await,
        ),
        change(
            gateways,
            ("/weights", "Weights of roles; PUT changes them."),
            async |_, reign, call| weights(&reign, call).await,
        ),
        change(
            gateways,
            ("/quota", "Quota of roles; POST and DELETE change it."),
            async |_, reign, call| quota(&reign, call).await,
        ),
    ];
    own.into_iter().chain(later).collect()
}

async fn teardown(reign: &Running, mut call: Call) -> Result<HttpResponse, Refused> {
    call.insist_on("POST")?;
    call.refuse_other_pages()?;
    let form = form(&mut call).await?;
    let Some(id) = form.get("frameworkId") else {
        let words = "Missing 'frameworkId' query parameter in the request body";
        return Err(Refused::new(400, words));
    };
    changes::teardown(Changer::of(reign, &call), id).await?;
    Ok(empty(200))
}

async fn weights(reign: &Running, mut call: Call) -> Result<HttpResponse, Refused> {
    if call.insist_on_one(&["GET", "PUT"])? == "GET" {
        let body = page(reign, Some("/weights".into()), View::weights_page).await?;
        return Ok(json(&call, body));
    }
    call.refuse_other_pages()?;
    let body = call.body().await?;
    let weights: Vec<WeightJson> = serde_json::from_slice(&body).map_err(|error| {
        let words = "Failed to parse update weights request JSON";
        Refused::new(400, format!("{words} '{}': {error}", text_of(&body)))
    })?;
    let info = |one: WeightJson| v1::WeightInfo { role: one.role, weight: one.weight };
    let changer = Changer::of(reign, &call);
    changes::weights(changer, weights.into_iter().map(info).collect()).await?;
    Ok(empty(200))
}

async fn quota(reign: &Running, mut call: Call) -> Result<HttpResponse, Refused> {
    let method = call.insist_on_one(&["GET", "DELETE", "POST"])?;
    if method == "GET" {
        let write = |view: &View| Ok(api::json::write(&view.quota_status()).into_bytes());
        return Ok(json(&call, page(reign, Some("/quota".into()), write).await?));
    }
    call.refuse_other_pages()?;
    if method == "DELETE" {
        let role: Role = call
            .rest
            .parse()
            .map_err(|error| Refused::new(400, format!("Failed to remove quota: {error}")))?;
        changes::remove_quota(Changer::of(reign, &call), role).await?;
        return Ok(empty(200));
    }
    let body = call.body().await?;
    let request = api::json::read(&body).map_err(|error| {
        let words = "Failed to parse set quota request JSON";
        Refused::new(400, format!("{words} '{}': {error}", text_of(&body)))
    })?;
    quota_request(Changer::of(reign, &call), &request).await?;
    Ok(empty(200))
}

#[derive(Deserialize)]
struct WeightJson {
    role: Option<String>,
    weight: f64,
}

/// A form's fields; of several of one name the last counts.
async fn form(call: &mut Call) -> Result<BTreeMap<String, String>, Refused> {
    let body = call.body().await?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| Refused::new(400, "Unable to decode query string: it is not UTF-8"))?;
    Ok(gateway::pairs(text).collect())
}

/// So much of a body as fits into an answer.
fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(512)]).into_owned()
}
