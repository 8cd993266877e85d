//! `/api/v1`: what operators, and programs in containers, ask of an agent.

mod check;
mod containers;
mod media;
mod reads;

use actix_web::HttpResponse;
use api::v1::agent as v1;
use gateway::{Call, Encoding, Realm, Refused, Route, empty, plain, read, written};

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
        Route::new(SLAVE, "/api/v1/resource_provider", |call| async move {
            call.insist_on("POST").err().unwrap_or_else(provides_nothing).into()
        })
        .realm(Realm::ReadWrite)
        .about("What resource providers say; there are none yet."),
    ]
}

fn provides_nothing() -> Refused {
    let words = "Resource providers come with a later release; nothing was done.";
    Refused::new(501, format!("501 Not Implemented. {words}"))
}

/// The order of checks is a part of the API: the first that fails answers. A body may take its time to come, so the books are asked for
/// behind it: nobody is answered what is older than what another was told meanwhile.
async fn answer(gateways: &Gateways, mut call: Call) -> Result<HttpResponse, Refused> {
    gateways.insist_on_recovery().await?;
    call.insist_on("POST")?;
    call.refuse_other_pages()?;
    let media = Media::of(&call)?;
    let body = if media.is_stream {
        let first = call.first_record().await?;
        first.ok_or_else(|| Refused::new(400, "Received EOF while reading request body"))?
    } else {
        call.body().await?
    };
    let message: v1::Call = read(media.content, body).await?;
    check::call(&message)?;
    media.fits(message.r#type())?;
    answer_to(gateways, &call, &message, media.accept).await
}

/// All calls that there are.
async fn answer_to(
    gateways: &Gateways,
    call: &Call,
    message: &v1::Call,
    encoding: Encoding,
) -> Result<HttpResponse, Refused> {
    let daemon = &gateways.0.daemon;
    let of_books = |read| reads::of_books(gateways, call, encoding, read);
    let response = match message.r#type() {
        Type::GetState => return of_books(reads::state).await,
        Type::GetFrameworks => return of_books(reads::frameworks).await,
        Type::GetExecutors => return of_books(reads::executors).await,
        Type::GetTasks => return of_books(reads::tasks).await,
        Type::GetAgent => return of_books(reads::agent).await,
        Type::GetContainers => reads::containers(gateways).await?,
        Type::GetOperations => reads::operations(),
        Type::GetResourceProviders => reads::resource_providers(),
        Type::GetHealth => reads::health(),
        Type::GetFlags => reads::flags(daemon),
        Type::GetVersion => reads::version(daemon),
        Type::GetMetrics => reads::metrics(daemon, message).await,
        Type::GetLoggingLevel => reads::logging_level(daemon),
        Type::ListFiles => reads::list_files(daemon, message).await?,
        Type::ReadFile => reads::read_file(daemon, message).await?,
        Type::SetLoggingLevel => {
            reads::set_logging_level(daemon, message)?;
            return Ok(empty(200));
        }
        Type::RemoveNestedContainer | Type::RemoveContainer => {
            return containers::removed(gateways, message).await;
        }
        Type::WaitNestedContainer | Type::WaitContainer => {
            return Err(containers::asked(gateways, message).await);
        }
        Type::KillNestedContainer | Type::KillContainer | Type::AttachContainerOutput => {
            return Err(containers::asked(gateways, message).await);
        }
        Type::AttachContainerInput => return Err(containers::input(message)),
        Type::LaunchNestedContainer | Type::LaunchNestedContainerSession => {
            return Err(containers::later(message));
        }
        Type::LaunchContainer | Type::PruneImages => return Err(containers::later(message)),
        Type::AddResourceProviderConfig | Type::UpdateResourceProviderConfig => {
            return Err(containers::later(message));
        }
        Type::RemoveResourceProviderConfig | Type::MarkResourceProviderGone => {
            return Err(containers::later(message));
        }
        Type::Unknown => return Err(Refused::plainly(501)),
    };
    Ok(plain(call, encoding.media_type(), written(encoding, &response)))
}
