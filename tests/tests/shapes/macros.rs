//! Functions that a `macro_rules!` macro writes.

use idem_runtime::{Error, MemoryStore, idempotent};

use super::{Handled, pause, with_memory};

macro_rules! handler {
    ($name:ident, $parameter:ident: $type:ty, $key:expr, $output:ty, $body:block) => {
        #[idempotent(key = $key)]
        pub(super) async fn $name($parameter: $type) -> $output $body
    };
    ($name:ident, $parameter:ident: $type:ty, $key:literal, blocking $body:block) => {
        #[idempotent(key = $key, scope = $key)]
        pub(super) fn $name($parameter: $type) -> Handled<u64> $body
    };
    ($name:ident) => {
        #[idempotent(key = "order_id", claim = c, store = MemoryStore::new())]
        pub(super) async fn $name(order_id: u64, mut cents: u64) -> Handled<u64> {
            cents += u64::from(c.attempt());
            Ok(order_id + cents)
        }
    };
    ($name:ident, mutable $parameter:ident) => {
        #[idempotent(key = $parameter)]
        pub(super) async fn $name(mut $parameter: u64, other: u64) -> Handled<u64> {
            $parameter += other;
            pause().await;
            Ok($parameter)
        }
    };
}

handler!(by_expression, id: u64, (id + 1), Handled<u64>, { Ok(id) });
handler!(by_string, id: u64, "id", Handled<u64>, {
    pause().await;
    Ok(id)
});
handler!(by_literal, id: u64, "id", blocking { Ok(id) });
handler!(whole);
handler!(mutable, mutable id);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_from_macros_run() -> Result<(), Error> {
    with_memory(async {
        assert_eq!(by_expression(1).await?, 1);
        assert_eq!(by_string(1).await?, 1);
        assert_eq!(by_literal(1)?, 1);
        assert_eq!(whole(1, 2).await?, 4);
        assert_eq!(mutable(1, 2).await?, 3);
        Ok(())
    })
    .await
}
