//! `cargo run --bin nats [URL]`: an idempotent consumer of NATS JetStream, on a server of its own unless a URL is given; there
//! it uses streams of its own, and deletes them at the end.

use std::time::Duration;

use async_nats::jetstream::Message;
use idem_brokers::nats::{consume, stage::Stage, stage::delivery};
use idem_brokers::{Fatal, demo};
use idem_tests::server::Nats;

#[tokio::main]
async fn main() -> Result<(), Fatal> {
    let (url, _server) = match std::env::args().nth(1) {
        Some(url) => (url, None),
        None => Some(Nats::start().await).map(|server| (server.url(), Some(server))).unwrap(),
    };
    let folder = tempfile::tempdir()?;
    let shop = demo::shop(folder.path()).await?;
    let stage = Stage::open(&url, &demo::name(), Duration::from_secs(30)).await?;

    let handle = async |message: &Message| shop.deliver(delivery(message)).await;
    let stop = shop.report.settled(demo::MESSAGES);
    let published = demo::publish(&shop, async |order| stage.send(order).await);
    let done = tokio::try_join!(consume(&stage.jetstream, &stage.consumer, handle, stop), published);
    demo::end().await;
    done?;
    stage.close().await?;
    demo::print("NATS JetStream", &shop)
}
