//! What the fuzz targets do with their input. Each is a function of bytes that panics where it finds a fault, so that a test
//! can give it the files of its corpus without a fuzzer.

pub mod attribute;
pub mod bytes;
pub mod keys;
pub mod records;
mod types;
pub mod urls;
pub mod values;

/// What a target does with its input.
pub type Run = fn(&[u8]);

/// The targets, by the names of their corpora.
pub const TARGETS: [(&str, Run); 6] = [
    ("attribute", attribute::run),
    ("bytes", bytes::run),
    ("keys", keys::run),
    ("records", records::run),
    ("urls", urls::run),
    ("values", values::run),
];
