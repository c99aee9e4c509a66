//! Every shape of handler that the attribute takes compiles without a warning, also under clippy, and runs.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use idem_runtime::{Claim, Error, MemoryStore, OnError, Outcome, idempotent};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    order: String,
    cents: u64,
}

struct Order {
    id: String,
    cents: u64,
}

type Handled<T = Receipt> = Result<T, Error>;

fn order(id: &str, cents: u64) -> Order {
    Order { id: id.to_owned(), cents }
}

fn receipt(order: &str, cents: u64) -> Receipt {
    Receipt { order: order.to_owned(), cents }
}

async fn pause() {
    tokio::task::yield_now().await;
}

mod functions {
    use super::*;

    #[idempotent(key = "order_id")]
    pub(super) async fn borrowed(order_id: &str, cents: u64) -> Result<Receipt, Error> {
        pause().await;
        Ok(receipt(order_id, cents))
    }

    #[idempotent(key = order_id)]
    pub(super) async fn owned(order_id: String, cents: u64) -> Result<Receipt, Error> {
        Ok(Receipt { order: order_id, cents })
    }

    #[idempotent(key = "order_id")]
    pub(super) fn blocking(order_id: &str, cents: u64) -> Result<Receipt, Error> {
        Ok(receipt(order_id, cents))
    }

    #[idempotent(key = "order.id, order.cents")]
    pub(super) async fn composite(order: Order) -> Handled {
        Ok(Receipt { order: order.id, cents: order.cents })
    }

    #[idempotent(key = (order.id.as_str(), order.cents))]
    pub(super) async fn tuple(order: &Order) -> Handled {
        Ok(receipt(&order.id, order.cents))
    }

    #[idempotent(key = "order_id", claim = c, fingerprint = "cents, order_id", ttl = "1d", lease = "30s", wait = "0s")]
    pub(super) async fn claimed(order_id: &str, cents: u64) -> Result<(Receipt, String), Error> {
        Ok((receipt(order_id, cents), c.derive("card")))
    }

    #[idempotent(key = "order_id", claim = "c")]
    pub(super) fn claimed_blocking(order_id: &str, cents: u64) -> Result<(Receipt, String), Error> {
        Ok((receipt(order_id, cents), c.derive("card")))
    }

    #[idempotent(key = "id")]
    pub(super) async fn mutated(mut id: String, mut cents: u64) -> Handled {
        id.push('!');
        cents += 1;
        pause().await;
        Ok(Receipt { order: id, cents })
    }

    #[idempotent(key = "id")]
    pub(super) fn mutated_blocking(mut id: String, mut cents: u64) -> Handled {
        id.push('!');
        cents += 1;
        Ok(Receipt { order: id, cents })
    }

    #[idempotent(key = id)]
    pub(super) async fn patterns(
        Order { id, mut cents }: Order,
        (a, _): (u64, u64),
        [mut b]: [u64; 1],
        _: u8,
    ) -> Handled {
        cents += a;
        b += cents;
        pause().await;
        Ok(Receipt { order: id, cents: b })
    }

    #[idempotent(key = id)]
    pub(super) async fn only_in_the_key(id: u32) -> Handled<u8> {
        Ok(1)
    }

    #[idempotent(key = id)]
    pub(super) fn only_in_the_key_blocking(id: u32) -> Handled<u8> {
        Ok(1)
    }

    #[idempotent(key = site)]
    pub(super) async fn names(
        site: u32,
        call: u32,
        body: u32,
        slot: u32,
        ops: u32,
        claim: u32,
        store: u32,
    ) -> Handled<u32> {
        Ok(site + call + body + slot + ops + claim + store)
    }

    #[idempotent(key = site)]
    pub(super) fn names_blocking(site: u32, call: u32, body: u32, slot: u32, ops: u32, claim: u32) -> Handled<u32> {
        Ok(site + call + body + slot + ops + claim)
    }

    #[idempotent(key = "key")]
    pub(super) async fn early(key: u32, odd: Option<u32>) -> Result<Option<u32>, Error> {
        let Some(odd) = odd else {
            return Ok(None);
        };
        let inner: Result<u32, Error> = async { Ok(odd) }.await;
        let odd = inner?;
        if odd % 2 == 0 {
            return Ok(None);
        }
        Ok(Some(odd + key))
    }
}

#[tokio::test]
async fn functions_run() -> Result<(), Error> {
    use functions::*;
    idem_runtime::with_store(MemoryStore::new(), async {
        let expected = receipt("o", 1);
        assert_eq!(borrowed("o", 1).await?, expected);
        assert_eq!(owned("o".to_owned(), 1).await?, expected);
        assert_eq!(composite(order("o", 1)).await?, expected);
        assert_eq!(tuple(&order("o", 1)).await?, expected);
        assert_eq!(claimed("o", 1).await?.0, expected);
        assert_eq!(mutated("o".to_owned(), 1).await?, receipt("o!", 2));
        assert_eq!(patterns(order("o", 1), (2, 3), [4], 5).await?, receipt("o", 7));
        assert_eq!(only_in_the_key(1).await?, 1);
        assert_eq!(names(1, 2, 3, 4, 5, 6, 7).await?, 28);
        assert_eq!(early(1, None).await?, None);
        assert_eq!(early(2, Some(2)).await?, None);
        assert_eq!(early(3, Some(3)).await?, Some(6));
        Ok(())
    })
    .await
}
