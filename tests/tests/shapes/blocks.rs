//! `run_once!`: the forms of its block, what it captures, and where it can stand.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt as _;
use idem_runtime::{Claim, Error, IdempotencyKey, MemoryStore, OnError, Outcome, run_once};

use super::{Handled, Order, Receipt, assert_send, order, pause, receipt, with_memory};

async fn charge(order: &Order) -> Handled {
    pause().await;
    Ok(receipt(&order.id, order.cents))
}

fn parse(text: &str) -> Result<Order, std::num::ParseIntError> {
    let (id, cents) = text.split_once(' ').unwrap_or((text, ""));
    Ok(order(id, cents.parse()?))
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn consume(text: &str) -> Result<Receipt, Failure> {
    let order = parse(text)?;
    let receipt =
        run_once!(key = order.id, fingerprint = order.cents, scope = "blocks/consume", async || -> Handled {
            let receipt = charge(&order).await?;
            Ok(receipt)
        })
        .await?;
    Ok(receipt)
}

#[tokio::test]
async fn a_message_that_is_parsed_in_the_body_runs_once() {
    with_memory(async {
        assert_eq!(assert_send(consume("a 5")).await.unwrap(), receipt("a", 5));
        assert_eq!(consume("a 5").await.unwrap(), receipt("a", 5));
        let reused = consume("a 6").await.unwrap_err();
        assert!(matches!(reused.downcast_ref(), Some(Error::KeyReused { .. })), "{reused}");
        assert!(consume("b").await.is_err(), "the text isn't parsed");
    })
    .await;
}

#[tokio::test]
async fn each_form_runs_once() -> Result<(), Error> {
    with_memory(async {
        let mut runs = [0; 7];
        for cents in 1..=2 {
            let order = order("o", cents);
            let first = receipt("o", 1);
            let plain = run_once!(key = order.id, scope = "blocks/async", async {
                runs[0] += 1;
                charge(&order).await
            });
            assert_eq!(assert_send(plain).await?, first);
            let typed = run_once!(key = order.id, scope = "blocks/typed", async || -> Handled {
                runs[1] += 1;
                let receipt = charge(&order).await?;
                Ok(receipt)
            });
            assert_eq!(assert_send(typed).await?, first);
            let ran = &mut runs[2];
            let moving = run_once!(key = "order.id", scope = "blocks/async-move", async move {
                *ran += 1;
                charge(&order).await
            });
            assert_eq!(assert_send(moving).await?, first);
            let order = super::order("o", cents);
            let ran = &mut runs[3];
            let moving = run_once!(key = order.id, scope = "blocks/typed-move", async move || -> Handled {
                *ran += 1;
                let id = order.id;
                charge(&super::order(&id, order.cents)).await
            });
            assert_eq!(assert_send(moving).await?, first);
        }
        assert_eq!(runs, [1, 1, 1, 1, 0, 0, 0]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sync_form_runs_once() {
    with_memory(async {
        let mut runs = 0;
        for cents in 1..=2 {
            let order = order("o", cents);
            let plain: Handled = run_once!(key = order.id, scope = "blocks/sync", || {
                runs += 1;
                Ok(receipt(&order.id, order.cents))
            });
            assert_eq!(plain.unwrap(), receipt("o", 1));
            let typed = run_once!(key = order.id, scope = "blocks/sync-typed", || -> Result<Receipt, Failure> {
                let order = parse("o 7")?;
                Ok(receipt(&order.id, order.cents))
            });
            assert_eq!(typed.unwrap(), receipt("o", 7));
            let expression = run_once!(key = order.id, scope = "blocks/sync-expression", || Handled::Ok(order.cents));
            assert_eq!(expression.unwrap(), 1);
            let moving = run_once!(key = order.id, scope = "blocks/sync-move", move || -> Handled {
                Ok(Receipt { order: order.id, cents: order.cents })
            });
            assert_eq!(moving.unwrap(), receipt("o", 1));
        }
        assert_eq!(runs, 1);
    })
    .await;
}

#[tokio::test]
async fn the_future_keeps_no_borrow_of_what_only_the_key_names() -> Result<(), Error> {
    let store = MemoryStore::new();
    let (mut tenant, order) = ("t".to_owned(), order("o", 1));
    let future = run_once!(
        key = (tenant, order.id),
        fingerprint = tenant.len(),
        store = store,
        scope = "blocks/borrows",
        async move { charge(&order).await }
    );
    drop(store);
    tenant.push('!');
    let spawned = tokio::spawn(future);
    drop(tenant);
    assert_eq!(spawned.await.unwrap()?, receipt("o", 1));
    Ok(())
}

#[tokio::test]
async fn a_block_can_change_what_it_captures() -> Result<(), Error> {
    assert_send(with_memory(async {
        let (mut seen, mut total, name) = (Vec::new(), 0_u64, String::from("n"));
        for id in [1_u64, 2, 1] {
            let name = name.clone();
            total += run_once!(key = id, scope = "blocks/changes", async || -> Handled<u64> {
                pause().await;
                seen.push(name);
                Ok(id * 10)
            })
            .await?;
        }
        assert_eq!((seen.len(), total), (2, 40));
        Ok(())
    }))
    .await
}

#[tokio::test]
async fn return_and_the_question_mark_end_the_block_and_not_the_function() {
    async fn early(id: u64) -> u64 {
        let ended: Result<u64, Failure> = run_once!(key = id, scope = "blocks/early", async {
            if id == 1 {
                return Ok(1);
            }
            let parsed: u64 = "no number".parse()?;
            Ok(parsed)
        })
        .await;
        ended.unwrap_or(7)
    }
    with_memory(async {
        assert_eq!(early(1).await, 1);
        assert_eq!(early(2).await, 7);
    })
    .await;
}

#[tokio::test]
async fn a_loop_in_the_block_can_be_left() -> Result<(), Error> {
    let store = MemoryStore::new();
    let found = run_once!(key = 1, store = store, scope = "blocks/loops", async || -> Handled<u64> {
        let mut rounds = 0_u64;
        'all: for outer in 0_u64.. {
            for inner in 0..5 {
                if inner == 3 {
                    continue 'all;
                }
                if outer == 2 {
                    break 'all;
                }
                rounds += 1;
            }
        }
        let four = 'block: {
            if rounds == 6 {
                break 'block 4;
            }
            0
        };
        Ok(loop {
            rounds += 1;
            if rounds > 7 {
                break four + 1;
            }
        })
    })
    .await?;
    assert_eq!(found, 5);
    Ok(())
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Refused(String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

fn is_final(error: &Refused) -> bool {
    error.0.is_empty()
}

fn keep(_: &Error) -> OnError {
    OnError::Keep
}

#[expect(clippy::unnecessary_wraps, reason = "`on_decode` asks for it")]
fn unknown(_: &idem_runtime::DecodeError) -> Result<u64, Refused> {
    Ok(0)
}

const SCOPE: &str = "blocks/all";

#[tokio::test]
async fn every_argument_of_the_attribute_is_taken() -> Result<(), Error> {
    let (store, asked) = (MemoryStore::new(), AtomicU32::new(0));
    for id in [Some(1_u64), None] {
        let outcome = run_once!(
            key = "id",
            store = "store",
            scope = SCOPE,
            ttl = "1d",
            lease = "5s",
            wait = "1s",
            fingerprint = "id",
            on_error = record_if(is_final),
            on_crash = async |claim: &Claim| {
                asked.fetch_add(claim.attempt(), Ordering::Relaxed);
                Ok(None)
            },
            missing_key = "run",
            on_store_error = "run",
            claim = "c",
            on_decode = unknown,
            crate = ::idem_runtime,
            async || -> Result<Outcome<u64>, Refused> {
                pause().await;
                Ok(u64::from(c.attempt()).into())
            },
        );
        assert_eq!(outcome.await.unwrap(), Outcome::Executed(1));
    }
    let kept = run_once!(
        key = 1,
        store = store,
        scope = "blocks/keep",
        claim = c,
        on_error = self::keep,
        || -> Handled<u64> { Ok(c.fence()) }
    );
    assert!(kept? > 0);
    assert_eq!(asked.into_inner(), 0);
    Ok(())
}

#[tokio::test]
async fn a_claim_is_bound_in_every_form() {
    assert_send(with_memory(async {
        let order = order("o", 1);
        let cents = order.cents;
        let borrowed = run_once!(key = order.id, scope = "blocks/claim", claim = c, async {
            pause().await;
            Handled::Ok(order.cents + u64::from(c.attempt()))
        });
        assert_eq!(assert_send(borrowed).await.unwrap(), 2);
        let moved =
            run_once!(key = order.id, scope = "blocks/claim-move", claim = "c", async move || -> Handled<String> {
                pause().await;
                Ok(format!("{} {}", order.id, c.derive("x").len()))
            });
        assert_eq!(tokio::spawn(idem_runtime::carry(moved)).await.unwrap().unwrap(), "o 36");
        assert_eq!(cents, 1);
    }))
    .await;
}

#[tokio::test]
async fn one_place_is_one_scope_in_loops_and_generic_functions() -> Result<(), Error> {
    async fn handle<K: IdempotencyKey, T: From<u8> + Into<u64>>(key: K, value: T) -> Handled<u64> {
        run_once!(key = key, scope = "blocks/generic", async || -> Handled<u64> { Ok(value.into()) }).await
    }
    with_memory(async {
        for id in 0..3_u64 {
            assert_eq!(handle(id, 7_u8).await?, 7);
            assert_eq!(handle(id.to_string(), 8_u64).await?, 7);
        }
        let again = run_once!(key = 1, scope = "blocks/generic", async || -> Handled<u64> { Ok(1) }).await;
        assert!(matches!(again, Err(Error::ScopeTaken { .. })), "{again:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn closures_and_streams_run_blocks() {
    assert_send(with_memory(async {
        let ran = AtomicU32::new(0);
        let handle = async |id: u64| {
            run_once!(key = id, scope = "blocks/closure", async || -> Handled<u64> {
                ran.fetch_add(1, Ordering::Relaxed);
                Ok(id)
            })
            .await
        };
        assert_eq!(handle(1).await.unwrap(), 1);
        let ids = futures_util::stream::iter([1_u64, 2, 3]);
        ids.for_each_concurrent(4, async |id| {
            let done = run_once!(key = id, scope = "blocks/stream", wait = "1s", async {
                ran.fetch_add(1, Ordering::Relaxed);
                handle(id).await
            });
            assert_eq!(done.await.unwrap(), id);
        })
        .await;
        assert_eq!(ran.into_inner(), 6);
    }))
    .await;
}

#[tokio::test]
async fn names_of_the_user_are_kept_apart() {
    let (site, ops, call, body, policies, claim, slot, key) = (1, 2, 3, 4, 5, 6, 7, 8);
    let store = MemoryStore::new();
    let sum = run_once!(key = key, store = store, scope = "blocks/names", claim = c, async || -> Handled<u64> {
        Ok(site + ops + call + body + policies + claim + slot + key + u64::from(c.attempt()))
    });
    assert_eq!(sum.await.unwrap(), 37);
    let sum = run_once!(key = key, store = store, scope = "blocks/names-sync", claim = claim, || -> Handled<u64> {
        Ok(site + ops + call + body + policies + slot + key + u64::from(claim.attempt()))
    });
    assert_eq!(sum.unwrap(), 31);
}

#[tokio::test]
async fn a_block_that_is_never_polled_claims_nothing() -> Result<(), Error> {
    let store = MemoryStore::new();
    let (mut runs, store) = (0, &store);
    for polled in [false, true] {
        let future = run_once!(key = 1, store = store, scope = "blocks/unpolled", async || -> Handled<()> {
            runs += 1;
            Ok(())
        });
        if polled {
            future.await?;
        }
    }
    assert_eq!(runs, 1);
    Ok(())
}

struct Handler(MemoryStore, u64);

#[async_trait::async_trait]
trait Boxed {
    async fn handle(&mut self, text: &str) -> Result<u64, Failure>;
    async fn nothing(&self, text: &str);
}

#[async_trait::async_trait]
impl Boxed for Handler {
    async fn handle(&mut self, text: &str) -> Result<u64, Failure> {
        let order = parse(text)?;
        Ok(run_once!(key = order.id, store = self.0, scope = "blocks/boxed", async || -> Result<u64, Failure> {
            pause().await;
            self.1 += order.cents;
            Ok(self.1)
        })
        .await?)
    }

    async fn nothing(&self, text: &str) {
        let done = run_once!(key = text, store = self.0, scope = "blocks/boxed-unit", async move || -> Handled<u64> {
            pause().await;
            Ok(self.1)
        });
        assert_eq!(done.await.unwrap(), 1);
    }
}

#[tokio::test]
async fn methods_of_async_trait_hold_blocks() {
    let mut handler = Handler(MemoryStore::new(), 1);
    handler.nothing("a").await;
    for _ in 0..2 {
        assert_eq!(handler.handle("a 5").await.unwrap(), 6);
    }
    assert!(handler.handle("a").await.is_err());
}

#[tokio::test]
async fn a_block_can_stand_in_an_annotated_function_and_in_a_block() -> Result<(), Error> {
    #[idem_runtime::idempotent(key = "id", scope = "blocks/outer")]
    async fn outer(id: u64) -> Handled<u64> {
        let doubled = id * 2;
        run_once!(key = doubled, scope = "blocks/middle", async || -> Handled<u64> {
            let inner =
                run_once!(key = (id, doubled), scope = "blocks/inner", async || -> Handled<u64> { Ok(doubled) });
            Ok(inner.await? + 1)
        })
        .await
    }
    with_memory(async {
        assert_eq!(outer(2).await?, 5);
        assert_eq!(outer(2).await?, 5);
        Ok(())
    })
    .await
}
