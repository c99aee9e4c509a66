//! Callers that wait for a confirmation are settled in groups: their scripts, and behind these one command that waits for
//! all of them.
//!
//! A server answers nothing else on a connection while a `WAIT` is under way there. So one group is under way at a time, and
//! the next one takes all who came meanwhile. In a cluster, a group is one node's.
//!
//! A group is one pipeline: it is written to one connection, and a `WAIT` is about the writes of its own connection. What
//! another pipeline's `WAIT` was told says nothing about a script, as a driver may have connected anew in between.

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

/// What came of a call: the script's answer, and that of the command which waited for the others.
pub(super) struct Settled {
    pub(super) answer: Value,
    pub(super) confirmed: Value,
}

/// The calls that are to be confirmed.
pub(super) struct Groups {
    link: Link,
    pub(super) confirmation: Confirmation,
    /// Of each node with a group under way, who waits for the next one.
    queues: Mutex<BTreeMap<Node, Vec<Waiting>>>,
    /// Which node has a key. Where it has changed, the driver finds the node all the same, and the map is made anew.
    slots: Mutex<Slots>,
}

struct Waiting {
    call: Call,
    /// Whether it was in a group that the cluster took apart.
    alone: bool,
    caller: oneshot::Sender<RedisResult<Settled>>,
}

impl Groups {
    pub(super) fn new(link: Link, confirmation: Confirmation) -> Arc<Self> {
        Arc::new(Self { link, confirmation, queues: Mutex::default(), slots: Mutex::default() })
    }

    /// Asks which node has which keys; says which nodes there are.
    pub(super) async fn find_nodes(&self) -> RedisResult<Vec<Node>> {
        let slots = self.link.slots().await?;
        let nodes = slots.nodes();
        *self.slots.lock().unwrap_or_else(PoisonError::into_inner) = slots;
        Ok(nodes)
    }

    /// Carries out a call, with all who wait meanwhile, and has it confirmed. A caller that is dropped leaves the others
    /// alone: its own call is carried out, or not.
    pub(super) async fn settle(self: &Arc<Self>, call: Call) -> RedisResult<Settled> {
        let (caller, settled) = oneshot::channel();
        self.enter(Waiting { call, alone: false, caller });
        settled.await.unwrap_or_else(|_| Err(broken()))
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<Node, Vec<Waiting>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next group, or begins one where none is under way.
    fn enter(self: &Arc<Self>, waiting: Waiting) {
        let node = self.slots.lock().unwrap_or_else(PoisonError::into_inner).node_of(waiting.call.key());
        let mut queues = self.queues();
        if let Some(queue) = queues.get_mut(&node) {
            return queue.push(waiting);
        }
        // In the background, whoever is dropped: a WAIT that nobody listens to still holds up its connection.
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
            // Some of the keys have another node by now.
            Err(error) if is_redirected(&error) && group.len() > 1 => {
                // Where it can't be asked, the driver finds the nodes.
                let _ = self.find_nodes().await;
                group.into_iter().for_each(|waiting| self.enter(Waiting { alone: true, ..waiting }));
            }
            Err(error) => {
                let has_gone_on = error.is_timeout();
                group.into_iter().for_each(|waiting| waiting.hears(Err(error.clone())));
                if has_gone_on {
                    // The driver doesn't wait for the answer any more, and the server still does.
                    timer::sleep(self.confirmation.timeout.saturating_sub(sent.elapsed())).await;
                }
            }
        }
    }

    /// Tells each caller its answer. A call of a script that the server doesn't know is in the next group.
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
        // The caller may have gone; its waker is somebody else's code.
        quietly(|| drop(self.caller.send(answer)));
    }
}

/// Whose turn it is on a node.
struct Turn {
    groups: Arc<Groups>,
    node: Node,
}

impl Turn {
    /// The next group; `None` where nobody waits any more, and then whoever comes begins one.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queues = self.groups.queues();
        let queue = queues.get_mut(&self.node)?;
        // Who has gone has left the key by a request of its own.
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

/// Where the driver panicked, those who wait ask again.
impl Drop for Turn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.groups.queues().remove(&self.node);
        }
    }
}

/// Whether a key of the group is, or is about to be, on another node.
fn is_redirected(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask))
}
