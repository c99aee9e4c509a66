//! `cargo run --bin kafka [SERVERS]`: two idempotent consumers of one Kafka group, on a cluster in this process unless the
//! servers of one are given, which has a topic `orders`, and `orders.dead`.

use idem_brokers::kafka::consume;
use idem_brokers::kafka::stage::{Stage, TOPIC, cluster, delivery};
use idem_brokers::{Fatal, demo};
use rdkafka::message::BorrowedMessage;

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let (servers, _cluster) = match std::env::args().nth(1) {
        Some(servers) => (servers, None),
        None => Some(cluster()?).map(|cluster| (cluster.bootstrap_servers(), Some(cluster))).unwrap(),
    };
    let folder = tempfile::tempdir()?;
    let shop = demo::shop(folder.path()).await?;
    let stage = Stage::open(&servers)?;

    let handle = async |message: &BorrowedMessage<'_>| shop.deliver(delivery(message)).await;
    let consumed = async || -> Result<(), Fatal> {
        let consumer = stage.consumer()?;
        let stop = shop.report.settled(demo::MESSAGES);
        Ok(consume(&consumer, TOPIC, &stage.producer, handle, stop).await?)
    };
    let published = demo::publish(&shop, async |order| stage.send(order).await);
    tokio::try_join!(consumed(), consumed(), published)?;
    demo::print("Kafka", &shop)
}
