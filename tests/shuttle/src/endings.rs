//! Endings in the background: the relay, and drain's counter.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use super::FOR_EVER;
use crate::task::drain::drain_blocking;
use crate::task::sync::atomic::{AtomicUsize, Ordering};
use crate::task::sync::runtime::Handle;
use crate::task::sync::{Instant, thread};
use crate::task::{background, timer};

/// An ending that takes a second, and says when it is settled.
fn finish(home: Option<&Handle>, settled: &Arc<AtomicUsize>) {
    let settled = Arc::clone(settled);
    let begin = move || {
        let settled = Arc::clone(&settled);
        async move {
            timer::sleep(Duration::from_secs(1)).await;
            settled.fetch_add(1, Ordering::SeqCst);
            true
        }
    };
    background::finish(false, home, Instant::now() + Duration::from_secs(60), begin).unwrap();
}

/// The caller's runtime ends at any time: its ending is settled all the same, once at least.
pub fn what_a_runtime_dropped_begins_again() {
    let home = Handle::new(RuntimeFlavor::MultiThread);
    let settled = Arc::default();
    let ends = thread::spawn({
        let home = home.clone();
        move || home.end()
    });
    finish(Some(&home), &settled);
    assert_eq!(drain_blocking(FOR_EVER), 0);
    assert!(settled.load(Ordering::SeqCst) > 0, "drain says 0, and nothing was settled");
    ends.join().unwrap();
}

/// Two threads end a call each, and drain: both return, and each finds its own ending settled.
pub fn what_had_ended_is_settled() {
    let threads = [(); 2].map(|()| {
        thread::spawn(|| {
            let settled = Arc::default();
            finish(None, &settled);
            assert_eq!(drain_blocking(FOR_EVER), 0);
            assert_eq!(settled.load(Ordering::SeqCst), 1, "drain says 0, and the ending isn't settled");
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}
