//! The handler that everyone protects: a key of 24 bytes, a result of 64, and next to no work.

use std::future::Future;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What the handler returns: 64 bytes of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt(pub String);

/// Why a call has no receipt.
#[derive(Debug)]
pub enum Refused {
    /// The key is being worked on.
    InProgress,
    /// What the library under measurement says.
    Library(Box<dyn std::error::Error + Send + Sync>),
}

impl From<idem_runtime::Error> for Refused {
    fn from(error: idem_runtime::Error) -> Self {
        Self::Library(Box::new(error))
    }
}

/// The handler's work. It allocates its result, once.
#[inline]
pub fn charge(order_id: &str) -> Result<Receipt, Refused> {
    let mut text = String::with_capacity(64);
    text.push_str(order_id);
    text.push_str("0123456789abcdef0123456789abcdef01234567");
    Ok(Receipt(text))
}

/// The keys: 24 bytes each, alike as business keys are.
pub fn keys(many: usize) -> Vec<String> {
    let scramble = |n: usize| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..many).map(|n| format!("order-{:016x}-7", scramble(n))).collect()
}

/// The same keys in another order, so that no cache line is met in the order in which it was written.
pub fn shuffled(keys: &[String]) -> Vec<String> {
    let mut keys = keys.to_vec();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for last in (1..keys.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        keys.swap(last, (state % (last as u64 + 1)) as usize);
    }
    keys
}

/// A protected handler, new: it remembers nothing.
pub trait Protected: Clone + Send + Sync + 'static {
    /// One that remembers nothing. An async one is made within its runtime.
    fn fresh() -> Self;
    /// Forgets everything, where dropping it is not enough.
    fn forget(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// An async one.
pub trait Async: Protected {
    /// The protected call.
    fn call(&self, order_id: &str) -> impl Future<Output = Result<Receipt, Refused>> + Send;
}

/// A sync one.
pub trait Sync_: Protected {
    /// The protected call.
    fn call(&self, order_id: &str) -> Result<Receipt, Refused>;
}

/// How a hand-written handler encodes its result.
pub trait Codec: Send + Sync + 'static {
    /// To bytes.
    fn encode<T: Serialize>(value: &T) -> Vec<u8>;
    /// And back.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T;
}

/// MessagePack: what one would take who wants what this library promises of a record, a self-describing binary format.
/// The baseline.
pub enum MessagePack {}

/// Postcard: as fast as a format gets, and not self-describing, so that a field can't be added across a deploy.
pub enum Postcard {}

/// JSON: what most would take.
pub enum Json {}

impl Codec for MessagePack {
    fn encode<T: Serialize>(value: &T) -> Vec<u8> {
        rmp_serde::to_vec_named(value).unwrap()
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        rmp_serde::from_slice(bytes).unwrap()
    }
}

impl Codec for Postcard {
    fn encode<T: Serialize>(value: &T) -> Vec<u8> {
        postcard::to_stdvec(value).unwrap()
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        postcard::from_bytes(bytes).unwrap()
    }
}

impl Codec for Json {
    fn encode<T: Serialize>(value: &T) -> Vec<u8> {
        serde_json::to_vec(value).unwrap()
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        serde_json::from_slice(bytes).unwrap()
    }
}
