//! What the page on shutting down shows.

#![expect(dead_code, reason = "it is shown, and not run")]

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

struct Message;

async fn handle(_: Message) {}

async fn serve() {}

async fn consume(mut messages: Receiver<Message>, mut told_to_end: impl Future<Output = ()> + Unpin, pool: PgPool) {
    let mut handlers = JoinSet::new();
    loop {
        tokio::select! {
            message = messages.recv(), if handlers.len() < 64 => match message {
                Some(message) => drop(handlers.spawn(handle(message))),
                None => break,
            },
            Some(ended) = handlers.join_next() => if let Err(error) = ended {
                eprintln!("a handler panicked: {error}");
            },
            () = &mut told_to_end => break,
        }
    }
    handlers.shutdown().await;
    let left = idem_runtime::drain(Duration::from_secs(10)).await;
    if left > 0 {
        eprintln!("{left} keys stay blocked until their leases end");
    }
    pool.close().await;
}

async fn finish(mut handlers: JoinSet<()>) {
    let finished = async { while handlers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(20), finished).await;
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(serve());
    runtime.shutdown_timeout(Duration::from_secs(20));
    let left = idem_runtime::drain_blocking(Duration::from_secs(10));
    std::process::exit(i32::from(left > 0));
}
