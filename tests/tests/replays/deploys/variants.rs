//! Enums.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Row, row};

/// An enum named `State` in a module of its own.
macro_rules! state {
    ($module:ident, $(#[$attribute:meta])* { $($variants:tt)* }) => {
        mod $module {
            use serde::{Deserialize, Serialize};

            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            $(#[$attribute])*
            pub(super) enum State { $($variants)* }
        }
    };
}

state!(before, { Open, Paid(u64), Split(u64, u64), Booked { cents: u64 } });
state!(added, { Open, Paid(u64), Split(u64, u64), Booked { cents: u64 }, Lost });
state!(reordered, { Booked { cents: u64 }, Paid(u64), Open });
state!(renamed, { New, Settled(u64) });
state!(aliased, { #[serde(alias = "Open")] New, #[serde(alias = "Paid")] Settled(u64) });
state!(filled, { Open(u64), Paid });
state!(optional, { Open(Option<u64>) });
state!(named, { Split { fee: u64, cents: u64 } });
state!(
    tagged,
    #[serde(tag = "kind")]
    {
        Booked { cents: u64 }
    }
);
state!(words, { Open, Lost });

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Held<T> {
    state: T,
}

pub(super) fn rows() -> Vec<Row> {
    use before::State;

    let by_number = BTreeMap::from([(1_u32, 5_u64)]);
    vec![
        row("a variant is added")
            .forth(State::Open, Some(added::State::Open))
            .forth(State::Booked { cents: 5 }, Some(added::State::Booked { cents: 5 }))
            .back(added::State::Paid(5), Some(State::Paid(5)))
            .back(added::State::Lost, None::<State>),
        row("variants stand in another order")
            .forth(State::Open, Some(reordered::State::Open))
            .forth(State::Paid(5), Some(reordered::State::Paid(5)))
            .back(reordered::State::Open, Some(State::Open))
            .back(reordered::State::Booked { cents: 5 }, Some(State::Booked { cents: 5 })),
        row("a variant is renamed")
            .forth(State::Open, None::<renamed::State>)
            .forth(Some(State::Paid(5)), None::<Option<renamed::State>>)
            .back(renamed::State::New, None::<State>)
            .back(renamed::State::Settled(5), None::<State>),
        row("a variant is renamed, and its old name is an `alias`")
            .forth(State::Open, Some(aliased::State::New))
            .forth(State::Paid(5), Some(aliased::State::Settled(5)))
            .back(aliased::State::New, None::<State>)
            .back(aliased::State::Settled(5), None::<State>),
        row("a variant gets a content, or loses it")
            .forth(State::Open, None::<filled::State>)
            .forth(State::Paid(5), None::<filled::State>)
            .back(filled::State::Open(5), None::<State>)
            .back(filled::State::Paid, None::<State>),
        row("a variant without content gets an `Option`")
            .forth(State::Open, None::<optional::State>)
            .back(optional::State::Open(None), Some(State::Open))
            .back(optional::State::Open(Some(5)), None::<State>),
        row("a tuple variant gets named fields")
            .forth(State::Split(5, 6), None::<named::State>)
            .forth(Held { state: State::Split(5, 6) }, None::<Held<named::State>>)
            .back(named::State::Split { fee: 5, cents: 6 }, None::<State>),
        row("an enum gets a `tag`")
            .forth(State::Booked { cents: 5 }, None::<tagged::State>)
            .back(tagged::State::Booked { cents: 5 }, None::<State>),
        row("a map with a number as its key becomes an enum")
            .forth(by_number.clone(), None::<State>)
            .forth(Held { state: by_number }, None::<Held<State>>)
            .back(State::Paid(5), None::<BTreeMap<u32, u64>>),
        row("`String` becomes an enum of variants without content")
            .forth("Open".to_owned(), Some(words::State::Open))
            .forth("Odd".to_owned(), None::<words::State>)
            .back(words::State::Lost, Some("Lost".to_owned())),
    ]
}
