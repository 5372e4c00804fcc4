//! One connection: hyper reads and writes, the limits watch.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::{Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tower::{Service, ServiceExt as _};

use crate::body::{Given, RequestBody, reply};
use crate::progress::{Phase, Progress};
use crate::stream::Stream;
use crate::{HttpLimits, Request};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Serves a connection until it ends or its time is over.
pub(crate) async fn serve<S, B>(socket: TcpStream, limits: HttpLimits, progress: Arc<Progress>, service: S)
where
    S: Service<Request, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<AnyError>,
    S::Future: Send,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<AnyError>,
{
    // An answer is small and wanted now. If the socket cannot do that, it is a little slower.
    let _ = socket.set_nodelay(true);
    let io = TokioIo::new(Stream::new(socket, Arc::clone(&progress)));
    let asked = Arc::clone(&progress);
    let answer = move |request: hyper::Request<Incoming>| {
        let (progress, service) = (Arc::clone(&asked), service.clone());
        async move {
            let last = progress.asked() >= limits.requests;
            let mut response = if let Some(status) = refusal(&request, &limits) {
                own(status)
            } else {
                let request = request.map(|body| RequestBody::new(body, limits.body_bytes, Arc::clone(&progress)));
                match timeout(limits.request_time, service.oneshot(request)).await {
                    Ok(answered) => answered?.map(Either::Right),
                    Err(_) if progress.phase() == Phase::Body => own(StatusCode::REQUEST_TIMEOUT),
                    Err(_) => own(StatusCode::SERVICE_UNAVAILABLE),
                }
            };
            if last {
                close(&mut response);
            }
            Ok::<_, S::Error>(response.map(|body| Given::new(body, progress)))
        }
    };
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(limits.header_bytes).max_header_size(limits.header_bytes);
    let mut connection = pin!(builder.serve_connection(io, hyper::service::service_fn(answer)));
    let mut over = pin!(sleep_until(Instant::from_std(progress.deadline(&limits))));
    poll_fn(|cx| {
        // How it ended is the client's business.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let deadline = Instant::from_std(progress.deadline(&limits));
        if over.deadline() != deadline {
            over.as_mut().reset(deadline);
        }
        over.as_mut().poll(cx)
    })
    .await;
}

/// The status that refuses a request before its body is looked at.
fn refusal(request: &hyper::Request<Incoming>, limits: &HttpLimits) -> Option<StatusCode> {
    let headers = request.headers();
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes as u64) {
        return Some(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let hosts = headers.get_all(HOST).iter().count();
    (request.version() == Version::HTTP_11 && hosts != 1).then_some(StatusCode::BAD_REQUEST)
}

/// An answer of the server's own, after which the connection closes.
fn own<B>(status: StatusCode) -> Response<Either<Full<Bytes>, B>> {
    let text = format!("{status}\n");
    let mut response = reply(status, "text/plain", text).map(Either::Left);
    close(&mut response);
    response
}

fn close<B>(response: &mut Response<B>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}
