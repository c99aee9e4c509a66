//! A server's clock that was set back, in tx mode, on one database: `super` says which. For the stores, the conformance suite has
//! such tests.

use idem_runtime::protocol::Row;
use idem_runtime::store::Key;
use idem_runtime::{IdempotencyStore as _, Outcome, idempotent};

use super::{Bench, Failed, Tx, effect};

/// How far the clock was set back, in microseconds: more than the time that a row is kept.
const BACK: u64 = 30 * 24 * 60 * 60 * 1_000_000;

#[idempotent(key = "id", tx = "tx")]
async fn settle(tx: &mut Tx<'_>, id: &str, ends_well: bool) -> Result<Outcome<()>, Failed> {
    effect(tx, id).await?;
    if ends_well { Ok(().into()) } else { Err(Failed::Declined) }
}

/// The scope of `settle`.
const SETTLE: &str = concat!(module_path!(), "::settle");

async fn row(bench: &Bench) -> Row {
    let admin = bench.store().await.admin().unwrap();
    admin.get(SETTLE, &Key::of("a").unwrap()).await.unwrap().unwrap().0.row
}

/// R8: neither the row of a claim nor that of a completion is purged before the clock has passed its fence.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r08_a_row_outlives_its_fence_where_the_clock_was_set_back() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    settle(&mut tx, "a", true).await.unwrap();
    tx.commit().await.unwrap();
    let linger = {
        let row = row(&bench).await;
        row.purge_at.unwrap() - row.fence
    };
    // Changes the row as if the clock had been ahead when it was written. Its ttl is over.
    bench
        .execute(format!("UPDATE idem_keys SET fence = fence + {BACK}, until = 1, purge_at = purge_at + {BACK}"))
        .await;
    let mut last = row(&bench).await.fence;
    for ends_well in [true, false] {
        let mut tx = bench.begin().await;
        let settled = settle(&mut tx, "a", ends_well).await;
        assert_eq!(settled.is_ok_and(|outcome| outcome == Outcome::Executed(())), ends_well);
        tx.commit().await.unwrap();
        let row = row(&bench).await;
        assert!(row.fence > last, "{row:?}");
        assert!(row.purge_at.unwrap() >= row.fence + linger / 2, "{row:?}");
        last = row.fence;
        bench.execute("UPDATE idem_keys SET until = 1".to_owned()).await;
    }
}
