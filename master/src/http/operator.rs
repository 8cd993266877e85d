//! `/api/v1`: what operators ask of a master, and the stream of events that they are told.

mod check;
mod daemon;
mod reads;
mod stream;

use actix_web::HttpResponse;
use api::v1::master as v1;
use gateway::{Call, Realm, Refused, Route, accepted, content, empty, read};

use super::Gateways;
use super::changes::{self, Changer};
pub(super) use stream::Subscribers;

use v1::call::Type;

pub(super) fn routes(gateways: &Gateways) -> Vec<Route> {
    let gateways = gateways.clone();
    vec![
        Route::new("master", "/api/v1", move |call| {
            let gateways = gateways.clone();
            async move { answer(&gateways, call).await.unwrap_or_else(HttpResponse::from) }
        })
        .realm(Realm::ReadWrite)
        .about("What operators ask and change, and the stream of events."),
    ]
}

/// The order of checks is a part of the API: the first that fails answers.
async fn answer(gateways: &Gateways, mut call: Call) -> Result<HttpResponse, Refused> {
    let reign = gateways.reign(&call)?;
    call.insist_on("POST")?;
    call.refuse_other_pages()?;
    let encoding = content(&call)?;
    let body = call.body().await?;
    let message: v1::Call = read(encoding, body).await?;
    check::call(&message)?;
    let encoding = accepted(&call)?;
    let r#type = message.r#type();
    if r#type == Type::Unknown {
        return Err(Refused::plainly(501));
    }
    if r#type == Type::Subscribe {
        return stream::begin(gateways, &reign, &call, encoding).await;
    }
    check::comes_later(r#type)?;
    if let Some(done) = change(Changer::of(&reign, &call), &message).await? {
        return Ok(done);
    }
    reads::answer(gateways, &reign, &call, &message, encoding).await
}

/// What the call changes; `None`: nothing, it is a read.
#[expect(deprecated, reason = "the older calls are taken")]
async fn change(changer: Changer<'_>, call: &v1::Call) -> Result<Option<HttpResponse>, Refused> {
    if let Some(update) = &call.update_weights
        && call.r#type() == Type::UpdateWeights
    {
        changes::weights(changer, update.weight_infos.clone()).await?;
    } else if let Some(update) = &call.update_quota
        && call.r#type() == Type::UpdateQuota
    {
        changes::quotas(changer, &update.quota_configs, update.force()).await?;
    } else if let Some(set) = &call.set_quota
        && call.r#type() == Type::SetQuota
    {
        changes::quota_request(changer, &set.quota_request).await?;
    } else if let Some(remove) = &call.remove_quota
        && call.r#type() == Type::RemoveQuota
    {
        let role = remove.role.parse();
        let role =
            role.map_err(|error| Refused::new(400, format!("Failed to remove quota: {error}")))?;
        changes::remove_quota(changer, role).await?;
    } else if let Some(teardown) = &call.teardown
        && call.r#type() == Type::Teardown
    {
        changes::teardown(changer, &teardown.framework_id.value).await?;
    } else if let Some(gone) = &call.mark_agent_gone
        && call.r#type() == Type::MarkAgentGone
    {
        changes::mark_gone(changer, &gone.agent_id.value).await?;
    } else {
        return Ok(None);
    }
    Ok(Some(empty(200)))
}
