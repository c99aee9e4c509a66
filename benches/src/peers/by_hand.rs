//! What an engineer writes who has a map and half an hour. The result is encoded and decoded, as it would have to be for
//! a store outside of the process.
//!
//! But for [`ShardedLeases`], none of these has a lease: a handler that panics or is cancelled locks its key for good.
//! None has a fence, and none but moka forgets anything.

use std::hash::BuildHasher;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hashbrown::DefaultHashBuilder;

use crate::handler::{Async, Codec, MessagePack, Protected, Receipt, Refused, Sync_, charge};

const LEASE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What becomes of a claim.
enum Claimed {
    /// Run, and complete.
    Yes,
    /// Replay.
    Done(Receipt),
    /// Someone else is at it.
    InProgress,
}

/// The protocol that all of these share.
trait ByHand: Clone + Send + Sync + 'static {
    fn claim(&self, key: &str) -> Claimed;
    fn complete(&self, key: &str, receipt: &Receipt);
    fn release(&self, key: &str);

    fn handle(&self, order_id: &str) -> Result<Receipt, Refused> {
        match self.claim(order_id) {
            Claimed::Done(receipt) => return Ok(receipt),
            Claimed::InProgress => return Err(Refused::InProgress),
            Claimed::Yes => {}
        }
        let result = charge(order_id);
        match &result {
            Ok(receipt) => self.complete(order_id, receipt),
            Err(_) => self.release(order_id),
        }
        result
    }

    async fn handle_async(&self, order_id: &str) -> Result<Receipt, Refused> {
        match self.claim(order_id) {
            Claimed::Done(receipt) => return Ok(receipt),
            Claimed::InProgress => return Err(Refused::InProgress),
            Claimed::Yes => {}
        }
        let result = async { charge(order_id) }.await;
        match &result {
            Ok(receipt) => self.complete(order_id, receipt),
            Err(_) => self.release(order_id),
        }
        result
    }
}

macro_rules! handler {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> Async for $type {
            async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
                self.handle_async(order_id).await
            }
        }

        impl<$($generics)*> Sync_ for $type {
            fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
                self.handle(order_id)
            }
        }
    };
}

enum Entry {
    Running,
    Done(Vec<u8>),
}

const SHARDS: usize = 64;

type Shards<E> = Box<[Mutex<hashbrown::HashMap<String, E>>]>;

fn shards<E>(hasher: &DefaultHashBuilder) -> Shards<E> {
    (0..SHARDS).map(|_| Mutex::new(hashbrown::HashMap::with_hasher(hasher.clone()))).collect()
}

/// A sharded `Mutex<hashbrown::HashMap>`.
pub struct Sharded<C>(Arc<(DefaultHashBuilder, Shards<Entry>)>, PhantomData<C>);

impl<C> Clone for Sharded<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<C: Codec> Protected for Sharded<C> {
    fn fresh() -> Self {
        let hasher = DefaultHashBuilder::default();
        let shards = shards(&hasher);
        Self(Arc::new((hasher, shards)), PhantomData)
    }
}

impl<C> Sharded<C> {
    fn shard(&self, key: &str) -> &Mutex<hashbrown::HashMap<String, Entry>> {
        let (hasher, shards) = &*self.0;
        &shards[(hasher.hash_one(key) >> 32) as usize % SHARDS]
    }
}

impl<C: Codec> ByHand for Sharded<C> {
    fn claim(&self, key: &str) -> Claimed {
        let mut shard = self.shard(key).lock().unwrap();
        match shard.get(key) {
            Some(Entry::Done(bytes)) => Claimed::Done(C::decode(bytes)),
            Some(Entry::Running) => Claimed::InProgress,
            None => {
                shard.insert(key.to_owned(), Entry::Running);
                Claimed::Yes
            }
        }
    }

    fn complete(&self, key: &str, receipt: &Receipt) {
        let bytes = C::encode(receipt);
        if let Some(entry) = self.shard(key).lock().unwrap().get_mut(key) {
            *entry = Entry::Done(bytes);
        }
    }

    fn release(&self, key: &str) {
        self.shard(key).lock().unwrap().remove(key);
    }
}

handler!([C: Codec] Sharded<C>);

/// The same with the least that makes it safe to leave alone: a claim ends after a lease, a result after its time.
#[derive(Clone)]
pub struct ShardedLeases(Arc<(DefaultHashBuilder, Shards<Leased>)>);

struct Leased {
    until: Instant,
    done: Option<Vec<u8>>,
}

impl Protected for ShardedLeases {
    fn fresh() -> Self {
        let hasher = DefaultHashBuilder::default();
        let shards = shards(&hasher);
        Self(Arc::new((hasher, shards)))
    }
}

impl ShardedLeases {
    fn shard(&self, key: &str) -> &Mutex<hashbrown::HashMap<String, Leased>> {
        let (hasher, shards) = &*self.0;
        &shards[(hasher.hash_one(key) >> 32) as usize % SHARDS]
    }
}

impl ByHand for ShardedLeases {
    fn claim(&self, key: &str) -> Claimed {
        let now = Instant::now();
        let claim = || Leased { until: now + LEASE, done: None };
        let mut shard = self.shard(key).lock().unwrap();
        match shard.get_mut(key) {
            Some(entry) if entry.until <= now => *entry = claim(),
            Some(Leased { done: Some(bytes), .. }) => return Claimed::Done(MessagePack::decode(bytes)),
            Some(Leased { done: None, .. }) => return Claimed::InProgress,
            None => drop(shard.insert(key.to_owned(), claim())),
        }
        Claimed::Yes
    }

    fn complete(&self, key: &str, receipt: &Receipt) {
        let done = Some(MessagePack::encode(receipt));
        let until = Instant::now() + TTL;
        if let Some(entry) = self.shard(key).lock().unwrap().get_mut(key) {
            *entry = Leased { until, done };
        }
    }

    fn release(&self, key: &str) {
        self.shard(key).lock().unwrap().remove(key);
    }
}

handler!([] ShardedLeases);

/// A `DashMap`.
#[derive(Clone)]
pub struct Dash(Arc<dashmap::DashMap<String, Entry>>);

impl Protected for Dash {
    fn fresh() -> Self {
        Self(Arc::default())
    }
}

impl ByHand for Dash {
    fn claim(&self, key: &str) -> Claimed {
        // A duplicate is looked up first: `entry` wants a `String` and the shard's write lock.
        if let Some(entry) = self.0.get(key) {
            return match &*entry {
                Entry::Done(bytes) => Claimed::Done(MessagePack::decode(bytes)),
                Entry::Running => Claimed::InProgress,
            };
        }
        match self.0.entry(key.to_owned()) {
            dashmap::Entry::Vacant(place) => {
                place.insert(Entry::Running);
                Claimed::Yes
            }
            dashmap::Entry::Occupied(entry) => match entry.get() {
                Entry::Done(bytes) => Claimed::Done(MessagePack::decode(bytes)),
                Entry::Running => Claimed::InProgress,
            },
        }
    }

    fn complete(&self, key: &str, receipt: &Receipt) {
        let bytes = MessagePack::encode(receipt);
        if let Some(mut entry) = self.0.get_mut(key) {
            *entry = Entry::Done(bytes);
        }
    }

    fn release(&self, key: &str) {
        self.0.remove(key);
    }
}

handler!([] Dash);

/// moka's sync cache, and its `get_with`: its own way to have one of several callers do the work.
#[derive(Clone)]
pub struct Moka(moka::sync::Cache<String, Arc<[u8]>>);

impl Protected for Moka {
    fn fresh() -> Self {
        Self(moka::sync::Cache::builder().time_to_live(TTL).build())
    }
}

impl Sync_ for Moka {
    fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        let mut executed = None;
        let bytes = self.0.try_get_with_by_ref(order_id, || {
            charge(order_id).map(|receipt| {
                let bytes = MessagePack::encode(&receipt).into();
                executed = Some(receipt);
                bytes
            })
        });
        match (executed, bytes) {
            (Some(receipt), Ok(_)) => Ok(receipt),
            (None, Ok(bytes)) => Ok(MessagePack::decode(&bytes)),
            (_, Err(_)) => Err(Refused::InProgress),
        }
    }
}

/// moka's async cache, likewise.
#[derive(Clone)]
pub struct MokaAsync(moka::future::Cache<String, Arc<[u8]>>);

impl Protected for MokaAsync {
    fn fresh() -> Self {
        Self(moka::future::Cache::builder().time_to_live(TTL).build())
    }
}

impl Async for MokaAsync {
    async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        let mut executed = None;
        let work = async {
            charge(order_id).map(|receipt| {
                let bytes = MessagePack::encode(&receipt).into();
                executed = Some(receipt);
                bytes
            })
        };
        let bytes = self.0.try_get_with_by_ref(order_id, work).await;
        match (executed, bytes) {
            (Some(receipt), Ok(_)) => Ok(receipt),
            (None, Ok(bytes)) => Ok(MessagePack::decode(&bytes)),
            (_, Err(_)) => Err(Refused::InProgress),
        }
    }
}
