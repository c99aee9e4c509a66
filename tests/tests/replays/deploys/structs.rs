//! Fields, and types that become other types.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Row, row};

/// Types of results.
macro_rules! results {
    ($($type:item)*) => {
        $(
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            $type
        )*
    };
}

results! {
    struct Receipt { cents: u64 }
    struct WithFee { cents: u64, fee: u64 }
    struct WithDefault { cents: u64, #[serde(default)] fee: u64 }
    struct WithOption { cents: u64, fee: Option<u64> }
    #[serde(deny_unknown_fields)]
    struct Strict { cents: u64 }
    struct Renamed { amount: u64 }
    struct Aliased { #[serde(alias = "cents")] amount: u64 }
    struct Reordered { fee: u64, cents: u64 }
    struct Unit;
    struct Newtype(u64);
    #[serde(transparent)]
    struct Transparent { cents: u64 }
    struct Pair(u64, u64);
    struct List(Vec<u64>);
    struct Numbered { id: u64, fee: u64 }
}

const OLD: Receipt = Receipt { cents: 5 };
const NEW: WithFee = WithFee { cents: 5, fee: 1 };

pub(super) fn rows() -> Vec<Row> {
    [fields(), shapes(), texts()].into_iter().flatten().collect()
}

fn fields() -> Vec<Row> {
    vec![
        row("a field is added").forth(OLD, None::<WithFee>).back(NEW, Some(OLD)),
        row("a field is added that has a `#[serde(default)]`, or is an `Option`")
            .forth(OLD, Some(WithDefault { cents: 5, fee: 0 }))
            .forth(OLD, Some(WithOption { cents: 5, fee: None }))
            .back(WithDefault { cents: 5, fee: 1 }, Some(OLD))
            .back(WithOption { cents: 5, fee: Some(1) }, Some(OLD)),
        row("a field is removed").forth(NEW, Some(OLD)).back(OLD, None::<WithFee>),
        row("a field is removed from a struct with `deny_unknown_fields`")
            .forth(NEW, None::<Strict>)
            .back(Strict { cents: 5 }, None::<WithFee>),
        row("a field is renamed").forth(OLD, None::<Renamed>).back(Renamed { amount: 5 }, None::<Receipt>),
        row("a field is renamed, and its old name is an `alias`")
            .forth(OLD, Some(Aliased { amount: 5 }))
            .back(Aliased { amount: 5 }, None::<Receipt>),
        row("fields stand in another order")
            .forth(NEW, Some(Reordered { fee: 1, cents: 5 }))
            .back(Reordered { fee: 1, cents: 5 }, Some(NEW)),
    ]
}

fn shapes() -> Vec<Row> {
    let by_name = |cents| BTreeMap::from([("cents".to_owned(), cents)]);
    let by_number = BTreeMap::from([(0_u32, 5_u64), (1, 6)]);
    vec![
        row("`()`, or a unit struct, becomes a struct")
            .forth((), None::<Receipt>)
            .forth(Some(()), None::<Option<Receipt>>)
            .forth(Unit, None::<Receipt>)
            .back(OLD, None::<()>)
            .back(Some(OLD), None::<Option<()>>)
            .back(OLD, None::<Unit>),
        row("`()`, or a unit struct, becomes an `Option`")
            .forth((), Some(None::<Receipt>))
            .forth(Unit, Some(None::<Receipt>))
            .forth((), Some(None::<()>))
            .forth(vec![()], Some(vec![None::<Receipt>]))
            .back(None::<Receipt>, Some(()))
            .back(None::<Receipt>, Some(Unit))
            .back(Some(OLD), None::<()>)
            .back(Some(()), None::<()>),
        row("a type becomes a newtype of it, or a `transparent` struct")
            .forth(5_u64, Some(Newtype(5)))
            .forth(5_u64, Some(Transparent { cents: 5 }))
            .back(Newtype(5), Some(5_u64))
            .back(Transparent { cents: 5 }, Some(5_u64)),
        row("a number, or a newtype of it, becomes a struct")
            .forth(5_u64, None::<Receipt>)
            .forth(Newtype(5), None::<Receipt>)
            .back(OLD, None::<u64>)
            .back(OLD, None::<Newtype>),
        row("a tuple, a tuple struct or a list becomes a struct")
            .forth((5_u64, 6_u64), None::<Numbered>)
            .forth(Pair(5, 6), None::<Numbered>)
            .forth(List(vec![5, 6]), None::<Numbered>)
            .forth(Some((5_u64, 6_u64)), None::<Option<Numbered>>)
            .back(Numbered { id: 5, fee: 6 }, None::<(u64, u64)>)
            .back(Numbered { id: 5, fee: 6 }, None::<Pair>)
            .back(Numbered { id: 5, fee: 6 }, None::<List>),
        row("a map with numbers as keys becomes a struct")
            .forth(by_number.clone(), None::<Numbered>)
            .forth(vec![by_number], None::<Vec<Numbered>>)
            .back(Numbered { id: 5, fee: 6 }, None::<BTreeMap<u32, u64>>),
        row("a map with text as keys becomes a struct")
            .forth(by_name(5_u64), Some(OLD))
            .forth(by_name(5_u64), None::<WithFee>)
            .back(OLD, Some(by_name(5_u64)))
            .back(WithOption { cents: 5, fee: None }, None::<BTreeMap<String, u64>>),
        row("a `Vec` becomes a tuple or an array")
            .forth(vec![1_u8, 2], Some((1_u8, 2_u8)))
            .forth(vec![1_u8, 2], Some([1_u8, 2]))
            .forth(vec![1_u8, 2, 3], None::<(u8, u8)>)
            .forth(vec![1_u8], None::<[u8; 2]>)
            .back((1_u8, 2_u8), Some(vec![1_u8, 2]))
            .back([1_u8, 2], Some(vec![1_u8, 2])),
    ]
}

fn texts() -> Vec<Row> {
    let address = IpAddr::from([127, 0, 0, 1]);
    let some = |text: &str| Some(text.to_owned());
    let value = serde_json::json!({ "cents": 5 });
    vec![
        row("a type becomes an `Option` of it")
            .forth("x".to_owned(), Some(some("x")))
            .forth(0_u8, Some(Some(0_u8)))
            .forth(Vec::<u8>::new(), Some(Some(Vec::<u8>::new())))
            .back(some("x"), some("x"))
            .back(None::<String>, None::<String>)
            .back(None::<u8>, None::<u8>),
        row("an `Option<T>` becomes an `Option<Option<T>>`")
            .forth(Some(1_u8), Some(Some(Some(1_u8))))
            .forth(None::<u8>, Some(None::<Option<u8>>))
            .back(Some(Some(1_u8)), Some(Some(1_u8)))
            .back(None::<Option<u8>>, Some(None::<u8>))
            .back(Some(None::<u8>), None::<Option<u8>>),
        row("`String` becomes a type that serde writes as text, such as `IpAddr` or `Uuid`")
            .forth("127.0.0.1".to_owned(), Some(address))
            .forth("localhost".to_owned(), None::<IpAddr>)
            .back(address, some("127.0.0.1")),
        row("a struct becomes a `serde_json::Value`").forth(OLD, Some(value.clone())).back(value, Some(OLD)),
    ]
}
