//! Idempotent consumers of NATS JetStream, RabbitMQ and Kafka.
//!
//! What to copy: the consumer's loop of your broker, [`nats`], and the handler with its error type, [`charge`]. The rest
//! is the stage: a ledger, a payment provider with its troubles, orders to publish, and a report.

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
