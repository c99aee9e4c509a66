//! The short forms of an error: its name, and a sentence that a client may read.

use std::fmt;

use super::Error;

impl Error {
    /// One sentence that a client may read. It has no scope, no key, no advice and no text of a database, so it shows
    /// nothing of how the service is built and can be the body of a response. The delay of a retry is in
    /// [`retry_after`](Self::retry_after).
    ///
    /// The error's own `Display` is for the operator, who needs the rest.
    ///
    /// ```
    /// use idem_runtime::{Error, MemoryStore, idempotent};
    ///
    /// #[idempotent(key = "order_id", scope = "shop::charge", store = store)]
    /// async fn charge(store: &MemoryStore, order_id: Option<&str>) -> Result<u64, Error> {
    ///     Ok(500)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = charge(&MemoryStore::new(), None).await.unwrap_err();
    /// assert_eq!(error.public().to_string(), "the idempotency key is missing");
    /// # }
    /// ```
    pub fn public(&self) -> impl fmt::Display + use<> {
        match self {
            Self::MissingKey { .. } => "the idempotency key is missing",
            Self::KeyTooLong { .. } => "the idempotency key is too long",
            Self::FingerprintUnavailable { .. } => "the request has a value that can't be handled",
            Self::InProgress { .. } => "a request with this idempotency key is being handled",
            Self::KeyReused { .. } => "this idempotency key was used for a different request",
            Self::OutcomeUnknown { .. } => "a request with this idempotency key was begun, and its outcome is unknown",
            Self::ResultUnavailable { .. } | Self::Decode { .. } => {
                "a request with this idempotency key was handled, and its result is not available"
            }
            Self::Store { .. } | Self::LeaseLost { executed: false, .. } => {
                "the request was not handled: a part of the service did not answer"
            }
            Self::Conflict { .. } => "the request was not handled: it met another one",
            Self::LeaseLost { executed: true, .. } | Self::NotRecorded { .. } | Self::TransactionLost { .. } => {
                "the request was begun, and its outcome is unknown"
            }
            Self::NoStore { .. }
            | Self::ScopeTaken { .. }
            | Self::WouldBlock { .. }
            | Self::NotInTransaction { .. }
            | Self::Config { .. } => "the request was not handled: the service has an error",
        }
    }

    /// The variant's name, as it stands in the event `ended`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::MissingKey { .. } => "missing_key",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::FingerprintUnavailable { .. } => "fingerprint_unavailable",
            Self::InProgress { .. } => "in_progress",
            Self::KeyReused { .. } => "key_reused",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::NoStore { .. } => "no_store",
            Self::ScopeTaken { .. } => "scope_taken",
            Self::Store { .. } => "store",
            Self::LeaseLost { .. } => "lease_lost",
            Self::NotRecorded { .. } => "not_recorded",
            Self::ResultUnavailable { .. } => "result_unavailable",
            Self::Decode { .. } => "decode",
            Self::WouldBlock { .. } => "would_block",
            Self::NotInTransaction { .. } => "not_in_transaction",
            Self::Conflict { .. } => "conflict",
            Self::TransactionLost { .. } => "transaction_lost",
            Self::Config { .. } => "config",
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::error::{DecodeError, ScopedKey, StoreError};
    use crate::protocol::Key;

    /// One error of each variant, and two where the text depends on a field.
    pub(in crate::error) fn all() -> Vec<Error> {
        let scope = "billing.charge";
        let key = || ScopedKey::new(scope, &Key::from_bytes(b"alice@example.com").expect("a key"));
        let source = || StoreError::refused("PostgreSQL", "no room for alice@example.com");
        let lost = |executed| Error::LeaseLost { key: key(), executed, row_gone: false };
        let conflict = |executed| Error::Conflict { key: Some(key()), executed, source: source() };
        vec![
            Error::MissingKey { scope, expression: "order.tenant", part: None },
            Error::KeyTooLong { scope, length: 2_000 },
            Error::FingerprintUnavailable { scope },
            Error::InProgress { key: key(), retry_after: Duration::from_secs(3) },
            Error::KeyReused { key: key() },
            Error::OutcomeUnknown { key: key() },
            Error::NoStore { scope },
            Error::ScopeTaken { scope, first: "charge.rs:1".to_owned(), second: "refund.rs:1".to_owned() },
            Error::Store { key: key(), source: source() },
            lost(false),
            lost(true),
            Error::NotRecorded { key: Some(key()), source: source(), in_transaction: false },
            Error::ResultUnavailable { key: key() },
            Error::Decode { key: key(), source: DecodeError::expected("a number", 1) },
            Error::WouldBlock { scope },
            Error::NotInTransaction { scope },
            conflict(false),
            conflict(true),
            Error::TransactionLost { key: Some(key()), source: source() },
            Error::config("set `charge.rs` right for billing.charge"),
        ]
    }

    #[test]
    fn a_client_learns_neither_scope_nor_key_nor_advice() {
        for error in all() {
            let public = error.public().to_string();
            for private in ["billing", "charge", "alice", "PostgreSQL", "room", "`", "deliver", "3.0s", ";"] {
                assert!(!public.contains(private), "{error:?}: {public}");
            }
            assert!(public.contains("request") || public.contains("idempotency key"), "{public}");
        }
    }

    #[test]
    fn each_kind_has_a_name() {
        let names: HashSet<&str> = all().iter().map(Error::name).collect();
        assert_eq!(names.len(), 18);
    }
}
