//! `/files/…`: browse, read, download, and where all of it is.

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::header;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use super::{Entry, FileError, Files, READ_MAX, base_name};
use crate::answer::{Call, Refused, json};
use crate::realm::Realm;
use crate::route::Route;

impl From<FileError> for Refused {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound(_) => Self::plainly(404),
            FileError::Invalid(words) => Self::new(400, words),
            // Its owner may have said that nobody reads it, and the component may not either.
            FileError::Failed { source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Self::plainly(403)
            }
            FileError::Failed { path, source } => {
                Self::new(500, format!("Failed to read '{path}': {source}.\n"))
            }
        }
    }
}

pub(crate) fn routes(files: &Files) -> Vec<Route> {
    let [browsed, read, downloaded, all] =
        [files.clone(), files.clone(), files.clone(), files.clone()];
    vec![
        Route::new("files", "/browse", move |call| {
            let files = browsed.clone();
            async move { browse(&files, &call).await.unwrap_or_else(HttpResponse::from) }
        })
        .realm(Realm::ReadOnly)
        .about("What the folder ?path= has."),
        Route::new("files", "/read", move |call| {
            let files = read.clone();
            async move { part(&files, &call).await.unwrap_or_else(HttpResponse::from) }
        })
        .realm(Realm::ReadOnly)
        .about("The part of the file ?path= from ?offset= on, of at most ?length= bytes."),
        Route::new("files", "/download", move |call| {
            let files = downloaded.clone();
            async move { download(&files, &call).await.unwrap_or_else(HttpResponse::from) }
        })
        .realm(Realm::ReadOnly)
        .about("The whole file ?path=."),
        Route::new("files", "/debug", move |call| {
            let files = all.clone();
            async move {
                let all = files.all().await;
                json(&call, json!(all).to_string())
            }
        })
        .realm(Realm::ReadOnly)
        .about("Which paths there are, and where they lie."),
    ]
}

fn path(call: &Call) -> Result<String, Refused> {
    let path = call.query("path").filter(|path| !path.is_empty());
    path.ok_or_else(|| Refused::new(400, "Expecting 'path=value' in query.\n"))
}

async fn browse(files: &Files, call: &Call) -> Result<HttpResponse, Refused> {
    let entries = files.browse(&path(call)?).await?;
    let entries: Vec<_> = entries.iter().map(written).collect();
    Ok(json(call, json!(entries).to_string()))
}

fn written(entry: &Entry) -> serde_json::Value {
    json!({
        "gid": entry.group(),
        "mode": entry.mode_text(),
        "mtime": entry.mtime,
        "nlink": entry.nlink,
        "path": entry.path,
        "size": entry.size,
        "uid": entry.owner(),
    })
}

/// A number of the query that is not there, or -1, is none.
fn number(call: &Call, key: &str) -> Result<Option<u64>, Refused> {
    let Some(text) = call.query(key) else { return Ok(None) };
    match text.trim().parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) => match u64::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Refused::new(400, format!("Negative {key} provided: {number}.\n"))),
        },
        Err(_) => {
            let words = format!("Failed to parse {key}: Failed to convert '{text}' to number.\n");
            Err(Refused::new(400, words))
        }
    }
}

async fn part(files: &Files, call: &Call) -> Result<HttpResponse, Refused> {
    let path = path(call)?;
    let (offset, length) = (number(call, "offset")?, number(call, "length")?);
    let part = files.read(&path, offset, length).await?;
    let data = String::from_utf8_lossy(&part.data);
    Ok(json(call, json!({ "data": data, "offset": part.offset }).to_string()))
}

async fn download(files: &Files, call: &Call) -> Result<HttpResponse, Refused> {
    let path = path(call)?;
    let (file, size) = files.open(&path).await?;
    let name: String =
        base_name(&path).chars().filter(|c| !c.is_control() && !"\"\\".contains(*c)).collect();
    let kind = mime_guess::from_path(&name).first_raw().unwrap_or("application/octet-stream");
    let parts = stream::unfold((file, 0), move |(file, offset)| async move {
        let wanted = usize::try_from(size - offset).unwrap_or(usize::MAX).min(READ_MAX);
        if wanted == 0 {
            return None;
        }
        let read = move || {
            use std::os::unix::fs::FileExt;
            let mut data = vec![0; wanted];
            let read = file.read_exact_at(&mut data, offset);
            (file, read.map(|()| Bytes::from(data)))
        };
        let (file, read) = tokio::task::spawn_blocking(read).await.ok()?;
        Some((read, (file, offset + wanted as u64)))
    });
    let mut response = HttpResponse::Ok();
    response.content_type(kind);
    response
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")));
    Ok(response.body(SizedStream::new(size, parts)))
}
