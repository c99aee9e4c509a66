//! The results of axum's handlers.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Recordable, marker, seconds};
use crate::error::Error;

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Recordable<marker::Axum> for Json<T> {
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
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.public().to_string()).into_response();
        if let Some(wait) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds(wait).into());
        }
        response
    }
}
