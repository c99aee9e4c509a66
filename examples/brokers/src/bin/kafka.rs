//! `cargo run --bin kafka [SERVERS]`: two idempotent consumers of one Kafka group, on a cluster in this process unless the
//! servers of one are given; there it uses topics of its own, and deletes them at the end.

use idem_brokers::kafka::consume;
use idem_brokers::kafka::stage::{Stage, Topics, cluster};
use idem_brokers::{Fatal, demo};
use rdkafka::message::BorrowedMessage;

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let topic = demo::name();
    match std::env::args().nth(1) {
        Some(servers) => {
            let topics = Topics::create(&servers, &topic).await?;
            run(&servers, &topic).await?;
            topics.delete().await
        }
        None => run(&cluster(&topic)?.bootstrap_servers(), &topic).await,
    }
}

async fn run(servers: &str, topic: &str) -> Result<(), Fatal> {
    let folder = tempfile::tempdir()?;
    let shop = demo::shop(folder.path()).await?;
    let stage = Stage::open(servers, topic)?;

    let handle = async |message: &BorrowedMessage<'_>| shop.deliver(stage.delivery(message)).await;
    let consumed = async || -> Result<(), Fatal> {
        let stop = shop.report.settled(demo::MESSAGES);
        Ok(consume(stage.consumer()?, topic, &stage.producer, handle, stop).await?)
    };
    let published = demo::publish(&shop, async |order| stage.send(order).await);
    let done = tokio::try_join!(consumed(), consumed(), published);
    demo::end().await;
    done?;
    demo::print("Kafka", &shop)
}
