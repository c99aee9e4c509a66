//! The bytes of the format: the part of RFC 8949, section 3, that is used here.

/// Major types: the upper three bits of an item's first byte.
pub(super) const UNSIGNED: u8 = 0 << 5;
pub(super) const NEGATIVE: u8 = 1 << 5;
pub(super) const BYTES: u8 = 2 << 5;
pub(super) const TEXT: u8 = 3 << 5;
pub(super) const ARRAY: u8 = 4 << 5;
pub(super) const MAP: u8 = 5 << 5;

/// The lower five bits of an item's first byte. An argument below 24 is in these bits. A larger one is in the 1, 2, 4
/// or 8 bytes that follow.
pub(super) const ARGUMENT: u8 = 0b1_1111;
pub(super) const ONE_BYTE: u8 = 24;
pub(super) const TWO_BYTES: u8 = 25;
pub(super) const FOUR_BYTES: u8 = 26;
pub(super) const EIGHT_BYTES: u8 = 27;
/// The length is not given: items follow until [`BREAK`].
pub(super) const INDEFINITE: u8 = 31;

/// The largest argument that fits into the first byte.
pub(super) const INLINE: u8 = 23;

/// Tags of bignums. A byte string follows, which holds the argument of an [`UNSIGNED`] or [`NEGATIVE`] in network byte
/// order (section 3.4.3).
pub(super) const BIG_UNSIGNED: u8 = 0xc2;
pub(super) const BIG_NEGATIVE: u8 = 0xc3;

/// The tag 13: a `Some` whose content would without it be read as `None`.
///
/// This use of the tag is this library's own. IANA's registry has 6 to 15 unassigned, no assigned tag means `Some`, and
/// only this library reads the records.
pub(super) const SOME: u8 = 0xc0 | 13;

pub(super) const FALSE: u8 = 0xf4;
pub(super) const TRUE: u8 = 0xf5;
pub(super) const NULL: u8 = 0xf6;
pub(super) const F32: u8 = 0xfa;
pub(super) const F64: u8 = 0xfb;
/// Ends an item of [`INDEFINITE`] length.
pub(super) const BREAK: u8 = 0xff;

/// How deep values can be nested. Each array, map, `Some`, newtype struct and variant is a level.
///
/// Reading a record that is corrupted, or as another type, must not overflow the stack. The limit also holds for
/// writing, because a value that can't be read back must not be recorded. Measured without optimization: a struct of
/// 640 bytes in an `Option` in itself takes 1.3 MiB of stack at this depth, an untagged enum 0.8 MiB; a thread of Rust
/// or tokio has 2 MiB.
pub(super) const LEVELS: u16 = 128;

/// The name of the struct as which `serde_json` reads and writes a `RawValue`.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// The first bytes of a number that `serde_json` wrote with its feature `arbitrary_precision`: a struct of one field.
/// The number's text follows.
pub(super) const NUMBER: &[u8] = b"\xa1\x78\x1c$serde_json::private::Number";
