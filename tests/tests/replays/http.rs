//! The responses of actix-web, over a connection.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use actix_web::body::{self, BodySize, BoxBody, MessageBody, to_bytes};
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use idem_runtime::output::RecordedResponse;
use idem_runtime::{Claim, MemoryStore, idempotent};
use idem_tests::Count;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

#[derive(Clone, Debug, Default)]
struct Shop {
    store: MemoryStore,
    ran: Count,
}

/// Answers with this status.
#[idempotent(key = "path.0", fingerprint = "path.1", store = shop.store, scope = "http/charge", on_crash = "park")]
async fn charge(shop: Data<Shop>, path: Path<(String, u16)>) -> Result<HttpResponse, actix_web::Error> {
    let status = actix_web::http::StatusCode::from_u16(path.1).unwrap();
    let mut response = HttpResponse::build(status);
    response.content_type("application/json").insert_header(("Location", "/orders/1"));
    for link in ["</a>; rel=first", "</b>; rel=last"] {
        response.append_header(("Link", link));
    }
    for (name, value) in [
        ("Set-Cookie", "session=1"),
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("RateLimit-Remaining", "5"),
        ("Access-Control-Allow-Origin", "https://shop.example"),
        ("Vary", "Origin, Accept-Language"),
    ] {
        response.insert_header((name, value));
    }
    Ok(response.body(format!("{{\"run\":{}}}", shop.ran.up())))
}

/// A body that isn't in memory.
struct Streamed(Option<Bytes>);

impl MessageBody for Streamed {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

#[idempotent(key = "*id", store = shop.store, scope = "http/stream")]
async fn stream(shop: Data<Shop>, id: Path<u32>) -> Result<HttpResponse, actix_web::Error> {
    shop.ran.up();
    Ok(HttpResponse::Ok().body(Streamed(Some(Bytes::from_static(b"streamed")))))
}

/// An answer that is whole in memory.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Serves the shop on a port of its own, and returns a client that posts there.
fn served(shop: &Shop) -> impl AsyncFn(&str) -> Answer + use<> {
    let data = Data::new(shop.clone());
    let app = move || {
        App::new()
            .app_data(data.clone())
            .route("/charge/{order}/{status}", web::post().to(charge))
            .route("/stream/{id}", web::post().to(stream))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    async move |path: &str| {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::post(path).header("Host", "shop.example").body(Empty::<Bytes>::new()).unwrap();
        let (head, body) = client.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        Answer { status: head.status, headers: head.headers, body }
    }
}

#[tokio::test]
async fn r4_a_response_is_replayed_with_its_status_its_headers_and_its_body() {
    let shop = Shop::default();
    let post = served(&shop);
    let (mut first, mut again) = (post("/charge/order-1/201").await, post("/charge/order-1/201").await);
    assert_eq!((first.status, &*first.body), (StatusCode::CREATED, &br#"{"run":1}"#[..]));
    assert_eq!(first.headers.get_all("link").iter().count(), 2);
    // actix-web itself doesn't send `Connection`.
    for left_out in ["set-cookie", "x-hop", "ratelimit-remaining", "access-control-allow-origin"] {
        assert!(first.headers.remove(left_out).is_some(), "{left_out}");
        assert_eq!(again.headers.get(left_out), None);
    }
    assert_eq!(first.headers.insert("vary", "Accept-Language".parse().unwrap()).unwrap(), "Origin, Accept-Language");
    for answer in [&mut first, &mut again] {
        answer.headers.remove("date");
    }
    assert_eq!(again, first);
    assert_eq!(shop.ran.get(), 1);
}

#[tokio::test]
async fn a_status_says_what_becomes_of_the_key() {
    let kept = [200, 201, 202, 302, 400, 402, 410, 412, 422];
    let freed = [401, 403, 404, 405, 406, 409, 413, 415, 421, 425, 429, 500, 501, 502, 503];
    for (statuses, runs) in [(&kept[..], 1), (&freed[..], 2)] {
        for status in statuses {
            let shop = Shop::default();
            let post = served(&shop);
            for _ in 0..2 {
                assert_eq!(post(&format!("/charge/order-1/{status}")).await.status.as_u16(), *status);
            }
            assert_eq!(shop.ran.get(), runs, "{status}");
        }
    }
    for status in [408, 504] {
        let shop = Shop::default();
        let post = served(&shop);
        let path = format!("/charge/order-1/{status}");
        assert_eq!(post(&path).await.status.as_u16(), status);
        let parked = post(&path).await;
        assert_eq!(parked.status, StatusCode::CONFLICT);
        assert_eq!(&*parked.body, b"a request with this idempotency key was begun, and its outcome is unknown");
        assert_eq!(shop.ran.get(), 1, "{status}");
    }
}

#[tokio::test]
async fn r15_a_body_that_is_not_in_memory_reaches_its_first_caller_only() {
    let shop = Shop::default();
    let post = served(&shop);
    let first = post("/stream/1").await;
    assert_eq!((first.status, &*first.body), (StatusCode::OK, &b"streamed"[..]));
    let again = post("/stream/1").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(&*again.body, b"a request with this idempotency key was handled, and its result is not available");
    assert_eq!(shop.ran.get(), 1);
}

#[tokio::test]
async fn a_refusal_is_a_response_with_a_text_for_clients() {
    let shop = Shop::default();
    let post = served(&shop);
    post("/charge/order-1/201").await;
    let reused = post("/charge/order-1/202").await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(&*reused.body, b"this idempotency key was used for a different request");
}

#[idempotent(key = "id", store = store, scope = "http/own")]
async fn own(store: &MemoryStore, id: u32, gate: &idem_tests::Gate) -> Result<HttpResponse, actix_web::Error> {
    gate.pass().await;
    let mut response = HttpResponse::NoContent().body(body::None::new());
    response.extensions_mut().insert(id);
    Ok(response)
}

#[tokio::test]
async fn the_first_caller_gets_the_bodys_own_response() {
    let (store, gate) = (MemoryStore::new(), idem_tests::Gate::default());
    let (first, busy) = tokio::join!(own(&store, 7, &gate), async {
        gate.started().await;
        let busy = own(&store, 7, &gate).await.unwrap_err().error_response();
        gate.open();
        busy
    });
    assert_eq!(busy.status().as_u16(), 409);
    assert_eq!(busy.headers().get("retry-after").unwrap(), "60");
    let first = first.unwrap();
    assert_eq!((first.extensions().get(), first.body().size()), (Some(&7_u32), BodySize::None));
    let again = own(&store, 7, &gate).await.unwrap();
    assert_eq!(
        (again.status().as_u16(), again.extensions().get::<u32>(), again.body().size()),
        (204, None, BodySize::None)
    );
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    run: u32,
}

#[idempotent(key = "id", store = shop.store, scope = "http/json")]
async fn json(shop: &Shop, id: u32) -> Result<web::Json<Receipt>, actix_web::Error> {
    Ok(web::Json(Receipt { run: shop.ran.up() }))
}

#[idempotent(key = "id", store = shop.store, scope = "http/found", on_crash = found)]
async fn waits(shop: &Shop, id: u32) -> Result<HttpResponse, actix_web::Error> {
    shop.ran.up();
    std::future::pending().await
}

async fn found(claim: &Claim) -> Result<Option<RecordedResponse>, actix_web::Error> {
    Ok(Some(HttpResponse::Accepted().body(claim.key().to_string()).into()))
}

#[tokio::test]
async fn json_is_replayed_and_a_function_of_on_crash_finds_a_response() {
    let shop = Shop::default();
    for _ in 0..2 {
        assert_eq!(*json(&shop, 1).await.unwrap(), Receipt { run: 1 });
    }
    // Begun and dropped.
    assert!(pin!(waits(&shop, 1)).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    for _ in 0..2 {
        let found = waits(&shop, 1).await.unwrap();
        assert_eq!(found.status().as_u16(), 202);
        assert_eq!(to_bytes::<BoxBody>(found.into_body()).await.unwrap(), "1");
    }
    assert_eq!(shop.ran.get(), 2);
}
