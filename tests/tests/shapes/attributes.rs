//! Functions that carry other attributes, and functions whose form is unusual: one line, raw names, `unsafe`.

use std::rc::Rc;

use idem_runtime::{Error, MemoryStore, idempotent};

use super::{Handled, assert_send, pause, with_memory};

/// Documented.
#[must_use = "it may have been refused"]
#[idempotent(key = "id")]
#[allow(clippy::unused_async)]
pub(super) async fn documented(id: u64) -> Handled<u64> {
    Ok(id)
}

#[idempotent(key = "id")]
pub(super) async fn inner_attribute(id: u64) -> Handled<u64> {
    #![allow(unused_variables)]
    let unused = id;
    Ok(1)
}

/// A user's module of the name of the compiler's own.
mod beside_a_module {
    use super::{Handled, idempotent};

    mod diagnostic {}

    #[idempotent(key = "id, cents", fingerprint = "cents, id")]
    pub(in super::super) async fn two_parts(id: u64, cents: u64) -> Handled<u64> {
        Ok(id + cents)
    }
}
pub(super) use beside_a_module::two_parts;

#[cfg(any())]
#[idempotent(key = "id")]
async fn absent(id: u64) -> Missing {}

#[idempotent(key = "id")]
#[cfg(any())]
async fn absent_below(id: u64) -> Missing {}

#[idempotent(key = "id")]
#[tracing::instrument(skip(cents))]
pub(super) async fn traced_below(id: &str, cents: u64) -> Handled<u64> {
    pause().await;
    tracing::info!(id, "handled");
    Ok(cents)
}

#[tracing::instrument(skip(cents))]
#[idempotent(key = "id")]
pub(super) async fn traced_above(id: &str, cents: u64) -> Handled<u64> {
    pause().await;
    tracing::info!(id, "handled");
    Ok(cents)
}

#[tracing::instrument]
#[idempotent(key = "id")]
pub(super) fn traced_blocking(id: &str, cents: u64) -> Handled<u64> {
    tracing::info!(id, "handled");
    Ok(cents)
}

#[idempotent(key = "\"a test\"", store = MemoryStore::new())]
#[tokio::test]
async fn tested_below() -> Handled<()> {
    pause().await;
    Ok(())
}

#[tokio::test]
#[idempotent(key = "\"a test\"", store = MemoryStore::new())]
async fn tested_above() -> Handled<()> {
    pause().await;
    Ok(())
}

#[idempotent(key = "id")]
pub(super) async fn of_parameters(
    #[allow(unused_variables)] id: u64,
    #[cfg(any())] absent: Missing,
    #[cfg(not(any()))] mut present: u64,
) -> Handled<u64> {
    present += 1;
    pause().await;
    Ok(present)
}

#[rustfmt::skip]
#[idempotent(key = "id")]
pub(super) async fn one_line(id: u64) -> Handled<u64> { Ok(id) }

#[rustfmt::skip]
#[idempotent(key = "id")]
pub(super) async fn one_line_call(id: u64) -> Handled<u64> { one_line(id).await }

#[rustfmt::skip]
#[idempotent(key = "1")]
pub(super) fn one_line_blocking() -> Result<u64, Box<dyn std::error::Error>> { helper() }

fn helper() -> Result<u64, Box<dyn std::error::Error>> {
    Ok("1".parse()?)
}

#[idempotent(key = "id")]
pub(super) async fn diverges(id: u64) -> Handled<u64> {
    panic!("{id}")
}

#[idempotent(key = "id")]
pub(super) fn diverges_blocking(id: u64) -> Handled<u64> {
    panic!("{id}")
}

#[idempotent(key = "id")]
pub(super) async fn unit(id: u64) -> Result<(), Error> {
    let _ = id;
    Ok(())
}

#[idempotent(key = "r#type")]
pub(super) async fn r#match(r#type: &str) -> Handled<String> {
    Ok(r#type.to_owned())
}

#[idempotent(key = r#type)]
pub(super) fn r#loop(r#type: &str) -> Handled<String> {
    Ok(r#type.to_owned())
}

#[idempotent(key = r#"format!("{id}/{cents}")"#)]
pub(super) async fn formatted(id: String, cents: u64) -> Handled<u64> {
    pause().await;
    Ok(cents + id.len() as u64)
}

#[idempotent(key = "id.parse::<u64>().map_err(|_| Failure)?")]
pub(super) async fn fallible_key(id: &str) -> Result<u64, Failure> {
    Ok(id.len() as u64)
}

#[derive(Debug)]
pub(super) struct Failure;

impl From<Error> for Failure {
    fn from(_: Error) -> Self {
        Self
    }
}

/// # Safety
///
/// None needed.
#[idempotent(key = "id")]
pub(super) async unsafe fn not_safe(id: u64) -> Handled<u64> {
    Ok(id)
}

pub(super) mod renamed {
    pub(crate) use idem_runtime as library;

    #[idempotent_attribute(key = "id", crate = crate::attributes::renamed::library, claim = c)]
    pub(crate) async fn handler(id: u64) -> Result<u64, library::Error> {
        Ok(id + u64::from(c.attempt()))
    }

    use library::idempotent as idempotent_attribute;
}

#[idempotent(key = "depth")]
pub(super) async fn recursive(depth: u32) -> Handled<u32> {
    if depth == 0 {
        return Ok(0);
    }
    Ok(1 + Box::pin(recursive(depth - 1)).await?)
}

#[idempotent(key = "id")]
pub(super) async fn not_send(id: u64) -> Handled<u64> {
    let shared = Rc::new(id);
    pause().await;
    Ok(*shared)
}

#[tokio::test]
async fn functions_with_attributes_run() -> Result<(), Error> {
    with_memory(async {
        assert_eq!(documented(1).await?, 1);
        assert_eq!(inner_attribute(1).await?, 1);
        assert_eq!(assert_send(traced_below("a", 1)).await?, 1);
        assert_eq!(assert_send(traced_above("a", 1)).await?, 1);
        assert_eq!(of_parameters(1, 2).await?, 3);
        assert_eq!(one_line(1).await?, 1);
        assert_eq!(one_line_call(2).await?, 2);
        assert_eq!(r#match("a").await?, "a");
        assert_eq!(formatted("a".to_owned(), 1).await?, 2);
        assert_eq!(fallible_key("12").await.unwrap(), 2);
        assert!(fallible_key("a").await.is_err());
        // SAFETY: it does nothing that is unsafe.
        assert_eq!(unsafe { not_safe(1) }.await?, 1);
        assert_eq!(renamed::handler(1).await?, 2);
        assert_eq!(recursive(3).await?, 3);
        assert_eq!(not_send(1).await?, 1);
        unit(1).await
    })
    .await?;
    let diverging = tokio::spawn(with_memory(diverges(1)));
    assert!(diverging.await.unwrap_err().is_panic());
    Ok(())
}
