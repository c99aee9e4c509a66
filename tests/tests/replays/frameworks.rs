//! What the book's page on web frameworks shows.

use idem_runtime::{MemoryStore, idempotent};
use idem_tests::{Count, Gate};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    cents: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Order {
    id: String,
    cents: u64,
}

fn order(id: &str) -> Order {
    Order { id: id.to_owned(), cents: 500 }
}

#[derive(Default)]
struct Shop {
    store: MemoryStore,
    charged: Count,
    /// Where each charge stops, if there is one.
    gate: Option<Gate>,
}

impl Shop {
    fn with_gate() -> Self {
        Self { gate: Some(Gate::default()), ..Self::default() }
    }

    async fn book(&self, order: &Order) -> Receipt {
        self.charged.up();
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        Receipt { cents: order.cents }
    }

    /// What a client gets for its second request, if it hung up in the middle of the first.
    async fn hung_up<A: Future>(&self, request: impl Fn() -> A) -> A::Output {
        let gate = self.gate.as_ref().unwrap();
        tokio::select! {
            biased;
            _ = request() => unreachable!("the gate is closed"),
            () = gate.started() => {}
        }
        gate.open();
        request().await
    }
}

mod grpc {
    use tonic::{Code, Request, Response, Status};

    use super::idempotent;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Order {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(uint64, tag = "2")]
        cents: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Receipt {
        #[prost(uint64, tag = "1")]
        cents: u64,
    }

    impl super::Shop {
        #[idempotent(key = "order.get_ref().id", store = self.store, scope = "shop/grpc", on_error = record_if(is_final))]
        async fn charge(&self, order: Request<Order>) -> Result<Response<Receipt>, Status> {
            // …
            Ok(Response::new(Receipt { cents: order.get_ref().cents }))
        }
    }

    fn is_final(status: &Status) -> bool {
        status.code() == Code::FailedPrecondition
    }

    #[tokio::test]
    async fn a_method_of_a_grpc_service_is_replayed() {
        let shop = super::Shop::default();
        for cents in [500, 700] {
            let order = Request::new(Order { id: "order-1".to_owned(), cents });
            assert_eq!(shop.charge(order).await.unwrap().into_inner(), Receipt { cents: 500 });
        }
        let refused = shop.charge(Request::new(Order::default())).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

mod actix {
    use actix_web::HttpResponse;
    use actix_web::error::ErrorInternalServerError;
    use actix_web::web::{Data, Json};

    use super::{Order, Shop, idempotent, order};

    #[idempotent(key = "order.id", store = shop.store, scope = "shop/actix", wait = "5s")]
    async fn charge(shop: Data<Shop>, order: Json<Order>) -> Result<HttpResponse, actix_web::Error> {
        let receipt = shop.book(&order).await;
        Ok(HttpResponse::Created().insert_header(("Location", "/receipts/1")).json(receipt))
    }

    async fn post_charge(shop: Data<Shop>, order: Json<Order>) -> Result<HttpResponse, actix_web::Error> {
        actix_web::rt::spawn(charge(shop, order)).await.map_err(ErrorInternalServerError)?
    }

    #[tokio::test]
    async fn a_handler_of_actix_is_replayed() {
        let shop = Data::new(Shop::default());
        for _ in 0..2 {
            let response = charge(shop.clone(), Json(order("order-1"))).await.unwrap();
            assert_eq!(response.headers().get("location").unwrap(), "/receipts/1");
            let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
            assert_eq!(body, r#"{"cents":500}"#);
        }
    }

    #[tokio::test]
    async fn a_client_of_actix_that_hangs_up_is_charged_once() {
        let shop = Data::new(Shop::with_gate());
        let answer = shop.hung_up(|| post_charge(shop.clone(), Json(order("order-1"))));
        let answer = tokio::task::LocalSet::new().run_until(answer).await.unwrap();
        assert_eq!((answer.status().as_u16(), shop.charged.get()), (201, 1));
    }
}

mod axum {
    use std::sync::Arc;

    use ::axum::Json;
    use ::axum::extract::State;
    use ::axum::response::{IntoResponse, Response};
    use http::{HeaderMap, HeaderValue, StatusCode};
    use idem_runtime::{Error, Outcome, with_store};

    use super::{MemoryStore, Order, Receipt, Shop, idempotent, order};

    #[idempotent(key = "order.id", fingerprint = "order.cents", store = shop.store, scope = "shop/axum", wait = "5s")]
    async fn charge(shop: Arc<Shop>, order: Order) -> Result<Json<Receipt>, Error> {
        Ok(Json(shop.book(&order).await))
    }

    /// The route.
    async fn charge_route(State(shop): State<Arc<Shop>>, Json(order): Json<Order>) -> Result<Response, StatusCode> {
        let charged = tokio::spawn(charge(shop, order)).await;
        charged.map(IntoResponse::into_response).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    }

    #[tokio::test]
    async fn a_handler_of_axum_is_replayed() {
        let shop = Arc::new(Shop::default());
        let post = async |order| charge_route(State(shop.clone()), Json(order)).await.unwrap();
        for _ in 0..2 {
            let answer = post(order("order-1")).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let body = ::axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
            assert_eq!(body, r#"{"cents":500}"#);
        }
        let refused = post(Order { cents: 700, ..order("order-1") }).await;
        assert_eq!((refused.status(), shop.charged.get()), (StatusCode::UNPROCESSABLE_ENTITY, 1));
    }

    #[tokio::test]
    async fn a_client_of_axum_that_hangs_up_is_charged_once() {
        let shop = Arc::new(Shop::with_gate());
        let answer = shop.hung_up(|| charge_route(State(shop.clone()), Json(order("order-1")))).await.unwrap();
        assert_eq!((answer.status(), shop.charged.get()), (StatusCode::OK, 1));
    }

    #[idempotent(
        key = (user, headers.get("idempotency-key").map(HeaderValue::as_bytes)),
        fingerprint = (order.id, order.cents),
        store = shop.store,
        scope = "shop/axum/orders",
        wait = "5s"
    )]
    async fn place(shop: Arc<Shop>, user: u64, headers: HeaderMap, order: Order) -> Result<Json<Receipt>, Error> {
        Ok(Json(shop.book(&order).await))
    }

    #[tokio::test]
    async fn the_key_of_a_header_belongs_to_its_user() {
        let shop = Arc::new(Shop::default());
        let post = async |user, key: Option<&'static str>| {
            let headers =
                key.map(|key| (http::HeaderName::from_static("idempotency-key"), HeaderValue::from_static(key)));
            place(shop.clone(), user, headers.into_iter().collect(), order("order-1")).await.into_response().status()
        };
        for (user, key, status, charged) in [
            (1, Some("a"), StatusCode::OK, 1),
            (1, Some("a"), StatusCode::OK, 1),
            (2, Some("a"), StatusCode::OK, 2),
            (1, None, StatusCode::BAD_REQUEST, 2),
            (1, Some(""), StatusCode::BAD_REQUEST, 2),
        ] {
            assert_eq!((post(user, key).await, shop.charged.get()), (status, charged), "{user} {key:?}");
        }
    }

    /// For a response with a status of its own.
    #[idempotent(key = "order.id", scope = "shop/axum/receipt")]
    async fn receipt(order: &Order) -> Result<Outcome<Receipt>, Error> {
        // …
        Ok(Receipt { cents: order.cents }.into())
    }

    async fn post_charge(Json(order): Json<Order>) -> Result<(StatusCode, Json<Receipt>), Error> {
        let outcome = receipt(&order).await?;
        let status = if outcome.is_replayed() { StatusCode::OK } else { StatusCode::CREATED };
        Ok((status, Json(outcome.into_inner())))
    }

    #[tokio::test]
    async fn a_function_below_a_handler_of_axum_is_replayed() {
        with_store(MemoryStore::new(), async {
            for status in [StatusCode::CREATED, StatusCode::OK] {
                assert_eq!(post_charge(Json(order("order-1"))).await.into_response().status(), status);
            }
            let error = receipt(&order("")).await.unwrap_err();
            let (status, body) = (error.http_status(), error.public().to_string()); // for gRPC, `error.grpc_code()`
            let refused = post_charge(Json(order(""))).await.into_response();
            assert_eq!(refused.status().as_u16(), status);
            assert_eq!(::axum::body::to_bytes(refused.into_body(), 100).await.unwrap(), body);
        })
        .await;
    }

    #[tokio::test]
    async fn a_client_is_told_when_to_come_again() {
        #[idempotent(key = "order.id", scope = "shop/axum/hanging")]
        async fn hanging(order: &Order, entered: &tokio::sync::Notify) -> Result<(), Error> {
            entered.notify_one();
            std::future::pending().await
        }
        with_store(MemoryStore::new(), async {
            let (order, entered) = (order("order-1"), tokio::sync::Notify::new());
            let first = hanging(&order, &entered);
            let second = async {
                entered.notified().await;
                hanging(&order, &entered).await.into_response()
            };
            let refused = tokio::select! {
                _ = first => unreachable!("it hangs"),
                refused = second => refused,
            };
            assert_eq!(refused.status(), StatusCode::CONFLICT);
            assert_eq!(refused.headers()["retry-after"], "60");
        })
        .await;
    }
}
