//! `/api/v1`: what operators, and programs in containers, ask of an agent.

mod check;
mod containers;
mod media;
mod reads;

use actix_web::HttpResponse;
use api::v1::agent as v1;
use gateway::{Call, Realm, Refused, Route, read};

use super::{Gateways, SLAVE};
use media::Media;
use v1::call::Type;

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let gateways = gateways.clone();
    vec![
        Route::new(SLAVE, "/api/v1", move |call| {
            let gateways = gateways.clone();
            async move { answer(&gateways, call).await.unwrap_or_else(HttpResponse::from) }
        })
        .realm(Realm::ReadWrite)
        .about("What operators ask of this agent."),
    ]
}

/// The order of checks is a part of the API: the first that fails answers.
async fn answer(gateways: &Gateways, mut call: Call) -> Result<HttpResponse, Refused> {
    let shown = gateways.shown().await?;
    call.insist_on("POST")?;
    call.refuse_other_pages()?;
    let media = Media::of(&call)?;
    let body = if media.is_stream {
        let first = call.first_record().await?;
        first.ok_or_else(|| Refused::new(400, "Received EOF while reading request body"))?
    } else {
        call.body().await?
    };
    let message: v1::Call = read(media.content, &body)?;
    check::call(&message)?;
    media.fits(message.r#type())?;
    if message.r#type() == Type::Unknown {
        return Err(Refused::plainly(501));
    }
    if let Some(answered) = containers::answer(&shown.books, &message)? {
        return Ok(answered);
    }
    reads::answer(gateways, shown, &call, &message, media.accept).await
}
