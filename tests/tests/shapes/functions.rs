//! Free functions: how they take their arguments, and how they name them.

use idem_runtime::{Error, idempotent};

use super::{Handled, Order, Receipt, assert_send, order, pause, receipt, with_memory};

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
pub(super) async fn patterns(Order { id, mut cents }: Order, (a, _): (u64, u64), [mut b]: [u64; 1], _: u8) -> Handled {
    cents += a;
    b += cents;
    pause().await;
    Ok(Receipt { order: id, cents: b })
}

pub(super) struct Wrapped(pub(super) Order);

#[idempotent(key = "id, first, whole.id", fingerprint = "(cents, flag)")]
pub(super) async fn odd_patterns(
    (ref id,): (String,),
    &cents: &u64,
    [mut first, ..]: [u64; 3],
    Wrapped(whole @ Order { .. }): Wrapped,
    (Ok(flag) | Err(flag)): Result<bool, bool>,
    (): (),
) -> Handled<u64> {
    pause().await;
    first += cents + whole.cents + id.len() as u64 + u64::from(flag);
    Ok(first)
}

#[idempotent(key = "ids.next()")]
pub(super) async fn key_that_changes_its_source(mut ids: std::ops::Range<u64>) -> Handled<Option<u64>> {
    Ok(ids.next())
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

#[tokio::test]
async fn functions_run() -> Result<(), Error> {
    with_memory(async {
        let expected = receipt("o", 1);
        assert_eq!(assert_send(borrowed("o", 1)).await?, expected);
        assert_eq!(owned("o".to_owned(), 1).await?, expected);
        assert_eq!(composite(order("o", 1)).await?, expected);
        assert_eq!(tuple(&order("o", 1)).await?, expected);
        assert_eq!(assert_send(claimed("o", 1)).await?.0, expected);
        assert_eq!(mutated("o".to_owned(), 1).await?, receipt("o!", 2));
        assert_eq!(patterns(order("o", 1), (2, 3), [4], 5).await?, receipt("o", 7));
        let wrapped = Wrapped(order("o", 1));
        assert_eq!(odd_patterns(("ab".to_owned(),), &3, [4, 5, 6], wrapped, Err(true), ()).await?, 11);
        assert_eq!(key_that_changes_its_source(1..9).await?, Some(2));
        assert_eq!(only_in_the_key(1).await?, 1);
        assert_eq!(names(1, 2, 3, 4, 5, 6, 7).await?, 28);
        assert_eq!(early(1, None).await?, None);
        assert_eq!(early(2, Some(2)).await?, None);
        assert_eq!(early(3, Some(3)).await?, Some(6));
        Ok(())
    })
    .await
}
