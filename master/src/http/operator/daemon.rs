//! What operators ask of a master as of any daemon.

use std::time::Duration;

use actix_web::HttpResponse;
use api::v1::master as v1;
use api::v1::{FileInfo, Flag, Metric, TimeInfo, VersionInfo};
use gateway::{Call, Daemon, Encoding, Entry, LEVEL_MAX, Refused, empty, plain, written};
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
        return set_logging_level(daemon, message);
    }
    let mut response = Response::default();
    let asked = message.r#type();
    let r#type = if asked == Asked::GetHealth {
        response.get_health = Some(response::GetHealth { healthy: true });
        Type::GetHealth
    } else if asked == Asked::GetFlags {
        response.get_flags = Some(response::GetFlags { flags: flags(daemon) });
        Type::GetFlags
    } else if asked == Asked::GetVersion {
        response.get_version = Some(response::GetVersion { version_info: version(daemon) });
        Type::GetVersion
    } else if asked == Asked::GetMetrics {
        let timeout = message.get_metrics.as_ref().and_then(|asked| asked.timeout.as_ref());
        let metrics = metrics(daemon, timeout.and_then(duration_from_v1)).await;
        response.get_metrics = Some(response::GetMetrics { metrics });
        Type::GetMetrics
    } else if asked == Asked::GetLoggingLevel {
        let level = daemon.logging().level();
        response.get_logging_level = Some(response::GetLoggingLevel { level });
        Type::GetLoggingLevel
    } else if asked == Asked::ListFiles {
        let path = message.list_files.as_ref().map_or("", |asked| asked.path.as_str());
        let entries = daemon.files().browse(path).await?;
        let file_infos = entries.iter().map(file_info).collect();
        response.list_files = Some(response::ListFiles { file_infos });
        Type::ListFiles
    } else if asked == Asked::ReadFile {
        response.read_file = Some(read_file(daemon, message).await?);
        Type::ReadFile
    } else {
        // All others were dealt with before.
        return Err(Refused::plainly(501));
    };
    response.r#type = Some(r#type.into());
    Ok(plain(call, encoding.media_type(), written(encoding, &response)))
}

fn set_logging_level(daemon: &Daemon, message: &v1::Call) -> Result<HttpResponse, Refused> {
    let Some(asked) = &message.set_logging_level else { return Err(Refused::plainly(400)) };
    if asked.level > LEVEL_MAX {
        let words = format!("the logging level is {}, and {LEVEL_MAX} is the most", asked.level);
        return Err(Refused::new(400, words));
    }
    let Some(duration) = duration_from_v1(&asked.duration) else {
        return Err(Refused::new(400, "the duration of a logging level cannot be below zero"));
    };
    daemon.logging().set(asked.level, duration);
    Ok(empty(200))
}

fn flags(daemon: &Daemon) -> Vec<Flag> {
    let flags = daemon.flags().iter();
    flags.map(|(name, value)| Flag { name: name.clone(), value: Some(value.clone()) }).collect()
}

fn version(daemon: &Daemon) -> VersionInfo {
    let all = daemon.version();
    let text = |key: &str| all.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    VersionInfo {
        version: text("version").unwrap_or_default(),
        build_date: text("build_date"),
        build_time: all.get("build_time").and_then(serde_json::Value::as_f64),
        build_user: text("build_user"),
        git_sha: text("git_sha"),
        git_branch: text("git_branch"),
        git_tag: text("git_tag"),
    }
}

async fn metrics(daemon: &Daemon, patience: Option<Duration>) -> Vec<Metric> {
    let all = daemon.metrics(patience).await.into_iter();
    all.map(|(name, value)| Metric { name, value: Some(value) }).collect()
}

fn file_info(entry: &Entry) -> FileInfo {
    FileInfo {
        path: entry.path.clone(),
        nlink: i32::try_from(entry.nlink).ok(),
        size: Some(entry.size),
        mtime: Some(TimeInfo { nanoseconds: entry.mtime.saturating_mul(1_000_000_000) }),
        mode: Some(entry.mode),
        uid: Some(entry.owner()),
        gid: Some(entry.group()),
    }
}

async fn read_file(daemon: &Daemon, message: &v1::Call) -> Result<response::ReadFile, Refused> {
    let Some(asked) = &message.read_file else { return Err(Refused::plainly(400)) };
    let part = daemon.files().read(&asked.path, Some(asked.offset), asked.length).await?;
    Ok(response::ReadFile { size: part.size, data: part.data })
}
