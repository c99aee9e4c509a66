//! Computes fingerprints.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::codec;
use crate::protocol::Fingerprint;

/// The result of computing the attribute's `fingerprint`.
#[derive(Debug)]
pub enum FingerprintInput {
    /// The attribute names no fingerprint.
    None,
    /// The digest of the values.
    Of(Fingerprint),
    /// serde refused to encode the values.
    Unencodable,
}

/// The first 128 bits of SHA-256 (FIPS 180-4) over the canonical encoding. It sorts maps, so that two equal `HashMap`s
/// have the same fingerprint.
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn digest<T: Serialize + ?Sized>(value: &T) -> [u8; 16] {
        match of(value) {
            FingerprintInput::Of(fingerprint) => fingerprint.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_order_of_a_map_does_not_matter() {
        let upwards: HashMap<u32, String> = (0..50).map(|n| (n, n.to_string())).collect();
        let downwards: HashMap<u32, String> = (0..50).rev().map(|n| (n, n.to_string())).collect();
        assert_eq!(digest(&upwards), digest(&downwards));
        assert_eq!(digest(&(1, [Some(&upwards)])), digest(&(1, [Some(&downwards)])));
    }

    #[test]
    fn different_values_differ() {
        let values = [
            digest(&()),
            digest(&Some(())),
            digest(&Some(Some(()))),
            digest(&0),
            digest(&0.0),
            digest(&-0.0),
            digest(""),
            digest("0"),
            digest(&("a", "bc")),
            digest(&("ab", "c")),
            digest(&["abc"]),
            digest(&HashMap::from([("a", 1)])),
            digest(&HashMap::from([("a", 2)])),
        ];
        for (i, a) in values.iter().enumerate() {
            for b in &values[i + 1..] {
                assert_ne!(a, b);
            }
        }
    }

    #[test]
    fn it_is_the_beginning_of_a_sha_256() {
        // SHA-256 of the byte f6, the encoding of `()`.
        assert_eq!(Sha256::digest([0xf6])[..16], digest(&()));
    }

    #[test]
    fn what_serde_refuses_has_none() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        assert!(matches!(of(&Refuses), FingerprintInput::Unencodable));
    }
}
