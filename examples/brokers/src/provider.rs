//! The payment provider, which is slow and sometimes fails.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use idem_tests::Gate;

/// What goes wrong in a call.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The provider declines it.
    Declined,
    /// It waits at this gate.
    Waits(Gate),
    /// It panics, as if its client had a bug.
    Panics,
}

/// The provider.
#[derive(Debug, Default)]
pub struct Provider {
    latency: Duration,
    troubles: Mutex<HashMap<String, VecDeque<Trouble>>>,
}

impl Provider {
    /// A provider whose answers take so long.
    pub fn new(latency: Duration) -> Self {
        Self { latency, troubles: Mutex::default() }
    }

    /// Makes the next calls for this order go wrong in this way, one after the other.
    pub fn expect(&self, order: &str, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.lock().unwrap().entry(order.to_owned()).or_default().extend(troubles);
    }

    /// Charges an order.
    pub async fn charge(&self, order: &str) -> Result<(), Declined> {
        let trouble = self.troubles.lock().unwrap().get_mut(order).and_then(VecDeque::pop_front);
        tokio::time::sleep(self.latency).await;
        match trouble {
            None => Ok(()),
            Some(Trouble::Declined) => Err(Declined),
            Some(Trouble::Panics) => panic!("a bug in the provider's client"),
            Some(Trouble::Waits(gate)) => {
                gate.pass().await;
                Ok(())
            }
        }
    }
}

/// The provider declined, and has charged nothing.
#[derive(Debug)]
pub struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the provider declined the charge")
    }
}

impl std::error::Error for Declined {}
