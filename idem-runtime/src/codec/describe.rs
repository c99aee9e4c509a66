//! Shows an encoded value as text, for an operator, in CBOR's diagnostic notation (RFC 8949, section 8).

use std::fmt::{self, Write};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::de::Decoder;
use super::wire;

/// The value that `bytes` encode, as text. If they are damaged, the part that can be read, and what is wrong. `offset`
/// is how many bytes of the record stand before them.
pub(crate) fn describe(bytes: &[u8], offset: usize) -> String {
    let mut text = String::new();
    let mut decoder = Decoder::new(bytes);
    let read = Description(&mut text).deserialize(&mut decoder).and_then(|()| decoder.end());
    if let Err(failure) = read {
        let (expected, at) = failure.into_expected();
        append(&mut text, format_args!(" (damaged: expected {expected} at byte {})", at + offset));
    }
    text
}

/// Bytes in the same notation.
pub(crate) fn describe_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len() + 3);
    append_bytes(&mut text, bytes);
    text
}

/// Reads a value, and appends it to the text.
struct Description<'t>(&'t mut String);

impl Description<'_> {
    #[expect(clippy::unnecessary_wraps, reason = "what a visitor's methods return")]
    fn write<E>(self, value: impl fmt::Display) -> Result<(), E> {
        append(self.0, format_args!("{value}"));
        Ok(())
    }
}

/// Writing to a `String` never fails.
fn append(text: &mut String, part: fmt::Arguments<'_>) {
    let _ = text.write_fmt(part);
}

fn append_bytes(text: &mut String, bytes: &[u8]) {
    text.push_str("h'");
    for byte in bytes {
        append(text, format_args!("{byte:02x}"));
    }
    text.push('\'');
}

impl<'de> DeserializeSeed<'de> for Description<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Description<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.write(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_i128<E>(self, value: i128) -> Result<(), E> {
        self.write(value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.write(value)
    }

    fn visit_u128<E>(self, value: u128) -> Result<(), E> {
        self.write(value)
    }

    fn visit_f32<E>(self, value: f32) -> Result<(), E> {
        self.write(Float(value, value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.write(Float(value, value))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.write(Quoted(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<(), E> {
        append_bytes(self.0, value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.write("null")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        append(self.0, format_args!("{}(", wire::SOME & wire::ARGUMENT));
        deserializer.deserialize_any(Description(self.0))?;
        self.write(")")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push('[');
        let mut between = "";
        // The comma is written before it is known whether another item follows, and removed if none does.
        loop {
            let end = self.0.len();
            self.0.push_str(between);
            if items.next_element_seed(Description(self.0))?.is_none() {
                self.0.truncate(end);
                return self.write("]");
            }
            between = ", ";
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.0.push('{');
        let mut between = "";
        loop {
            let end = self.0.len();
            self.0.push_str(between);
            if entries.next_key_seed(Description(self.0))?.is_none() {
                self.0.truncate(end);
                return self.write("}");
            }
            self.0.push_str(": ");
            entries.next_value_seed(Description(self.0))?;
            between = ", ";
        }
    }
}

/// A float, and the same as an `f64`. It is shown in the shortest form that its own width reads back exactly.
struct Float<T>(T, f64);

impl<T: fmt::Debug> fmt::Display for Float<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            number if number.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("Infinity"),
            f64::NEG_INFINITY => f.write_str("-Infinity"),
            _ => self.0.fmt(f),
        }
    }
}

/// A text, quoted as in JSON. Characters that move a terminal's cursor or change the direction of the text after them
/// are escaped.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(f, "\\u{:04x}", u32::from(c))?;
                }
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;
    use crate::codec::encode;

    fn described<T: Serialize>(value: T) -> String {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).expect("it can be encoded");
        describe(&bytes, 2)
    }

    #[derive(Serialize)]
    enum Payment {
        Open,
        Paid { cents: u64, by: Option<&'static str> },
        Split(u8, i8),
    }

    #[test]
    fn every_kind_of_value_is_shown() {
        assert_eq!(described(()), "null");
        assert_eq!(described((true, false)), "[true, false]");
        assert_eq!(described((0, -1, u64::MAX, i64::MIN)), "[0, -1, 18446744073709551615, -9223372036854775808]");
        assert_eq!(described((u128::MAX, i128::MIN)), format!("[{}, {}]", u128::MAX, i128::MIN));
        assert_eq!(described((0.1_f32, 0.1_f64, 1.0_f64, -0.0_f64)), "[0.1, 0.1, 1.0, -0.0]");
        assert_eq!(described((f32::NAN, f64::INFINITY, f32::NEG_INFINITY)), "[NaN, Infinity, -Infinity]");
        assert_eq!(described(Vec::<u8>::new()), "[]");
        assert_eq!(described(BTreeMap::from([(1, "a"), (2, "b")])), r#"{1: "a", 2: "b"}"#);
        assert_eq!(described(BTreeMap::<u8, u8>::new()), "{}");
        assert_eq!(described(Some(Option::<Option<u8>>::None)), "13(null)");
        assert_eq!(described(Some(Some(Option::<u8>::None))), "13(13(null))");
        assert_eq!(described(Payment::Open), r#""Open""#);
        assert_eq!(described(Payment::Paid { cents: 5, by: None }), r#"{"Paid": {"cents": 5, "by": null}}"#);
        assert_eq!(described([Payment::Split(1, -1)]), r#"[{"Split": [1, -1]}]"#);
        assert_eq!(describe(&[0x43, 0, 0xab, 0xff], 2), "h'00abff'");
        // As serde_json writes a number that is neither an integer nor a float of 64 bits.
        let number = BTreeMap::from([("$serde_json::private::Number", "1.10")]);
        assert_eq!(described(number), r#"{"$serde_json::private::Number": "1.10"}"#);
        // Where the length isn't known in advance.
        assert_eq!(describe(&[0x9f, 1, 2, 0xff], 2), "[1, 2]");
        assert_eq!(describe(&[0xbf, 1, 2, 0xff], 2), "{1: 2}");
    }

    /// A text from a row can't control an operator's terminal.
    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(described("a \"b\" \\ é 你"), r#""a \"b\" \\ é 你""#);
        assert_eq!(described("\0\u{1b}[2J\n\r\u{7f}\u{9b}"), r#""\u0000\u001b[2J\n\u000d\u007f\u009b""#);
        assert_eq!(described("\u{202e}\u{2066}\u{200f}"), r#""\u202e\u2066\u200f""#);
    }

    #[test]
    fn damage_is_shown_behind_what_can_be_read() {
        assert_eq!(
            describe(&[0x83, 1, 0x62, b'a'], 2),
            "[1,  (damaged: expected a value that doesn't end before its end at byte 4)"
        );
        assert_eq!(describe(&[], 2), " (damaged: expected a value that doesn't end before its end at byte 2)");
        assert_eq!(describe(&[1, 2], 2), "1 (damaged: expected the end of the record at byte 3)");
        let deep = describe(&[0x81; 1_000], 2);
        assert!(deep.starts_with("[[[[") && deep.contains("(damaged: expected a value that is nested less"), "{deep}");
    }
}
