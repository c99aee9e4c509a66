#!/usr/bin/env bash
# async-nats: `double_ack` waits until the server confirms an acknowledgement. If the consumer was deleted, the server answers with
# status 503 (no responders: nobody listens). The client takes this answer for the confirmation, and returns Ok.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
debian nats-server
program 'async-nats = { version = "=0.51.0", default-features = false, features = ["jetstream", "ring", "nuid", "server_2_10"] }
futures-util = { version = "0.3", default-features = false }
tokio = { version = "1", features = ["macros", "rt"] }' <<'RUST'
use async_nats::jetstream::{self, consumer::pull, stream};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), async_nats::Error> {
    let jetstream = jetstream::new(async_nats::connect(std::env::args().nth(1).unwrap()).await?);
    let config = stream::Config { name: "orders".to_owned(), ..Default::default() };
    let orders = jetstream.create_stream(config).await?;
    jetstream.publish("orders", "order-1".into()).await?.await?;
    let config = pull::Config { durable_name: Some("worker".to_owned()), ..Default::default() };
    let consumer = orders.create_consumer(config).await?;
    let message = consumer.messages().await?.next().await.unwrap()?;
    orders.delete_consumer("worker").await?;
    // What the server says of an acknowledgement to nobody, as a request sees it.
    let reply = message.reply.clone().unwrap();
    let asked = jetstream.client().request(reply, "+ACK".into()).await;
    println!("{}, {}", if message.double_ack().await.is_ok() { "Ok" } else { "an error" }, asked.unwrap_err());
    Ok(())
}
RUST

nats=$(free_port)
nats-server -a 127.0.0.1 -p "$nats" -js -sd "$work/nats" 2>"$work/log" &
eventually '(echo >"/dev/tcp/127.0.0.1/$nats")'
answers=$("$work/program" "nats://127.0.0.1:$nats")
said "$(nats-server --version), async-nats 0.51.0"
said "double_ack, and a request of the same, once the consumer is deleted: $answers"
expect "$answers" "Ok, no responders: no responders"
