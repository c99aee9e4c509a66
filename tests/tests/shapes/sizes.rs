//! What the attribute and `run_once!` add to a future: the future must not hold the arguments, or what a block captures, twice.

use idem_runtime::{idempotent, run_once};

use super::{Handled, pause};

macro_rules! twice {
    ($bare:ident, $annotated:ident($($parameter:ident: $type:ty),*), $key:literal => $body:block) => {
        async fn $bare($($parameter: $type),*) -> Handled<u64> $body

        #[idempotent(key = $key)]
        async fn $annotated($($parameter: $type),*) -> Handled<u64> $body
    };
}

type Large = [u8; 4096];

twice!(none, none_annotated(), "1" => {
    pause().await;
    Ok(1)
});
twice!(large, large_annotated(id: u64, large: Large), "id" => {
    pause().await;
    Ok(id + u64::from(large[7]))
});
twice!(large_key, large_key_annotated(large: Large), "large" => {
    pause().await;
    Ok(u64::from(large[7]))
});
twice!(unused, unused_annotated(id: u64, large: Large), "id" => {
    let first = u64::from(large[7]);
    pause().await;
    Ok(id + first)
});
twice!(many, many_annotated(a: String, b: Vec<u8>, c: [u8; 512], d: [u64; 64], e: Option<String>), "a, b, c, e" => {
    pause().await;
    Ok(a.len() as u64 + b.len() as u64 + u64::from(c[0]) + d[0] + e.map_or(0, |e| e.len() as u64))
});

struct Holder(Large);

impl Holder {
    async fn bare(self, id: u64) -> Handled<u64> {
        pause().await;
        Ok(id + u64::from(self.0[7]))
    }

    #[idempotent(key = "id", scope = "sizes/by-value")]
    async fn annotated(self, id: u64) -> Handled<u64> {
        pause().await;
        Ok(id + u64::from(self.0[7]))
    }

    #[idempotent(key = "self.0[0], id", scope = "sizes/by-value-that-the-key-reads")]
    async fn read_by_the_key(self, id: u64) -> Handled<u64> {
        pause().await;
        Ok(id + u64::from(self.0[7]))
    }
}

fn size<T>(future: T) -> usize {
    let size = size_of_val(&future);
    drop(future);
    size
}

#[test]
fn arguments_are_not_kept_twice() {
    let zeros = [0; 4096];
    let arguments = || (String::new(), Vec::new(), [0; 512], [0; 64], None);
    let (a, b, c, d, e) = arguments();
    let (f, g, h, i, j) = arguments();
    // The bytes that the engine needs for any arguments.
    let engine = size(none_annotated()) - size(none());
    println!("no argument: {engine} more");
    let measured = [
        ("4 KiB", size(large(1, zeros)), size(large_annotated(1, zeros)), 0),
        ("4 KiB that the key reads", size(large_key(zeros)), size(large_key_annotated(zeros)), 0),
        // A bare function that doesn't use an argument after its first `await` doesn't keep it. An annotated one has to keep it
        // until the claim is granted.
        ("4 KiB, not used after an await", size(unused(1, zeros)), size(unused_annotated(1, zeros)), 4096),
        ("`self`", size(Holder(zeros).bare(1)), size(Holder(zeros).annotated(1)), 0),
        // `self` can't be moved into another variable with that name.
        ("`self` that the key reads", size(Holder(zeros).bare(1)), size(Holder(zeros).read_by_the_key(1)), 4096),
        ("many", size(many(a, b, c, d, e)), size(many_annotated(f, g, h, i, j)), 0),
    ];
    for (what, bare, annotated, kept) in measured {
        let more = annotated - bare;
        println!("{what}: {bare} -> {annotated}, {more} more");
        assert!(more <= engine + kept + 64, "{what}: {bare} -> {annotated}");
    }
}

#[test]
fn what_a_block_captures_is_not_kept_twice() {
    let (large, id): (Large, u64) = ([0; 4096], 1);
    let annotated = size(none_annotated()) - size(none());
    let borrows = async {
        pause().await;
        Handled::Ok(id + u64::from(large[7]))
    };
    let engine = size(run_once!(key = id, scope = "sizes/borrows", async {
        pause().await;
        Handled::Ok(id + u64::from(large[7]))
    })) - size(borrows);
    println!("a block that borrows: {engine} more; an annotated function: {annotated} more");
    // The conversions of the result are made where the macro stands, so the future holds them too.
    assert!(engine <= annotated + 96, "{engine}");

    let bare = size(async move {
        pause().await;
        Handled::Ok(id + u64::from(large[7]))
    });
    let reads = size(run_once!(key = id, scope = "sizes/reads", async move {
        pause().await;
        Handled::Ok(id + u64::from(large[7]))
    }));
    let claims = size(run_once!(key = id, scope = "sizes/claims", claim = c, async move {
        pause().await;
        Handled::Ok(id + u64::from(large[7]) + c.fence())
    }));
    let local = size(run_once!(key = id, scope = "sizes/local", async {
        let large: Large = [0; 4096];
        pause().await;
        Handled::Ok(id + u64::from(large[7]))
    }));
    println!("4 KiB: {bare} bare, {reads} in a block, {claims} with its claim, {local} as a variable in the block");
    assert!(reads <= bare + engine + 64, "{reads}");
    assert!(local <= bare + engine + 64, "{local}");
    assert!(claims <= bare + engine + 768, "{claims}");
}
