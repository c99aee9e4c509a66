mod chains;

use super::*;
use crate::error::{ScopedKey, StoreError};
use crate::protocol::Key;

#[derive(Debug)]
struct Own {
    is_final: bool,
}

impl Refusal for Own {
    fn refusal(&self) -> Option<&Error> {
        None
    }

    fn is_final(&self) -> bool {
        self.is_final
    }
}

#[test]
fn every_error_has_a_disposition() {
    let key = || ScopedKey::new("s", &Key::from_bytes(b"k").expect("a key"));
    let source = || StoreError::refused("memory", "no");
    let retry = Disposition::Retry { after: None };
    let left = Duration::from_secs(3);
    for (error, expected) in [
        (Error::MissingKey { scope: "s", expression: "key", part: None }, Disposition::DeadLetter),
        (Error::KeyTooLong { scope: "s", length: 2_000 }, Disposition::DeadLetter),
        (Error::FingerprintUnavailable { scope: "s" }, Disposition::DeadLetter),
        (Error::KeyReused { key: key() }, Disposition::DeadLetter),
        (Error::OutcomeUnknown { key: key() }, Disposition::DeadLetter),
        (Error::InProgress { key: key(), retry_after: left }, Disposition::Retry { after: Some(left) }),
        (Error::ResultUnavailable { key: key() }, Disposition::DeadLetter),
        (Error::NoStore { scope: "s" }, retry),
        (Error::NotInTransaction { scope: "s" }, retry),
        (Error::Store { key: key(), source: source() }, retry),
        (Error::LeaseLost { key: key(), executed: true, row_gone: false }, retry),
        (Error::NotRecorded { key: Some(key()), source: source(), in_transaction: false }, retry),
        (Error::NotRecorded { key: None, source: source(), in_transaction: true }, retry),
        (Error::Conflict { key: Some(key()), executed: true, source: source() }, retry),
        (Error::Conflict { key: None, executed: true, source: source() }, retry),
        (Error::TransactionLost { key: Some(key()), source: source() }, Disposition::DeadLetter),
        (Error::config("a setting"), retry),
    ] {
        let result: Result<(), Error> = Err(error);
        assert_eq!(disposition(&result), expected, "{result:?}");
    }
    assert_eq!(disposition(&Ok::<(), Own>(())), Disposition::Acknowledge);
    assert_eq!(disposition(&Err::<(), _>(Own { is_final: false })), retry);
    assert_eq!(disposition(&Err::<(), _>(Own { is_final: true })), Disposition::DeadLetter);
}
