//! A transfer as a whole transaction: it is begun, committed, and run again after a conflict with another.

use std::time::Duration;

use idem_runtime::{Outcome, tx};
use tokio::time::sleep;

use crate::account::Account;
use crate::database::Database;
use crate::transfer::{Receipt, Transfer, TransferError, execute};

/// How often a transaction is run at most.
const ATTEMPTS: u32 = 3;

/// How long to wait before the second run. Before the third it is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone)]
pub(crate) struct Bank {
    pub(crate) database: Database,
}

impl Bank {
    /// Makes the transfer, or returns the receipt if it was made before.
    pub(crate) async fn transfer(
        &self,
        key: Option<&str>,
        transfer: &Transfer,
    ) -> Result<Outcome<Receipt>, TransferError> {
        let mut attempt = 1;
        loop {
            match self.try_once(key, transfer).await {
                Err(error) if error.is_retryable() && attempt < ATTEMPTS => {
                    sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// If this returns early, or is cancelled because the client has closed the connection, the transaction is rolled back.
    async fn try_once(&self, key: Option<&str>, transfer: &Transfer) -> Result<Outcome<Receipt>, TransferError> {
        let mut tx = self.database.begin().await?;
        let receipt = execute(&mut tx, key, transfer).await?;
        tx::commit(tx).await?; // an error, too, where the database has rolled back
        Ok(receipt)
    }

    /// The balance in cents; `None` if there is no such account.
    pub(crate) async fn balance(&self, account: &Account) -> sqlx::Result<Option<i64>> {
        account.balance(&mut *self.database.connection().await?).await
    }
}
