//! The handler: one attribute makes it move the money once.

use std::fmt;
use std::num::NonZeroU32;

use idem_runtime::{Outcome, idempotent};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::database::Tx;

/// What is asked for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    pub(crate) from: Account,
    pub(crate) to: Account,
    pub(crate) cents: NonZeroU32,
}

/// What is recorded of a transfer, and what a duplicate gets.
#[derive(Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The number that the database gave it.
    pub(crate) transfer: i64,
    pub(crate) from: Account,
    pub(crate) to: Account,
    pub(crate) cents: NonZeroU32,
}

/// Moves the money, and writes the transfer down.
///
/// - `tx`: the claim of the key and the receipt are written through this transaction, with the balances. Either all of
///   it is committed, or nothing. With one database alone, `tx` is a `&mut sqlx::PgTransaction<'_>`, and the rest stays
///   as it is.
/// - `key`: what the client sent as `Idempotency-Key`. Where clients are told apart, make it `"client, key"`, so that
///   none meets the key of another.
/// - `fingerprint`: all of the transfer. The same key with another amount, or another account, is refused.
/// - `scope`: says whose keys these are, in words that survive a renaming of this function.
/// - an `Err` leaves no claim behind: who had too little money can try again with the same key.
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
    // In one order for all, or two transfers in opposite directions would wait for each other.
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
    /// Whether the whole transaction can be run again, and that can help.
    ///
    /// After any failure of the database it can: what was rolled back left nothing behind, and what was committed, where
    /// only the answer was lost, is replayed.
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

/// What the attribute asks of an error type: a way to say why the body was not run.
impl From<idem_runtime::Error> for TransferError {
    fn from(error: idem_runtime::Error) -> Self {
        Self::Idempotency(error)
    }
}
