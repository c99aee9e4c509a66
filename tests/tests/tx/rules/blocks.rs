//! `run_once!` in a transaction that is a variable, what a reference points to, a field, and a driver's own closure's.

use idem_runtime::{Error, Outcome, run_once};
use sqlx::Connection as _;

use super::super::{Bench, Failed, Tx, effect};

// This module is compiled for each database, and a scope belongs to one place.
const BOOK_IN: &str = concat!(module_path!(), "/book-in");
const BOOK: &str = concat!(module_path!(), "/book");
const FIELD: &str = concat!(module_path!(), "/field");
const CLOSURE: &str = concat!(module_path!(), "/closure");
const MOVE: &str = concat!(module_path!(), "/move");

async fn book_in(tx: &mut Tx<'_>, id: String, amount: u64) -> Result<Outcome<u64>, Failed> {
    let booked = run_once!(tx = &mut *tx, key = id, scope = BOOK_IN, async {
        effect(tx, &id).await?;
        Ok(amount.into())
    });
    booked.await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_block_records_in_the_transaction_that_its_body_uses() {
    let bench = Bench::new().await;
    for (amount, expected) in [(0, None), (1, None), (2, Some(Outcome::Executed(2))), (3, Some(Outcome::Replayed(2)))] {
        let id = "a".to_owned();
        let mut tx = bench.begin().await;
        let booked = run_once!(
            tx = &mut tx,
            key = id,
            fingerprint = id.len(),
            scope = BOOK,
            async || -> Result<Outcome<u64>, Failed> {
                effect(&mut tx, &id).await?;
                if amount == 0 {
                    return Err(Failed::Declined);
                }
                Ok(amount.into())
            }
        )
        .await;
        assert_eq!(booked.is_err(), amount == 0);
        match expected {
            Some(expected) => {
                assert_eq!(booked.unwrap(), expected);
                tx.commit().await.unwrap();
            }
            None => tx.rollback().await.unwrap(),
        }
        assert_eq!(bench.effects(&id).await, i64::from(amount > 1));
    }
    let mut tx = bench.begin().await;
    assert_eq!(book_in(&mut tx, "b".to_owned(), 1).await.unwrap(), Outcome::Executed(1));
    assert_eq!(book_in(&mut tx, "b".to_owned(), 2).await.unwrap(), Outcome::Replayed(1));
    tx.commit().await.unwrap();
    assert_eq!(bench.effects("b").await, 1);
}

struct Unit<'t> {
    tx: Tx<'t>,
    id: String,
}

impl Unit<'_> {
    async fn book(&mut self, amount: u64) -> Result<Outcome<u64>, Failed> {
        run_once!(tx = &mut self.tx, key = self.id, scope = FIELD, async {
            effect(&mut self.tx, &self.id).await?;
            Ok(amount.into())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_block_takes_a_field_and_what_a_driver_gives_its_closure() {
    let bench = Bench::new().await;
    let mut unit = Unit { tx: bench.begin().await, id: "c".to_owned() };
    assert_eq!(unit.book(1).await.unwrap(), Outcome::Executed(1));
    assert_eq!(unit.book(2).await.unwrap(), Outcome::Replayed(1));
    unit.tx.commit().await.unwrap();
    assert_eq!(bench.effects("c").await, 1);

    let mut connection = bench.pool.acquire().await.unwrap();
    for (amount, expected) in [(1, Outcome::Executed(1)), (2, Outcome::Replayed(1))] {
        let booked = connection.transaction(|c| {
            Box::pin(async move {
                run_once!(tx = &mut *c, key = 4, scope = CLOSURE, async || -> Result<Outcome<u64>, Failed> {
                    effect(c, "d").await?;
                    Ok(amount.into())
                })
                .await
            })
        });
        assert_eq!(booked.await.unwrap(), expected);
    }
    assert_eq!(bench.effects("d").await, 1);
}

/// A `move` block owns what it captures. It can't name the transaction, which the caller still has behind it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_block_that_moves_leaves_the_transaction_to_its_caller() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let (id, noted) = ("e".to_owned(), vec![1]);
    let noted: Result<Vec<u8>, Error> = run_once!(tx = &mut tx, key = id, scope = MOVE, async move { Ok(noted) }).await;
    assert_eq!(noted.unwrap(), [1]);
    effect(&mut tx, &id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.effects(&id).await, bench.rows(MOVE).await), (1, 1));
}
