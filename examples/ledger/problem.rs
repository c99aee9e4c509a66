//! Every refusal, as `application/problem+json` (RFC 9457). A client's code looks at `type`; the other fields are for people.

use std::fmt::Display;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use idem_runtime::Error;
use serde::Serialize;

use crate::transfer::TransferError;

#[derive(Serialize)]
pub(crate) struct Problem {
    r#type: String,
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, name: &str, title: &'static str, detail: impl Display) -> Self {
        let r#type = format!("https://ledger.example/problems/{name}");
        Self { r#type, title, status, detail: detail.to_string() }
    }

    pub(crate) fn malformed_key(detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "idempotency-key-malformed", "Idempotency-Key is malformed", detail)
    }

    pub(crate) fn not_found(detail: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "POST /transfers, or GET /accounts/{id}";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", detail)
    }

    /// An error of the service. Its log says more.
    fn unavailable(error: impl Display) -> Self {
        eprintln!("ledger: {error}");
        let detail = "send the same request again, with the same key: if it was carried out, you get its answer";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The database did not answer", detail)
    }
}

/// The answers for the library's errors. For 400, 409 and 422 see the draft of the header.
impl From<TransferError> for Problem {
    fn from(error: TransferError) -> Self {
        let unprocessable = |name, title| Self::new(StatusCode::UNPROCESSABLE_ENTITY, name, title, &error);
        match &error {
            TransferError::ToItself => unprocessable("to-itself", "A transfer to the same account"),
            TransferError::UnknownAccount(_) => unprocessable("unknown-account", "Unknown account"),
            TransferError::InsufficientFunds(_) => unprocessable("insufficient-funds", "Insufficient funds"),
            TransferError::Idempotency(refused) => match refused {
                Error::MissingKey { .. } => {
                    let detail = "send one with each transfer, and the same one when you send the transfer again";
                    Self::new(StatusCode::BAD_REQUEST, "idempotency-key-missing", "Idempotency-Key is missing", detail)
                }
                Error::KeyTooLong { .. } => Self::malformed_key(refused),
                Error::KeyReused { .. } => Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "idempotency-key-reused",
                    "Idempotency-Key is already used",
                    "this key came with another transfer before: send a new transfer with a key of its own",
                ),
                // This request has waited for the first one, which is still under way.
                Error::InProgress { .. } | Error::Conflict { executed: false, .. } => Self::new(
                    StatusCode::CONFLICT,
                    "idempotency-key-in-use",
                    "A request is outstanding for this Idempotency-Key",
                    "send it again in a moment",
                ),
                refused if refused.is_retryable() => Self::unavailable(refused),
                refused => {
                    eprintln!("ledger: {refused}");
                    let detail = "the log of the service says more";
                    Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
                }
            },
            TransferError::Database(error) => Self::unavailable(error),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::unavailable(error)
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "not-a-transfer", "The body is not a transfer", rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, [(CONTENT_TYPE, "application/problem+json")], Json(&self)).into_response();
        if matches!(self.status, StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(RETRY_AFTER, 1.into());
        }
        response
    }
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
