//! Orders that come over RocketMQ and are charged once: what the scenarios in `tests/` are made of.
//!
//! The broker is rocketmq-rust's, with its name server in one child process; a consumer is another. Each can be killed, and
//! started again.

#![recursion_limit = "512"]

pub mod broker;
pub mod client;
pub mod consumer;
pub mod handlers;
pub mod harness;
pub mod journal;
pub mod order;
pub mod shop;
