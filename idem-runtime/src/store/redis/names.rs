//! What the key of a row is called in Redis, and which channel tells of its ending.

use crate::store::Key;

/// How many channels there are: a process listens to those of the keys that it waits for.
pub(super) const CHANNELS: usize = 64;

/// `PREFIX LENGTH:SCOPE:KEY`, with the scope's length in bytes: unambiguous whatever the scope and the key hold.
pub(super) fn name(prefix: &[u8], scope: &str, key: &Key) -> Vec<u8> {
    let mut name = of_scope(prefix, scope);
    name.extend_from_slice(key.as_bytes());
    name
}

/// What the names of a scope's rows begin with.
fn of_scope(prefix: &[u8], scope: &str) -> Vec<u8> {
    let length = scope.len().to_string();
    let mut name = Vec::with_capacity(prefix.len() + length.len() + scope.len() + 2 + Key::MAX_LEN / 16);
    for part in [prefix, length.as_bytes(), b":", scope.as_bytes(), b":"] {
        name.extend_from_slice(part);
    }
    name
}

/// The scope and the key of a name; `None` where it isn't one of a row.
pub(super) fn parse(prefix: &[u8], name: &[u8]) -> Option<(String, Key)> {
    let rest = name.strip_prefix(prefix)?;
    let colon = rest.iter().position(|byte| *byte == b':')?;
    let length: usize = std::str::from_utf8(&rest[..colon]).ok()?.parse().ok()?;
    let (scope, key) = rest[colon + 1..].split_at_checked(length)?;
    let scope = std::str::from_utf8(scope).ok()?.to_owned();
    let key = Key::from_bytes(key.strip_prefix(b":")?)?;
    // Not `007:` or `+7:`, which no row is called.
    (self::name(prefix, &scope, &key) == name).then_some((scope, key))
}

/// The pattern of `SCAN` that the names of all rows match, or those of one scope.
pub(super) fn pattern(prefix: &[u8], scope: Option<&str>) -> Vec<u8> {
    let literal = scope.map_or_else(|| prefix.to_vec(), |scope| of_scope(prefix, scope));
    let mut pattern = Vec::with_capacity(literal.len() + 1);
    for byte in literal {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^' | b'-') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

/// The slot of a cluster that has a key: CRC-16 of the key, or of its hash tag (Redis cluster specification).
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

/// The number of the channel that tells of a row's ending: the same in every process and version (FNV-1a).
pub(super) fn channel_of(name: &[u8]) -> usize {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    // The high bits of FNV are the better mixed ones.
    (hash >> 32) as usize % CHANNELS
}

/// What a channel is called.
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
        let scopes = ["", "s", "s:", "1:s", "a:b", "ä", "s\0"];
        let keys: [&[u8]; 6] = [b"k", b":k", b"s:k", b"\xff\0", b"*", b"1:s:k"];
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
        for name in
            ["idem:", "idem:x", "idem:1:s", "idem:1:s:", "idem:01:s:k", "idem:+1:s:k", "idem:9:s:k", "other:1:s:k"]
        {
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
        assert_eq!(pattern(b"", Some("s?")), b"2:s\\?:*");
    }
}
