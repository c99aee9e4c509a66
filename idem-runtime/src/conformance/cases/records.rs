//! A store returns the same bytes that were recorded.

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::{Verdict, ensure};
use crate::protocol::{Leave, Record, Standing};
use crate::store::IdempotencyStore as _;

pub(super) const CASES: &[Case] = cases! {
    "R4: an empty result is a result" => short_records_come_back,
    "a record is binary" => record_of_every_byte_comes_back,
    "records of every length around the usual limits" => records_of_any_length_come_back,
    "a record of a mebibyte" => large_record_comes_back,
    "R15: a store states the largest record that it takes" => largest_record_is_stated,
    "a key that was taken over keeps the record of its last holder" => record_is_the_last_holders,
};

async fn comes_back(bench: &Bench, key: String, result: Record) -> Verdict {
    let holder = bench.caller_of(&key);
    let grant = holder.granted(format!("the claim for {key}")).await?;
    holder.completes(format!("the completion with {key}"), grant.fence, &result, Standing::Held).await?;
    bench.caller_of(&key).replayed(format!("a duplicate of {key}"), &result).await
}

/// Bytes without a pattern, so that a wrong compression, a wrong encoding or a cut shows.
fn noise(len: usize) -> Record {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    record(bytes.take(len).collect::<Vec<u8>>())
}

async fn short_records_come_back(bench: Bench) -> Verdict {
    let records: [&[u8]; 9] = [b"", b"\0", b"\0\0", b" ", b"  ", b"0", b"null", b"\\x00", b"\xff"];
    for (number, bytes) in records.into_iter().enumerate() {
        comes_back(&bench, format!("short record {number}"), record(bytes)).await?;
    }
    Ok(())
}

async fn record_of_every_byte_comes_back(bench: Bench) -> Verdict {
    comes_back(&bench, "every byte".to_owned(), record((0..=u8::MAX).collect::<Vec<u8>>())).await?;
    comes_back(&bench, "every byte, backwards".to_owned(), record((0..=u8::MAX).rev().collect::<Vec<u8>>())).await
}

async fn records_of_any_length_come_back(bench: Bench) -> Verdict {
    for len in [1, 94, 95, 255, 256, 1_000, 4_096, 8_000, 65_535, 65_536] {
        if len <= bench.handle().max_record_len() {
            comes_back(&bench, format!("{len} bytes"), noise(len)).await?;
        }
    }
    Ok(())
}

async fn large_record_comes_back(bench: Bench) -> Verdict {
    let len = bench.handle().max_record_len().min(1 << 20);
    comes_back(&bench, format!("{len} bytes"), noise(len)).await
}

async fn largest_record_is_stated(bench: Bench) -> Verdict {
    let most = bench.handle().max_record_len();
    // A record of two bytes means "completed, and the result was not kept", so a store has to take at least that.
    ensure(most >= 2, "max_record_len", "at least the two bytes of a record without result", most)
}

async fn record_is_the_last_holders(bench: Bench) -> Verdict {
    let first = bench.caller();
    let grant = first.granted("the first claim").await?;
    first.completes_for("its completion", grant.fence, &noise(5_000), bench.short, Standing::Held).await?;
    bench.past_the_short().await;
    let failing = bench.caller();
    let grant = failing.granted("a claim once the ttl is over").await?;
    failing.leaves("it fails", grant.fence, Leave::Failed, Standing::Held).await?;
    let last = bench.caller();
    let grant = last.granted("the redelivery").await?;
    last.completes("its completion", grant.fence, &record(""), Standing::Held).await?;
    bench.caller().replayed("a duplicate", &record("")).await
}
