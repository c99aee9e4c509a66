//! Functions with type parameters, lifetimes and `impl Trait` arguments.

use std::fmt::Display;

use idem_runtime::{Error, idempotent};
use serde::{Deserialize, Serialize};

use super::{Handled, pause, with_memory};

#[idempotent(key = "id.to_string()", scope = "generics/where")]
pub(super) async fn bounded<T, U>(id: T, value: U) -> Result<U, Error>
where
    T: Display,
    U: Serialize + for<'de> Deserialize<'de>,
{
    pause().await;
    let _ = id;
    Ok(value)
}

#[idempotent(key = "id", scope = "generics/const")]
pub(super) async fn array<const N: usize>(id: [u8; N]) -> Handled<usize> {
    pause().await;
    Ok(id.len())
}

#[idempotent(key = "id")]
pub(super) async fn lifetimes<'a>(id: &'a str, others: &[&'a str]) -> Handled<String> {
    pause().await;
    Ok(others.iter().fold(id, |longest, other| if other.len() > longest.len() { other } else { longest }).to_owned())
}

#[idempotent(key = "id.as_ref()", scope = "generics/impl-trait")]
pub(super) async fn opaque(id: impl AsRef<str>, mut numbers: impl Iterator<Item = u64>) -> Handled<Option<u64>> {
    pause().await;
    let _ = &id;
    Ok(numbers.next())
}

#[idempotent(key = "id.as_ref()", scope = "generics/impl-trait-blocking")]
pub(super) fn opaque_blocking(id: impl AsRef<str>, mut numbers: impl Iterator<Item = u64>) -> Handled<Option<u64>> {
    let _ = &id;
    Ok(numbers.next())
}

#[tokio::test]
async fn generic_functions_run() -> Result<(), Error> {
    with_memory(async {
        assert_eq!(bounded(1, 2).await?, 2);
        assert_eq!(bounded("one", "two".to_owned()).await?, "two");
        assert_eq!(array([1, 2, 3]).await?, 3);
        assert_eq!(lifetimes("a", &["bc", "d"]).await?, "bc");
        assert_eq!(opaque("a", [1].into_iter()).await?, Some(1));
        Ok(())
    })
    .await
}
