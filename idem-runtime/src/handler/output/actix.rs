//! The responses of actix-web.

use std::borrow::Cow;
use std::fmt;

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, VARY};
use actix_web::web::Json;
use actix_web::{HttpResponse, ResponseError};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};

use super::wire::{Bytes, Headers};
use super::{Recordable, marker, seconds};
use crate::error::Error;
use crate::protocol::Leave;

/// What is recorded of an [`HttpResponse`]: its status, headers and body. Make it with `.into()`, in a function that is
/// given as `on_crash` or `on_decode`.
///
/// Left out are the headers that are of one connection, one user or one moment: `Connection` and what it names,
/// `Keep-Alive`, `Proxy-*`, `TE`, `Transfer-Encoding`, `Upgrade`, `Set-Cookie`, `WWW-Authenticate`, `Authorization`,
/// `Date`, `Age`, `Retry-After`, `RateLimit-*`, `Access-Control-*`, `x-request-id`, `traceparent`, and the word `origin`
/// in `Vary`.
///
/// ```
/// use actix_web::HttpResponse;
/// use idem_runtime::output::RecordedResponse;
///
/// let found: RecordedResponse = HttpResponse::Created().body("order-1").into();
/// ```
pub struct RecordedResponse {
    response: HttpResponse,
    body: Body,
}

impl From<HttpResponse> for RecordedResponse {
    fn from(mut response: HttpResponse) -> Self {
        let body = Body::of(&mut response);
        Self { response, body }
    }
}

impl fmt::Debug for RecordedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedResponse").field("status", &self.response.status()).finish_non_exhaustive()
    }
}

/// A response's body.
enum Body {
    None,
    Bytes(actix_web::web::Bytes),
    /// It isn't in memory.
    Elsewhere,
}

impl Body {
    /// Takes the body, and puts it back: actix-web gives a body's bytes to its owner only.
    fn of(response: &mut HttpResponse) -> Self {
        if response.body().size() == BodySize::None {
            return Self::None;
        }
        let taken = std::mem::replace(response, HttpResponse::new(StatusCode::OK));
        let (head, body) = taken.into_parts();
        let (body, found) = match body.try_into_bytes() {
            Ok(bytes) => (BoxBody::new(bytes.clone()), Self::Bytes(bytes)),
            Err(body) => (body, Self::Elsewhere),
        };
        *response = head.set_body(body);
        found
    }
}

fn serialize<S: Serializer>(response: &HttpResponse, body: &Body, serializer: S) -> Result<S::Ok, S::Error> {
    let body = match body {
        Body::None => None,
        Body::Bytes(bytes) => Some(Bytes(bytes)),
        Body::Elsewhere => return Err(S::Error::custom("the body isn't in memory")),
    };
    (response.status().as_u16(), kept(response.headers()), body).serialize(serializer)
}

impl Serialize for RecordedResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.response, &self.body, serializer)
    }
}

/// A response that is borrowed.
struct Lent<'a> {
    response: &'a HttpResponse,
    body: Body,
}

impl Serialize for Lent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self.response, &self.body, serializer)
    }
}

impl<'de> Deserialize<'de> for RecordedResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (status, headers, body) = <(u16, Headers, Option<Bytes<Vec<u8>>>)>::deserialize(deserializer)?;
        let status = StatusCode::from_u16(status).map_err(|_| D::Error::custom("a status"))?;
        let body = body.map_or_else(|| BoxBody::new(body::None::new()), |bytes| BoxBody::new(bytes.0));
        let mut response = HttpResponse::with_body(status, body);
        for (name, value) in headers {
            let name = HeaderName::try_from(name).map_err(|_| D::Error::custom("a header's name"))?;
            let value = HeaderValue::try_from(value.0).map_err(|_| D::Error::custom("a header's value"))?;
            response.headers_mut().append(name, value);
        }
        Ok(response.into())
    }
}

/// The headers that are recorded, in their order.
fn kept(headers: &HeaderMap) -> Vec<(&str, Bytes<Cow<'_, [u8]>>)> {
    let named: Vec<&str> =
        headers.get_all(CONNECTION).filter_map(|value| value.to_str().ok()).flat_map(words).collect();
    let is_named = |name: &str| named.iter().any(|named| named.eq_ignore_ascii_case(name));
    headers
        .iter()
        .filter(|(name, _)| is_kept(name.as_str()) && !is_named(name.as_str()))
        .filter_map(|(name, value)| {
            let value = if name == VARY { without_origin(value)? } else { Cow::Borrowed(value.as_bytes()) };
            Some((name.as_str(), Bytes(value)))
        })
        .collect()
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Whether a header is neither of one connection nor of one user nor of one moment.
fn is_kept(name: &str) -> bool {
    !matches!(
        name,
        "connection"
            | "keep-alive"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "set-cookie"
            | "www-authenticate"
            | "authorization"
            | "date"
            | "age"
            | "retry-after"
            | "ratelimit"
            | "x-request-id"
            | "traceparent"
    ) && !["proxy-", "ratelimit-", "access-control-"].iter().any(|prefix| name.starts_with(prefix))
}

/// A value of `Vary` without the word `origin`. `None`, if it has no other.
fn without_origin(value: &HeaderValue) -> Option<Cow<'_, [u8]>> {
    let Ok(text) = value.to_str() else { return Some(Cow::Borrowed(value.as_bytes())) };
    let others: Vec<&str> = words(text).filter(|word| !word.eq_ignore_ascii_case("origin")).collect();
    (!others.is_empty()).then(|| Cow::Owned(others.join(", ").into_bytes()))
}

#[diagnostic::do_not_recommend]
impl Recordable<marker::Actix> for HttpResponse {
    type Value = RecordedResponse;

    fn recorded(&mut self) -> impl Serialize + '_ {
        let body = Body::of(self);
        Lent { response: self, body }
    }

    fn replayed(recorded: RecordedResponse) -> Self {
        recorded.response
    }

    /// What another attempt may change frees the key, and a time-out, which may have stopped the work in its middle,
    /// leaves the outcome unknown.
    fn leave(&self) -> Option<Leave> {
        match self.status().as_u16() {
            408 | 504 => Some(Leave::OutcomeUnknown),
            status if is_final(status) => None,
            _ => Some(Leave::Failed),
        }
    }
}

/// Whether a status says what the handler thought of the request, so that another attempt would meet it too.
fn is_final(status: u16) -> bool {
    let passes = matches!(status, 401 | 403 | 404 | 405 | 406 | 409 | 413 | 415 | 421 | 425 | 429);
    (200..500).contains(&status) && !passes
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Recordable<marker::Actix> for Json<T> {
    type Value = T;

    fn recorded(&mut self) -> impl Serialize + '_ {
        &self.0
    }

    fn replayed(value: T) -> Self {
        Self(value)
    }
}

/// The response has the status of [`Error::http_status`], the text of [`Error::public`], and, for
/// [`Error::InProgress`], `Retry-After`.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(wait) = self.retry_after() {
            response.insert_header((RETRY_AFTER, seconds(wait)));
        }
        response.content_type("text/plain; charset=utf-8").body(self.public().to_string())
    }
}
