//! Equal maps have equal bytes.

use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};

use super::{bytes, canonical};

#[test]
fn r04_equal_maps_are_equal_bytes_nested_too() {
    type Nested = HashMap<String, HashMap<(u32, Option<Option<u8>>), Vec<HashMap<u8, String>>>>;
    fn nested(numbers: &(impl Iterator<Item = u32> + Clone)) -> Nested {
        let leaf = || numbers.clone().map(|n| (n as u8, "x".repeat(n as usize))).collect();
        let inner = || numbers.clone().map(|n| ((n, Some(None)), vec![leaf(), leaf()])).collect();
        numbers.clone().map(|n| (n.to_string(), inner())).collect()
    }
    let upwards = canonical(&nested(&(0..12)));
    for _ in 0..20 {
        // Each map has a hasher of its own.
        assert_eq!(upwards, canonical(&nested(&(0..12).rev())));
    }
    assert_ne!(upwards, canonical(&nested(&(0..11))));
}

/// Entries in the order given.
struct Entries<'a>(&'a [(&'a str, Option<()>)]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[test]
fn entries_are_sorted_by_their_encoded_keys() {
    let written = canonical(&Entries(&[("bb", None), ("c", Some(())), ("", None), ("a", None)]));
    // A shorter text is a smaller one, by its first byte.
    assert_eq!(written, b"\xa4\x60\xf6\x61a\xf6\x61c\xcd\xf6\x62bb\xf6");
    assert_eq!(bytes(&Entries(&[("bb", None), ("a", None)])), b"\xa2\x62bb\xf6\x61a\xf6");
    // With a key that is there twice, the order is what tells two values apart.
    assert_ne!(
        canonical(&Entries(&[("a", None), ("a", Some(()))])),
        canonical(&Entries(&[("a", Some(())), ("a", None)]))
    );
}

#[test]
fn what_is_not_a_map_keeps_its_order() {
    assert_eq!(bytes(&[3, 1, 2]), canonical(&[3, 1, 2]));
    assert_ne!(canonical(&[1, 2]), canonical(&[2, 1]));
    #[derive(Serialize)]
    struct Fields {
        z: u8,
        a: u8,
    }
    assert_eq!(bytes(&Fields { z: 1, a: 2 }), canonical(&Fields { z: 1, a: 2 }));
}

#[test]
fn lengths_are_definite_whether_known_or_not() {
    struct Unknown;
    impl Serialize for Unknown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..100).filter(|n| n % 3 == 0))
        }
    }
    let known: Vec<u8> = (0..100).filter(|n| n % 3 == 0).collect();
    assert_ne!(bytes(&known), bytes(&Unknown));
    assert_eq!(canonical(&known), canonical(&Unknown));
    assert_eq!(canonical(&BTreeMap::from([(1, known)])), canonical(&BTreeMap::from([(1, Unknown)])));
}
