//! Computes fingerprints, and digests that can be keys.

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

/// The fingerprint of a value: its [`digest`].
pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> FingerprintInput {
    match digest(value) {
        Some(digest) => FingerprintInput::Of(Fingerprint(digest)),
        None => FingerprintInput::Unencodable,
    }
}

/// A key for a request that has no id, or whose id is too long: the digest of the fields that say what is asked for.
/// `None` if their `Serialize` refuses. The key is missing then.
///
/// ```
/// use idem_runtime::{Error, idempotent, key};
/// # use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Order {
///     sku: String,
///     count: u32,
///     sent_at: u64,
/// }
///
/// // Not of `sent_at`: it differs between two requests that ask for the same.
/// #[idempotent(key = key::digest(&(&order.sku, order.count)))]
/// async fn book(order: Order) -> Result<(), Error> {
///     Ok(())
/// }
/// ```
///
/// Name the fields one by one, and not the whole struct. Once a field of the struct is added, renamed or reordered, the
/// digest of the struct is another one: a request that was handled before that deploy runs again after it.
///
/// It is the first 128 bits of SHA-256 (FIPS 180-4) over the value's encoding, the same bytes as a `fingerprint` of this
/// value. They stay the same in all versions of this library. Equal maps have equal digests, whatever their order. A
/// `HashSet` is a sequence to serde, so equal ones can have different digests. Floats are told apart by their bits: `0.0`
/// and `-0.0` differ. Integers of different widths and a `str` and a `String` have the same digest if they are equal.
pub fn digest(value: &(impl Serialize + ?Sized)) -> Option<[u8; 16]> {
    codec::with_scratch(|scratch| {
        codec::encode_canonical(value, scratch).ok()?;
        Sha256::digest(&*scratch).first_chunk().copied()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

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
        assert_eq!(digest(&()).as_ref(), Sha256::digest([0xf6]).first_chunk());
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
        assert_eq!(digest(&("order-1", Refuses)), None);
    }
}
