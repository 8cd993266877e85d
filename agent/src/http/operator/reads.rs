//! The calls that only read, and how much is logged: what each is answered.

use actix_web::HttpResponse;
use api::v1::agent as v1;
use gateway::{Call, Daemon, Encoding, Refused, plain, written};
use protocol::v1::duration_from_v1;

use crate::http::Gateways;
use crate::http::books::aside;
use crate::http::looks::used;
use crate::logic::Books;
use crate::view::{Container, Filter, v1 as view};
use v1::Response;
use v1::response::{self, Type};

/// What `read` makes of the books as they are now, on a thread that may take its time.
pub(super) async fn of_books(
    gateways: &Gateways,
    call: &Call,
    encoding: Encoding,
    read: fn(&Books) -> Response,
) -> Result<HttpResponse, Refused> {
    let books = gateways.shown().await?.books;
    let body = aside(move || written(encoding, &read(&books))).await?;
    Ok(plain(call, encoding.media_type(), body))
}

fn of_type(r#type: Type) -> Response {
    Response { r#type: Some(r#type.into()), ..Response::default() }
}

pub(super) fn state(books: &Books) -> Response {
    Response { get_state: Some(view::state(books)), ..of_type(Type::GetState) }
}

pub(super) fn frameworks(books: &Books) -> Response {
    Response { get_frameworks: Some(view::frameworks(books)), ..of_type(Type::GetFrameworks) }
}

pub(super) fn executors(books: &Books) -> Response {
    Response { get_executors: Some(view::executors(books)), ..of_type(Type::GetExecutors) }
}

pub(super) fn tasks(books: &Books) -> Response {
    Response { get_tasks: Some(view::tasks(books)), ..of_type(Type::GetTasks) }
}

pub(super) fn agent(books: &Books) -> Response {
    Response { get_agent: Some(view::agent(books)), ..of_type(Type::GetAgent) }
}

/// They come with a later release: there are none.
pub(super) fn operations() -> Response {
    let get_operations = Some(response::GetOperations::default());
    Response { get_operations, ..of_type(Type::GetOperations) }
}

/// They come with a later release: there are none.
pub(super) fn resource_providers() -> Response {
    let get_resource_providers = Some(response::GetResourceProviders::default());
    Response { get_resource_providers, ..of_type(Type::GetResourceProviders) }
}

pub(super) async fn containers(gateways: &Gateways) -> Result<Response, Refused> {
    let all = used(gateways, Filter::default()).await?;
    let containers = all.into_iter().map(container).collect();
    let get_containers = Some(response::GetContainers { containers });
    Ok(Response { get_containers, ..of_type(Type::GetContainers) })
}

fn container(one: Container) -> response::get_containers::Container {
    response::get_containers::Container {
        framework_id: Some(one.framework.to_v1()),
        executor_id: Some(one.executor.to_v1()),
        executor_name: Some(one.name),
        container_id: one.status.container_id.clone().unwrap_or_default(),
        container_status: Some(one.status),
        resource_statistics: one.statistics,
    }
}

pub(super) fn health() -> Response {
    let get_health = Some(response::GetHealth { healthy: true });
    Response { get_health, ..of_type(Type::GetHealth) }
}

pub(super) fn flags(daemon: &Daemon) -> Response {
    let get_flags = Some(response::GetFlags { flags: daemon.flags_to_v1() });
    Response { get_flags, ..of_type(Type::GetFlags) }
}

pub(super) fn version(daemon: &Daemon) -> Response {
    let get_version = Some(response::GetVersion { version_info: daemon.version_to_v1() });
    Response { get_version, ..of_type(Type::GetVersion) }
}

pub(super) async fn metrics(daemon: &Daemon, message: &v1::Call) -> Response {
    let timeout = message.get_metrics.as_ref().and_then(|asked| asked.timeout.as_ref());
    let metrics = daemon.metrics_to_v1(timeout.and_then(duration_from_v1)).await;
    let get_metrics = Some(response::GetMetrics { metrics });
    Response { get_metrics, ..of_type(Type::GetMetrics) }
}

pub(super) fn logging_level(daemon: &Daemon) -> Response {
    let get_logging_level = Some(response::GetLoggingLevel { level: daemon.logging().level() });
    Response { get_logging_level, ..of_type(Type::GetLoggingLevel) }
}

pub(super) fn set_logging_level(daemon: &Daemon, message: &v1::Call) -> Result<(), Refused> {
    let asked = checked(message.set_logging_level.as_ref())?;
    daemon.set_logging_level(asked.level, duration_from_v1(&asked.duration))
}

pub(super) async fn list_files(daemon: &Daemon, message: &v1::Call) -> Result<Response, Refused> {
    let asked = checked(message.list_files.as_ref())?;
    let file_infos = daemon.list_files_to_v1(&asked.path).await?;
    let list_files = Some(response::ListFiles { file_infos });
    Ok(Response { list_files, ..of_type(Type::ListFiles) })
}

pub(super) async fn read_file(daemon: &Daemon, message: &v1::Call) -> Result<Response, Refused> {
    let asked = checked(message.read_file.as_ref())?;
    let part = daemon.read_file(&asked.path, asked.offset, asked.length).await?;
    let read_file = Some(response::ReadFile { size: part.size, data: part.data });
    Ok(Response { read_file, ..of_type(Type::ReadFile) })
}

/// What a call that passed its check has.
fn checked<T>(payload: Option<&T>) -> Result<&T, Refused> {
    payload.ok_or_else(|| Refused::plainly(400))
}
