//! The bytes of the format: RFC 8949, section 3, as far as it is used here.

/// Major types: the upper three bits of an item's first byte.
pub(super) const UNSIGNED: u8 = 0 << 5;
pub(super) const NEGATIVE: u8 = 1 << 5;
pub(super) const BYTES: u8 = 2 << 5;
pub(super) const TEXT: u8 = 3 << 5;
pub(super) const ARRAY: u8 = 4 << 5;
pub(super) const MAP: u8 = 5 << 5;

/// The lower five bits: an argument below 24 is there itself, and else in the 1, 2, 4 or 8 bytes that follow.
pub(super) const ARGUMENT: u8 = 0b1_1111;
pub(super) const ONE_BYTE: u8 = 24;
pub(super) const TWO_BYTES: u8 = 25;
pub(super) const FOUR_BYTES: u8 = 26;
pub(super) const EIGHT_BYTES: u8 = 27;
/// The length isn't known: items follow until [`BREAK`].
pub(super) const INDEFINITE: u8 = 31;

/// The largest argument that is in the first byte.
pub(super) const INLINE: u8 = 23;

/// Tags of bignums: a byte string follows, `n` of [`UNSIGNED`] or [`NEGATIVE`] in network byte order (section 3.4.3).
pub(super) const BIG_UNSIGNED: u8 = 0xc2;
pub(super) const BIG_NEGATIVE: u8 = 0xc3;

/// `Some` of what would else be read as `None`: the tag 13.
///
/// This tag is ours. IANA's registry has 6 to 15 unassigned; the records are read by nobody else, and none of the
/// assigned tags means it.
pub(super) const SOME: u8 = 0xc0 | 13;

pub(super) const FALSE: u8 = 0xf4;
pub(super) const TRUE: u8 = 0xf5;
pub(super) const NULL: u8 = 0xf6;
pub(super) const F32: u8 = 0xfa;
pub(super) const F64: u8 = 0xfb;
/// Ends what is [`INDEFINITE`].
pub(super) const BREAK: u8 = 0xff;

/// How deep values can be nested, each array, map, `Some`, newtype struct and variant being a level.
///
/// A record that is corrupted, or is read as another type, must not overflow the stack; and as what can't be read back
/// must not be recorded, the same goes for writing. Measured without optimization: a struct of 640 bytes in an `Option` in
/// itself takes 1.3 MiB of stack at this depth, an untagged enum 0.8 MiB; a thread of Rust or tokio has 2 MiB.
pub(super) const LEVELS: u16 = 128;

/// By this name `serde_json` reads a `RawValue`.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// So begins what `serde_json` writes for a number with its feature `arbitrary_precision`: a struct of one field, whose text
/// follows.
pub(super) const NUMBER: &[u8] = b"\xa1\x78\x1c$serde_json::private::Number";
