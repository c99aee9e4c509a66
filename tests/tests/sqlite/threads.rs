//! The store's threads and futures: a waiter is woken by an ending, the futures run on any executor, and the threads end with the
//! last handle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use idem_runtime::admin::Filter;
use idem_runtime::store::{CompleteRequest, WaitRequest};
use idem_runtime::{Error, IdempotencyStore, SqliteStore, idempotent};
use idem_tests::steps::{DAY, acquire, execute, key, record, replay, request};
use idem_tests::{Gate, vfs};
use rusqlite::Connection;

use super::{directory, file, open};

#[tokio::test]
async fn who_waits_hears_of_an_ending() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let key = key("k");
    let claim = request("s", &key);
    let fence = acquire(&store, claim).await.fence;
    // The key is held, so the wait lasts until the next poll of the row is due.
    let begun = Instant::now();
    store.wait(WaitRequest::new("s", &key, DAY)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50));
    // In this round the next poll is due in a quarter of a second. The completion wakes the waiter earlier.
    let mut wait = WaitRequest::new("s", &key, DAY);
    wait.round = 9;
    let result = record("r");
    let complete = async {
        tokio::task::yield_now().await;
        store.complete(CompleteRequest::new(&claim, fence, &result, DAY)).await.unwrap()
    };
    let (waited, _) = tokio::join!(store.wait(wait), complete);
    waited.unwrap();
    replay(&store, "s", &key).await;
    // The key is completed, so a wait returns at once.
    let begun = Instant::now();
    for _ in 0..10 {
        store.wait(wait).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_millis(2_000));
}

/// The store's futures run on any executor.
#[test]
fn any_executor_will_do() {
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }
    let directory = directory();
    block_on(async {
        let store = open(&file(&directory)).await;
        execute(&store, "s", &key("k"), &record("r")).await;
        replay(&store, "s", &key("k")).await;
        acquire(&store, request("s", &key("held"))).await;
        store.wait(WaitRequest::new("s", &key("held"), DAY)).await.unwrap();
    });
}

/// The store's threads have ended when this process has no file of the store's open any more.
#[tokio::test]
async fn the_last_handle_ends_the_threads_once_they_are_done() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let key = key("k");
    let claim = request("s", &key);
    let fence = acquire(&store, claim).await.fence;
    let result = record("r");
    // The completion is sent, and its future is dropped.
    {
        let mut complete = std::pin::pin!(store.complete(CompleteRequest::new(&claim, fence, &result, DAY)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = complete.as_mut().poll(&mut context);
    }
    drop(store);
    let is_open = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        files
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .any(|file| file.starts_with(directory.path()))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_open() {
        assert!(Instant::now() < deadline, "the threads are still there");
        std::thread::yield_now();
    }
    assert_eq!(replay(&open(&file(&directory)).await, "s", &key).await, result);
}

#[idempotent(key = "id", scope = "sqlite-parked", store = store, on_crash = "park")]
async fn parking(store: &SqliteStore, gate: Gate, id: u32) -> Result<u32, Error> {
    gate.pass().await;
    Ok(id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_a_duplicate_right_after_a_cancelled_call_is_told_of_it() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    for id in 0..40 {
        // A replay, so that the store has readers, which the next claim asks first.
        parking(&store, Gate::opened(), 1000).await.unwrap();
        let gate = Gate::default();
        let call = tokio::spawn({
            let (store, gate) = (store.clone(), gate.clone());
            async move { parking(&store, gate, id).await }
        });
        gate.started().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let error = parking(&store, Gate::opened(), id).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{id}: {error}");
    }
    let orphans = store.admin().unwrap().list(Filter::all().orphans()).await.unwrap();
    assert_eq!(orphans.len(), 40);
}

#[idempotent(key = "id", scope = "sqlite-ticking", store = store)]
async fn ticking(store: &SqliteStore, id: u32) -> Result<u32, Error> {
    Ok(id)
}

/// The store's files are read, written and synced on the store's threads. So a slow disk holds up nothing else on the
/// caller's thread, where a ticker runs beside executions, replays and an opening.
#[tokio::test(flavor = "current_thread")]
async fn a_slow_sync_does_not_block_the_callers_thread() {
    const SYNC: Duration = Duration::from_millis(200);
    let directory = directory();
    vfs::watch(directory.path());
    vfs::slow_syncs(directory.path(), SYNC);
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let ticker = tokio::spawn(async move {
        let mut late = 0;
        while is_done.try_recv().is_err() {
            let before = Instant::now();
            tokio::time::sleep(Duration::from_millis(5)).await;
            late += usize::from(before.elapsed() >= SYNC);
        }
        late
    });
    let store = open(&file(&directory)).await;
    let begun = Instant::now();
    for id in 0..3 {
        assert_eq!(ticking(&store, id).await.unwrap(), id);
        assert_eq!(ticking(&store, id).await.unwrap(), id);
    }
    assert!(begun.elapsed() >= SYNC * 3, "the syncs are slow");
    done.send(()).unwrap();
    // A busy machine makes a tick late too, but not as many as there were syncs.
    let late = ticker.await.unwrap();
    assert!(late < 3, "{late} ticks were late by a sync");
    assert!(!vfs::touched_by_this_thread(directory.path()));
    Connection::open(file(&directory)).unwrap().query_row("SELECT 1 FROM idem_keys", [], |_| Ok(())).unwrap();
    assert!(vfs::touched_by_this_thread(directory.path()), "this thread would have been seen");
}
