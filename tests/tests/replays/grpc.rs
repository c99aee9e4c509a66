//! The responses and statuses of tonic, over a connection.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use idem_runtime::output::Recorded;
use idem_runtime::{Claim, Error, MemoryStore, idempotent};
use idem_tests::Count;
use tokio::net::TcpListener;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(uint64, tag = "2")]
    cents: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Receipt {
    #[prost(uint32, tag = "1")]
    run: u32,
    #[prost(uint64, tag = "2")]
    cents: u64,
}

/// An extension, which is not recorded.
#[derive(Clone, Debug, PartialEq)]
struct Note(&'static str);

#[derive(Clone, Debug, Default)]
struct Shop {
    store: MemoryStore,
    ran: Count,
}

/// Metadata with a text, a repeated text and bytes.
fn metadata() -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.append("shop", "north".parse().unwrap());
    metadata.append("shop", "south".parse().unwrap());
    metadata.append_bin("trace-bin", MetadataValue::from_bytes(&[0, 1, 0xff]));
    metadata
}

impl Shop {
    #[idempotent(
        key = "order.get_ref().id",
        fingerprint = "order.get_ref().cents",
        store = self.store,
        scope = "grpc/charge",
        on_error = "record"
    )]
    async fn charge(&self, order: Request<Order>) -> Result<Response<Receipt>, Status> {
        let (run, cents) = (self.ran.up(), order.get_ref().cents);
        if cents == 0 {
            let details = Bytes::from_static(&[8, 0xff]);
            return Err(Status::with_details_and_metadata(Code::FailedPrecondition, "no cents", details, metadata()));
        }
        let mut response = Response::from_parts(metadata(), Receipt { run, cents }, tonic::Extensions::default());
        response.extensions_mut().insert(Note("the body's own"));
        Ok(response)
    }

    #[idempotent(key = "id", store = self.store, scope = "grpc/found", on_crash = found)]
    async fn waits(&self, id: u32) -> Result<Response<Receipt>, Status> {
        self.ran.up();
        std::future::pending().await
    }
}

async fn found(claim: &Claim) -> Result<Option<Recorded<Receipt>>, Status> {
    let receipt = Receipt { run: claim.attempt(), cents: 7 };
    Ok(Some(Response::from_parts(metadata(), receipt, tonic::Extensions::default()).into()))
}

fn order(id: &str, cents: u64) -> Request<Order> {
    Request::new(Order { id: id.to_owned(), cents })
}

/// Serves the shop on a port of its own, and returns a client that charges there.
async fn served(shop: &Shop) -> impl AsyncFn(&str, u64) -> Result<Response<Receipt>, Status> + use<> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shop = shop.clone();
    let service = service_fn(move |request: http::Request<tonic::body::Body>| {
        let shop = shop.clone();
        async move {
            let charge = service_fn(move |order| {
                let shop = shop.clone();
                async move { shop.charge(order).await }
            });
            Ok::<_, Infallible>(tonic::server::Grpc::new(ProstCodec::default()).unary(charge, request).await)
        }
    });
    tokio::spawn(Server::builder().serve_with_incoming(service, TcpIncoming::from(listener)));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    async move |id: &str, cents| {
        let mut client = client.clone();
        client.ready().await.unwrap();
        let path = http::uri::PathAndQuery::from_static("/shop.Shop/Charge");
        client.unary(order(id, cents), path, ProstCodec::<Order, Receipt>::default()).await
    }
}

/// The metadata but for the date, which the server sets on each answer.
fn sent(metadata: &MetadataMap) -> MetadataMap {
    let mut metadata = metadata.clone();
    metadata.remove("date");
    metadata
}

#[tokio::test]
async fn r4_a_response_is_replayed_with_its_message_and_its_metadata() {
    let shop = Shop::default();
    let charge = served(&shop).await;
    let first = charge("order-1", 500).await.unwrap();
    let again = charge("order-1", 500).await.unwrap();
    assert_eq!(first.get_ref(), &Receipt { run: 1, cents: 500 });
    assert_eq!(again.get_ref(), first.get_ref());
    for (name, value) in metadata().as_ref() {
        assert!(first.metadata().as_ref().get_all(name).iter().any(|found| found == value), "{:?}", first.metadata());
    }
    assert_eq!(sent(again.metadata()).into_headers(), sent(first.metadata()).into_headers());
    assert_eq!(shop.ran.get(), 1);
}

#[tokio::test]
async fn a_recorded_status_is_replayed_with_all_its_parts() {
    let shop = Shop::default();
    let charge = served(&shop).await;
    let first = charge("order-1", 0).await.unwrap_err();
    let again = charge("order-1", 0).await.unwrap_err();
    assert_eq!(
        (first.code(), first.message(), first.details()),
        (Code::FailedPrecondition, "no cents", &[8, 0xff][..])
    );
    assert_eq!((again.code(), again.message(), again.details()), (first.code(), first.message(), first.details()));
    assert_eq!(again.metadata().get_bin("trace-bin").unwrap().to_bytes().unwrap(), &[0, 1, 0xff][..]);
    assert_eq!(sent(again.metadata()).into_headers(), sent(first.metadata()).into_headers());
    assert_eq!(shop.ran.get(), 1);
}

#[tokio::test]
async fn a_refusal_is_a_status_with_a_text_for_clients() {
    let shop = Shop::default();
    let charge = served(&shop).await;
    charge("order-1", 500).await.unwrap();
    let reused = charge("order-1", 700).await.unwrap_err();
    assert_eq!(
        (reused.code(), reused.message()),
        (Code::InvalidArgument, "this idempotency key was used for a different request")
    );
    let here = shop.charge(order("order-1", 700)).await.unwrap_err();
    let source = std::error::Error::source(&here).and_then(|source| source.downcast_ref::<Error>());
    assert!(matches!(source, Some(Error::KeyReused { .. })), "{source:?}");
}

#[tokio::test]
async fn the_first_caller_gets_the_bodys_own_response() {
    let shop = Shop::default();
    let first = shop.charge(order("order-1", 500)).await.unwrap();
    assert_eq!(first.extensions().get(), Some(&Note("the body's own")));
    assert_eq!(first.metadata().clone().into_headers(), metadata().into_headers());
    let again = shop.charge(order("order-1", 500)).await.unwrap();
    assert!(again.extensions().get::<Note>().is_none());
    assert_eq!(again.metadata().clone().into_headers(), metadata().into_headers());
}

#[tokio::test]
async fn a_function_of_on_crash_finds_a_response() {
    let shop = Shop::default();
    // Begun and dropped.
    assert!(pin!(shop.waits(1)).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut found = shop.waits(1).await.unwrap();
    assert_eq!(found.get_ref(), &Receipt { run: 2, cents: 7 });
    found = shop.waits(1).await.unwrap();
    assert_eq!(found.get_ref(), &Receipt { run: 2, cents: 7 });
    assert_eq!(found.metadata().clone().into_headers(), metadata().into_headers());
    assert_eq!(shop.ran.get(), 1);
}
