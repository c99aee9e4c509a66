#!/usr/bin/env bash
# serde, by derive: a map with integer keys is read as a struct, whose fields are numbered in the order of the source, and
# one of its entries as an enum. In a self-describing format a record of another deploy is so another value, without an error.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

program 'ciborium = "=0.2.2"
serde = { version = "=1.0.229", features = ["derive"] }' <<'RS'
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
struct Receipt {
    fee: u64,
    cents: u64,
}

#[derive(Debug, Deserialize)]
enum Payment {
    Due(u64),
    Paid(u64),
}

fn read<T: for<'de> Deserialize<'de>>(old: impl Serialize) -> T {
    let mut bytes = Vec::new();
    ciborium::into_writer(&old, &mut bytes).unwrap();
    ciborium::from_reader(&bytes[..]).unwrap()
}

fn main() {
    let Receipt { fee, cents } = read(BTreeMap::from([(0, 5), (1, 1)]));
    println!("{{0: 5, 1: 1}} is fee {fee}, cents {cents}");
    println!("{{1: 5}} is {:?}, {{0: 5}} is {:?}", read::<Payment>(BTreeMap::from([(1, 5)])), read::<Payment>(BTreeMap::from([(0, 5)])));
}
RS
out=$("$work/program")
said "serde 1.0.229, ciborium 0.2.2: $out"
expect "$out" "{0: 5, 1: 1} is fee 5, cents 1
{1: 5} is Paid(5), {0: 5} is Due(5)"
