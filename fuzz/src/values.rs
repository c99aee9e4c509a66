//! Any values: each comes back as it was, no two have the same bytes, and no part of the bytes is a value.

use std::collections::HashMap;

use arbitrary::{Arbitrary, Unstructured};
use idem_runtime::private::fuzzing::{decode, encode, encode_canonical};

use crate::types::Tree;

#[derive(Arbitrary, Debug)]
struct Input {
    one: Tree,
    other: Tree,
    map: Vec<(String, u8)>,
    cut: usize,
}

pub fn run(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else { return };
    // `None` is a value that is nested too deep.
    let (Some(one), Some(other)) = (encode(&input.one), encode(&input.other)) else { return };
    comes_back(&input.one, &one);
    assert!(one != other || shown(&input.one) == shown(&input.other), "{:?}", (&input.one, &input.other));
    let canonical = encode_canonical(&input.one).expect("it can be encoded");
    comes_back(&input.one, &canonical);
    // With every part, this would take time by the square of the length.
    assert!(decode::<Tree>(&one[..input.cut % one.len()]).is_err());
    assert!(decode::<Tree>(&[&one[..], b"\0"].concat()).is_err());

    // Two maps with the same entries, which stand in another order in each.
    let map: HashMap<_, _> = input.map.iter().cloned().collect();
    let same: HashMap<_, _> = map.clone().into_iter().collect();
    assert_eq!(encode_canonical(&map), encode_canonical(&same));
}

/// By its text, as a NaN isn't equal to itself; its bits are compared in the bytes.
fn comes_back(value: &Tree, bytes: &[u8]) {
    let back = decode::<Tree>(bytes).unwrap_or_else(|error| panic!("{error}: {value:?} as {bytes:02x?}"));
    assert_eq!(shown(value), shown(&back));
    assert_eq!(encode(value), encode(&back));
}

fn shown(value: &Tree) -> String {
    format!("{value:?}")
}
