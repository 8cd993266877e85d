//! What operators ask of a master as of any daemon.

use actix_web::HttpResponse;
use api::v1::master as v1;
use gateway::{Call, Encoding, Refused, empty, plain, written};
use protocol::v1::duration_from_v1;
use v1::Response;
use v1::call::Type as Asked;
use v1::response::{self, Type};

use crate::http::Gateways;

pub(super) async fn answer(
    gateways: &Gateways,
    call: &Call,
    message: &v1::Call,
    encoding: Encoding,
) -> Result<HttpResponse, Refused> {
    let daemon = gateways.daemon();
    if message.r#type() == Asked::SetLoggingLevel {
        let Some(asked) = &message.set_logging_level else { return Err(Refused::plainly(400)) };
        daemon.set_logging_level(asked.level, duration_from_v1(&asked.duration))?;
        return Ok(empty(200));
    }
    let mut response = Response::default();
    let asked = message.r#type();
    let r#type = if asked == Asked::GetHealth {
        response.get_health = Some(response::GetHealth { healthy: true });
        Type::GetHealth
    } else if asked == Asked::GetFlags {
        response.get_flags = Some(response::GetFlags { flags: daemon.flags_to_v1() });
        Type::GetFlags
    } else if asked == Asked::GetVersion {
        response.get_version = Some(response::GetVersion { version_info: daemon.version_to_v1() });
        Type::GetVersion
    } else if asked == Asked::GetMetrics {
        let timeout = message.get_metrics.as_ref().and_then(|asked| asked.timeout.as_ref());
        let metrics = daemon.metrics_to_v1(timeout.and_then(duration_from_v1)).await;
        response.get_metrics = Some(response::GetMetrics { metrics });
        Type::GetMetrics
    } else if asked == Asked::GetLoggingLevel {
        let level = daemon.logging().level();
        response.get_logging_level = Some(response::GetLoggingLevel { level });
        Type::GetLoggingLevel
    } else if asked == Asked::ListFiles {
        let path = message.list_files.as_ref().map_or("", |asked| asked.path.as_str());
        let file_infos = daemon.list_files_to_v1(path).await?;
        response.list_files = Some(response::ListFiles { file_infos });
        Type::ListFiles
    } else if asked == Asked::ReadFile {
        let Some(asked) = &message.read_file else { return Err(Refused::plainly(400)) };
        let part = daemon.read_file(&asked.path, asked.offset, asked.length).await?;
        response.read_file = Some(response::ReadFile { size: part.size, data: part.data });
        Type::ReadFile
    } else {
        // All others were dealt with before.
        return Err(Refused::plainly(501));
    };
    response.r#type = Some(r#type.into());
    Ok(plain(call, encoding.media_type(), written(encoding, &response)))
}
