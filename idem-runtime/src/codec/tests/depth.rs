//! What is nested deeply.

use serde::{Deserialize, Serialize};

use super::super::wire::LEVELS;
use super::round_trips::Newtype;
use super::{bytes, decode, encode, round_trips};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct List {
    value: Option<Option<u8>>,
    next: Option<Box<List>>,
}

pub(super) fn list(len: usize) -> Option<Box<List>> {
    (0..len).fold(None, |next, _| Some(Box::new(List { value: Some(None), next })))
}

#[test]
fn r04_recursive_types_as_deep_as_they_can_be_written() {
    round_trips(&list(10));
    // The struct and the `Some` are a level each, and the innermost value takes one.
    let deepest = list(usize::from(LEVELS) / 2 - 1);
    assert_eq!(Ok(&deepest), decode(&bytes(&deepest), 0).as_ref());
}

#[test]
fn r15_what_is_too_deep_to_be_read_is_not_written() {
    for len in [usize::from(LEVELS) / 2 + 1, 100 * usize::from(LEVELS)] {
        let mut list = list(len);
        assert!(encode(&list, &mut Vec::new()).is_err());
        // Dropped one by one: the compiler's drop of a list goes as deep as the list.
        while let Some(mut first) = list {
            list = first.next.take();
        }
    }
    // At each depth, a value is written only if it is read.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Deep {
        End,
        Newtype(Box<Deep>),
        Tuple(u8, Box<Deep>),
        Struct { deep: Box<Deep> },
        Option(Option<Newtype<Box<Deep>>>),
    }
    for wrap in [
        (|deep| Deep::Newtype(deep)) as fn(Box<Deep>) -> Deep,
        |deep| Deep::Tuple(1, deep),
        |deep| Deep::Struct { deep },
        |deep| Deep::Option(Some(Newtype(deep))),
    ] {
        let mut deep = Deep::End;
        let mut depth = 0;
        loop {
            let mut out = Vec::new();
            if encode(&deep, &mut out).is_err() {
                break;
            }
            assert_eq!(Ok(&deep), decode(&out, 0).as_ref());
            deep = wrap(Box::new(deep));
            depth += 1;
        }
        assert!(depth > usize::from(LEVELS) / 4 && depth <= usize::from(LEVELS) + 1, "{depth}");
    }
}
