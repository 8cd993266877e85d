//! One call through a gateway, beside a bare server of actix-web that reads the same body.

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use api::v1::scheduler::Call;
use serde_json::json;
use tests::http::Client;
use tests::leader::Leader;

use crate::client::{SCHEDULER, subscribe};
use measure::{Measured, Row};

const CALLS: usize = 2_000;
const ROUNDS: usize = 9;

async fn bare(body: web::Bytes) -> HttpResponse {
    match api::json::read::<Call>(&body) {
        Ok(_) => HttpResponse::Accepted().finish(),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

/// A bare server, on a thread of its own for as long as this process lasts.
fn serve() -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async {
            let app = || App::new().default_service(web::to(bare));
            let server = HttpServer::new(app).workers(2).listen(listener);
            if let Ok(server) = server {
                // It ends with the process.
                let _ = server.run().await;
            }
        });
    });
    Ok(at)
}

fn round(client: &mut Client, header: &str, body: &[u8]) -> Result<Duration, Box<dyn Error>> {
    let headers = ["Content-Type: application/json", header];
    let began = Instant::now();
    for _ in 0..CALLS {
        client.request(SCHEDULER, &headers, body)?;
        let answer = client.answer()?;
        if answer.status != 202 {
            return Err(format!("{}: {}", answer.status, answer.text()).into());
        }
    }
    Ok(began.elapsed())
}

pub(crate) async fn one(airside: &Path) -> Measured {
    let leader = Leader::start(airside).await?;
    let at = leader.address().to_owned();
    let run = tokio::task::spawn_blocking(move || measure(&at).map_err(|error| error.to_string()));
    let [ours, reference] = run.await??;
    let each = |took: Duration| took.as_secs_f64() * 1e6 / CALLS as f64;
    Ok(vec![Row::of("gateway_call", each(ours), "us").beside("bare actix-web", each(reference))])
}

/// The least of each.
fn measure(at: &str) -> Result<[Duration; 2], Box<dyn Error>> {
    let mut framework = subscribe(at)?;
    let header = framework.header().to_owned();
    let call = json!({ "type": "DECLINE", "framework_id": framework.id,
        "decline": { "offer_ids": [{ "value": "20261101-000000-m-O1" }], "filters": { "refuse_seconds": 5.0 } } });
    let body = call.to_string().into_bytes();
    let mut reference = Client::connect(&serve()?)?;
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        least[0] = least[0].min(round(&mut framework.calls, &header, &body)?);
        least[1] = least[1].min(round(&mut reference, &header, &body)?);
    }
    Ok(least)
}
