//! From what a key stands for to its fingerprint.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::claim::Fingerprint;
use crate::codec;

/// What became of the attribute's `fingerprint`.
#[derive(Debug)]
pub enum FingerprintInput {
    /// The handler has none.
    None,
    /// A digest.
    Of(Fingerprint),
    /// serde refused to encode it.
    Unencodable,
}

/// The first 128 bits of SHA-256 (FIPS 180-4) over the canonical encoding: maps are sorted, so that two equal
/// `HashMap`s have one fingerprint.
pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> FingerprintInput {
    codec::with_scratch(|scratch| match codec::encode_canonical(value, scratch) {
        Ok(()) => {
            let digest = Sha256::digest(&*scratch);
            let mut first = [0; 16];
            first.copy_from_slice(&digest[..16]);
            FingerprintInput::Of(Fingerprint(first))
        }
        Err(codec::EncodeError) => FingerprintInput::Unencodable,
    })
}
