//! What an annotated handler costs compared with the bare one: the bytes of its future, its allocations, the bytes of a key.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use idem_runtime::{AnyStore, Error, MemoryStore, idempotent};

/// The system's allocator, with a count of the allocations of this thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: i64) {
    let _ = ALLOCATIONS.try_with(|all| all.set(all.get() + allocations));
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap()
}

// SAFETY: each method passes its call on to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

mod bare {
    use super::{Error, MemoryStore};

    pub(super) async fn key(_: &MemoryStore, id: u64) -> Result<u64, Error> {
        tokio::task::yield_now().await;
        Ok(id)
    }

    pub(super) async fn large(_: &MemoryStore, id: u64, payload: [u8; 4096]) -> Result<u8, Error> {
        tokio::task::yield_now().await;
        Ok(payload[usize::try_from(id).unwrap()])
    }

    pub(super) async fn many(_: &MemoryStore, id: String, a: String, b: Vec<u8>, c: [u64; 16]) -> Result<u64, Error> {
        tokio::task::yield_now().await;
        Ok((id.len() + a.len() + b.len()) as u64 + c[0])
    }
}

mod annotated {
    use super::{Error, MemoryStore, idempotent};

    #[idempotent(key = "id", store = store)]
    pub(super) async fn key(store: &MemoryStore, id: u64) -> Result<u64, Error> {
        tokio::task::yield_now().await;
        Ok(id)
    }

    #[idempotent(key = "id", store = store)]
    pub(super) async fn large(store: &MemoryStore, id: u64, payload: [u8; 4096]) -> Result<u8, Error> {
        tokio::task::yield_now().await;
        Ok(payload[usize::try_from(id).unwrap()])
    }

    #[idempotent(key = "id", store = store)]
    pub(super) async fn many(
        store: &MemoryStore,
        id: String,
        a: String,
        b: Vec<u8>,
        c: [u64; 16],
    ) -> Result<u64, Error> {
        tokio::task::yield_now().await;
        Ok((id.len() + a.len() + b.len()) as u64 + c[0])
    }
}

/// How many bytes the future of an annotated handler may have more than that of the bare one.
const FUTURE: usize = 768;

#[test]
fn an_annotated_handlers_future_is_little_larger_than_the_bare_one() {
    let store = &MemoryStore::new();
    let text = String::new;
    let cases = [
        ("a key", size_of_val(&bare::key(store, 1)), size_of_val(&annotated::key(store, 1))),
        (
            "4 KiB across an await",
            size_of_val(&bare::large(store, 1, [0; 4096])),
            size_of_val(&annotated::large(store, 1, [0; 4096])),
        ),
        (
            "many arguments",
            size_of_val(&bare::many(store, text(), text(), vec![], [0; 16])),
            size_of_val(&annotated::many(store, text(), text(), vec![], [0; 16])),
        ),
    ];
    for (case, bare, annotated) in cases {
        println!("{case}: {bare} bytes bare, {annotated} annotated, {} more", annotated - bare);
    }
    for (case, bare, annotated) in cases {
        assert!(annotated - bare <= FUTURE, "{case}: {} bytes more", annotated - bare);
    }
}

/// A key of 24 bytes.
fn key(n: u64) -> String {
    format!("order-{n:018}")
}

/// A result of 64 bytes.
fn result() -> String {
    "r".repeat(64)
}

/// The number of allocations that the handlers below make themselves: one for the result, in the body or when it is replayed.
const OWN: u64 = 1;

#[idempotent(key = "id", store = store)]
async fn asynchronous(store: &MemoryStore, id: &str) -> Result<String, Error> {
    Ok(result())
}

#[idempotent(key = "id", store = store)]
fn blocking(store: &MemoryStore, id: &str) -> Result<String, Error> {
    Ok(result())
}

#[idempotent(key = "id", store = store)]
async fn erased(store: &AnyStore, id: &str) -> Result<String, Error> {
    Ok(result())
}

fn poll_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a memory store never waits"),
    }
}

type Handle = fn(&MemoryStore, &AnyStore, &str);

/// A subscriber that is disabled below the level info.
struct Reserved;

impl tracing::Subscriber for Reserved {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::INFO)
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        panic!("{event:?} is of no interest")
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_replay_allocates_nothing_and_a_first_execution_little() {
    assert_few_allocations();
}

#[test]
fn what_no_subscriber_hears_allocates_nothing() {
    tracing::subscriber::with_default(Reserved, assert_few_allocations);
}

fn assert_few_allocations() {
    let call_async: Handle = |store, _, id| drop(poll_once(asynchronous(store, id)).unwrap());
    let call_blocking: Handle = |store, _, id| drop(blocking(store, id).unwrap());
    let call_erased: Handle = |_, store, id| drop(poll_once(erased(store, id)).unwrap());
    // An erased store has the futures of a claim and of a completion on the heap.
    let cases = [("async", call_async, 2), ("sync", call_blocking, 2), ("erased", call_erased, 3)];
    for (kind, handle, executions) in cases {
        let store = MemoryStore::new();
        let any = AnyStore::new(store.clone());
        let keys: Vec<String> = (0..10_000).map(key).collect();
        // The first call also allocates the registry of scopes, the pool of owners and the heartbeat's list.
        handle(&store, &any, "warm");
        for (what, at_most) in [("first executions", executions), ("replays", 0)] {
            let mut counts: Vec<u64> = keys
                .iter()
                .map(|id| {
                    let before = ALLOCATIONS.get();
                    handle(&store, &any, id);
                    ALLOCATIONS.get() - before - OWN
                })
                .collect();
            counts.sort_unstable();
            let (median, most) = (counts[counts.len() / 2], counts[counts.len() - 1]);
            println!("{kind}: {what}: {median} allocations, {most} where a table grows");
            assert!(median <= at_most, "{kind}: {what}: {median} allocations");
            if at_most == 0 {
                assert_eq!(most, 0, "{kind}: {what}");
            }
        }
    }
}

#[test]
fn a_key_takes_at_most_170_bytes() {
    const KEYS: u64 = 200_000;
    let store = MemoryStore::new();
    let before = LIVE.get();
    for n in 0..KEYS {
        drop(poll_once(asynchronous(&store, &key(n))).unwrap());
    }
    let bytes = u64::try_from(LIVE.get() - before).unwrap() / KEYS;
    println!("{bytes} bytes a key");
    assert!(bytes <= 170, "{bytes} bytes");
}
