use std::sync::Arc;

use tokio::sync::Semaphore;

use super::*;

struct Request(Key);

impl Placed for Request {
    fn place(&self) -> (&str, &Key) {
        ("scope", &self.0)
    }
}

fn request(key: &str) -> Request {
    Request(Key::from_bytes(key.as_bytes()).expect("a key"))
}

/// Records which keys are sent together. Each batch waits for a permit of `go`.
#[derive(Clone)]
struct Notes(Arc<Inner>);

struct Inner {
    lanes: Lanes<Request, usize>,
    go: Semaphore,
    batches: Mutex<Vec<Vec<String>>>,
}

impl Notes {
    fn new() -> Self {
        Self(Arc::new(Inner { lanes: Lanes::default(), go: Semaphore::new(0), batches: Mutex::default() }))
    }

    fn batches(&self) -> Vec<Vec<String>> {
        self.0.batches.lock().expect("no test has panicked").clone()
    }

    fn waiting(&self) -> usize {
        self.0.lanes.lock().waiting.len()
    }

    fn busy(&self) -> usize {
        self.0.lanes.lock().busy.len()
    }

    /// Waits until `so` is true. Waiting requests are carried out in the background.
    async fn until(&self, so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !so(self) {
            assert!(Instant::now() < deadline, "{:?}, {} lanes are busy", self.batches(), self.busy());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Work for Notes {
    type Request = Request;
    type Answer = usize;
    type Dialect = Nobodys;

    fn lanes(&self) -> &Lanes<Request, usize> {
        &self.0.lanes
    }

    async fn send(&self, requests: &[&Request]) -> Result<Vec<Option<usize>>, Failure> {
        let keys: Vec<_> = requests.iter().map(|request| request.0.to_string()).collect();
        let has_bad = keys.iter().any(|key| key == "bad");
        self.0.batches.lock().expect("no test has panicked").push(keys);
        self.0.go.acquire().await.expect("it is never closed").forget();
        if has_bad { Err(Failure::ScopeTooLong(0)) } else { Ok((0..requests.len()).map(Some).collect()) }
    }
}

enum Nobodys {}

impl Dialect for Nobodys {
    const STORE: &'static str = "test";

    fn is_passing(_: &dyn sqlx::error::DatabaseError) -> bool {
        false
    }

    fn is_conflict(_: &dyn sqlx::error::DatabaseError) -> bool {
        false
    }

    fn is_farewell(_: &dyn sqlx::error::DatabaseError) -> bool {
        false
    }

    fn turns_away(_: &dyn sqlx::error::DatabaseError) -> Option<&'static str> {
        None
    }

    fn may_lack_table(_: &dyn sqlx::error::DatabaseError) -> bool {
        false
    }

    fn is_full(_: &dyn sqlx::error::DatabaseError) -> bool {
        false
    }

    fn advice(_: &dyn sqlx::error::DatabaseError) -> Option<&'static str> {
        None
    }
}

/// Lets spawned tasks run until they wait.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_waits_is_served_together_and_each_key_once() {
    let notes = Notes::new();
    let mut calls = tokio::task::JoinSet::new();
    for key in ["1", "2", "d", "b", "a", "b", "c"] {
        let notes = notes.clone();
        calls.spawn(async move { submit(&notes, request(key)).await.is_ok() });
        settle().await;
    }
    assert_eq!(notes.batches(), [["1"], ["2"]], "a free lane is taken at once");
    notes.0.go.add_permits(1);
    notes.until(|notes| notes.batches().len() > 2).await;
    assert_eq!(notes.batches()[2..], [["a", "b", "c", "d"]], "all who wait, sorted");
    notes.0.go.add_permits(10);
    assert!(calls.join_all().await.into_iter().all(|answered| answered));
    assert_eq!(notes.batches()[3..], [["b"]], "the same key once more goes by itself");
}

#[tokio::test]
async fn one_bad_request_fails_alone() {
    let notes = Notes::new();
    let mut calls = tokio::task::JoinSet::new();
    for key in ["1", "2", "a", "bad", "c"] {
        let notes = notes.clone();
        calls.spawn(async move { (key, submit(&notes, request(key)).await.is_ok()) });
        settle().await;
    }
    notes.0.go.add_permits(10);
    let mut answers = calls.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [("1", true), ("2", true), ("a", true), ("bad", false), ("c", true)]);
    assert_eq!(notes.batches()[2..], [vec!["a", "bad", "c"], vec!["a"], vec!["bad"], vec!["c"]]);
}

#[tokio::test]
async fn a_caller_that_goes_hands_its_lane_on() {
    let notes = Notes::new();
    let holders: Vec<_> = ["1", "2"]
        .into_iter()
        .map(|key| {
            let notes = notes.clone();
            tokio::spawn(async move { submit(&notes, request(key)).await })
        })
        .collect();
    settle().await;
    let waiter = tokio::spawn({
        let notes = notes.clone();
        async move { submit(&notes, request("3")).await }
    });
    let gone = tokio::spawn({
        let notes = notes.clone();
        async move { submit(&notes, request("4")).await }
    });
    settle().await;
    gone.abort();
    assert_eq!(notes.waiting(), 2);
    for holder in holders {
        holder.abort();
    }
    notes.0.go.add_permits(1);
    assert_eq!(waiter.await.expect("it was not aborted").expect("it is carried out"), 0);
    assert_eq!(notes.batches()[2..], [["3"]], "who has gone is not served");
    notes.until(|notes| notes.busy() == 0).await;
}

#[tokio::test]
async fn who_is_not_polled_holds_nobody_up() {
    let notes = Notes::new();
    let mut holders: Vec<_> = ["1", "2"].map(|key| Box::pin(submit(&notes, request(key)))).into();
    for holder in &mut holders {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(holder.as_mut().poll(cx).is_pending())).await;
        assert!(polled, "it holds its lane");
    }
    notes.0.go.add_permits(10);
    assert_eq!(submit(&notes, request("3")).await.expect("it is carried out"), 0);
    for holder in holders {
        assert_eq!(holder.await.expect("it is carried out"), 0);
    }
    notes.until(|notes| notes.busy() == 0).await;
}

#[test]
fn who_waits_is_served_where_the_runtime_of_a_lane_ends() {
    let ends = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let stays = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let notes = Notes::new();
    for key in ["1", "2"] {
        let notes = notes.clone();
        ends.spawn(async move { submit(&notes, request(key)).await });
    }
    stays.block_on(notes.until(|notes| notes.busy() == 2));
    // All have the same key, so each is a batch of its own.
    let waiters: Vec<_> = (0..2_000)
        .map(|_| {
            let notes = notes.clone();
            stays.spawn(async move { submit(&notes, request("same")).await.is_ok() })
        })
        .collect();
    stays.block_on(notes.until(|notes| notes.waiting() == 2_000));
    drop(ends);
    notes.0.go.add_permits(10_000);
    for waiter in waiters {
        assert!(stays.block_on(waiter).expect("it was not aborted"));
    }
}
