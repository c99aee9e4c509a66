//! Any parts of a key: what is encoded can be decoded, so no two keys that differ have one encoding. `decode` is the
//! inverse that the library has no need of.

use arbitrary::{Arbitrary, Unstructured};
use idem_runtime::IdempotencyKey;
use idem_runtime::key::{KeyInput, KeyWriter, Written, encode};
use idem_runtime::private::fuzzing::{parse_redis_name, redis_name};
use idem_runtime::store::Key;

const SEPARATOR: u8 = 0x1f;
const ESCAPE: u8 = 0x1b;

#[derive(Arbitrary, Debug)]
enum Part {
    Text(String),
    Bytes(Vec<u8>),
    /// Those that an encoding could trip over.
    Controls(Vec<Control>),
    Unsigned(u64),
    Signed(i128),
    Flag(bool),
    Letter(char),
    Id([u8; 16]),
    Option(Option<u8>),
    One(Box<Part>),
    Two(Box<(Part, Part)>),
    Three(Box<(Part, Part, Part)>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Control {
    Separator,
    Escape,
    Letter,
}

impl Control {
    fn byte(self) -> u8 {
        match self {
            Self::Separator => SEPARATOR,
            Self::Escape => ESCAPE,
            Self::Letter => b'a',
        }
    }
}

fn controls(controls: &[Control]) -> Vec<u8> {
    controls.iter().map(|control| control.byte()).collect()
}

impl IdempotencyKey for Part {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        match self {
            Self::Text(text) => text.write_key(key),
            Self::Bytes(bytes) => bytes.write_key(key),
            Self::Controls(some) => controls(some).write_key(key),
            Self::Unsigned(number) => number.write_key(key),
            Self::Signed(number) => number.write_key(key),
            Self::Flag(flag) => flag.write_key(key),
            Self::Letter(letter) => letter.write_key(key),
            Self::Id(bytes) => uuid::Uuid::from_bytes(*bytes).write_key(key),
            Self::Option(option) => option.write_key(key),
            Self::One(part) => (part,).write_key(key),
            Self::Two(parts) => (&parts.0, &parts.1).write_key(key),
            Self::Three(parts) => (&parts.0, &parts.1, &parts.2).write_key(key),
        }
    }
}

/// What a key is: a text, or parts.
#[derive(Debug, PartialEq)]
enum Meaning {
    Text(Vec<u8>),
    Parts(Vec<Meaning>),
}

/// `None` where the key is missing.
fn meaning(part: &Part) -> Option<Meaning> {
    let text = |bytes: Vec<u8>| (!bytes.is_empty()).then_some(Meaning::Text(bytes));
    let all = |parts: &[&Part]| parts.iter().map(|part| meaning(part)).collect::<Option<_>>().map(Meaning::Parts);
    match part {
        Part::Text(written) => text(written.clone().into()),
        Part::Bytes(bytes) => text(bytes.clone()),
        Part::Controls(some) => text(controls(some)),
        Part::Unsigned(number) => text(number.to_string().into()),
        Part::Signed(number) => text(number.to_string().into()),
        Part::Flag(flag) => text(flag.to_string().into()),
        Part::Letter(letter) => text(letter.to_string().into()),
        Part::Id(bytes) => text(uuid::Uuid::from_bytes(*bytes).to_string().into()),
        Part::Option(option) => option.and_then(|number| text(number.to_string().into())),
        Part::One(part) => all(&[part]),
        Part::Two(parts) => all(&[&parts.0, &parts.1]),
        Part::Three(parts) => all(&[&parts.0, &parts.1, &parts.2]),
    }
}

/// How deep parts are nested at most. Each level doubles the escapes of the level below.
const DEEPEST: usize = 6;

fn depth(part: &Part) -> usize {
    match part {
        Part::One(part) => 1 + depth(part),
        Part::Two(parts) => 1 + depth(&parts.0).max(depth(&parts.1)),
        Part::Three(parts) => 1 + depth(&parts.0).max(depth(&parts.1)).max(depth(&parts.2)),
        _ => 0,
    }
}

fn decode(bytes: &[u8]) -> Meaning {
    match bytes {
        [SEPARATOR, parts @ ..] => Meaning::Parts(split(parts).iter().map(|part| decode(part)).collect()),
        [ESCAPE, text @ ..] | text => Meaning::Text(text.to_vec()),
    }
}

/// The parts between separators that no escape stands before, without their escapes.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        let Some(part) = parts.last_mut() else { return parts };
        match byte {
            SEPARATOR => parts.push(Vec::new()),
            ESCAPE => part.extend(rest.next()),
            byte => part.push(byte),
        }
    }
    parts
}

#[derive(Arbitrary, Debug)]
struct Input {
    part: Part,
    prefix: Vec<u8>,
    scope: String,
    name: Vec<u8>,
}

pub fn run(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else { return };
    if depth(&input.part) > DEEPEST {
        return;
    }
    match encode(&input.part) {
        KeyInput::Missing(_) => assert_eq!(None, meaning(&input.part)),
        KeyInput::TooLong(len) => assert!(len > Key::MAX_LEN),
        KeyInput::Key(key) => {
            assert_eq!(Some(decode(key.as_bytes())), meaning(&input.part));
            shown(&key);
            named(&input.prefix, &input.scope, &key);
        }
    }
    if let Some((scope, key)) = parse_redis_name(&input.prefix, &input.name) {
        shown(&key);
        assert_eq!(redis_name(&input.prefix, &scope, &key), input.name);
    }
}

/// On one line, and without what a terminal obeys.
fn shown(key: &Key) {
    assert!(!key.to_string().chars().any(char::is_control), "{key}");
}

fn named(prefix: &[u8], scope: &str, key: &Key) {
    let name = redis_name(prefix, scope, key);
    assert_eq!(parse_redis_name(prefix, &name), Some((scope.to_owned(), key.clone())));
}
