//! Regressions that were found by attacking the library: each test failed once.

mod calls;
mod endings;
mod results;
mod stores;

use idem_runtime::store::Key;

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes()).unwrap()
}
