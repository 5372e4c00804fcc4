//! Bodies of requests, limited, and of answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response as HyperResponse, StatusCode};

use crate::progress::Progress;

/// An answer whose body is there already.
pub type Response = HyperResponse<Full<Bytes>>;

/// The body of a request; reading more of it than the limit fails.
#[derive(Debug)]
pub struct RequestBody {
    inner: Limited<Incoming>,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, limit: usize, progress: Arc<Progress>) -> Self {
        Self { inner: Limited::new(body, limit), progress }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.progress.awaits_body(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body; tells when all of it was given.
pub(crate) struct Given<B> {
    inner: B,
    progress: Arc<Progress>,
}

impl<B> Given<B> {
    pub(crate) fn new(inner: B, progress: Arc<Progress>) -> Self {
        Self { inner, progress }
    }
}

impl<B: Body + Unpin> Body for Given<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for Given<B> {
    fn drop(&mut self) {
        self.progress.answered();
    }
}

/// An answer of a status, a media type and text.
#[must_use]
pub fn reply(status: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Response {
    let mut response = HyperResponse::new(Full::new(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// All of a request's body.
///
/// # Errors
/// The answer to give instead: 413 for a body beyond the limit, 400 for one that breaks off.
pub async fn collect(body: RequestBody) -> Result<Bytes, Response> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(reply(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "the body is too long\n"))
        }
        Err(_) => Err(reply(StatusCode::BAD_REQUEST, "text/plain", "the body breaks off\n")),
    }
}
