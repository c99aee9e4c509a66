//! Idempotent consumers of NATS JetStream, RabbitMQ and Kafka.
//!
//! To copy: the consumer's loop for your broker, such as [`nats`], and the handler with its error type, [`charge`]. The other
//! modules make the examples run: a ledger, a payment provider with troubles, orders to publish, and a report.

pub mod charge;
pub mod demo;
pub mod kafka;
pub mod ledger;
pub mod nats;
pub mod order;
pub mod provider;
pub mod rabbitmq;
pub mod report;
pub mod shop;

/// Why a consumer or its stage gave up.
pub type Fatal = Box<dyn std::error::Error + Send + Sync>;
