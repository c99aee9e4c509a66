//! Adapters of `serde_with`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use idem_types::comes_back;
use serde::{Deserialize, Serialize};
use serde_with::{
    DisplayFromStr, DurationMilliSeconds, EnumMap, KeyValueMap, Map, OneOrMany, TimestampMilliSeconds, serde_as,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Effect {
    Charged(u64),
    Mailed { to: String },
    Moved(u8, Option<Option<u8>>),
    Nothing(()),
}

fn effects() -> Vec<Effect> {
    vec![
        Effect::Mailed { to: "a@example.org".into() },
        Effect::Charged(5),
        Effect::Moved(1, Some(None)),
        Effect::Nothing(()),
    ]
}

#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Alone(#[serde_as(as = "EnumMap")] Vec<Effect>);

#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    #[serde_as(as = "EnumMap")]
    effects: Vec<Effect>,
    #[serde_as(as = "Option<EnumMap>")]
    more: Option<Vec<Effect>>,
    #[serde_as(as = "Vec<EnumMap>")]
    steps: Vec<Vec<Effect>>,
    last: u8,
}

/// `EnumMap` recognises the end of its map by the text of its own error.
#[tokio::test]
async fn r04_a_list_of_variants_as_a_map() {
    comes_back(Alone(effects())).await;
    comes_back(Alone(vec![])).await;
    for more in [None, Some(vec![]), Some(effects())] {
        comes_back(Receipt { effects: effects(), more, steps: vec![effects(), vec![], effects()], last: 9 }).await;
    }
}

#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    #[serde(rename = "$key$")]
    article: String,
    count: u8,
}

#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Adapted {
    #[serde_as(as = "KeyValueMap<_>")]
    lines: Vec<Line>,
    #[serde_as(as = "OneOrMany<_>")]
    one: Vec<u8>,
    #[serde_as(as = "OneOrMany<_>")]
    many: Vec<u8>,
    #[serde_as(as = "Map<DisplayFromStr, _>")]
    pairs: Vec<(u64, Option<bool>)>,
    #[serde_as(as = "Vec<(_, _)>")]
    listed: BTreeMap<u64, String>,
    #[serde_as(as = "DurationMilliSeconds<u64>")]
    took: Duration,
    #[serde_as(as = "TimestampMilliSeconds<i64>")]
    at: SystemTime,
    #[serde_as(as = "serde_with::Bytes")]
    bytes: Vec<u8>,
    #[serde_as(as = "serde_with::NoneAsEmptyString")]
    note: Option<String>,
}

#[tokio::test]
async fn r04_other_adapters() {
    comes_back(Adapted {
        lines: vec![Line { article: "a".into(), count: 1 }, Line { article: "b".into(), count: 2 }],
        one: vec![1],
        many: vec![1, 2],
        pairs: vec![(u64::MAX, None), (1, Some(true))],
        listed: BTreeMap::from([(1, "a".into()), (u64::MAX, String::new())]),
        took: Duration::from_millis(1500),
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        bytes: vec![0, 255],
        note: None,
    })
    .await;
}
