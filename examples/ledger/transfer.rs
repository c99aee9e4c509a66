//! The handler: one attribute makes it move the money once.

use std::fmt;
use std::num::NonZeroU32;

use idem_runtime::{Outcome, idempotent};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::database::Tx;

/// The transfer that a request asks for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    pub(crate) from: Account,
    pub(crate) to: Account,
    pub(crate) cents: NonZeroU32,
}

/// The result of a transfer: it is recorded, and a duplicate gets it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The transfer's number in the database.
    pub(crate) transfer: i64,
    pub(crate) from: Account,
    pub(crate) to: Account,
    pub(crate) cents: NonZeroU32,
}

/// Moves the money, and writes the transfer into the database.
///
/// - `tx`: the claim of the key, the receipt and the balances are written through this transaction. Either all of them are
///   committed, or none. With only one database, `tx` is a `&mut sqlx::PgTransaction<'_>`, and the rest stays as it is.
/// - `key`: the `Idempotency-Key` that the client sent. If the service knows its clients, make it `"client, key"`, so that
///   two clients can't use the same key.
/// - `fingerprint`: the whole transfer. The same key with another amount, or another account, is refused.
/// - `scope`: the name of these keys. It stays the same if the function is renamed.
/// - An `Err` leaves no claim behind. A client whose account held too little can try again with the same key.
#[idempotent(key = "key", fingerprint = "transfer", scope = "ledger/transfers", tx = "tx")]
pub(crate) async fn execute(
    tx: &mut Tx,
    key: Option<&str>,
    transfer: &Transfer,
) -> Result<Outcome<Receipt>, TransferError> {
    let Transfer { from, to, cents } = transfer;
    if from == to {
        return Err(TransferError::ToItself);
    }
    let amount = i64::from(cents.get());
    let mut changes = [(from, -amount), (to, amount)];
    // All transfers lock the two accounts in the same order: otherwise two in opposite directions could deadlock.
    changes.sort();
    for (account, change) in changes {
        let changed = sqlx::query("UPDATE accounts SET cents = cents + $1 WHERE id = $2 AND cents + $1 >= 0")
            .bind(change)
            .bind(account.as_str())
            .execute(&mut **tx)
            .await?;
        if changed.rows_affected() == 0 {
            return Err(match account.balance(tx).await? {
                Some(_) => TransferError::InsufficientFunds(account.clone()),
                None => TransferError::UnknownAccount(account.clone()),
            });
        }
    }
    let number: i64 =
        sqlx::query_scalar("INSERT INTO transfers (sender, recipient, cents) VALUES ($1, $2, $3) RETURNING id")
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(amount)
            .fetch_one(&mut **tx)
            .await?;
    Ok(Receipt { transfer: number, from: from.clone(), to: to.clone(), cents: *cents }.into())
}

/// Why no money was moved by this call.
#[derive(Debug)]
pub(crate) enum TransferError {
    ToItself,
    UnknownAccount(Account),
    InsufficientFunds(Account),
    /// The database failed.
    Database(sqlx::Error),
    /// The handler was not run, or its outcome not recorded.
    Idempotency(idem_runtime::Error),
}

impl TransferError {
    /// Whether it can help to run the whole transaction again.
    ///
    /// After any failure of the database it can. If the transaction was rolled back, nothing of it is left. If it was committed, and
    /// only the answer was lost, its receipt is replayed.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::ToItself | Self::UnknownAccount(_) | Self::InsufficientFunds(_) => false,
            Self::Database(_) => true,
            Self::Idempotency(error) => error.is_retryable(),
        }
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToItself => f.write_str("the money would stay where it is: `from` and `to` are the same"),
            Self::UnknownAccount(account) => write!(f, "there is no account `{account}`"),
            Self::InsufficientFunds(account) => write!(f, "account `{account}` holds less than the amount"),
            Self::Database(error) => error.fmt(f),
            Self::Idempotency(error) => error.fmt(f),
        }
    }
}

impl From<sqlx::Error> for TransferError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// The attribute demands this of an error type: it needs a way to say why the body was not run.
impl From<idem_runtime::Error> for TransferError {
    fn from(error: idem_runtime::Error) -> Self {
        Self::Idempotency(error)
    }
}
