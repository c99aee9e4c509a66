//! Every shape of handler that the attribute takes compiles without a warning, also under clippy, and runs. Each module holds
//! handlers of one kind and the test that calls them; a test of handlers of several kinds stands here.

#![allow(clippy::unwrap_used, reason = "a test")]

mod attributes;
mod blocks;
mod by_hand;
mod cases;
mod functions;
mod generics;
mod macros;
mod methods;
mod outputs;
mod sizes;
mod traits;

use std::pin::Pin;
use std::sync::Arc;

use idem_runtime::{Error, MemoryStore, Outcome};
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

fn assert_send<T: Send>(value: T) -> T {
    value
}

async fn with_memory<T>(future: impl Future<Output = T>) -> T {
    idem_runtime::with_store(MemoryStore::new(), future).await
}

/// These handlers use the store of `with_store`, which is set for a task. So the sync handlers run in a task, on a multi-thread
/// runtime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_functions_run() -> Result<(), Error> {
    use functions::*;
    with_memory(async {
        assert_eq!(blocking("o", 1)?, receipt("o", 1));
        assert_eq!(claimed_blocking("o", 1)?.0, receipt("o", 1));
        assert_eq!(mutated_blocking("o".to_owned(), 1)?, receipt("o!", 2));
        assert_eq!(only_in_the_key_blocking(1)?, 1);
        assert_eq!(names_blocking(1, 2, 3, 4, 5, 6)?, 21);
        assert_eq!(generics::opaque_blocking("a", [1].into_iter())?, Some(1));
        assert_eq!(outputs::framework_blocking(1), outputs::Consumed::Success);
        assert_eq!(outputs::recorded_if_blocking(1).unwrap(), 1);
        assert_eq!(outputs::decided_blocking(1).unwrap(), 1);
        assert_eq!(attributes::traced_blocking("a", 1)?, 1);
        assert_eq!(attributes::one_line_blocking().unwrap(), 1);
        assert_eq!(attributes::r#loop("a")?, "a");
        assert!(std::panic::catch_unwind(|| attributes::diverges_blocking(1)).is_err());
        Ok(())
    })
    .await
}

/// Calls each handler twice. The arguments that aren't in the key differ, and the second call gets the first result.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_replayed_in_every_shape() -> Result<(), Error> {
    let first = receipt("o", 1);
    with_memory(async {
        for cents in 1..=2 {
            assert_eq!(functions::borrowed("o", cents).await?, first);
            assert_eq!(functions::owned("o".to_owned(), cents).await?, first);
            assert_eq!(functions::blocking("o", cents)?, first);
            assert_eq!(functions::patterns(order("o", cents), (0, 0), [0], 0).await?, first);
            assert_eq!(functions::mutated("o".to_owned(), cents).await?, receipt("o!", 2));
            assert_eq!(generics::bounded("id", cents).await?, 1);
            assert_eq!(attributes::traced_below("o", cents).await?, 1);
            assert_eq!(attributes::traced_above("o", cents).await?, 1);
            assert_eq!(attributes::traced_blocking("o", cents)?, 1);
            assert_eq!(attributes::of_parameters(1, cents).await?, 2);
            assert_eq!(attributes::two_parts(1, 1).await?, 2);
            assert_eq!(macros::mutable(5, cents).await?, 6);
        }
        assert_eq!(outputs::outcome(1).await?, Outcome::Executed(1));
        assert_eq!(outputs::outcome(1).await?, Outcome::Replayed(1));
        Ok::<_, Error>(())
    })
    .await?;

    let store = MemoryStore::new();
    for fee in 1..=2 {
        let handler = methods::Handler { store: store.clone(), fee };
        assert_eq!(handler.clone().by_value(1).await?, 2);
        assert_eq!(Arc::new(handler.clone()).arc(1).await?, 2);
        assert_eq!(Pin::new(&mut handler.clone()).pinned(1).await?, 2);
        assert_eq!(handler.blocking(1)?, 2);
    }
    Ok(())
}
