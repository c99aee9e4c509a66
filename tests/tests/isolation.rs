//! R18 to R21: isolation.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idem_runtime::consumer::{Disposition, disposition};
use idem_runtime::key::digest;
use idem_runtime::store::Leave;
use idem_runtime::{Error, IdempotencyKey, MemoryStore, SqliteStore, idempotent, with_store};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Failure};
use serde::{Deserialize, Serialize};

#[tokio::test]
async fn r18_two_handlers_cannot_share_a_scope() {
    #[idempotent(key = "id", scope = "isolation-shared", store = store)]
    async fn first(store: &MemoryStore, id: u32) -> Result<u32, Error> {
        Ok(id)
    }
    #[idempotent(key = "id", scope = "isolation-shared", store = store)]
    async fn second(store: &MemoryStore, id: u32) -> Result<u32, Error> {
        Ok(id)
    }

    let store = MemoryStore::new();
    first(&store, 1).await.unwrap();
    for _ in 0..2 {
        let error = second(&store, 2).await.unwrap_err();
        assert!(matches!(error, Error::ScopeTaken { .. }) && !error.executed(), "{error}");
        let message = error.to_string();
        assert_eq!(message.matches("tests/isolation.rs:").count(), 2, "names both places: {message}");
    }
    first(&store, 1).await.unwrap();
}

#[tokio::test]
async fn two_handlers_do_not_share_keys() {
    #[idempotent(key = "id", store = store)]
    async fn charge(store: &MemoryStore, id: u32) -> Result<String, Error> {
        Ok(format!("charged {id}"))
    }
    #[idempotent(key = "id", store = store)]
    async fn refund(store: &MemoryStore, id: u32) -> Result<String, Error> {
        Ok(format!("refunded {id}"))
    }

    let store = MemoryStore::new();
    assert_eq!(charge(&store, 1).await.unwrap(), "charged 1");
    assert_eq!(refund(&store, 1).await.unwrap(), "refunded 1");
}

#[tokio::test]
async fn r19_errors_hold_no_results_and_no_fingerprinted_values() {
    #[derive(Serialize, Deserialize)]
    struct Secret {
        card: String,
    }

    #[idempotent(key = "1", scope = "isolation-secret", fingerprint = "card", store = store)]
    async fn handle<T: Serialize + serde::de::DeserializeOwned>(
        store: &MemoryStore,
        card: &str,
        make: fn(&str) -> T,
    ) -> Result<T, Error> {
        Ok(make(card))
    }

    let store = MemoryStore::new();
    handle(&store, "4111-1111", |card| Secret { card: card.to_owned() }).await.unwrap();
    let decode = handle(&store, "4111-1111", |_| vec![0_u32]).await.unwrap_err();
    assert!(matches!(decode, Error::Decode { .. }));
    let reused = handle(&store, "5500-0000", |_| 0_u32).await.unwrap_err();
    assert!(matches!(reused, Error::KeyReused { .. }));
    for error in [decode, reused] {
        for text in [format!("{error}"), format!("{error:?}"), format!("{:?}", std::error::Error::source(&error))] {
            assert!(!text.contains("4111") && !text.contains("5500"), "{text}");
        }
    }
}

#[test]
fn keys_are_their_text_and_everything_else_differs() {
    fn encoded(key: &impl IdempotencyKey) -> Vec<u8> {
        match idem_runtime::private::key(key) {
            idem_runtime::private::KeyInput::Key(key) => key.as_bytes().to_vec(),
            other => panic!("{other:?}"),
        }
    }

    let id = uuid::Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
    assert_eq!(encoded(&42_u32), encoded(&"42"));
    assert_eq!(encoded(&42_u64), encoded(&42_i8));
    assert_eq!(encoded(&true), encoded(&"true"));
    assert_eq!(encoded(&id), encoded(&id.to_string()));
    assert_eq!(encoded(&b"abc"), encoded(&"abc".to_owned()));
    assert_eq!(encoded(&Some('x')), encoded(&"x"));

    let different = [
        encoded(&"a"),
        encoded(&"A"),
        encoded(&" a"),
        encoded(&"a "),
        encoded(&"e\u{301}"),
        encoded(&"\u{e9}"),
        encoded(&("a/b", "c")),
        encoded(&("a", "b/c")),
        encoded(&("a", "b", "c")),
        encoded(&(("a", "b"), "c")),
        encoded(&("a", ("b", "c"))),
        encoded(&("a",)),
        encoded(&"\u{1f}a"),
        encoded(&"\u{1b}\u{1f}a"),
        encoded(&("\u{1f}a",)),
        encoded(&("a\u{1f}b",)),
        encoded(&("a\u{1b}", "b")),
        encoded(&("a", "\u{1b}b")),
        encoded(&("a", "b")),
        encoded(&"x".repeat(1023)),
        encoded(&"x".repeat(1024)),
    ];
    for (i, a) in different.iter().enumerate() {
        for b in &different[i + 1..] {
            assert_ne!(a, b);
        }
    }
}

#[tokio::test]
async fn a_missing_or_too_long_key_is_an_error_before_anything_runs() {
    #[idempotent(key = "tenant, id", store = store)]
    async fn strict(store: &Probe, tenant: &str, id: Option<&str>) -> Result<u32, Error> {
        Ok(1)
    }
    #[idempotent(key = "id", store = store, missing_key = "run", claim = claim)]
    async fn lax(store: &Probe, ran: &Count, id: Option<String>) -> Result<(u32, String), Error> {
        assert!(claim.key().is_empty());
        Ok((ran.up(), claim.derive("charge")))
    }

    let store = Probe::new();
    for (tenant, id) in [("t", None), ("t", Some("")), ("", Some("1"))] {
        assert!(matches!(strict(&store, tenant, id).await, Err(Error::MissingKey { .. })));
    }
    let long = "x".repeat(1025);
    let error = strict(&store, "t", Some(&long)).await.unwrap_err();
    assert!(matches!(error, Error::KeyTooLong { length: 1028, .. }), "{error:?}");
    let ran = Count::default();
    let (first, one) = lax(&store, &ran, None).await.unwrap();
    let (second, two) = lax(&store, &ran, Some(String::new())).await.unwrap();
    assert_eq!((first, second), (1, 2));
    assert_ne!(one, two, "two messages without a key are two charges");
    assert_eq!(store.asked(), []);
}

#[tokio::test]
async fn a_missing_key_is_named_by_its_expression() {
    struct Order {
        tenant: Option<&'static str>,
        ids: (&'static str, Option<u8>),
    }
    #[idempotent(key = "order.tenant, tag.trim(), order.ids.1", store = store)]
    async fn text(store: &Probe, order: Order, tag: &str) -> Result<(), Error> {
        Ok(())
    }
    #[idempotent(key = (order.ids.0, &order.tenant.map(str::trim)), store = store)]
    fn code(store: &Probe, order: &Order) -> Result<(), Error> {
        Ok(())
    }
    #[idempotent(key = order.ids, store = store)]
    async fn tuple(store: &Probe, order: Order) -> Result<(), Error> {
        Ok(())
    }
    #[idempotent(key = "order.tenant", store = store)]
    async fn single(store: &Probe, order: Order) -> Result<(), Error> {
        Ok(())
    }
    fn missing(result: Result<(), Error>) -> (&'static str, Option<usize>) {
        let error = result.unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let Error::MissingKey { expression, part, .. } = error else { panic!("{error:?}") };
        (expression, part)
    }

    let store = Probe::new();
    let order = |tenant, id| Order { tenant, ids: ("secret", id) };
    assert_eq!(missing(text(&store, order(None, Some(1)), "").await), ("order.tenant", None));
    assert_eq!(missing(text(&store, order(Some("secret"), Some(1)), " ").await), ("tag.trim()", None));
    assert_eq!(missing(text(&store, order(Some("secret"), None), "secret").await), ("order.ids.1", None));
    assert_eq!(missing(code(&store, &order(Some(" "), Some(1)))), ("&order.tenant.map(str::trim)", None));
    assert_eq!(missing(tuple(&store, order(None, None)).await), ("order.ids", Some(2)));
    assert_eq!(missing(single(&store, order(Some(""), Some(1))).await), ("order.tenant", None));
    let error = tuple(&store, order(None, None)).await.unwrap_err();
    assert!(error.to_string().contains("is missing: part 2 of `order.ids` is `None` or empty;"), "{error}");
    assert_eq!(store.asked(), []);
}

#[tokio::test]
async fn a_digest_is_a_key_and_a_part_of_one() {
    #[derive(Serialize)]
    struct Order {
        sku: String,
        count: u32,
        sent: SystemTime,
    }
    #[idempotent(key = digest(&(&order.sku, order.count)), store = store)]
    async fn book(store: &Probe, ran: &Count, order: &Order) -> Result<u32, Error> {
        Ok(ran.up())
    }
    #[idempotent(key = "tenant, digest(&order.sent)", store = store)]
    fn note(store: &Probe, ran: &Count, tenant: &str, order: &Order) -> Result<u32, Error> {
        Ok(ran.up())
    }

    let (store, ran) = (Probe::new(), Count::default());
    let order = |count, sent| Order { sku: "pen".to_owned(), count, sent };
    let (early, late) = (UNIX_EPOCH, SystemTime::now());
    assert_eq!(book(&store, &ran, &order(2, early)).await.unwrap(), 1);
    assert_eq!(book(&store, &ran, &order(2, late)).await.unwrap(), 1);
    assert_eq!(book(&store, &ran, &order(3, late)).await.unwrap(), 2);
    for (tenant, run) in [("a", 3), ("a", 3), ("b", 4)] {
        assert_eq!(note(&store, &ran, tenant, &order(2, late)).unwrap(), run);
    }
    let error = note(&store, &ran, "a", &order(2, early - Duration::from_secs(1))).unwrap_err();
    assert!(matches!(error, Error::MissingKey { expression: "digest(&order.sent)", .. }), "{error:?}");
}

#[tokio::test]
async fn a_fingerprint_that_serde_refuses_is_an_error_before_anything_runs() {
    #[idempotent(key = "id", fingerprint = "sent", store = store)]
    async fn dated(store: &Probe, ran: &Count, id: u32, sent: SystemTime) -> Result<u32, Error> {
        Ok(ran.up())
    }

    let (store, ran) = (Probe::new(), Count::default());
    let refused = dated(&store, &ran, 1, UNIX_EPOCH - Duration::from_secs(1)).await;
    assert!(matches!(refused, Err(Error::FingerprintUnavailable { .. })), "{refused:?}");
    assert_eq!(disposition(&refused), Disposition::DeadLetter);
    assert_eq!(store.asked(), []);
    assert_eq!(dated(&store, &ran, 1, UNIX_EPOCH).await.unwrap(), 1);
}

#[idempotent(key = "id", store = store)]
fn sync_handler(store: &Probe, ran: &Count, id: u32) -> Result<u32, Error> {
    Ok(ran.up())
}

fn stores() -> [Probe; 2] {
    [Probe::new(), Probe::on_runtime()]
}

#[test]
fn r20_a_sync_handler_works_without_a_runtime() {
    for store in stores() {
        let ran = Count::default();
        assert_eq!(sync_handler(&store, &ran, 1).unwrap(), 1);
        assert_eq!(sync_handler(&store, &ran, 1).unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn r20_a_sync_handler_works_on_a_multi_thread_runtime() {
    for store in stores() {
        let ran = Count::default();
        let turn = tokio::spawn(async move {
            sync_handler(&store, &ran, 1).unwrap();
            sync_handler(&store, &ran, 1).unwrap()
        });
        assert_eq!(turn.await.unwrap(), 1);
    }
}

#[test]
fn r20_a_sync_handler_works_in_spawn_blocking() {
    let current = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for runtime in [current, multi] {
        for store in stores() {
            let ran = Count::default();
            let call = runtime.spawn_blocking(move || sync_handler(&store, &ran, 1));
            assert_eq!(runtime.block_on(call).unwrap().unwrap(), 1);
        }
    }
}

#[idempotent(key = "id", store = store, wait = "10ms")]
fn patient(store: &Probe, ran: &Count, id: u32) -> Result<u32, Error> {
    Ok(ran.up())
}

#[tokio::test(flavor = "current_thread")]
async fn r20_a_sync_handler_refuses_to_block_a_current_thread_runtime() {
    let ran = Count::default();
    let store = Probe::on_runtime();
    let refused = [sync_handler(&store, &ran, 1), patient(&store, &ran, 1), patient(&Probe::new(), &ran, 1)];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::WouldBlock { .. }) && !error.executed(), "{error}");
        // The refused call has not used up the task's coop budget.
        tokio::time::timeout(Duration::from_secs(5), tokio::task::yield_now()).await.unwrap();
        assert!(tokio::task::coop::has_budget_remaining());
    }
    assert_eq!((ran.get(), store.asked()), (0, vec![]));
}

/// The call may block this thread, because it waits neither for a runtime nor for another call: nothing that it waits for needs the
/// thread.
#[tokio::test(flavor = "current_thread")]
async fn r20_a_sync_handler_runs_on_a_current_thread_runtime_whose_store_needs_none() {
    let (store, ran) = (Probe::new(), Count::default());
    assert_eq!(sync_handler(&store, &ran, 1).unwrap(), 1);
    assert_eq!(sync_handler(&store, &ran, 1).unwrap(), 1);
    assert_eq!(store.asked(), [Asked::Claim, Asked::Complete, Asked::Claim]);
    // The call also waits while it repeats requests to a store that fails.
    store.fail(Asked::Claim, Fault::AnswerLost).fail(Asked::Complete, Fault::RequestLost);
    assert_eq!(sync_handler(&store, &ran, 2).unwrap(), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn r20_a_sync_handler_in_another_one_refuses_to_block_a_current_thread_runtime() {
    #[idempotent(key = "id", store = store)]
    fn outer(store: &Probe, inner: &Probe, ran: &Count, id: u32) -> Result<u32, Error> {
        sync_handler(inner, ran, id)
    }

    let (inner, ran) = (Probe::on_runtime(), Count::default());
    let error = outer(&Probe::new(), &inner, &ran, 1).unwrap_err();
    assert!(matches!(error, Error::WouldBlock { .. }), "{error}");
    assert_eq!(ran.get(), 0);
}

/// A task that calls many handlers without an `await` uses up its coop budget, and a channel of Tokio's is then never ready. The
/// store must not depend on one.
#[tokio::test(flavor = "current_thread")]
async fn r20_a_sync_handler_runs_on_a_current_thread_runtime_whose_task_has_no_budget_left() {
    #[idempotent(key = "id", store = store)]
    fn durable(store: &SqliteStore, id: u32) -> Result<u32, Error> {
        Ok(id)
    }

    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("keys.sqlite")).await.unwrap();
    while tokio::task::coop::has_budget_remaining() {
        std::pin::pin!(tokio::task::coop::consume_budget())
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
            .is_ready();
    }
    assert_eq!(durable(&store, 1).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn r20_a_sync_handler_refuses_to_block_a_local_set() {
    let local = tokio::task::LocalSet::new();
    let error = local.run_until(async { sync_handler(&Probe::on_runtime(), &Count::default(), 1).unwrap_err() }).await;
    assert!(matches!(error, Error::WouldBlock { .. }), "{error}");
}

/// As on a current-thread runtime: a store that needs no runtime, as the text of `WouldBlock` advises, helps here too.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn r20_a_sync_handler_runs_in_a_local_set_whose_store_needs_no_runtime() {
    let (store, ran) = (Probe::new(), Count::default());
    let twice = async { (sync_handler(&store, &ran, 1).unwrap(), sync_handler(&store, &ran, 1).unwrap()) };
    assert_eq!(tokio::task::LocalSet::new().run_until(twice).await, (1, 1));
    assert_eq!(ran.get(), 1);
}

#[test]
fn r20_every_blocking_store_call_has_a_deadline() {
    #[idempotent(key = "id", store = store, lease = "150ms", scope = "isolation-r20-1")]
    fn handle(store: &Probe, id: u32) -> Result<u32, Error> {
        Ok(id)
    }

    for store in stores() {
        for _ in 0..3 {
            store.fail(Asked::Claim, Fault::Hangs);
        }
        let error = handle(&store, 1).unwrap_err();
        assert!(matches!(error, Error::Store { .. }), "{error}");
        store.fail(Asked::Complete, Fault::Hangs);
        let error = handle(&store, 2).unwrap_err();
        assert!(matches!(error, Error::NotRecorded { .. }) && error.executed(), "{error}");
    }
}

#[tokio::test]
async fn r21_an_async_trait_method_is_claimed_when_it_is_polled() {
    #[async_trait::async_trait]
    trait Charge {
        async fn charge(&self, order_id: &str) -> Result<u32, Error>;
    }

    struct Service {
        store: Probe,
        ran: Count,
    }

    #[async_trait::async_trait]
    impl Charge for Service {
        #[idempotent(key = "order_id", scope = "isolation-async-trait", store = self.store)]
        async fn charge(&self, order_id: &str) -> Result<u32, Error> {
            tokio::task::yield_now().await;
            Ok(self.ran.up())
        }
    }

    let service = Service { store: Probe::new(), ran: Count::default() };
    let call = service.charge("a");
    assert_eq!(service.store.asked(), [], "not claimed before it is polled");
    assert_eq!(call.await.unwrap(), 1);
    assert_eq!(service.charge("a").await.unwrap(), 1);
    assert_eq!(service.ran.get(), 1);
}

#[test]
fn an_async_handler_needs_no_runtime() {
    #[idempotent(key = "id", store = store, lease = "300ms", scope = "isolation-an_async_handler-1")]
    async fn handle(store: &Probe, ran: &Count, id: u32) -> Result<u32, Error> {
        while store.count(Asked::Renew) < 2 {
            let mut polled = false;
            std::future::poll_fn(|cx| {
                let waker = cx.waker().clone();
                if polled {
                    return std::task::Poll::Ready(());
                }
                polled = true;
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    waker.wake();
                });
                std::task::Poll::Pending
            })
            .await;
        }
        Ok(ran.up())
    }

    let (store, ran) = (Probe::new(), Count::default());
    assert_eq!(pollster(handle(&store, &ran, 1)).unwrap(), 1);
    assert_eq!(pollster(handle(&store, &ran, 1)).unwrap(), 1);
}

/// A small executor that is not Tokio's.
fn pollster<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = std::pin::pin!(future);
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[tokio::test]
async fn a_handler_without_a_store_is_refused_and_with_store_gives_it_one() {
    #[idempotent(key = "id", scope = "isolation-a_handler_without-1")]
    async fn handle(id: u32) -> Result<u32, Failure> {
        Ok(id)
    }

    assert!(matches!(handle(1).await.unwrap_err().refusal(), Error::NoStore { .. }));
    let store = Probe::new();
    assert_eq!(with_store(store.clone(), handle(1)).await.unwrap(), 1);
    assert_eq!(with_store(store.clone(), handle(1)).await.unwrap(), 1);
    assert_eq!(store.asked(), [Asked::Claim, Asked::Complete, Asked::Claim]);
    assert_eq!(store.count(Asked::Release(Leave::NotRun)), 0);
}
