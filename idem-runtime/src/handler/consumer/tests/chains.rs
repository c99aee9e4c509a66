//! The library's error, in errors of other kinds.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::*;
use crate::error::DecodeError;

type Boxed = Box<dyn StdError + Send + Sync>;

const DEAD_LETTER: Disposition = Disposition::DeadLetter;
const RETRY: Disposition = Disposition::Retry { after: None };
const LEFT: Duration = Duration::from_secs(3);
const LATER: Disposition = Disposition::Retry { after: Some(LEFT) };

fn key() -> ScopedKey {
    ScopedKey::new("s", &Key::from_bytes(b"k").expect("a key"))
}

fn missing() -> Error {
    Error::MissingKey { scope: "s", expression: "key", part: None }
}

fn running() -> Error {
    Error::InProgress { key: key(), retry_after: LEFT }
}

fn of<E: Refusal>(error: E) -> Disposition {
    disposition(&Err::<(), E>(error))
}

/// Says what came of an error, which is its source.
#[derive(Debug)]
struct Because<E>(E);

impl<E> fmt::Display for Because<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the order was not charged")
    }
}

impl<E: StdError + 'static> StdError for Because<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// Shows an error as if it were its own: its text, and its source.
#[derive(Debug)]
struct Transparent(Error);

impl fmt::Display for Transparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Transparent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// Both boxes: what has a source of the library's, wherever in the chain it is.
#[test]
fn a_refusal_is_found_in_the_whole_chain_of_a_box() {
    assert_eq!(of(Boxed::from(missing())), DEAD_LETTER);
    assert_eq!(of(Boxed::from(running())), LATER);
    assert_eq!(of(Boxed::from(Because(Because(missing())))), DEAD_LETTER);
    assert_eq!(of(Boxed::from(Because(Box::new(running())))), LATER);
    assert_eq!(of(Boxed::from(Because(Arc::new(running())))), LATER);
    assert_eq!(of(Boxed::from("the provider is down")), RETRY);
    assert_eq!(of(Box::<dyn StdError>::from(missing())), DEAD_LETTER);
    assert_eq!(of(Box::<dyn StdError>::from(Because(Because(running())))), LATER);
    assert_eq!(of(Box::<dyn StdError>::from("the provider is down")), RETRY);
}

#[test]
fn the_outermost_refusal_counts() {
    let outer = |inner: Error| Error::Store { key: key(), source: StoreError::unanswered("a store on another", inner) };
    assert_eq!(of(Boxed::from(outer(missing()))), RETRY);
    assert_eq!(of(Boxed::from(Because(outer(missing())))), RETRY);
}

/// What a human has to see stays so, for whoever is told of the source alone.
#[test]
fn a_hidden_refusal_that_no_redelivery_can_help_is_a_dead_letter() {
    let source = || StoreError::refused("memory", "no");
    let decode = DecodeError::expected("a string", 1);
    for error in [
        missing(),
        Error::KeyTooLong { scope: "s", length: 2_000 },
        Error::FingerprintUnavailable { scope: "s" },
        Error::KeyReused { key: key() },
        Error::OutcomeUnknown { key: key() },
        Error::ResultUnavailable { key: key() },
        Error::Decode { key: key(), source: decode },
    ] {
        let text = format!("{error:?}");
        assert_eq!(of(Boxed::from(Transparent(error))), DEAD_LETTER, "{text}");
    }
    for error in [
        running(),
        Error::NoStore { scope: "s" },
        Error::Store { key: key(), source: source() },
        Error::LeaseLost { key: key(), executed: true, row_gone: false },
        Error::NotRecorded { key: None, source: source(), in_transaction: true },
        Error::Conflict { key: None, executed: true, source: source() },
        Error::config("a setting"),
    ] {
        let text = format!("{error:?}");
        assert_eq!(of(Box::<dyn StdError>::from(Transparent(error))), RETRY, "{text}");
    }
}

#[cfg(feature = "anyhow")]
mod with_anyhow {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn a_refusal_is_found_in_the_whole_chain_of_an_anyhow_error() {
        assert_eq!(of(anyhow::Error::from(missing())), DEAD_LETTER);
        assert_eq!(of(anyhow::Error::from(running()).context("charging").context("handling")), LATER);
        assert_eq!(of(anyhow::Error::from(Because(running())).context("charging")), LATER);
        assert_eq!(of(anyhow::Error::from(Transparent(missing())).context("charging")), DEAD_LETTER);
        assert_eq!(of(anyhow!("the provider is down").context(running())), LATER);
        assert_eq!(of(anyhow!("the provider is down").context("charging")), RETRY);
    }

    #[test]
    fn an_anyhow_error_that_was_a_box_hides_nothing() {
        assert_eq!(of(anyhow!(Boxed::from(running()))), LATER);
        assert_eq!(of(anyhow::Error::from_boxed(Boxed::from(missing())).context("charging")), DEAD_LETTER);
    }

    #[test]
    fn a_box_made_of_an_anyhow_error_is_a_dead_letter_where_no_redelivery_can_help() {
        let boxed = |error: Error| Boxed::from(anyhow::Error::from(error));
        assert_eq!(of(boxed(missing())), DEAD_LETTER);
        assert_eq!(of(Box::<dyn StdError>::from(anyhow::Error::from(missing()))), DEAD_LETTER);
        assert_eq!(of(boxed(running())), RETRY, "what is left of the lease is hidden");
        // What hides nothing.
        let behind_context = Err::<(), _>(running()).context("charging").expect_err("it is one");
        assert_eq!(of(Boxed::from(behind_context)), LATER);
        let reallocated = anyhow::Error::from(running()).reallocate_into_boxed_dyn_error_without_backtrace();
        assert_eq!(of(reallocated), LATER);
    }
}

#[cfg(feature = "eyre")]
mod with_eyre {
    use eyre::{Report, eyre};

    use super::*;

    #[test]
    fn a_refusal_is_found_in_the_whole_chain_of_a_report() {
        assert_eq!(of(Report::from(missing())), DEAD_LETTER);
        assert_eq!(of(Report::from(running()).wrap_err("charging").wrap_err("handling")), LATER);
        assert_eq!(of(Report::from(Because(running())).wrap_err("charging")), LATER);
        assert_eq!(of(Report::from(Transparent(missing())).wrap_err("charging")), DEAD_LETTER);
        assert_eq!(of(eyre!("the provider is down").wrap_err(running())), LATER);
        assert_eq!(of(eyre!("the provider is down").wrap_err("charging")), RETRY);
    }

    #[test]
    fn a_box_made_of_a_report_is_a_dead_letter_where_no_redelivery_can_help() {
        let boxed = |report: Report| Boxed::from(report);
        assert_eq!(of(boxed(Report::from(missing()))), DEAD_LETTER);
        assert_eq!(of(boxed(Report::from(running()))), RETRY, "what is left of the lease is hidden");
        assert_eq!(of(boxed(Report::from(running()).wrap_err("charging"))), LATER);
    }
}
