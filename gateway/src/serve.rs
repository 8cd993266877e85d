//! Connections of HTTP clients, as a node hands them over: each is served on the thread on which it came.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::num::NonZero;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use actix_http::{ConnectionType, HttpService, KeepAlive, Protocol};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, map_config};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::AppConfig;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use libactor::Foreign;
use tokio::sync::Semaphore;

use crate::answer::{Call, Refused};
use crate::body::Upload;
use crate::gzip;
use crate::io::{Carrier, Io};
use crate::line::{Answering, Line};
use crate::records::IsStream;
use crate::route::Routes;

/// Bounds of what clients may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Bytes of all bodies that are being read and looked at, beside the first of each.
    pub bodies: usize,
    /// How long a body may take.
    pub body_time: Duration,
    /// How long a request's head may take, and what is left of a body that was not wanted.
    pub head: Duration,
    /// How long a connection may say nothing between requests.
    pub idle: Duration,
    /// How long a client may take nothing of an answer.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 16 << 20,
            bodies: 256 << 20,
            body_time: Duration::from_secs(60),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            stalled: Duration::from_secs(60),
        }
    }
}

/// What all requests share.
pub(crate) struct Room {
    /// A permit for each byte of their bodies.
    bodies: Arc<Semaphore>,
    /// Turns to compress a long answer.
    zipping: Semaphore,
}

impl Room {
    pub(crate) fn of(limits: Limits) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let bodies = Arc::new(Semaphore::new(limits.bodies));
        Self { bodies, zipping: Semaphore::new(processors) }
    }
}

/// Serves one connection, which came from there if it came from another machine's or this one's port.
type Serving = Rc<dyn Fn(Carrier, Option<SocketAddr>) -> Pin<Box<dyn Future<Output = ()>>>>;

thread_local! {
    /// One for each node of this process that serves on this thread. They are left to the process: what ends with its thread must not
    /// need what has ended with it before.
    static SERVING: ManuallyDrop<RefCell<BTreeMap<u64, Serving>>> =
        const { ManuallyDrop::new(RefCell::new(BTreeMap::new())) };
}

/// A hook for [`libactor::NodeConfig::foreign`].
pub fn serve(routes: Routes, limits: Limits) -> Foreign {
    static SERVERS: AtomicU64 = AtomicU64::new(0);
    let server = SERVERS.fetch_add(1, Relaxed);
    let (routes, room) = (Arc::new(routes), Arc::new(Room::of(limits)));
    Arc::new(move |node, stream, from| {
        let (routes, room) = (Arc::clone(&routes), Arc::clone(&room));
        let Some(guest) = node.guest() else {
            tracing::warn!(%from, "an HTTP client is turned away: there are as many as may be");
            return;
        };
        actix_rt::spawn(async move {
            let serving = SERVING.with(|all| all.borrow().get(&server).cloned());
            let serving = match serving {
                Some(serving) => serving,
                None => {
                    let serving = make(routes, room, limits).await;
                    SERVING.with(|all| all.borrow_mut().insert(server, Rc::clone(&serving)));
                    serving
                }
            };
            serving(Carrier::Tcp(stream), Some(from)).await;
            drop(guest);
        });
    })
}

/// What serves all connections of this thread.
pub(crate) async fn make(routes: Arc<Routes>, room: Arc<Room>, limits: Limits) -> Serving {
    let app =
        App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            answer(Arc::clone(&routes), Arc::clone(&room), limits, request, payload)
        }));
    let service = HttpService::build()
        .keep_alive(KeepAlive::Timeout(limits.idle))
        .client_request_timeout(limits.head)
        .on_connect_ext(|io: &Io, extensions| drop(extensions.insert(io.line())))
        .finish(map_config(app.into_factory(), |_| AppConfig::default()));
    let service = service.new_service(()).await;
    match service {
        Ok(service) => {
            let service = Rc::new(service);
            Rc::new(move |stream, from| {
                let service = Rc::clone(&service);
                Box::pin(async move {
                    if let Err(error) =
                        service.call((Io::of(stream, limits), Protocol::Http1, from)).await
                    {
                        tracing::debug!(?from, ?error, "a connection of HTTP ended badly");
                    }
                })
            })
        }
        // actix makes none of its parts anew: this does not happen.
        Err(()) => Rc::new(|stream, _| Box::pin(async move { drop(stream) })),
    }
}

/// The answer to a request, with which its connection ends if it must.
async fn answer(
    routes: Arc<Routes>,
    room: Arc<Room>,
    limits: Limits,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse<Body> {
    let line = request.conn_data::<Line>().cloned().unwrap_or_default();
    let answering = line.answers();
    let payload = Upload::of(payload.into_inner(), request.head(), line.clone());
    let bodies = Arc::clone(&room.bodies);
    let response = routed(routes, bodies, limits, request, payload).await;
    let mut response = gzip::zipped(response, &room.zipping).await;
    // Nothing more can be asked beside a stream, nor behind a body of which nobody has seen the end.
    let is_stream = response.extensions_mut().remove::<IsStream>().is_some();
    if is_stream {
        line.streams();
    } else if line.has_rest() {
        line.is_last();
    }
    if is_stream || line.has_rest() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    response.map_body(|_, whole| Body { whole, _answering: answering })
}

/// What is answered by whatever the path means.
async fn routed(
    routes: Arc<Routes>,
    bodies: Arc<Semaphore>,
    limits: Limits,
    request: HttpRequest,
    payload: Upload,
) -> HttpResponse {
    let path = request.uri().path();
    if !path.starts_with('/') {
        return Refused::plainly(400).into();
    }
    let Some(meant) = routes.find(path) else { return Refused::plainly(404).into() };
    let said = request.headers().get_all(header::AUTHORIZATION);
    // What is no text is as good as nothing.
    let said: Vec<&str> = said.map(|text| text.to_str().unwrap_or_default()).collect();
    let principal = match routes.realms.admit(meant.route.realm, &said) {
        Ok(principal) => principal,
        Err(refused) => return refused.into(),
    };
    let handler = Arc::clone(&meant.route.handler);
    let (location, rest) = (meant.location(path), meant.rest);
    let (held, taken) = (Vec::new(), 0);
    let call = Call { request, location, rest, principal, payload, limits, bodies, held, taken };
    handler(call).await
}

/// The body of an answer, which is given while this is there.
struct Body {
    whole: BoxBody,
    _answering: Answering,
}

impl MessageBody for Body {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.whole.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.whole).poll_next(context)
    }
}

#[cfg(test)]
mod tests;
