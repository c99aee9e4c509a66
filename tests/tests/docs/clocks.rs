//! What leases promise where a clock is stepped stands where each store's guarantees do.

/// A page or a file as a reader sees it: without layout and the marks of comments.
fn read(path: &str) -> String {
    let text = super::read(path);
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").to_lowercase()
}

/// R10, as far as it goes.
#[test]
fn r10_each_store_says_that_a_lease_ends_early_by_what_its_clock_steps_ahead() {
    let servers = ["docs/src/stores.md", "docs/src/choosing.md"].map(str::to_owned);
    let stores = ["sqlite", "postgres", "mysql", "redis"].map(|store| format!("idem-runtime/src/store/{store}.rs"));
    for page in servers.into_iter().chain(stores) {
        let text = read(&page);
        for said in ["a lease ends early by as much as", "steps ahead", "slew", "don't step", "makestep"] {
            assert!(text.contains(said), "{page} doesn't say: {said}");
        }
    }
    // For whoever writes a store, and where it is not so.
    assert!(read("idem-runtime/src/store.rs").contains("a lease ends early by as much as that clock steps ahead"));
    assert!(read("idem-runtime/src/store/memory.rs").contains("leases hold whatever the system's time does"));
}
