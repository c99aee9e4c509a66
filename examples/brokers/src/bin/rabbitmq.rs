//! `cargo run --bin rabbitmq [URL]`: an idempotent consumer of RabbitMQ, on a server of its own unless a URL is given; there it
//! uses queues of its own, and deletes them at the end.

use idem_brokers::rabbitmq::{consume, stage::Stage, stage::delivery};
use idem_brokers::{Fatal, demo};
use idem_tests::server::RabbitMq;
use lapin::message::Delivery;

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let (url, _server) = match std::env::args().nth(1) {
        Some(url) => (url, None),
        None => Some(RabbitMq::start().await).map(|server| (server.url(), Some(server))).unwrap(),
    };
    let folder = tempfile::tempdir()?;
    let shop = demo::shop(folder.path()).await?;
    let stage = Stage::open(&url, &demo::name()).await?;

    let handle = async |message: &Delivery| shop.deliver(delivery(message)).await;
    let consumed = async {
        let stop = shop.report.settled(demo::MESSAGES);
        Ok(consume(&stage.connection, &stage.queue, handle, stop).await?)
    };
    let published = demo::publish(&shop, async |order| stage.send(order).await);
    let done = tokio::try_join!(consumed, published);
    demo::end().await;
    done?;
    stage.close().await?;
    demo::print("RabbitMQ", &shop)
}
