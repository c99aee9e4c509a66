//! The client's runtime, and a producer on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_rust::{ClientRuntime, ClientRuntimeConfig, DefaultMQProducer};
use rocketmq_model::common::message::message_single::Message;
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use tokio::signal::unix::{SignalKind, signal};

use crate::order::Order;

/// What can go wrong with the client or the broker.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Waits for SIGTERM.
///
/// # Panics
///
/// Where the process can't listen to signals.
pub async fn terminated() {
    signal(SignalKind::terminate()).expect("a process that can listen to signals").recv().await;
}

/// The client's runtime: listeners run on its "metadata-io" lane.
///
/// # Errors
///
/// It can't be built.
pub fn runtime(lane: Lane) -> Outcome<(RuntimeOwner, Arc<ClientRuntime>)> {
    let mut configuration = RuntimeConfig::default().with_max_blocking_threads(3 * lane.at_once)?;
    let policy = &mut configuration.blocking_lane_policies.metadata_io;
    policy.max_concurrency = lane.at_once;
    policy.max_queue_depth = 64 * lane.at_once;
    // The client sends a message back that waits longer for a free thread. Its handler doesn't run.
    policy.queue_timeout = Duration::from_secs(60);
    // The client also sends a message back whose handler takes longer. The handler goes on.
    policy.task_timeout = lane.limit;
    let owner = RuntimeOwner::plan(configuration)?.build()?;
    let telemetry = TelemetryRuntimeGuard::noop();
    let context = owner.root_context().component("client");
    let client = ClientRuntime::try_new(context, ClientRuntimeConfig::default(), telemetry.handle())?;
    Ok((owner, client))
}

/// How many listeners run at once, and for how long the client waits for each.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// The number of threads.
    pub at_once: usize,
    /// The client's consume time-out.
    pub limit: Duration,
}

/// Sends orders, until it is dropped.
pub struct Producer {
    producer: DefaultMQProducer,
    owner: RuntimeOwner,
}

impl Producer {
    /// Connects.
    ///
    /// # Errors
    ///
    /// It can't.
    pub fn start(name_server: u16) -> Outcome<Self> {
        let (owner, client) = runtime(Lane { at_once: 4, limit: Duration::from_secs(30) })?;
        let mut producer = DefaultMQProducer::builder(client)
            .producer_group("shop")
            .name_server_addr(format!("127.0.0.1:{name_server}"))
            .build();
        owner.block_on(producer.start())?;
        Ok(Self { producer, owner })
    }

    /// Makes a topic, and waits until it can be written to.
    ///
    /// # Errors
    ///
    /// The broker refused.
    pub fn create_topic(&mut self, topic: &str, queues: i32) -> Outcome<()> {
        self.owner.block_on(async {
            self.producer.create_topic("TBW102", topic, queues, HashMap::new()).await?;
            while self.producer.fetch_publish_message_queues(topic).await.map_or(true, |found| found.is_empty()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        })
    }

    /// Sends an order. Each call sends a new message.
    ///
    /// # Errors
    ///
    /// The broker didn't take it.
    pub fn send(&mut self, topic: &str, order: &Order) -> Outcome<()> {
        let mut message = Message::builder().topic(topic).body_slice(&order.body()).build()?;
        if let Some(id) = &order.id {
            message.set_keys(id.as_str().into());
        }
        self.owner.block_on(self.producer.send_with_timeout(message, 3_000))?;
        Ok(())
    }
}
