//! What the book says of what to annotate: of each story the wrong way, and what happens then, and the right way.

use idem_runtime::{Error, IdempotencyAdmin as _, MemoryStore, admin::Filter, idempotent, with_store};
use idem_tests::Count;
use serde::{Deserialize, Serialize};

/// Three deliveries of one order, and one acknowledgement.
mod acknowledging {
    use super::*;

    #[derive(Deserialize)]
    struct Order {
        id: String,
        cents: u64,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "shown where a test fails")]
    enum ConsumeError {
        Unreadable(serde_json::Error),
        Idempotency(Error),
    }

    impl From<serde_json::Error> for ConsumeError {
        fn from(error: serde_json::Error) -> Self {
            Self::Unreadable(error)
        }
    }

    impl From<Error> for ConsumeError {
        fn from(error: Error) -> Self {
            Self::Idempotency(error)
        }
    }

    #[derive(Default)]
    struct Provider(Count);

    impl Provider {
        async fn charge(&self, order: &Order) -> Result<u64, Error> {
            self.0.up();
            Ok(order.cents)
        }
    }

    /// A message of a broker that delivers it again until it is acknowledged.
    struct Delivery(Count);

    impl Delivery {
        fn data(&self) -> &[u8] {
            br#"{"id": "order-1", "cents": 500}"#
        }

        async fn ack(&self) -> Result<(), ConsumeError> {
            self.0.up();
            Ok(())
        }
    }

    #[idempotent(key = "order.id", scope = "shop/handle")]
    async fn handle(provider: &Provider, delivery: &Delivery, order: &Order) -> Result<u64, ConsumeError> {
        let charged = provider.charge(order).await?;
        delivery.ack().await?; // wrong: a duplicate doesn't run this
        Ok(charged)
    }

    #[idempotent(key = "order.id", scope = "shop/charge-once")]
    async fn charge(provider: &Provider, order: &Order) -> Result<u64, Error> {
        provider.charge(order).await
    }

    async fn consume(provider: &Provider, delivery: &Delivery) -> Result<u64, ConsumeError> {
        let order = serde_json::from_slice(delivery.data())?;
        let charged = charge(provider, &order).await?;
        delivery.ack().await?;
        Ok(charged)
    }

    fn deliveries() -> [Delivery; 3] {
        std::array::from_fn(|_| Delivery(Count::default()))
    }

    fn acknowledged(deliveries: &[Delivery]) -> Vec<u32> {
        deliveries.iter().map(|delivery| delivery.0.get()).collect()
    }

    #[tokio::test]
    async fn an_acknowledgement_in_the_body_is_sent_for_one_delivery_of_three() {
        let (provider, deliveries) = (Provider::default(), deliveries());
        with_store(MemoryStore::new(), async {
            for delivery in &deliveries {
                let order = serde_json::from_slice(delivery.data()).unwrap();
                assert_eq!(handle(&provider, delivery, &order).await.unwrap(), 500);
            }
        })
        .await;
        assert_eq!((provider.0.get(), acknowledged(&deliveries)), (1, vec![1, 0, 0]));
    }

    #[tokio::test]
    async fn an_acknowledgement_behind_the_handler_is_sent_for_each_delivery() {
        let (provider, deliveries) = (Provider::default(), deliveries());
        with_store(MemoryStore::new(), async {
            for delivery in &deliveries {
                assert_eq!(consume(&provider, delivery).await.unwrap(), 500);
            }
        })
        .await;
        assert_eq!((provider.0.get(), acknowledged(&deliveries)), (1, vec![1, 1, 1]));
    }
}

/// A forged request with a guessed event id.
mod authenticating {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Event {
        id: String,
        address: String,
    }

    struct Request {
        body: Vec<u8>,
        signature: Vec<u8>,
    }

    fn mac(secret: &[u8], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(body);
        mac
    }

    impl Request {
        fn signed(secret: &[u8], id: &str, address: &str) -> Self {
            let body = serde_json::to_vec(&Event { id: id.to_owned(), address: address.to_owned() }).unwrap();
            let signature = mac(secret, &body).finalize().into_bytes().to_vec();
            Self { body, signature }
        }
    }

    #[derive(Default)]
    struct Shop(Count);

    impl Shop {
        fn is_genuine(&self, request: &Request) -> bool {
            mac(SECRET, &request.body).verify_slice(&request.signature).is_ok()
        }

        async fn ship(&self, _: &Event) {
            self.0.up();
        }
    }

    const SECRET: &[u8] = b"of the shop and of the provider";

    fn genuine() -> Request {
        Request::signed(SECRET, "evt_1042", "Leipzig")
    }

    fn forged() -> Request {
        Request::signed(b"a guess", "evt_1042", "elsewhere")
    }

    #[idempotent(key = "event.id", scope = "shop/answer")]
    async fn answer(shop: &Shop, request: &Request, event: &Event) -> Result<u16, Error> {
        if !shop.is_genuine(request) {
            return Ok(401); // wrong: this is recorded for the event
        }
        shop.ship(event).await;
        Ok(200)
    }

    #[idempotent(key = "event.id", scope = "shop/ship")]
    async fn ship(shop: &Shop, event: &Event) -> Result<(), Error> {
        shop.ship(event).await;
        Ok(())
    }

    async fn webhook(shop: &Shop, request: &Request) -> u16 {
        if !shop.is_genuine(request) {
            return 401;
        }
        let Ok(event) = serde_json::from_slice(&request.body) else { return 400 };
        if ship(shop, &event).await.is_ok() { 200 } else { 503 }
    }

    #[tokio::test]
    async fn a_forged_request_is_recorded_where_the_signature_is_checked_in_the_body() {
        let (store, shop) = (MemoryStore::new(), Shop::default());
        with_store(store.clone(), async {
            for request in [forged(), genuine()] {
                let event = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(answer(&shop, &request, &event).await.unwrap(), 401);
            }
        })
        .await;
        assert_eq!(shop.0.get(), 0, "the genuine event never runs");
        assert_eq!(store.stats().await.unwrap().completed, 1);
    }

    #[tokio::test]
    async fn a_forged_request_changes_nothing_where_the_signature_is_checked_before_the_handler() {
        let (store, shop) = (MemoryStore::new(), Shop::default());
        with_store(store.clone(), async {
            assert_eq!(webhook(&shop, &forged()).await, 401);
            assert!(store.list(Filter::all()).await.unwrap().is_empty());
            for (request, answer) in [(genuine(), 200), (forged(), 401), (genuine(), 200)] {
                assert_eq!(webhook(&shop, &request).await, answer);
            }
        })
        .await;
        assert_eq!(shop.0.get(), 1);
    }
}

/// Messages that look the same, and are two.
mod retrying {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Status {
        Retry,
        Complete,
    }

    #[derive(Default)]
    struct Tasks(Count);

    impl Tasks {
        async fn set(&self, _: &str, _: Status) {
            self.0.up();
        }
    }

    #[idempotent(
        key = "task, (status != Status::Retry).then_some(\"done\")",
        missing_key = "run",
        scope = "shop/set-status"
    )]
    async fn set_status(tasks: &Tasks, task: &str, status: Status) -> Result<(), Error> {
        tasks.set(task, status).await;
        Ok(())
    }

    #[tokio::test]
    async fn a_message_whose_key_is_none_runs_each_time_and_the_others_once() {
        let tasks = Tasks::default();
        with_store(MemoryStore::new(), async {
            for (status, sets) in [(Status::Retry, 1), (Status::Retry, 2), (Status::Complete, 3), (Status::Complete, 3)]
            {
                set_status(&tasks, "task-1", status).await.unwrap();
                assert_eq!(tasks.0.get(), sets);
            }
        })
        .await;
    }
}

/// What the caller does before its call.
mod writing {
    use std::sync::Mutex;

    use idem_runtime::Outcome;

    use super::*;

    #[idempotent(key = "order", scope = "shop/audited")]
    async fn charge(order: &str) -> Result<Outcome<u64>, Error> {
        let _ = order;
        Ok(Outcome::Executed(500))
    }

    #[tokio::test]
    async fn what_is_written_before_a_call_is_written_for_its_replay_too() {
        let written = Mutex::new(Vec::new());
        with_store(MemoryStore::new(), async {
            for wanted in [Outcome::Executed(500), Outcome::Replayed(500)] {
                written.lock().unwrap().push("order-1");
                assert_eq!(charge("order-1").await.unwrap(), wanted);
            }
        })
        .await;
        assert_eq!(written.into_inner().unwrap().len(), 2);
    }
}

/// The spans of `#[instrument]`, above the attribute and below it.
mod instrumenting {
    use std::sync::{Arc, Mutex};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// The names of the spans that were made.
    #[derive(Clone, Default)]
    struct Spans(Arc<Mutex<Vec<&'static str>>>);

    impl Subscriber for Spans {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            self.0.lock().unwrap().push(span.metadata().name());
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[idempotent(key = "order", scope = "shop/below")]
    #[tracing::instrument]
    async fn below(order: &str) -> Result<(), Error> {
        Ok(())
    }

    #[tracing::instrument]
    #[idempotent(key = "order", scope = "shop/above")]
    async fn above(order: &str) -> Result<(), Error> {
        Ok(())
    }

    #[tokio::test]
    async fn a_replay_has_a_span_where_instrument_stands_below() {
        let spans = Spans::default();
        let _guard = tracing::subscriber::set_default(spans.clone());
        with_store(MemoryStore::new(), async {
            for _ in 0..2 {
                below("order-1").await.unwrap();
                above("order-1").await.unwrap();
            }
        })
        .await;
        assert_eq!(*spans.0.lock().unwrap(), ["below", "above", "below"]);
    }
}
