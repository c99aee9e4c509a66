//! The content of a message, and the message's own id.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// The order that is to be charged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The business key. A producer that sends the order again gives it the same key. It may be missing, as producers can forget it.
    #[serde(default)]
    pub id: Option<String>,
    /// How much.
    pub cents: u32,
}

impl Order {
    /// An order with this id.
    pub fn new(id: &str, cents: u32) -> Self {
        Self { id: Some(id.to_owned()), cents }
    }

    /// An order without an id.
    pub fn nameless(cents: u32) -> Self {
        Self { id: None, cents }
    }

    /// The body of its message.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and numbers are JSON")
    }
}

/// A new message id. It can't tell duplicates: an order that is sent again has a new one.
pub fn message_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    format!("{now:x}-{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
