//! The orders that the examples publish, and their troubles. There are ten. The producer sends four of them again, and one without
//! an id. The provider declines one of them twice, and the handler of another hangs until it is cancelled.

use std::path::Path;
use std::time::Duration;

use idem_tests::Gate;

use crate::Fatal;
use crate::order::{Order, message_id};
use crate::provider::Trouble;
use crate::shop::Shop;

/// How many messages are published.
pub const MESSAGES: usize = 15;

/// A name for the stream or queue that no other has, even on a server that others use.
pub fn name() -> String {
    format!("idem-demo-{}", message_id())
}

/// A shop in which these troubles take place.
pub async fn shop(folder: &Path) -> Result<Shop, Fatal> {
    let shop = Shop { patience: Duration::from_millis(500), ..Shop::open(folder, Duration::from_millis(50)).await? };
    shop.provider.expect("order-3", [Trouble::Declined, Trouble::Declined]);
    shop.provider.expect("order-5", [Trouble::Waits(Gate::default())]);
    Ok(shop)
}

/// Publishes the orders. Of those that are sent again, three are charged already by then, and one is being charged.
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

/// Called after the consumer's loop, when its handlers have ended: waits until the store has got what they left behind.
pub async fn end() {
    let left = idem_runtime::drain(Duration::from_secs(10)).await;
    if left > 0 {
        eprintln!("{left} orders stay blocked until their leases end");
    }
}

/// The report that is printed at the end.
pub fn print(broker: &str, shop: &Shop) -> Result<(), Fatal> {
    let (orders, charges) = shop.ledger.totals()?;
    println!("{broker}\n{}\nledger: {orders} orders, {charges} charges", shop.report);
    Ok(())
}
