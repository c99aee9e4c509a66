//! Every shape of handler that the attribute takes compiles without a warning, also under clippy, and runs.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use idem_runtime::{Claim, Error, MemoryStore, OnError, Outcome, idempotent};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    order: String,
    cents: u64,
}

struct Order {
    id: String,
    cents: u64,
}

type Handled<T = Receipt> = Result<T, Error>;

fn order(id: &str, cents: u64) -> Order {
    Order { id: id.to_owned(), cents }
}

fn receipt(order: &str, cents: u64) -> Receipt {
    Receipt { order: order.to_owned(), cents }
}

async fn pause() {
    tokio::task::yield_now().await;
}

mod functions {
    use super::*;

    #[idempotent(key = "order_id")]
    pub(super) async fn borrowed(order_id: &str, cents: u64) -> Result<Receipt, Error> {
        pause().await;
        Ok(receipt(order_id, cents))
    }

    #[idempotent(key = order_id)]
    pub(super) async fn owned(order_id: String, cents: u64) -> Result<Receipt, Error> {
        Ok(Receipt { order: order_id, cents })
    }

    #[idempotent(key = "order_id")]
    pub(super) fn blocking(order_id: &str, cents: u64) -> Result<Receipt, Error> {
        Ok(receipt(order_id, cents))
    }

    #[idempotent(key = "order.id, order.cents")]
    pub(super) async fn composite(order: Order) -> Handled {
        Ok(Receipt { order: order.id, cents: order.cents })
    }

    #[idempotent(key = (order.id.as_str(), order.cents))]
    pub(super) async fn tuple(order: &Order) -> Handled {
        Ok(receipt(&order.id, order.cents))
    }

    #[idempotent(key = "order_id", claim = c, fingerprint = "cents, order_id", ttl = "1d", lease = "30s", wait = "0s")]
    pub(super) async fn claimed(order_id: &str, cents: u64) -> Result<(Receipt, String), Error> {
        Ok((receipt(order_id, cents), c.derive("card")))
    }

    #[idempotent(key = "order_id", claim = "c")]
    pub(super) fn claimed_blocking(order_id: &str, cents: u64) -> Result<(Receipt, String), Error> {
        Ok((receipt(order_id, cents), c.derive("card")))
    }

    #[idempotent(key = "id")]
    pub(super) async fn mutated(mut id: String, mut cents: u64) -> Handled {
        id.push('!');
        cents += 1;
        pause().await;
        Ok(Receipt { order: id, cents })
    }

    #[idempotent(key = "id")]
    pub(super) fn mutated_blocking(mut id: String, mut cents: u64) -> Handled {
        id.push('!');
        cents += 1;
        Ok(Receipt { order: id, cents })
    }

    #[idempotent(key = id)]
    pub(super) async fn patterns(
        Order { id, mut cents }: Order,
        (a, _): (u64, u64),
        [mut b]: [u64; 1],
        _: u8,
    ) -> Handled {
        cents += a;
        b += cents;
        pause().await;
        Ok(Receipt { order: id, cents: b })
    }

    pub(super) struct Wrapped(pub(super) Order);

    #[idempotent(key = "id, first, whole.id", fingerprint = "(cents, flag)")]
    pub(super) async fn odd_patterns(
        (ref id,): (String,),
        &cents: &u64,
        [mut first, ..]: [u64; 3],
        Wrapped(whole @ Order { .. }): Wrapped,
        (Ok(flag) | Err(flag)): Result<bool, bool>,
        (): (),
    ) -> Handled<u64> {
        pause().await;
        first += cents + whole.cents + id.len() as u64 + u64::from(flag);
        Ok(first)
    }

    #[idempotent(key = "ids.next()")]
    pub(super) async fn key_that_changes_its_source(mut ids: std::ops::Range<u64>) -> Handled<Option<u64>> {
        Ok(ids.next())
    }

    #[idempotent(key = id)]
    pub(super) async fn only_in_the_key(id: u32) -> Handled<u8> {
        Ok(1)
    }

    #[idempotent(key = id)]
    pub(super) fn only_in_the_key_blocking(id: u32) -> Handled<u8> {
        Ok(1)
    }

    #[idempotent(key = site)]
    pub(super) async fn names(
        site: u32,
        call: u32,
        body: u32,
        slot: u32,
        ops: u32,
        claim: u32,
        store: u32,
    ) -> Handled<u32> {
        Ok(site + call + body + slot + ops + claim + store)
    }

    #[idempotent(key = site)]
    pub(super) fn names_blocking(site: u32, call: u32, body: u32, slot: u32, ops: u32, claim: u32) -> Handled<u32> {
        Ok(site + call + body + slot + ops + claim)
    }

    #[idempotent(key = "key")]
    pub(super) async fn early(key: u32, odd: Option<u32>) -> Result<Option<u32>, Error> {
        let Some(odd) = odd else {
            return Ok(None);
        };
        let inner: Result<u32, Error> = async { Ok(odd) }.await;
        let odd = inner?;
        if odd % 2 == 0 {
            return Ok(None);
        }
        Ok(Some(odd + key))
    }
}

mod methods {
    use super::*;

    #[derive(Clone)]
    pub(super) struct Handler {
        pub(super) store: MemoryStore,
        pub(super) fee: u64,
    }

    impl Handler {
        #[idempotent(key = "id", scope = "methods/by-value", store = "self.store")]
        pub(super) async fn by_value(self, id: u64) -> Handled<u64> {
            Ok(self.fee + id)
        }

        #[idempotent(key = "id", scope = "methods/by-mutable-value", store = self.store)]
        pub(super) async fn by_mutable_value(mut self, id: u64) -> Handled<u64> {
            self.fee += id;
            pause().await;
            Ok(self.fee)
        }

        #[idempotent(key = "id, self.fee", scope = "methods/by-reference", store = self.store)]
        pub(super) async fn by_reference(&self, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee + id)
        }

        #[idempotent(key = "id, self.fee", scope = "methods/by-mutable-reference", store = self.store())]
        pub(super) async fn by_mutable_reference(&mut self, id: u64) -> Handled<u64> {
            self.fee += id;
            pause().await;
            Ok(self.fee)
        }

        #[idempotent(key = "id", scope = "methods/boxed", store = self.store)]
        pub(super) async fn boxed(self: Box<Self>, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee + id)
        }

        #[idempotent(key = "id", scope = "methods/rc", store = self.store)]
        pub(super) async fn rc(self: Rc<Self>, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee + id)
        }

        #[idempotent(key = "id", scope = "methods/arc", store = self.store)]
        pub(super) async fn arc(self: Arc<Self>, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee + id)
        }

        #[idempotent(key = "id", scope = "methods/pinned", store = self.store)]
        pub(super) async fn pinned(self: Pin<&mut Self>, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee + id)
        }

        #[idempotent(key = "id", scope = "methods/arc-reference", store = self.store)]
        pub(super) async fn arc_reference(self: &Arc<Self>, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee + id)
        }

        #[idempotent(key = "id", scope = "methods/blocking", store = self.store)]
        pub(super) fn blocking(&self, id: u64) -> Handled<u64> {
            Ok(self.fee + id)
        }

        #[idempotent(key = "id", scope = "methods/blocking-mutable", store = self.store)]
        pub(super) fn blocking_mutable(&mut self, id: u64) -> Handled<u64> {
            self.fee += id;
            Ok(self.fee)
        }

        #[idempotent(key = "id", scope = "methods/blocking-by-value", store = self.store)]
        pub(super) fn blocking_by_value(mut self, id: u64) -> Handled<u64> {
            self.fee += id;
            Ok(self.fee)
        }

        #[idempotent(key = "id")]
        pub(super) async fn without_self(id: u64) -> Handled<Self>
        where
            Self: Serialize + for<'de> Deserialize<'de>,
        {
            Ok(Self { store: MemoryStore::new(), fee: id })
        }

        fn store(&self) -> Arc<MemoryStore> {
            Arc::new(self.store.clone())
        }
    }

    impl Serialize for Handler {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.fee.serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Handler {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self { store: MemoryStore::new(), fee: u64::deserialize(deserializer)? })
        }
    }
}

mod traits {
    use super::*;

    pub(super) trait Native {
        fn fee(&self) -> u64;

        #[idempotent(key = "id", scope = "traits/provided")]
        async fn provided(&self, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee() + id)
        }

        #[idempotent(key = "id", scope = "traits/blocking")]
        fn blocking(&self, id: u64) -> Handled<u64> {
            Ok(self.fee() + id)
        }

        async fn implemented(&self, id: u64) -> Handled<u64>;
    }

    #[async_trait::async_trait]
    pub(super) trait Boxed: Sync {
        fn fee(&self) -> u64;

        #[idempotent(key = "id", scope = "boxed/provided")]
        async fn provided(&self, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.fee() + id)
        }

        async fn implemented(&self, order: Order, pair: (u64, u64)) -> Handled<u64>;
        async fn by_value(self: Box<Self>, id: &str) -> Handled<u64>;
        async fn mutable(&mut self, id: String) -> Handled<String>;
        async fn without_self(id: u64) -> Handled<u64>
        where
            Self: Sized;
        async fn generic<T: AsRef<str> + Send + 'static>(&self, id: T) -> Handled<String>;
    }

    pub(super) struct Handler(pub(super) u64, pub(super) MemoryStore);

    impl Native for Handler {
        fn fee(&self) -> u64 {
            self.0
        }

        #[idempotent(key = "id, self.0", scope = "traits/implemented", store = self.1)]
        async fn implemented(&self, id: u64) -> Handled<u64> {
            pause().await;
            Ok(self.0 + id)
        }
    }

    #[async_trait::async_trait]
    impl Boxed for Handler {
        fn fee(&self) -> u64 {
            self.0
        }

        #[idempotent(key = "id, self.0, a", scope = "boxed/implemented", store = self.1, claim = c)]
        async fn implemented(&self, Order { id, cents }: Order, (a, mut b): (u64, u64)) -> Handled<u64> {
            pause().await;
            b += a;
            assert_eq!(c.scope(), "boxed/implemented");
            Ok(self.0 + cents + b + id.len() as u64)
        }

        #[idempotent(key = "id", scope = "boxed/by-value", store = self.1)]
        async fn by_value(self: Box<Self>, id: &str) -> Handled<u64> {
            pause().await;
            Ok(self.0 + id.len() as u64)
        }

        #[idempotent(key = "id", scope = "boxed/mutable", store = self.1)]
        #[tracing::instrument(skip(self))]
        async fn mutable(&mut self, mut id: String) -> Handled<String> {
            self.0 += 1;
            id.push('!');
            if id.len() > 100 {
                return Ok(id);
            }
            pause().await;
            Ok(id)
        }

        #[tracing::instrument]
        #[idempotent(key = "id")]
        async fn without_self(id: u64) -> Handled<u64> {
            pause().await;
            Ok(id)
        }

        #[tracing::instrument(skip_all)]
        #[idempotent(key = "id.as_ref()", scope = "boxed/generic", store = self.1)]
        async fn generic<T: AsRef<str> + Send + 'static>(&self, id: T) -> Handled<String> {
            pause().await;
            Ok(id.as_ref().to_owned())
        }
    }
}

mod generics {
    use super::*;
    use std::fmt::Display;

    #[idempotent(key = "id.to_string()", scope = "generics/where")]
    pub(super) async fn bounded<T, U>(id: T, value: U) -> Result<U, Error>
    where
        T: Display,
        U: Serialize + for<'de> Deserialize<'de>,
    {
        pause().await;
        let _ = id;
        Ok(value)
    }

    #[idempotent(key = "id", scope = "generics/const")]
    pub(super) async fn array<const N: usize>(id: [u8; N]) -> Handled<usize> {
        pause().await;
        Ok(id.len())
    }

    #[idempotent(key = "id")]
    pub(super) async fn lifetimes<'a>(id: &'a str, others: &[&'a str]) -> Handled<String> {
        pause().await;
        Ok(others
            .iter()
            .fold(id, |longest, other| if other.len() > longest.len() { other } else { longest })
            .to_owned())
    }

    #[idempotent(key = "id.as_ref()", scope = "generics/impl-trait")]
    pub(super) async fn opaque(id: impl AsRef<str>, mut numbers: impl Iterator<Item = u64>) -> Handled<Option<u64>> {
        pause().await;
        let _ = &id;
        Ok(numbers.next())
    }

    #[idempotent(key = "id.as_ref()", scope = "generics/impl-trait-blocking")]
    pub(super) fn opaque_blocking(id: impl AsRef<str>, mut numbers: impl Iterator<Item = u64>) -> Handled<Option<u64>> {
        let _ = &id;
        Ok(numbers.next())
    }
}

mod outputs {
    use super::*;
    use idem_runtime::HandlerOutput;

    #[idempotent(key = "id")]
    pub(super) async fn outcome(id: u64) -> Result<Outcome<u64>, Error> {
        Ok(id.into())
    }

    #[idempotent(key = "id")]
    pub(super) async fn any_error(id: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        if id == 0 {
            return Err("zero".into());
        }
        let parsed: u64 = id.to_string().parse()?;
        Ok(parsed)
    }

    #[derive(Debug, PartialEq)]
    pub(super) enum Consumed {
        Success,
        Later,
    }

    pub(super) struct Marker;

    impl HandlerOutput<Marker> for Consumed {
        type Value = ();
        type Error = ();

        fn into_result(self) -> Result<(), ()> {
            match self {
                Self::Success => Ok(()),
                Self::Later => Err(()),
            }
        }
        fn executed((): ()) -> Self {
            Self::Success
        }
        fn replayed((): ()) -> Self {
            Self::Success
        }
        fn failed((): ()) -> Self {
            Self::Later
        }
        fn refused(_: Error) -> Self {
            Self::Later
        }
    }

    #[idempotent(key = "id")]
    pub(super) async fn framework(id: u64) -> Consumed {
        if id == 0 { Consumed::Later } else { Consumed::Success }
    }

    #[idempotent(key = "id")]
    pub(super) fn framework_blocking(id: u64) -> Consumed {
        if id == 0 { Consumed::Later } else { Consumed::Success }
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub(super) enum Failure {
        Refused,
        Ambiguous,
        Other(String),
    }

    impl From<Error> for Failure {
        fn from(error: Error) -> Self {
            Self::Other(error.to_string())
        }
    }

    #[idempotent(key = "id", on_error = "record")]
    pub(super) async fn recorded(id: u64) -> Result<u64, Failure> {
        if id == 0 { Err(Failure::Refused) } else { Ok(id) }
    }

    fn is_final(failure: &Failure) -> bool {
        matches!(failure, Failure::Refused)
    }

    #[idempotent(key = "id", on_error = record_if(is_final))]
    pub(super) async fn recorded_if(id: u64) -> Result<u64, Failure> {
        if id == 0 { Err(Failure::Refused) } else { Ok(id) }
    }

    #[idempotent(key = "id", on_error = "record_if(self::is_final)")]
    pub(super) fn recorded_if_blocking(id: u64) -> Result<u64, Failure> {
        if id == 0 { Err(Failure::Refused) } else { Ok(id) }
    }

    fn decide(failure: &Failure) -> OnError {
        match failure {
            Failure::Ambiguous => OnError::Keep,
            Failure::Refused | Failure::Other(_) => OnError::Release,
        }
    }

    #[idempotent(key = "id", on_error = decide, missing_key = "run", on_store_error = "run")]
    pub(super) async fn decided(id: Option<u64>) -> Result<u64, Failure> {
        id.ok_or(Failure::Ambiguous)
    }

    #[idempotent(key = "id", on_error = "decide", on_crash = "park")]
    pub(super) fn decided_blocking(id: u64) -> Result<u64, Failure> {
        Ok(id)
    }

    #[idempotent(key = "id", on_error = "keep", on_crash = "rerun")]
    pub(super) async fn kept(id: u64) -> Result<u64, Failure> {
        Ok(id)
    }

    async fn find_out(claim: &Claim) -> Result<Option<u64>, Failure> {
        pause().await;
        Ok((!claim.key().is_empty()).then_some(1))
    }

    #[idempotent(key = "id", on_crash = find_out)]
    pub(super) async fn asked(id: u64) -> Result<u64, Failure> {
        Ok(id)
    }

    #[idempotent(key = "id", on_crash = "find_out", claim = c)]
    pub(super) async fn asked_by_name(id: u64) -> Result<Outcome<u64>, Failure> {
        Ok((id + u64::from(c.attempt())).into())
    }

    #[idempotent(key = "id", on_crash = async |claim: &Claim| find_out(claim).await)]
    pub(super) async fn asked_by_closure(id: u64) -> Result<u64, Failure> {
        Ok(id)
    }
}

mod attributes {
    use super::*;

    /// Documented.
    #[must_use = "it may have been refused"]
    #[idempotent(key = "id")]
    #[allow(clippy::unused_async)]
    pub(super) async fn documented(id: u64) -> Handled<u64> {
        Ok(id)
    }

    #[idempotent(key = "id")]
    pub(super) async fn inner_attribute(id: u64) -> Handled<u64> {
        #![allow(unused_variables)]
        let unused = id;
        Ok(1)
    }

    #[cfg(any())]
    #[idempotent(key = "id")]
    async fn absent(id: u64) -> Missing {}

    #[idempotent(key = "id")]
    #[cfg(any())]
    async fn absent_below(id: u64) -> Missing {}

    #[idempotent(key = "id")]
    #[tracing::instrument(skip(cents))]
    pub(super) async fn traced_below(id: &str, cents: u64) -> Handled<u64> {
        pause().await;
        tracing::info!(id, "handled");
        Ok(cents)
    }

    #[tracing::instrument(skip(cents))]
    #[idempotent(key = "id")]
    pub(super) async fn traced_above(id: &str, cents: u64) -> Handled<u64> {
        pause().await;
        tracing::info!(id, "handled");
        Ok(cents)
    }

    #[tracing::instrument]
    #[idempotent(key = "id")]
    pub(super) fn traced_blocking(id: &str, cents: u64) -> Handled<u64> {
        tracing::info!(id, "handled");
        Ok(cents)
    }

    #[idempotent(key = "\"a test\"", store = MemoryStore::new())]
    #[tokio::test]
    async fn tested_below() -> Handled<()> {
        pause().await;
        Ok(())
    }

    #[tokio::test]
    #[idempotent(key = "\"a test\"", store = MemoryStore::new())]
    async fn tested_above() -> Handled<()> {
        pause().await;
        Ok(())
    }

    #[idempotent(key = "id")]
    pub(super) async fn of_parameters(
        #[allow(unused_variables)] id: u64,
        #[cfg(any())] absent: Missing,
        #[cfg(not(any()))] mut present: u64,
    ) -> Handled<u64> {
        present += 1;
        pause().await;
        Ok(present)
    }

    #[rustfmt::skip]
    #[idempotent(key = "id")]
    pub(super) async fn one_line(id: u64) -> Handled<u64> { Ok(id) }

    #[rustfmt::skip]
    #[idempotent(key = "id")]
    pub(super) async fn one_line_call(id: u64) -> Handled<u64> { one_line(id).await }

    #[rustfmt::skip]
    #[idempotent(key = "1")]
    pub(super) fn one_line_blocking() -> Result<u64, Box<dyn std::error::Error>> { helper() }

    fn helper() -> Result<u64, Box<dyn std::error::Error>> {
        Ok("1".parse()?)
    }

    #[idempotent(key = "id")]
    pub(super) async fn diverges(id: u64) -> Handled<u64> {
        panic!("{id}")
    }

    #[idempotent(key = "id")]
    pub(super) fn diverges_blocking(id: u64) -> Handled<u64> {
        panic!("{id}")
    }

    #[idempotent(key = "id")]
    pub(super) async fn unit(id: u64) -> Result<(), Error> {
        let _ = id;
        Ok(())
    }

    #[idempotent(key = "r#type")]
    pub(super) async fn r#match(r#type: &str) -> Handled<String> {
        Ok(r#type.to_owned())
    }

    #[idempotent(key = r#type)]
    pub(super) fn r#loop(r#type: &str) -> Handled<String> {
        Ok(r#type.to_owned())
    }

    #[idempotent(key = r#"format!("{id}/{cents}")"#)]
    pub(super) async fn formatted(id: String, cents: u64) -> Handled<u64> {
        pause().await;
        Ok(cents + id.len() as u64)
    }

    #[idempotent(key = "id.parse::<u64>().map_err(|_| Failure)?")]
    pub(super) async fn fallible_key(id: &str) -> Result<u64, Failure> {
        Ok(id.len() as u64)
    }

    #[derive(Debug)]
    pub(super) struct Failure;

    impl From<Error> for Failure {
        fn from(_: Error) -> Self {
            Self
        }
    }

    /// # Safety
    ///
    /// None needed.
    #[idempotent(key = "id")]
    pub(super) async unsafe fn not_safe(id: u64) -> Handled<u64> {
        Ok(id)
    }

    pub(super) mod renamed {
        pub(crate) use idem_runtime as library;

        #[idempotent_attribute(key = "id", crate = crate::attributes::renamed::library, claim = c)]
        pub(crate) async fn handler(id: u64) -> Result<u64, library::Error> {
            Ok(id + u64::from(c.attempt()))
        }

        use library::idempotent as idempotent_attribute;
    }

    #[idempotent(key = "depth")]
    pub(super) async fn recursive(depth: u32) -> Handled<u32> {
        if depth == 0 {
            return Ok(0);
        }
        Ok(1 + Box::pin(recursive(depth - 1)).await?)
    }

    #[idempotent(key = "id")]
    pub(super) async fn not_send(id: u64) -> Handled<u64> {
        let shared = Rc::new(id);
        pause().await;
        Ok(*shared)
    }
}

mod macros {
    use super::*;

    macro_rules! handler {
        ($name:ident, $parameter:ident: $type:ty, $key:expr, $output:ty, $body:block) => {
            #[idempotent(key = $key)]
            pub(super) async fn $name($parameter: $type) -> $output $body
        };
        ($name:ident, $parameter:ident: $type:ty, $key:literal, blocking $body:block) => {
            #[idempotent(key = $key, scope = $key)]
            pub(super) fn $name($parameter: $type) -> Handled<u64> $body
        };
        ($name:ident) => {
            #[idempotent(key = "order_id", claim = c, store = MemoryStore::new())]
            pub(super) async fn $name(order_id: u64, mut cents: u64) -> Handled<u64> {
                cents += u64::from(c.attempt());
                Ok(order_id + cents)
            }
        };
        ($name:ident, mutable $parameter:ident) => {
            #[idempotent(key = $parameter)]
            pub(super) async fn $name(mut $parameter: u64, other: u64) -> Handled<u64> {
                $parameter += other;
                pause().await;
                Ok($parameter)
            }
        };
    }

    handler!(by_expression, id: u64, id + 1, Handled<u64>, { Ok(id) });
    handler!(by_string, id: u64, "id", Handled<u64>, {
        pause().await;
        Ok(id)
    });
    handler!(by_literal, id: u64, "id", blocking { Ok(id) });
    handler!(whole);
    handler!(mutable, mutable id);
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

async fn with_memory<T>(future: impl Future<Output = T>) -> T {
    idem_runtime::with_store(MemoryStore::new(), future).await
}

#[tokio::test]
async fn functions_run() -> Result<(), Error> {
    use functions::*;
    with_memory(async {
        let expected = receipt("o", 1);
        assert_eq!(assert_send(borrowed("o", 1)).await?, expected);
        assert_eq!(owned("o".to_owned(), 1).await?, expected);
        assert_eq!(composite(order("o", 1)).await?, expected);
        assert_eq!(tuple(&order("o", 1)).await?, expected);
        assert_eq!(assert_send(claimed("o", 1)).await?.0, expected);
        assert_eq!(mutated("o".to_owned(), 1).await?, receipt("o!", 2));
        assert_eq!(patterns(order("o", 1), (2, 3), [4], 5).await?, receipt("o", 7));
        let wrapped = Wrapped(order("o", 1));
        assert_eq!(odd_patterns(("ab".to_owned(),), &3, [4, 5, 6], wrapped, Err(true), ()).await?, 11);
        assert_eq!(key_that_changes_its_source(1..9).await?, Some(2));
        assert_eq!(only_in_the_key(1).await?, 1);
        assert_eq!(names(1, 2, 3, 4, 5, 6, 7).await?, 28);
        assert_eq!(early(1, None).await?, None);
        assert_eq!(early(2, Some(2)).await?, None);
        assert_eq!(early(3, Some(3)).await?, Some(6));
        Ok(())
    })
    .await
}

/// The default store is `with_store`'s, which is a task's: sync handlers run in a task, on a multi-thread runtime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_functions_run() -> Result<(), Error> {
    use functions::*;
    with_memory(async {
        assert_eq!(blocking("o", 1)?, receipt("o", 1));
        assert_eq!(claimed_blocking("o", 1)?.0, receipt("o", 1));
        assert_eq!(mutated_blocking("o".to_owned(), 1)?, receipt("o!", 2));
        assert_eq!(only_in_the_key_blocking(1)?, 1);
        assert_eq!(names_blocking(1, 2, 3, 4, 5, 6)?, 21);
        assert_eq!(generics::opaque_blocking("a", [1].into_iter())?, Some(1));
        assert_eq!(outputs::framework_blocking(1), outputs::Consumed::Success);
        assert_eq!(outputs::recorded_if_blocking(1).unwrap(), 1);
        assert_eq!(outputs::decided_blocking(1).unwrap(), 1);
        assert_eq!(attributes::traced_blocking("a", 1)?, 1);
        assert_eq!(attributes::one_line_blocking().unwrap(), 1);
        assert_eq!(attributes::r#loop("a")?, "a");
        assert!(std::panic::catch_unwind(|| attributes::diverges_blocking(1)).is_err());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_run() -> Result<(), Error> {
    let handler = || methods::Handler { store: MemoryStore::new(), fee: 10 };
    assert_eq!(assert_send(handler().by_value(1)).await?, 11);
    assert_eq!(handler().by_mutable_value(1).await?, 11);
    assert_eq!(handler().by_reference(1).await?, 11);
    assert_eq!(handler().by_mutable_reference(1).await?, 11);
    assert_eq!(Box::new(handler()).boxed(1).await?, 11);
    assert_eq!(Rc::new(handler()).rc(1).await?, 11);
    assert_eq!(Arc::new(handler()).arc(1).await?, 11);
    assert_eq!(Pin::new(&mut handler()).pinned(1).await?, 11);
    assert_eq!(Arc::new(handler()).arc_reference(1).await?, 11);
    assert_eq!(handler().blocking(1)?, 11);
    assert_eq!(handler().blocking_mutable(1)?, 11);
    assert_eq!(handler().blocking_by_value(1)?, 11);
    assert_eq!(with_memory(methods::Handler::without_self(1)).await?.fee, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trait_methods_run() -> Result<(), Error> {
    use traits::{Boxed, Handler, Native};

    let mut handler = Handler(10, MemoryStore::new());
    with_memory(async {
        assert_eq!(Native::provided(&handler, 1).await?, 11);
        assert_eq!(Native::implemented(&handler, 1).await?, 11);
        assert_eq!(Native::blocking(&handler, 2)?, 12);
        assert_eq!(assert_send(Boxed::provided(&handler, 1)).await?, 11);
        assert_eq!(Boxed::implemented(&handler, order("ab", 3), (4, 5)).await?, 24);
        assert_eq!(Boxed::generic(&handler, "a".to_owned()).await?, "a");
        assert_eq!(Boxed::mutable(&mut handler, "a".to_owned()).await?, "a!");
        assert_eq!(<Handler as Boxed>::without_self(3).await?, 3);
        assert_eq!(Box::new(handler).by_value("abc").await?, 14);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r21_an_async_trait_method_claims_when_it_is_polled() {
    use traits::{Boxed, Handler};

    let handler = Handler(10, MemoryStore::new());
    let dropped = Boxed::implemented(&handler, order("a", 1), (1, 1));
    drop(dropped);
    // Had it claimed the key, this call would find it taken.
    assert_eq!(Boxed::implemented(&handler, order("a", 1), (1, 1)).await.unwrap(), 14);
    // And it does claim: the price is not in the key.
    assert_eq!(Boxed::implemented(&handler, order("a", 100), (1, 1)).await.unwrap(), 14, "replayed");
    assert_eq!(Boxed::implemented(&handler, order("b", 100), (1, 1)).await.unwrap(), 113);
}

/// What isn't in the key differs from call to call, and the first result comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_are_replayed_in_every_shape() -> Result<(), Error> {
    let first = receipt("o", 1);
    with_memory(async {
        for cents in 1..=2 {
            assert_eq!(functions::borrowed("o", cents).await?, first);
            assert_eq!(functions::owned("o".to_owned(), cents).await?, first);
            assert_eq!(functions::blocking("o", cents)?, first);
            assert_eq!(functions::patterns(order("o", cents), (0, 0), [0], 0).await?, first);
            assert_eq!(functions::mutated("o".to_owned(), cents).await?, receipt("o!", 2));
            assert_eq!(generics::bounded("id", cents).await?, 1);
            assert_eq!(attributes::traced_below("o", cents).await?, 1);
            assert_eq!(attributes::traced_above("o", cents).await?, 1);
            assert_eq!(attributes::traced_blocking("o", cents)?, 1);
            assert_eq!(attributes::of_parameters(1, cents).await?, 2);
            assert_eq!(macros::mutable(5, cents).await?, 6);
        }
        assert_eq!(outputs::outcome(1).await?, Outcome::Executed(1));
        assert_eq!(outputs::outcome(1).await?, Outcome::Replayed(1));
        Ok::<_, Error>(())
    })
    .await?;

    let store = MemoryStore::new();
    for fee in 1..=2 {
        let handler = methods::Handler { store: store.clone(), fee };
        assert_eq!(handler.clone().by_value(1).await?, 2);
        assert_eq!(Arc::new(handler.clone()).arc(1).await?, 2);
        assert_eq!(Pin::new(&mut handler.clone()).pinned(1).await?, 2);
        assert_eq!(handler.blocking(1)?, 2);
    }
    Ok(())
}

#[tokio::test]
async fn generic_functions_run() -> Result<(), Error> {
    with_memory(async {
        assert_eq!(generics::bounded(1, 2).await?, 2);
        assert_eq!(generics::bounded("one", "two".to_owned()).await?, "two");
        assert_eq!(generics::array([1, 2, 3]).await?, 3);
        assert_eq!(generics::lifetimes("a", &["bc", "d"]).await?, "bc");
        assert_eq!(generics::opaque("a", [1].into_iter()).await?, Some(1));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_output_and_policy_runs() {
    use outputs::*;
    with_memory(async {
        assert_eq!(outcome(1).await.unwrap(), Outcome::Executed(1));
        assert_eq!(any_error(1).await.unwrap(), 1);
        assert_eq!(any_error(0).await.unwrap_err().to_string(), "zero");
        assert_eq!(framework(1).await, Consumed::Success);
        assert_eq!(framework(0).await, Consumed::Later);
        assert!(matches!(recorded(0).await, Err(Failure::Refused)));
        assert!(matches!(recorded_if(0).await, Err(Failure::Refused)));
        assert!(matches!(decided(None).await, Err(Failure::Ambiguous)));
        assert_eq!(kept(1).await.unwrap(), 1);
        assert_eq!(asked(1).await.unwrap(), 1);
        assert_eq!(asked_by_name(1).await.unwrap().into_inner(), 2);
        assert_eq!(asked_by_closure(1).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn functions_with_attributes_run() -> Result<(), Error> {
    use attributes::*;
    with_memory(async {
        assert_eq!(documented(1).await?, 1);
        assert_eq!(inner_attribute(1).await?, 1);
        assert_eq!(assert_send(traced_below("a", 1)).await?, 1);
        assert_eq!(assert_send(traced_above("a", 1)).await?, 1);
        assert_eq!(of_parameters(1, 2).await?, 3);
        assert_eq!(one_line(1).await?, 1);
        assert_eq!(one_line_call(2).await?, 2);
        assert_eq!(r#match("a").await?, "a");
        assert_eq!(formatted("a".to_owned(), 1).await?, 2);
        assert_eq!(fallible_key("12").await.unwrap(), 2);
        assert!(fallible_key("a").await.is_err());
        // SAFETY: it does nothing that is unsafe.
        assert_eq!(unsafe { not_safe(1) }.await?, 1);
        assert_eq!(renamed::handler(1).await?, 2);
        assert_eq!(recursive(3).await?, 3);
        assert_eq!(not_send(1).await?, 1);
        unit(1).await
    })
    .await?;
    let diverging = tokio::spawn(with_memory(diverges(1)));
    assert!(diverging.await.unwrap_err().is_panic());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_from_macros_run() -> Result<(), Error> {
    use macros::*;
    with_memory(async {
        assert_eq!(by_expression(1).await?, 1);
        assert_eq!(by_string(1).await?, 1);
        assert_eq!(by_literal(1)?, 1);
        assert_eq!(whole(1, 2).await?, 4);
        assert_eq!(mutable(1, 2).await?, 3);
        Ok(())
    })
    .await
}

mod sizes {
    //! What the attribute adds to a future: it must not keep the arguments a second time.

    use super::*;

    macro_rules! twice {
        ($bare:ident, $annotated:ident($($parameter:ident: $type:ty),*), $key:literal => $body:block) => {
            async fn $bare($($parameter: $type),*) -> Handled<u64> $body

            #[idempotent(key = $key)]
            async fn $annotated($($parameter: $type),*) -> Handled<u64> $body
        };
    }

    type Large = [u8; 4096];

    twice!(none, none_annotated(), "1" => {
        pause().await;
        Ok(1)
    });
    twice!(large, large_annotated(id: u64, large: Large), "id" => {
        pause().await;
        Ok(id + u64::from(large[7]))
    });
    twice!(large_key, large_key_annotated(large: Large), "large" => {
        pause().await;
        Ok(u64::from(large[7]))
    });
    twice!(unused, unused_annotated(id: u64, large: Large), "id" => {
        let first = u64::from(large[7]);
        pause().await;
        Ok(id + first)
    });
    twice!(many, many_annotated(a: String, b: Vec<u8>, c: [u8; 512], d: [u64; 64], e: Option<String>), "a, b, c, e" => {
        pause().await;
        Ok(a.len() as u64 + b.len() as u64 + u64::from(c[0]) + d[0] + e.map_or(0, |e| e.len() as u64))
    });

    struct Holder(Large);

    impl Holder {
        async fn bare(self, id: u64) -> Handled<u64> {
            pause().await;
            Ok(id + u64::from(self.0[7]))
        }

        #[idempotent(key = "id", scope = "sizes/by-value")]
        async fn annotated(self, id: u64) -> Handled<u64> {
            pause().await;
            Ok(id + u64::from(self.0[7]))
        }

        #[idempotent(key = "self.0[0], id", scope = "sizes/by-value-that-the-key-reads")]
        async fn read_by_the_key(self, id: u64) -> Handled<u64> {
            pause().await;
            Ok(id + u64::from(self.0[7]))
        }
    }

    fn size<T>(future: T) -> usize {
        let size = size_of_val(&future);
        drop(future);
        size
    }

    #[test]
    fn arguments_are_not_kept_twice() {
        let zeros = [0; 4096];
        let arguments = || (String::new(), Vec::new(), [0; 512], [0; 64], None);
        let (a, b, c, d, e) = arguments();
        let (f, g, h, i, j) = arguments();
        // What the engine needs, whatever the arguments are.
        let engine = size(none_annotated()) - size(none());
        println!("no argument: {engine} more");
        let measured = [
            ("4 KiB", size(large(1, zeros)), size(large_annotated(1, zeros)), 0),
            ("4 KiB that the key reads", size(large_key(zeros)), size(large_key_annotated(zeros)), 0),
            // A function that is done with an argument before its first `await` frees its place. An annotated one can't:
            // the argument has to outlast the claim.
            ("4 KiB, not used after an await", size(unused(1, zeros)), size(unused_annotated(1, zeros)), 4096),
            ("`self`", size(Holder(zeros).bare(1)), size(Holder(zeros).annotated(1)), 0),
            // `self` can't be moved to another variable of that name.
            ("`self` that the key reads", size(Holder(zeros).bare(1)), size(Holder(zeros).read_by_the_key(1)), 4096),
            ("many", size(many(a, b, c, d, e)), size(many_annotated(f, g, h, i, j)), 0),
        ];
        for (what, bare, annotated, kept) in measured {
            let more = annotated - bare;
            println!("{what}: {bare} -> {annotated}, {more} more");
            assert!(more <= engine + kept + 64, "{what}: {bare} -> {annotated}");
        }
    }
}
