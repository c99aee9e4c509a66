//! The name of a row in Redis, and the channel on which its ending is published.

use crate::store::Key;

/// How many channels there are. A process subscribes to the channels of the keys that it waits for.
pub(super) const CHANNELS: usize = 64;

/// `{prefix}{length}:{scope}:{key}`, with the length of the scope in bytes, so that names are unambiguous whatever the
/// scope and the key contain.
///
/// In a cluster, the text between the first `{` and the next `}` alone decides the node of a key, unless that text is
/// empty. So if the scope or the key contains a `{`, a `{}` comes before them. If the prefix contains a `{`, the user
/// decides the node.
pub(crate) fn name(prefix: &[u8], scope: &str, key: &Key) -> Vec<u8> {
    let opens = |bytes: &[u8]| bytes.contains(&b'{');
    let guard = (opens(scope.as_bytes()) || opens(key.as_bytes())) && !opens(prefix);
    let length = scope.len().to_string();
    let guard: &[u8] = if guard { GUARD } else { b"" };
    [prefix, guard, length.as_bytes(), b":", scope.as_bytes(), b":", key.as_bytes()].concat()
}

/// An empty hash tag. It doesn't count as a tag, and the server doesn't look for another one after it.
const GUARD: &[u8] = b"{}";

/// Parses the name of a row into its scope and key. `None` if it isn't a row's name.
pub(crate) fn parse(prefix: &[u8], name: &[u8]) -> Option<(String, Key)> {
    let rest = name.strip_prefix(prefix)?;
    let rest = rest.strip_prefix(GUARD).unwrap_or(rest);
    let colon = rest.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&rest[..colon]).ok()?.parse().ok()?;
    let (scope, key) = rest[colon + 1..].split_at_checked(length)?;
    let scope = std::str::from_utf8(scope).ok()?.to_owned();
    let key = Key::from_bytes(key.strip_prefix(b":")?)?;
    // Refuses `007:` and `+7:`, which no row's name has, and a `{}` that isn't needed.
    (self::name(prefix, &scope, &key) == name).then_some((scope, key))
}

/// A pattern of `SCAN` that matches the names of all rows, or of the rows of one scope. It may match a few other names.
pub(super) fn pattern(prefix: &[u8], scope: Option<&str>) -> Vec<u8> {
    let mut pattern = literal(prefix);
    pattern.push(b'*');
    if let Some(scope) = scope {
        pattern.extend(literal(format!("{}:{scope}:", scope.len()).as_bytes()));
        pattern.push(b'*');
    }
    pattern
}

/// The pattern that matches exactly these bytes.
fn literal(bytes: &[u8]) -> Vec<u8> {
    let mut literal = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^' | b'-') {
            literal.push(b'\\');
        }
        literal.push(*byte);
    }
    literal
}

/// The slot of a key in a cluster: CRC-16 of the key, or of its hash tag (Redis cluster specification).
pub(super) fn slot(name: &[u8]) -> u16 {
    const SLOTS: u16 = 16_384;
    let tag = || {
        let opened = name.iter().position(|byte| *byte == b'{')? + 1;
        let length = name[opened..].iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &name[opened..opened + length])
    };
    let crc = tag().unwrap_or(name).iter().fold(0_u16, |crc, byte| {
        let shift = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| shift(crc))
    });
    crc % SLOTS
}

/// The number of the channel on which a row's ending is published. It is the same in every process and version
/// (FNV-1a).
pub(super) fn channel_of(name: &[u8]) -> usize {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    // FNV mixes its high bits better.
    (hash >> 32) as usize % CHANNELS
}

/// The name of a channel.
pub(super) fn channel(prefix: &[u8], number: usize) -> Vec<u8> {
    [prefix, b"ended:", number.to_string().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> Key {
        Key::from_bytes(bytes).unwrap()
    }

    #[test]
    fn names_are_unambiguous_and_read_back() {
        let scopes = ["", "s", "s:", "1:s", "a:b", "ä", "s\0", "{}1:s", "{s}"];
        let keys: [&[u8]; 8] = [b"k", b":k", b"s:k", b"\xff\0", b"*", b"1:s:k", b"{k}", b"}{"];
        let mut seen = std::collections::HashSet::new();
        for scope in scopes {
            for bytes in keys {
                let name = name(b"idem:", scope, &key(bytes));
                assert_eq!(parse(b"idem:", &name), Some((scope.to_owned(), key(bytes))));
                assert!(seen.insert(name), "{scope} {bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_no_row_is_not_read_as_one() {
        for name in [
            "idem:",
            "idem:x",
            "idem:1:s",
            "idem:1:s:",
            "idem:{}1:s:k",
            "idem:1:s:{k}",
            "idem:01:s:k",
            "idem:+1:s:k",
            "idem:9:s:k",
            "other:1:s:k",
        ] {
            assert_eq!(parse(b"idem:", name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn slots_are_those_of_the_servers() {
        // As `CLUSTER KEYSLOT` says.
        for (name, number) in [("123456789", 12_739), ("foo", 12_182), ("{foo}bar", 12_182), ("a{foo}{bar}", 12_182)] {
            assert_eq!(slot(name.as_bytes()), number, "{name}");
        }
        assert_ne!(slot(b"{}foo"), slot(b"{}bar"), "an empty tag is none");
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(pattern(b"a*[b]:", None), b"a\\*\\[b\\]:*");
        assert_eq!(pattern(b"", Some("s?")), b"*2:s\\?:*");
    }

    #[test]
    fn no_scope_and_no_key_holds_a_hash_tag() {
        let slots = |prefix: &str, scope: &str| {
            let slot_of = |number| slot(&name(prefix.as_bytes(), scope, &key(format!("{{tag}}{number}").as_bytes())));
            (0..600).map(slot_of).collect::<std::collections::HashSet<_>>().len()
        };
        assert!(slots("idem:", "s") > 500 && slots("idem:", "a{b}c") > 500, "as many as without a tag");
        assert_eq!(slots("{one}:", "s"), 1, "the user's own");
        assert_eq!(name(b"idem:", "s", &key(b"plain}")), b"idem:1:s:plain}", "nothing is added where nothing needs it");
    }
}
