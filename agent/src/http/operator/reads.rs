//! The calls that only read, and how much is logged.

use std::sync::Arc;

use actix_web::HttpResponse;
use api::v1::agent as v1;
use gateway::{Call, Encoding, Refused, empty, plain, written};
use protocol::v1::duration_from_v1;

use crate::actors::agent::Shown;
use crate::http::Gateways;
use crate::http::books::{aside, used};
use crate::logic::Books;
use crate::view::{Container, Filter, v1 as view};
use v1::Response;
use v1::call::Type as Asked;
use v1::response::{self, Type};

pub(super) async fn answer(
    gateways: &Gateways,
    shown: Shown,
    call: &Call,
    message: &v1::Call,
    encoding: Encoding,
) -> Result<HttpResponse, Refused> {
    if message.r#type() == Asked::SetLoggingLevel {
        let Some(asked) = &message.set_logging_level else { return Err(Refused::plainly(400)) };
        let duration = duration_from_v1(&asked.duration);
        gateways.0.daemon.set_logging_level(asked.level, duration)?;
        return Ok(empty(200));
    }
    let body = match of_books(message.r#type()) {
        Some(read) => {
            let books = shown.books;
            aside(move || written(encoding, &read(&books))).await?
        }
        None => written(encoding, &of_agent(gateways, shown.books, message).await?),
    };
    Ok(plain(call, encoding.media_type(), body))
}

fn of_type(r#type: Type) -> Response {
    Response { r#type: Some(r#type.into()), ..Response::default() }
}

/// How an answer is made of the books.
type Read = fn(&Books) -> Response;

/// What is read from the books, and how. What comes with a later release is empty.
const OF_BOOKS: [(Asked, Read); 7] = [
    (Asked::GetState, |books| Response {
        get_state: Some(view::state(books)),
        ..of_type(Type::GetState)
    }),
    (Asked::GetFrameworks, |books| Response {
        get_frameworks: Some(view::frameworks(books)),
        ..of_type(Type::GetFrameworks)
    }),
    (Asked::GetExecutors, |books| Response {
        get_executors: Some(view::executors(books)),
        ..of_type(Type::GetExecutors)
    }),
    (Asked::GetTasks, |books| Response {
        get_tasks: Some(view::tasks(books)),
        ..of_type(Type::GetTasks)
    }),
    (Asked::GetAgent, |books| Response {
        get_agent: Some(view::agent(books)),
        ..of_type(Type::GetAgent)
    }),
    (Asked::GetOperations, |_| Response {
        get_operations: Some(response::GetOperations::default()),
        ..of_type(Type::GetOperations)
    }),
    (Asked::GetResourceProviders, |_| Response {
        get_resource_providers: Some(response::GetResourceProviders::default()),
        ..of_type(Type::GetResourceProviders)
    }),
];

fn of_books(asked: Asked) -> Option<Read> {
    OF_BOOKS.iter().find(|(one, _)| *one == asked).map(|(_, read)| *read)
}

async fn of_agent(
    gateways: &Gateways,
    books: Arc<Books>,
    message: &v1::Call,
) -> Result<Response, Refused> {
    let daemon = &gateways.0.daemon;
    let asked = message.r#type();
    Ok(if asked == Asked::GetContainers {
        let containers = used(books, Filter::default()).await?.into_iter().map(container);
        let get_containers = response::GetContainers { containers: containers.collect() };
        Response { get_containers: Some(get_containers), ..of_type(Type::GetContainers) }
    } else if asked == Asked::GetHealth {
        let get_health = Some(response::GetHealth { healthy: true });
        Response { get_health, ..of_type(Type::GetHealth) }
    } else if asked == Asked::GetFlags {
        let get_flags = Some(response::GetFlags { flags: daemon.flags_to_v1() });
        Response { get_flags, ..of_type(Type::GetFlags) }
    } else if asked == Asked::GetVersion {
        let get_version = Some(response::GetVersion { version_info: daemon.version_to_v1() });
        Response { get_version, ..of_type(Type::GetVersion) }
    } else if asked == Asked::GetMetrics {
        let timeout = message.get_metrics.as_ref().and_then(|asked| asked.timeout.as_ref());
        let metrics = daemon.metrics_to_v1(timeout.and_then(duration_from_v1)).await;
        let get_metrics = Some(response::GetMetrics { metrics });
        Response { get_metrics, ..of_type(Type::GetMetrics) }
    } else if asked == Asked::GetLoggingLevel {
        let get_logging_level = Some(response::GetLoggingLevel { level: daemon.logging().level() });
        Response { get_logging_level, ..of_type(Type::GetLoggingLevel) }
    } else if let Some(asked) = message.list_files.as_ref().filter(|_| asked == Asked::ListFiles) {
        let file_infos = daemon.list_files_to_v1(&asked.path).await?;
        let list_files = Some(response::ListFiles { file_infos });
        Response { list_files, ..of_type(Type::ListFiles) }
    } else if let Some(asked) = message.read_file.as_ref().filter(|_| asked == Asked::ReadFile) {
        let part = daemon.read_file(&asked.path, asked.offset, asked.length).await?;
        let read_file = Some(response::ReadFile { size: part.size, data: part.data });
        Response { read_file, ..of_type(Type::ReadFile) }
    } else {
        // All others were dealt with before.
        return Err(Refused::plainly(501));
    })
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
