//! The digests of one value of each kind of serde's data model. They are keys in the stores of running programs, so they
//! never change.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::Bytes;
use crate::codec::fingerprint::digest;

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Newtype(u8);

#[derive(Serialize)]
struct Pair(&'static str, &'static str);

#[derive(Serialize)]
struct Order {
    sku: &'static str,
    count: u32,
}

#[derive(Serialize)]
enum Payment {
    Paid,
    Card(u8),
    Split(u8, u8),
    Transfer { to: u8 },
}

/// The digest is the beginning of the SHA-256 of this encoding. It was computed from the encoding by another program.
#[track_caller]
fn is(value: &(impl Serialize + ?Sized), expected: &str) {
    let digest = digest(value).expect("serde takes it");
    assert_eq!(digest.map(|byte| format!("{byte:02x}")).concat(), expected);
}

#[test]
fn of_numbers() {
    is(&true, "27abdeddfe8503496adeb623466caa47");
    is(&-1_i8, "36a9e7f1c95b82ffb99743e0c5c4ce95");
    is(&-1_000_i16, "e12267a8ecaa88c6f81071b963362422");
    is(&-100_000_i32, "7a4eb74b0576e36076da1645e613970d");
    is(&i64::MIN, "67e32b647dedafb41220d36a02052aef");
    is(&-18_446_744_073_709_551_616_i128, "fe8908232e288502601792e108c3d65f");
    is(&24_u8, "7c6348f7ea8a4e831aafe688a2557d7a");
    is(&1_000_u16, "5e8f74961ede79063fa728a34d36f7ba");
    is(&1_000_000_u32, "cbbec14103147af122feaff2419ad885");
    is(&1_000_000_000_000_u64, "214fdb52f0e69eb826b535b2cc1ecfe7");
    is(&18_446_744_073_709_551_616_u128, "140308c2b6fefc2dab159b96a16190a0");
    is(&1.5_f32, "adfefe131c6a6959256a6f3dd814c061");
    is(&1.1_f64, "a4228d39c4305d53065498d47e30300b");
    is(&0.0_f64, "f88292cc89bf0c81060d6012628fd329");
    is(&-0.0_f64, "c1b87f1bc08c6f5d3fe249f93e226942");
    is(&f64::from_bits(0x7ff8_0000_0000_0000), "c7a0b2fb24a887e3b99385cc27fd2354");
}

#[test]
fn of_texts_bytes_options_and_units() {
    is(&'\u{fc}', "579077f8dd4d539fa306635d1bb46a13");
    is("IETF", "b8c85d4ab7b2d652f7d4e43624401c32");
    is(&Bytes(vec![1, 2, 3, 4]), "6e13c579b2d74a80a017dc7ec52c23fa");
    is(&None::<u8>, "b0b2988b6bbe724bacda5e9e524736de");
    is(&Some(7), "ca358758f6d27e6cf45272937977a748");
    is(&Some(None::<u8>), "8a672900e85d34a4a77eb52d858e96cd");
    is(&(), "b0b2988b6bbe724bacda5e9e524736de");
    is(&Unit, "b0b2988b6bbe724bacda5e9e524736de");
}

#[test]
fn of_sequences_maps_and_structs() {
    is(&[1, 2, 3].as_slice(), "4abc31137ce738d9aceb8a1d1d51f15c");
    is(&vec![1, 2, 3], "4abc31137ce738d9aceb8a1d1d51f15c");
    is(&("a", "a"), "03fbde557cd1153c387425f18ab094f8");
    is(&Pair("a", "a"), "03fbde557cd1153c387425f18ab094f8");
    is(&BTreeMap::from([("a", 1), ("b", 2)]), "a0d3af9e86e5517f729bad0657e2c6f3");
    is(&HashMap::from([("b", 2), ("a", 1)]), "a0d3af9e86e5517f729bad0657e2c6f3");
    is(&Newtype(7), "ca358758f6d27e6cf45272937977a748");
    is(&Order { sku: "a", count: 2 }, "d141ad32f6f4c953c064a1e5431b96fe");
    is(&("a", 2), "8d831f9be85735c64454a8e1614882f9");
}

#[test]
fn of_variants() {
    is(&Payment::Paid, "d2e83c83db2a1f9becfd4e43d1ecda3c");
    is(&Payment::Card(7), "6bcbd07405fd4db7b93d3e022ed4f01a");
    is(&Payment::Split(1, 2), "94a97eca51a00c3365b919d0a7dfb59a");
    is(&Payment::Transfer { to: 7 }, "c668615fcc7d2430a15abce44fde8fd0");
}
