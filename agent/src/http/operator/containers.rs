//! Calls about containers and what else comes with a later release. There are no containers but those of executors: of any other, what
//! there is to say is said.

use actix_web::HttpResponse;
use api::v1;
use api::v1::agent::Call;
use api::v1::agent::call::Type;
use gateway::{Refused, empty};

use crate::logic::Books;

/// `None`: it is another call.
pub(super) fn answer(books: &Books, call: &Call) -> Result<Option<HttpResponse>, Refused> {
    match meant(call) {
        Meant::Other => Ok(None),
        Meant::Later => Err(later(call)),
        Meant::Removed(id) | Meant::Asked(id) if is_here(books, id) => {
            let words = format!("Container {} is an executor's own", written(id));
            Err(Refused::new(501, format!("{}: {words}", later(call).words)))
        }
        // What is not there is as good as removed.
        Meant::Removed(_) => Ok(Some(empty(200))),
        Meant::Asked(id) => {
            Err(Refused::new(404, format!("Container {} cannot be found", written(id))))
        }
    }
}

/// What a call is about.
enum Meant<'c> {
    /// No container.
    Other,
    /// Nothing that is here yet.
    Later,
    /// This container, which is to be no more.
    Removed(&'c v1::ContainerId),
    /// This container, which must be there.
    Asked(&'c v1::ContainerId),
}

#[expect(deprecated, reason = "the older calls are taken")]
fn meant(call: &Call) -> Meant<'_> {
    let asked = match call.r#type() {
        Type::RemoveNestedContainer => {
            let id = call.remove_nested_container.as_ref().map(|remove| &remove.container_id);
            return id.map_or(Meant::Later, Meant::Removed);
        }
        Type::RemoveContainer => {
            let id = call.remove_container.as_ref().map(|remove| &remove.container_id);
            return id.map_or(Meant::Later, Meant::Removed);
        }
        Type::WaitNestedContainer => {
            call.wait_nested_container.as_ref().map(|wait| &wait.container_id)
        }
        Type::WaitContainer => call.wait_container.as_ref().map(|wait| &wait.container_id),
        Type::KillNestedContainer => {
            call.kill_nested_container.as_ref().map(|kill| &kill.container_id)
        }
        Type::KillContainer => call.kill_container.as_ref().map(|kill| &kill.container_id),
        Type::AttachContainerOutput => {
            call.attach_container_output.as_ref().map(|attach| &attach.container_id)
        }
        Type::LaunchNestedContainer | Type::LaunchNestedContainerSession => None,
        Type::LaunchContainer | Type::AttachContainerInput => None,
        Type::AddResourceProviderConfig | Type::UpdateResourceProviderConfig => None,
        Type::RemoveResourceProviderConfig | Type::MarkResourceProviderGone => None,
        Type::PruneImages => None,
        Type::Unknown | Type::GetHealth | Type::GetFlags | Type::GetVersion => return Meant::Other,
        Type::GetMetrics | Type::GetLoggingLevel | Type::SetLoggingLevel => return Meant::Other,
        Type::ListFiles | Type::ReadFile | Type::GetState => return Meant::Other,
        Type::GetContainers | Type::GetFrameworks | Type::GetExecutors => return Meant::Other,
        Type::GetOperations | Type::GetTasks | Type::GetAgent => return Meant::Other,
        Type::GetResourceProviders => return Meant::Other,
    };
    asked.map_or(Meant::Later, Meant::Asked)
}

fn later(call: &Call) -> Refused {
    let name = call.r#type().as_str_name();
    let words =
        format!("501 Not Implemented. {name} comes with a later release; nothing was done.");
    Refused::new(501, words)
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
