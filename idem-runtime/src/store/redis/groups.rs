//! Requests that need a confirmation are sent in groups: the scripts of all requests, followed by one command that
//! waits for the confirmation of all of them.
//!
//! A server sends no other answer on a connection while a `WAIT` is under way there. So one group is under way at a
//! time, and all requests that arrive meanwhile form the next one. In a cluster, each node has its own groups.
//!
//! A group is one pipeline, because a `WAIT` is about the writes of its own connection, and a pipeline is written to
//! one connection. The `WAIT` of another pipeline would say nothing about a script: the driver may have reconnected in
//! between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use redis::{ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::oneshot;

use super::confirmation::Confirmation;
use super::failure::{broken, is_unknown};
use super::link::Link;
use super::nodes::{Node, Slots};
use super::script::Call;
use crate::task::{background, quietly, timer};

/// The result of a call: the script's answer, and the answer of the command that waited for the confirmation.
pub(super) struct Settled {
    pub(super) answer: Value,
    pub(super) confirmed: Value,
}

/// The calls that need a confirmation.
pub(super) struct Groups {
    link: Link,
    pub(super) confirmation: Confirmation,
    /// For each node with a group under way, the calls that wait for the next group.
    queues: Mutex<BTreeMap<Node, Vec<Waiting>>>,
    /// Which node has which key. If it is out of date, the driver still finds the node, and the map is then read again.
    slots: Mutex<Slots>,
}

struct Waiting {
    call: Call,
    /// Whether the call was in a group that the cluster redirected, so that it is now sent alone.
    alone: bool,
    caller: oneshot::Sender<RedisResult<Settled>>,
}

impl Groups {
    pub(super) fn new(link: Link, confirmation: Confirmation) -> Arc<Self> {
        Arc::new(Self { link, confirmation, queues: Mutex::default(), slots: Mutex::default() })
    }

    /// Reads which node has which keys. Returns the nodes.
    pub(super) async fn find_nodes(&self) -> RedisResult<Vec<Node>> {
        let slots = self.link.slots().await?;
        let nodes = slots.nodes();
        *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = slots;
        Ok(nodes)
    }

    /// Carries out a call in a group, and waits for its confirmation. If its caller is dropped, the group goes on; its
    /// own call may be carried out or not.
    pub(super) async fn settle(self: &Arc<Self>, call: Call) -> RedisResult<Settled> {
        let (caller, settled) = oneshot::channel();
        self.enter(Waiting { call, alone: false, caller });
        settled.await.unwrap_or_else(|_| Err(broken()))
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<Node, Vec<Waiting>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the call to the next group, or begins a group if none is under way.
    fn enter(self: &Arc<Self>, waiting: Waiting) {
        let node = self.slots.lock().unwrap_or_else(PoisonError::into_inner).node_of(waiting.call.key());
        let mut queues = self.queues();
        if let Some(queue) = queues.get_mut(&node) {
            return queue.push(waiting);
        }
        // In the background, so that it goes on if the caller is dropped: an abandoned WAIT would still block its
        // connection.
        let Some(runtime) = background::handle() else { return };
        queues.insert(node.clone(), vec![waiting]);
        drop(queues);
        let turn = Turn { groups: Arc::clone(self), node };
        runtime.spawn(async move {
            while let Some(group) = turn.next() {
                turn.groups.carry_out(group).await;
            }
        });
    }

    async fn carry_out(self: &Arc<Self>, group: Vec<Waiting>) {
        let mut pipeline = Pipeline::with_capacity(group.len() + 1);
        pipeline.ignore_errors();
        for waiting in &group {
            pipeline.add_command(waiting.call.command.clone());
        }
        pipeline.add_command(self.confirmation.command());
        let sent = Instant::now();
        let key = group.first().map_or(&[][..], |waiting| waiting.call.key());
        match self.link.send_group(key, &pipeline).await {
            Ok(answers) => self.tell(group, answers),
            // Some of the keys are on another node now.
            Err(error) if is_redirected(&error) && group.len() > 1 => {
                // If this fails, the driver finds the nodes.
                let _ = self.find_nodes().await;
                group.into_iter().for_each(|waiting| self.enter(Waiting { alone: true, ..waiting }));
            }
            Err(error) => {
                let has_gone_on = error.is_timeout();
                group.into_iter().for_each(|waiting| waiting.hears(Err(error.clone())));
                if has_gone_on {
                    // The driver no longer waits for the answer, but the server is still busy with the WAIT.
                    timer::sleep(self.confirmation.timeout.saturating_sub(sent.elapsed())).await;
                }
            }
        }
    }

    /// Sends each caller its answer. A call whose script the server doesn't know goes into the next group.
    fn tell(self: &Arc<Self>, group: Vec<Waiting>, mut answers: Vec<Value>) {
        let confirmed = answers.pop().unwrap_or(Value::Nil);
        for (waiting, answer) in group.into_iter().zip(answers) {
            match answer.extract_error() {
                Err(error) if is_unknown(&error) => self.enter(Waiting { call: waiting.call.by_code(), ..waiting }),
                Err(error) => waiting.hears(Err(error)),
                Ok(answer) => {
                    let confirmed = confirmed.clone().extract_error();
                    waiting.hears(confirmed.map(|confirmed| Settled { answer, confirmed }));
                }
            }
        }
    }
}

impl Waiting {
    fn hears(self, answer: RedisResult<Settled>) {
        // The caller may have been dropped. Its waker is foreign code, which may panic.
        quietly(|| drop(self.caller.send(answer)));
    }
}

/// The task that sends a node's groups.
struct Turn {
    groups: Arc<Groups>,
    node: Node,
}

impl Turn {
    /// The next group. `None` if no call waits; the next call then begins a new group.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queues = self.groups.queues();
        let queue = queues.get_mut(&self.node)?;
        // A caller that was dropped has released its key by another request.
        queue.retain(|waiting| !waiting.caller.is_closed());
        let group = match queue.iter().position(|waiting| waiting.alone) {
            Some(nth) => vec![queue.swap_remove(nth)],
            None => std::mem::take(queue),
        };
        if group.is_empty() {
            queues.remove(&self.node);
            return None;
        }
        Some(group)
    }
}

/// If the driver panicked, the waiting callers get an error and repeat their requests.
impl Drop for Turn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.groups.queues().remove(&self.node);
        }
    }
}

/// Whether a key of the group is on another node, or is moving there.
fn is_redirected(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask))
}
