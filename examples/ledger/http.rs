//! The routes of the service, and their answers.
//!
//! The key comes in the header `Idempotency-Key`, as [the draft] says, and not in a field of the body: gateways, SDKs and logs know
//! the header, and the body holds only the transfer. A client should send an id that it has for the transfer already, such as that of
//! the invoice: after a crash, the client still has this id, and would have lost a random one.
//!
//! [the draft]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use idem_runtime::Outcome;
use serde::Serialize;

use crate::account::Account;
use crate::bank::Bank;
use crate::problem::Problem;
use crate::transfer::Transfer;

pub(crate) fn routes(bank: Bank) -> Router {
    Router::new()
        .route("/transfers", post(post_transfer))
        .route("/accounts/{id}", get(get_account))
        .fallback(async || Problem::not_found("there is nothing here"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(bank)
}

/// `201` with the receipt. A duplicate gets the same answer with one more header.
async fn post_transfer(
    State(bank): State<Bank>,
    headers: HeaderMap,
    body: Result<Json<Transfer>, JsonRejection>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let Json(transfer) = body?;
    Ok(match bank.transfer(key, &transfer).await? {
        Outcome::Executed(receipt) | Outcome::Skipped(receipt) => (StatusCode::CREATED, Json(receipt)).into_response(),
        Outcome::Replayed(receipt) => {
            (StatusCode::CREATED, [("idempotency-replayed", "true")], Json(receipt)).into_response()
        }
    })
}

/// The key of a request, if there is one. By the draft it is a string of a structured field (RFC 9651), so it is in quotes. Many
/// clients leave the quotes out. With and without quotes it is the same key.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none()).map(str::trim);
    let key = text.and_then(|text| match text.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"'),
        None => Some(text),
    });
    match key {
        Some(key) if !key.contains(['"', '\\']) => Ok(Some(key)),
        _ => Err(Problem::malformed_key("send one, such as \"invoice-17\", with no quotes or backslashes in it")),
    }
}

#[derive(Serialize)]
struct Balance {
    account: Account,
    cents: i64,
}

async fn get_account(
    State(bank): State<Bank>,
    path: Result<Path<Account>, PathRejection>,
) -> Result<Json<Balance>, Problem> {
    let Path(account) = path.map_err(|rejection| Problem::not_found(rejection.body_text()))?;
    match bank.balance(&account).await? {
        Some(cents) => Ok(Json(Balance { account, cents })),
        None => Err(Problem::not_found(format_args!("there is no account `{account}`"))),
    }
}
