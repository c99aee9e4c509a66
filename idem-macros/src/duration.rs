//! Durations as they are written in the attribute, such as "7d", "36h" or "1h30m".

use proc_macro2::Span;
use syn::LitStr;

/// A duration and where it was written.
#[derive(Clone)]
pub(crate) struct Length {
    pub(crate) nanos: u64,
    pub(crate) text: String,
    pub(crate) span: Span,
}

const UNITS: [(&str, u64); 6] = [
    // The first unit that the text begins with is taken, so "ms" has to stand before "m".
    ("ms", 1_000_000),
    ("us", 1_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// Reads the duration of the argument `name`.
pub(crate) fn parse(name: &str, literal: &LitStr) -> syn::Result<Length> {
    let text = literal.value();
    let nanos = nanos(&text).map_err(|problem| {
        syn::Error::new(literal.span(), format!("`{name} = {text:?}` is not a duration: {problem}"))
    })?;
    Ok(Length { nanos, text, span: literal.span() })
}

fn nanos(text: &str) -> Result<u64, String> {
    const HOW: &str = "write a number and a unit, such as \"7d\", \"36h\", \"15m\", \"60s\", \"500ms\" or \"1h30m\"";
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(HOW.to_owned());
    }
    if rest.starts_with('-') {
        return Err("it can't be negative".to_owned());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(HOW.to_owned());
        }
        if after.is_empty() {
            return Err(format!("`{number}` has no unit: for seconds, write \"{number}s\""));
        }
        let after = after.trim_start();
        let Some((unit, length)) = UNITS.into_iter().find(|(unit, _)| is_unit(after, unit)) else {
            let unknown: String = after.chars().take_while(|c| c.is_alphabetic()).collect();
            if unknown.is_empty() {
                return Err(HOW.to_owned());
            }
            return Err(format!("`{unknown}` is not a unit: the units are `d`, `h`, `m`, `s`, `ms` and `us`"));
        };
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(length));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or("it is too long: a duration is at most 213503d (584 years)")?;
        rest = after[unit.len()..].trim_start();
    }
    Ok(total)
}

/// Whether the first word of `text` is this unit.
fn is_unit(text: &str, unit: &str) -> bool {
    text.strip_prefix(unit).is_some_and(|after| !after.starts_with(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn reads_numbers_with_units() {
        for (text, expected) in [
            ("7d", 7 * 86_400_000_000_000),
            ("36h", 36 * 3_600_000_000_000),
            ("15m", 15 * 60_000_000_000),
            ("60s", 60_000_000_000),
            ("500ms", 500_000_000),
            ("100us", 100_000),
            ("1h30m", 5_400_000_000_000),
            ("1h 30m", 5_400_000_000_000),
            ("0s", 0),
        ] {
            assert_eq!(nanos(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_the_others() {
        for (text, expected) in [
            ("", "write a number"),
            ("soon", "write a number"),
            ("5", "has no unit: for seconds, write \"5s\""),
            ("-5s", "negative"),
            ("5 weeks", "`weeks` is not a unit"),
            ("5sec", "`sec` is not a unit"),
            ("1.5h", "write a number"),
            ("9999999999d", "too long"),
            ("99999999999999999999s", "too long"),
        ] {
            let problem = nanos(text).expect_err(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
