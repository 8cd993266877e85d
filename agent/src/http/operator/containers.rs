//! Calls about containers and what else comes with a later release. There are no containers but those of executors: of any other, what
//! there is to say is said.

use actix_web::HttpResponse;
use api::v1;
use api::v1::agent::Call;
use api::v1::agent::call::Type;
use api::v1::agent::call::attach_container_input::Type as Record;
use gateway::{Refused, empty};

use crate::http::Gateways;
use crate::logic::Books;

/// A container that is to be no more: what is not there is as good as removed.
pub(super) async fn removed(gateways: &Gateways, call: &Call) -> Result<HttpResponse, Refused> {
    let books = gateways.shown().await?.books;
    match own(&books, call) {
        Some(refused) => Err(refused),
        None => Ok(empty(200)),
    }
}

/// A container that must be there.
pub(super) async fn asked(gateways: &Gateways, call: &Call) -> Refused {
    match gateways.shown().await {
        Ok(shown) => missing(&shown.books, call),
        Err(refused) => refused,
    }
}

/// A stream for a container's input says first whose it is.
pub(super) fn input(call: &Call) -> Refused {
    let first = call.attach_container_input.as_ref().map(|attach| attach.r#type());
    match first {
        Some(Record::ContainerId) => later(call),
        Some(Record::ProcessIo | Record::Unknown) | None => {
            Refused::new(400, "Expecting 'attach_container_input.type' to be CONTAINER_ID")
        }
    }
}

pub(super) fn later(call: &Call) -> Refused {
    let name = call.r#type().as_str_name();
    let words =
        format!("501 Not Implemented. {name} comes with a later release; nothing was done.");
    Refused::new(501, words)
}

/// Which container a call is about, wherever it says so.
#[expect(deprecated, reason = "the older calls are taken")]
pub(super) fn id(call: &Call) -> Option<&v1::ContainerId> {
    match call.r#type() {
        Type::LaunchNestedContainer => Some(&call.launch_nested_container.as_ref()?.container_id),
        Type::LaunchNestedContainerSession => {
            Some(&call.launch_nested_container_session.as_ref()?.container_id)
        }
        Type::WaitNestedContainer => Some(&call.wait_nested_container.as_ref()?.container_id),
        Type::KillNestedContainer => Some(&call.kill_nested_container.as_ref()?.container_id),
        Type::RemoveNestedContainer => Some(&call.remove_nested_container.as_ref()?.container_id),
        Type::AttachContainerInput => call.attach_container_input.as_ref()?.container_id.as_ref(),
        Type::AttachContainerOutput => Some(&call.attach_container_output.as_ref()?.container_id),
        Type::LaunchContainer => Some(&call.launch_container.as_ref()?.container_id),
        Type::WaitContainer => Some(&call.wait_container.as_ref()?.container_id),
        Type::KillContainer => Some(&call.kill_container.as_ref()?.container_id),
        Type::RemoveContainer => Some(&call.remove_container.as_ref()?.container_id),
        Type::AddResourceProviderConfig | Type::UpdateResourceProviderConfig => None,
        Type::RemoveResourceProviderConfig | Type::MarkResourceProviderGone => None,
        Type::PruneImages | Type::Unknown | Type::GetHealth | Type::GetFlags => None,
        Type::GetVersion | Type::GetMetrics | Type::GetLoggingLevel => None,
        Type::SetLoggingLevel | Type::ListFiles | Type::ReadFile | Type::GetState => None,
        Type::GetContainers | Type::GetFrameworks | Type::GetExecutors => None,
        Type::GetOperations | Type::GetTasks | Type::GetAgent => None,
        Type::GetResourceProviders => None,
    }
}

/// What is said of a container that is an executor's; `None`: this one is not.
fn own(books: &Books, call: &Call) -> Option<Refused> {
    let id = id(call).filter(|id| is_here(books, id))?;
    let words = format!("Container {} is an executor's own", written(id));
    Some(Refused::new(501, format!("{}: {words}", later(call).words)))
}

fn missing(books: &Books, call: &Call) -> Refused {
    own(books, call).unwrap_or_else(|| {
        let name = id(call).map(written).unwrap_or_default();
        Refused::new(404, format!("Container {name} cannot be found"))
    })
}

/// Whether it is a container of an executor that lives.
fn is_here(books: &Books, id: &v1::ContainerId) -> bool {
    let mut executors = books.frameworks.iter().flat_map(|framework| &framework.executors);
    id.parent.is_none() && executors.any(|executor| executor.container.as_str() == id.value)
}

/// With those that it is in, outermost first.
fn written(id: &v1::ContainerId) -> String {
    match &id.parent {
        Some(parent) => format!("{}.{}", written(parent), id.value),
        None => id.value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aapi_01_a_stream_for_a_container_that_does_not_say_first_whose_it_is_is_refused() {
        let refused = |first: &str| {
            let call = format!(
                r#"{{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{{{first}}}}}"#
            );
            let refused = input(&api::json::read(call.as_bytes()).unwrap());
            (refused.status, refused.words)
        };
        let words = "Expecting 'attach_container_input.type' to be CONTAINER_ID";
        let input =
            r#""type":"PROCESS_IO","process_io":{"type":"DATA","data":{"type":"STDIN","data":""}}"#;
        assert_eq!(refused(input), (400, words.into()));
        assert_eq!(refused(r#""type":"CONTAINER_ID","container_id":{"value":"c"}"#).0, 501);
    }
}
