//! The code that the book's page on results shows: it does what the page says.

use idem_runtime::testing::assert_replays;
use idem_runtime::{DecodeError, Error, IdempotencyStore as _, MemoryStore, idempotent, with_store};
use idem_tests::steps::{execute, key, result};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Receipt {
    order: String,
    cents: u64,
}

#[test]
fn a_receipt_is_replayed_as_it_was() {
    assert_replays(&Receipt { order: "order-1".to_owned(), cents: 500 });
}

#[derive(Debug, Serialize, Deserialize)]
enum ChargeError {
    Declined {
        reason: String,
    },
    ProviderDown,
    #[serde(skip)]
    Idempotency(Error),
}

impl From<Error> for ChargeError {
    fn from(error: Error) -> Self {
        Self::Idempotency(error)
    }
}

impl ChargeError {
    fn is_final(&self) -> bool {
        matches!(self, Self::Declined { .. })
    }
}

#[idempotent(key = "order_id", scope = "shop/charge", on_error = record_if(ChargeError::is_final))]
async fn charge(order_id: &str, cents: u64) -> Result<Receipt, ChargeError> {
    let order = reserve(order_id).await?; // another handler, whose refusal frees this one's key
    if cents > 1_000 {
        return Err(ChargeError::Declined { reason: "over the limit".to_owned() });
    }
    Ok(Receipt { order, cents })
}

/// Refuses an order without an id. For another order its provider is down.
#[idempotent(key = "order_id.strip_prefix(\"order-\")", scope = "shop/reserve")]
async fn reserve(order_id: &str) -> Result<String, ChargeError> {
    if order_id == "order-down" { Err(ChargeError::ProviderDown) } else { Ok(order_id.to_owned()) }
}

#[tokio::test]
async fn an_error_is_recorded_where_it_is_final_and_the_librarys_own_never() {
    let store = MemoryStore::new();
    with_store(store.clone(), async {
        assert!(matches!(charge("order-1", 2_000).await, Err(ChargeError::Declined { .. })));
        // The duplicate gets the recorded error: its body would have returned a receipt.
        assert!(
            matches!(charge("order-1", 1).await, Err(ChargeError::Declined { reason }) if reason == "over the limit")
        );
        for _ in 0..2 {
            assert!(matches!(charge("order-down", 1).await, Err(ChargeError::ProviderDown)));
            let refused = charge("none", 1).await;
            assert!(matches!(refused, Err(ChargeError::Idempotency(Error::MissingKey { .. }))), "{refused:?}");
        }
    })
    .await;
    let stats = store.admin().unwrap().stats().await.unwrap();
    // Both handlers have completed `order-1`. The three keys of calls that failed are free.
    assert_eq!((stats.completed, stats.free), (2, 3));
}

fn receipt_unknown(_: &DecodeError) -> Result<Receipt, Error> {
    Ok(Receipt::default())
}

#[idempotent(key = "order_id", scope = "shop/book", on_decode = receipt_unknown)]
async fn book(order_id: &str, cents: u64) -> Result<Receipt, Error> {
    Ok(Receipt { order: order_id.to_owned(), cents })
}

#[tokio::test]
async fn a_receipt_of_an_earlier_version_is_unknown() {
    let store = MemoryStore::new();
    execute(&store, "shop/book", &key("order-1"), &result(&())).await;
    with_store(store, async {
        assert_eq!(book("order-1", 5).await.unwrap(), Receipt::default());
        assert_eq!(book("order-2", 5).await.unwrap().cents, 5);
    })
    .await;
}
