//! What the book's page on web frameworks shows.

use idem_runtime::{MemoryStore, idempotent};
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

struct Shop {
    store: MemoryStore,
}

mod grpc {
    use tonic::{Code, Request, Response, Status};

    use super::{MemoryStore, idempotent};

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
        let shop = super::Shop { store: MemoryStore::new() };
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
    use actix_web::web::{Data, Json};

    use super::{MemoryStore, Order, Receipt, Shop, idempotent, order};

    #[idempotent(key = "order.id", store = shop.store, scope = "shop/actix")]
    async fn charge(shop: Data<Shop>, order: Json<Order>) -> Result<HttpResponse, actix_web::Error> {
        // …
        Ok(HttpResponse::Created().insert_header(("Location", "/receipts/1")).json(Receipt { cents: order.cents }))
    }

    #[tokio::test]
    async fn a_handler_of_actix_is_replayed() {
        let shop = Data::new(Shop { store: MemoryStore::new() });
        for _ in 0..2 {
            let response = charge(shop.clone(), Json(order("order-1"))).await.unwrap();
            assert_eq!(response.headers().get("location").unwrap(), "/receipts/1");
            let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
            assert_eq!(body, r#"{"cents":500}"#);
        }
    }
}

mod axum {
    use ::axum::Json;
    use ::axum::response::IntoResponse;
    use http::StatusCode;
    use idem_runtime::{Error, Outcome, with_store};

    use super::{MemoryStore, Order, Receipt, idempotent, order};

    #[idempotent(key = "order.id", fingerprint = "order.cents", scope = "shop/axum")]
    async fn charge(Json(order): Json<Order>) -> Result<Json<Receipt>, Error> {
        // …
        Ok(Json(Receipt { cents: order.cents }))
    }

    #[tokio::test]
    async fn a_handler_of_axum_is_replayed() {
        with_store(MemoryStore::new(), async {
            for _ in 0..2 {
                let answer = charge(Json(order("order-1"))).await.into_response();
                assert_eq!(answer.status(), StatusCode::OK);
                let body = ::axum::body::to_bytes(answer.into_body(), 100).await.unwrap();
                assert_eq!(body, r#"{"cents":500}"#);
            }
            let other = Order { cents: 700, ..order("order-1") };
            let refused = charge(Json(other)).await.into_response();
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        })
        .await;
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
