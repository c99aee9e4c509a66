//! Any text as the URL of a store: it is read or refused, without a network, and no message shows a password.

use std::error::Error as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use arbitrary::{Arbitrary, Unstructured};
use idem_runtime::Error;
use idem_runtime::private::fuzzing::read_url;

const SCHEMES: [&str; 14] = [
    "memory",
    "sqlite",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "redis",
    "rediss",
    "redis+unix",
    "unix",
    "valkey",
    "valkeys",
    "valkey+unix",
    "kafka",
];

/// A part of the password: whatever stands around it is arbitrary.
const SECRET: &str = "hunter2";

#[derive(Arbitrary, Debug)]
struct Url {
    scheme: u8,
    user: String,
    before: String,
    after: String,
    rest: String,
}

pub fn run(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        drop(read_url(text));
        drop(refused(text));
    }
    let Ok(url) = Url::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let Url { user, before, after, rest, .. } = &url;
    if [user, rest].iter().any(|part| part.contains(SECRET)) {
        return;
    }
    let scheme = SCHEMES[usize::from(url.scheme) % SCHEMES.len()];
    let text = format!("{scheme}://{user}:{before}{SECRET}{after}@{rest}");
    let errors = read_url(&text).into_iter().filter_map(Result::err);
    for error in errors.chain(refused(&text)) {
        assert!(!told(&error).contains(SECRET), "{text:?}: {}", told(&error));
    }
}

/// What `connect` says of a URL that is no store's, before it opens anything.
fn refused(url: &str) -> Option<Error> {
    let scheme = url.split(':').next().unwrap_or_default();
    if SCHEMES[..SCHEMES.len() - 1].contains(&scheme) {
        return None;
    }
    match pin!(idem_runtime::connect(url)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(error)) => Some(error),
        Poll::Ready(Ok(_)) => panic!("{url:?} was opened"),
        Poll::Pending => panic!("{url:?} was waited for"),
    }
}

/// All that an error says, and what it was made of.
fn told(error: &Error) -> String {
    let mut told = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        told += &format!(" {error} {error:?}");
        source = error.source();
    }
    told
}
