//! A message: the order's id is its key, and its body says what is charged and how the handler is to behave.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An order, as it is sent and as it arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The business key, which is not in the body. `None`: the producer set no `KEYS`.
    #[serde(skip)]
    pub id: Option<String>,
    /// What is charged.
    pub cents: i64,
    /// How many deliveries of a message the handler fails, before it succeeds.
    pub fails: i32,
    /// How long the handler works before it charges.
    pub before: Duration,
    /// How long it works after that.
    pub after: Duration,
}

impl Order {
    /// An order that is charged at once.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), cents: 500, ..Self::default() }
    }

    /// As many deliveries fail.
    #[must_use]
    pub fn failing(self, fails: i32) -> Self {
        Self { fails, ..self }
    }

    /// Takes as long before it charges, and after it.
    #[must_use]
    pub fn taking(self, before: Duration, after: Duration) -> Self {
        Self { before, after, ..self }
    }

    /// The message's body.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, which always become JSON")
    }

    /// What arrived.
    ///
    /// # Panics
    ///
    /// At a body that isn't this package's.
    pub fn read(id: Option<String>, body: &[u8]) -> Self {
        Self { id, ..serde_json::from_slice(body).expect("a body that this package wrote") }
    }
}

/// The business key of a message with these `KEYS`: the first of them. The client joins several by spaces, so one that holds
/// a space arrives as two.
pub fn business_key(keys: Option<&str>) -> Option<String> {
    keys?.split(' ').find(|key| !key.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_business_key_is_the_first_of_the_keys_and_one_that_is_empty_is_none() {
        assert_eq!(business_key(Some("order-1 customer-7")).as_deref(), Some("order-1"));
        assert_eq!(business_key(Some("")), None);
        assert_eq!(business_key(None), None);
    }
}
