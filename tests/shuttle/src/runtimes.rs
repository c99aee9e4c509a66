//! Runtimes whose tasks shuttle runs: what Tokio's do that the library relies on. A task is dropped by an abort, and by the
//! end of its runtime, when it isn't being polled; a runtime that has ended drops at once what is spawned on it.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use shuttle::future::AbortHandle;
use tokio::runtime::RuntimeFlavor;
use tokio::sync::oneshot;

use super::Mutex;

shuttle::thread_local! {
    /// Whose task this is.
    static CURRENT: RefCell<Option<Handle>> = RefCell::new(None);
}

/// A runtime.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Runtime>);

struct Runtime {
    flavor: RuntimeFlavor,
    /// `None`: it has ended.
    tasks: Mutex<Option<Vec<AbortHandle>>>,
}

/// The clock is the same in every runtime.
pub(crate) struct Entered;

/// There is no runtime.
#[derive(Debug)]
pub(crate) struct NoRuntime;

impl Handle {
    pub(crate) fn new(flavor: RuntimeFlavor) -> Self {
        Self(Arc::new(Runtime { flavor, tasks: Mutex::new(Some(Vec::new())) }))
    }

    pub(crate) fn try_current() -> Result<Self, NoRuntime> {
        CURRENT.with(|current| current.borrow().clone()).ok_or(NoRuntime)
    }

    pub(crate) fn runtime_flavor(&self) -> RuntimeFlavor {
        match self.0.flavor {
            RuntimeFlavor::CurrentThread => RuntimeFlavor::CurrentThread,
            _ => RuntimeFlavor::MultiThread,
        }
    }

    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    pub(crate) fn spawn<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = &mut *tasks {
            let on_runtime = OnRuntime { handle: self.clone(), future: Box::pin(future) };
            let task = JoinHandle::of(on_runtime);
            tasks.push(task.abort.clone());
            return task;
        }
        drop(tasks);
        drop(future);
        let ended = JoinHandle::of(pending());
        ended.abort();
        ended
    }

    /// The runtime ends.
    pub(crate) fn end(&self) {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        tasks.into_iter().flatten().for_each(|task| task.abort());
    }
}

/// Like Tokio's. Shuttle's own wakes while it holds a lock of std's, which a waker that takes a step doesn't bear.
pub(crate) struct JoinHandle<T> {
    output: oneshot::Receiver<T>,
    abort: AbortHandle,
}

impl<T: Send + 'static> JoinHandle<T> {
    fn of(future: impl Future<Output = T> + Send + 'static) -> Self {
        let (sender, output) = oneshot::channel();
        let task = shuttle::future::spawn(async move { drop(sender.send(future.await)) });
        Self { output, abort: task.abort_handle() }
    }
}

impl<T> JoinHandle<T> {
    pub(crate) fn abort(&self) {
        self.abort.abort();
    }

    pub(crate) fn abort_handle(&self) -> AbortHandle {
        self.abort.clone()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.output).poll(cx)
    }
}

/// The task was aborted.
pub(crate) use oneshot::error::RecvError as JoinError;

struct OnRuntime<F> {
    handle: Handle,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for OnRuntime<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // A task of shuttle's is of one runtime only.
        CURRENT.with(|current| *current.borrow_mut() = Some(self.handle.clone()));
        self.future.as_mut().poll(cx)
    }
}

/// Spawns on the runtime whose task this is.
#[allow(clippy::expect_used, reason = "a test")]
pub(crate) fn spawn<F: Future<Output: Send> + Send + 'static>(future: F) -> JoinHandle<F::Output> {
    Handle::try_current().expect("a task of a runtime spawns").spawn(future)
}

pub(crate) fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Builds the runtime of the background thread.
pub(crate) struct Builder;

impl Builder {
    pub(crate) fn new_current_thread() -> Self {
        Self
    }

    pub(crate) fn enable_all(&mut self) -> &mut Self {
        self
    }

    #[expect(clippy::unnecessary_wraps, reason = "Tokio's can fail")]
    pub(crate) fn build(&mut self) -> std::io::Result<Background> {
        Ok(Background(Handle::new(RuntimeFlavor::CurrentThread)))
    }
}

/// The background thread's runtime.
pub(crate) struct Background(Handle);

impl Background {
    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }

    /// The tasks are run by shuttle, so the thread has nothing to do.
    pub(crate) fn block_on(&self, _: impl Future<Output = ()>) {}
}
