//! A connection to a cluster.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Client, Cmd, Pipeline, RedisResult, Value};

use super::failure::{broken, timed_out};
use super::timeouts::{ANSWERING, CONNECTING};
use crate::task::{background, timer};

/// How often the driver repeats a request that is redirected or whose node is gone.
const RETRIES: u32 = 3;

/// A driver's connection to each node. Each request has a time limit here, because the driver by default waits without
/// one.
#[derive(Clone)]
pub(super) struct Cluster {
    connection: ClusterConnection,
    /// How long a request waits for its answer.
    answering: Duration,
}

impl Cluster {
    /// The user's connection. Its requests can take `longer` than usual.
    pub(super) fn new(connection: ClusterConnection, longer: Duration) -> Self {
        Self { connection, answering: ANSWERING.saturating_add(longer) }
    }

    /// Another connection, to the cluster that this server belongs to.
    pub(super) async fn beside(client: &Client) -> RedisResult<Self> {
        let builder = ClusterClientBuilder::new([client.get_connection_info().clone()])
            .connection_timeout(CONNECTING)
            .response_timeout(ANSWERING)
            .retries(RETRIES);
        // In the background, because the caller's runtime may end before the store.
        let runtime = background::handle().ok_or_else(broken)?;
        let opened = runtime.spawn(async move { builder.build()?.get_async_connection().await });
        let connection = answer_within(CONNECTING, async { opened.await.unwrap_or_else(|_| Err(broken())) }).await?;
        Ok(Self::new(connection, Duration::ZERO))
    }

    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        answer_within(self.answering, command.query_async(&mut self.connection.clone())).await
    }

    pub(super) async fn send_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        answer_within(self.answering, pipeline.query_async(&mut self.connection.clone())).await
    }

    pub(super) async fn send_to(&self, node: &(String, u16), command: Cmd) -> RedisResult<Value> {
        let mut connection = self.connection.clone();
        answer_within(self.answering, connection.route_command(command, RoutingInfo::SingleNode(at(node)))).await
    }

    pub(super) async fn send_all_to(&self, node: &(String, u16), pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        self.route(at(node), pipeline).await
    }

    /// Sends commands to the node that has this key.
    pub(super) async fn send_all_with(&self, key: &[u8], pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        self.route(SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master)), pipeline).await
    }

    async fn route(&self, to: SingleNodeRoutingInfo, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        let mut connection = self.connection.clone();
        answer_within(self.answering, connection.route_pipeline(pipeline.clone(), 0, pipeline.len(), to)).await
    }
}

fn at((host, port): &(String, u16)) -> SingleNodeRoutingInfo {
    SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port }
}

async fn answer_within<T>(time: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timer::within(|| time, pin!(answer)).await.unwrap_or_else(|| Err(timed_out()))
}
