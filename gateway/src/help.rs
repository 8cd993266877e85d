//! `/help`: what is served, made of the routes themselves.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use actix_web::HttpResponse;
use serde_json::json;

use crate::answer::{Call, Refused, json as answered, plain};
use crate::realm::Realm;
use crate::route::Route;

/// The actor's name in paths.
const HELP: &str = "help";

/// Pages by actor: their paths below it, each with a line on it.
type Pages = BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>;

/// The pages on these routes, and on themselves.
pub(crate) fn route(routes: &[Route]) -> Route {
    let mut pages = Pages::new();
    for route in routes {
        let line = if route.line.is_empty() { "No more is said of it." } else { route.line };
        pages.entry(route.actor).or_default().insert(route.path, line);
    }
    pages.entry(HELP).or_default().insert("", "What is served here; as JSON with ?format=json.");
    let pages = Arc::new(pages);
    Route::new(HELP, "", move |call| {
        let pages = Arc::clone(&pages);
        async move { answer(&pages, &call).unwrap_or_else(HttpResponse::from) }
    })
    .realm(Realm::Open)
    .with_all_below()
}

fn answer(pages: &Pages, call: &Call) -> Result<HttpResponse, Refused> {
    let (id, path) = match call.rest.split_once('/') {
        Some((id, path)) => (id, Some(format!("/{path}"))),
        None => (call.rest.as_str(), None),
    };
    let unknown = || Refused::new(400, format!("No help available for '/{}'.\n", call.rest));
    let chosen: Pages = if id.is_empty() {
        pages.clone()
    } else {
        let (id, all) = pages.get_key_value(id).ok_or_else(unknown)?;
        let mut all = all.clone();
        if let Some(path) = &path {
            all.retain(|one, _| one == path);
        }
        if all.is_empty() {
            return Err(unknown());
        }
        BTreeMap::from([(*id, all)])
    };
    if call.query("format").as_deref() == Some("json") {
        return Ok(answered(call, written(&chosen, id, path.is_some()).to_string()));
    }
    Ok(plain(call, "text/html; charset=utf-8", page(&chosen)))
}

fn written(pages: &Pages, id: &str, of_one: bool) -> serde_json::Value {
    let endpoint = |(path, line): (&&str, &&str)| json!({ "name": path, "text": line });
    let of = |(id, all): (&&str, &BTreeMap<&str, &str>)| json!({ "id": id, "endpoints": all.iter().map(endpoint).collect::<Vec<_>>() });
    let mut all = pages.iter().map(of);
    match (id, of_one) {
        ("", _) => json!({ "processes": all.collect::<Vec<_>>() }),
        (_, false) => all.next().unwrap_or_default(),
        (_, true) => all.next().map(|mut one| one["endpoints"][0].take()).unwrap_or_default(),
    }
}

/// For people. What is in it was written here, or is the name of a route: nothing of it needs to be escaped.
fn page(pages: &Pages) -> String {
    let mut html = String::from("<!DOCTYPE html>\n<title>Help</title>\n");
    for (id, all) in pages {
        // Writing to a string cannot fail.
        let _ = writeln!(html, "<h2><a href=\"/help/{id}\">/{id}</a></h2>\n<dl>");
        for (path, line) in all {
            let _ = writeln!(
                html,
                "<dt><a href=\"/help/{id}{path}\">/{id}{path}</a></dt><dd>{line}</dd>"
            );
        }
        html += "</dl>\n";
    }
    html
}
