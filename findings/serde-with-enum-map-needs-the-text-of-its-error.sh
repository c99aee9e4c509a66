#!/usr/bin/env bash
# serde_with: an `EnumMap` recognises the end of its map by the text of an error that it makes itself, with `Error::custom`. A format
# whose errors don't keep that text, so that no log shows a value, can't read an `EnumMap` back.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

program 'serde = { version = "=1.0.229", features = ["derive"] }
serde_with = "=3.25.0"' <<'RS'
use std::fmt::{self, Display};

use serde::de::value::MapDeserializer;
use serde::{Deserialize, de};
use serde_with::{DeserializeAs, EnumMap};

#[derive(Debug, Deserialize)]
enum Effect {
    Charged(u64),
}

#[derive(Debug)]
struct Keeps(String);

#[derive(Debug)]
struct Silent;

impl Display for Keeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid")
    }
}

impl std::error::Error for Keeps {}
impl std::error::Error for Silent {}

impl de::Error for Keeps {
    fn custom<T: Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl de::Error for Silent {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

fn read<E: de::Error>() -> Result<usize, E> {
    let entries = [("Charged", 5_u64)].into_iter();
    let effects: Vec<Effect> = EnumMap::deserialize_as(MapDeserializer::<_, E>::new(entries))?;
    Ok(effects.iter().filter(|Effect::Charged(cents)| *cents == 5).count())
}

fn main() {
    println!("errors with their text: {:?}, without: {:?}", read::<Keeps>().ok(), read::<Silent>().ok());
}
RS
out=$("$work/program")
said "serde 1.0.229, serde_with 3.25.0: $out"
expect "$out" "errors with their text: Some(1), without: None"
