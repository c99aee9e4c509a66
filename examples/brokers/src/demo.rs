//! What the examples publish, and what befalls it: ten orders, of which the producer sends four again and one without an
//! id; one is declined twice by the provider, and the handler of another hangs until it is cancelled.

use std::path::Path;
use std::time::Duration;

use idem_tests::Gate;

use crate::Fatal;
use crate::order::{Order, message_id};
use crate::provider::Trouble;
use crate::shop::Shop;

/// How many messages are published.
pub const MESSAGES: usize = 15;

/// A name for its stream or queue that no other has, on a server of yours as well.
pub fn name() -> String {
    format!("idem-demo-{}", message_id())
}

/// A shop with the demo's troubles.
pub async fn shop(folder: &Path) -> Result<Shop, Fatal> {
    let shop = Shop { patience: Duration::from_millis(500), ..Shop::open(folder, Duration::from_millis(50)).await? };
    shop.provider.expect("order-3", [Trouble::Declined, Trouble::Declined]);
    shop.provider.expect("order-5", [Trouble::Waits(Gate::default())]);
    Ok(shop)
}

/// Publishes the orders: three of those that are sent again when they are charged already, and one while it is not.
pub async fn publish(shop: &Shop, send: impl AsyncFn(&Order) -> Result<(), Fatal>) -> Result<(), Fatal> {
    for number in 1..=10 {
        let order = Order::new(&format!("order-{number}"), 100 * number);
        send(&order).await?;
        if number == 7 {
            send(&order).await?;
        }
    }
    send(&Order::nameless(1_100)).await?;
    shop.report.settled(10).await;
    for number in [1, 2, 4] {
        send(&Order::new(&format!("order-{number}"), 100 * number)).await?;
    }
    Ok(())
}

/// Behind the consumer's loop, whose handlers have ended: what they left gets to the store before the process ends.
pub async fn end() {
    let left = idem_runtime::drain(Duration::from_secs(10)).await;
    if left > 0 {
        eprintln!("{left} orders stay blocked until their leases end");
    }
}

/// What is printed at the end.
pub fn print(broker: &str, shop: &Shop) -> Result<(), Fatal> {
    let (orders, charges) = shop.ledger.totals()?;
    println!("{broker}\n{}\nledger: {orders} orders, {charges} charges", shop.report);
    Ok(())
}
