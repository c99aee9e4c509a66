//! The parameters of a store's URL.

use crate::error::Error;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::store::table::Table;

/// All names of one parameter. A name that ends with `[]` stands for a family: `options[]` for `options[work_mem]` and
/// the like.
pub(super) type Names = &'static [&'static str];

/// The parameter that names the store's table. The drivers don't know it.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub(super) const TABLE: Names = &["table"];

/// Parses a URL's parameters. Returns the table that it names, and the URL without that parameter.
///
/// # Errors
///
/// Those of [`parameters`], and [`Error::Config`] if no table can have this name.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) fn table(url: &str, known: &[Names]) -> Result<(Option<Table>, String), Error> {
    let query = query(url);
    let named = parameters(query, known)?.into_iter().find(|(name, _)| name == TABLE[0]);
    let Some((_, name)) = named else { return Ok((None, url.to_owned())) };
    let query = query.unwrap_or_default();
    let others = query.split('&').filter(|pair| decode(pair.split('=').next().unwrap_or_default()) != TABLE[0]);
    let others = others.collect::<Vec<_>>().join("&");
    let (before, behind) = url.split_once('?').unwrap_or((url, ""));
    Ok((Some(Table::new(&name)?), format!("{before}?{others}{}", &behind[query.len()..])))
}

/// The query of a URL: what follows the first `?`, without the fragment.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
pub(super) fn query(url: &str) -> Option<&str> {
    // A `#` before the `@` is in a password that isn't percent-encoded. What follows it is no fragment then.
    let url = url.split_once('#').filter(|(_, behind)| !behind.contains('@')).map_or(url, |(url, _)| url);
    url.split_once('?').map(|(_, query)| query)
}

/// Parses a query into its parameters, each as its first name and its value.
///
/// # Errors
///
/// [`Error::Config`] if a parameter is unknown or repeated. The drivers ignore both, so the store would be opened with
/// other settings than the URL asks for. The message contains no value, as a value can be a password.
pub(super) fn parameters(query: Option<&str>, known: &[Names]) -> Result<Vec<(String, String)>, Error> {
    let query = query.unwrap_or_default();
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name);
        let Some(first) = first_name(&name, known) else {
            // If a password contains a `?` that isn't percent-encoded, the rest of the password is here, before the
            // `@`. So the name isn't shown.
            let shown = if query.contains('@') {
                ", unless the `?` belongs to a password: write it as `%3F`".to_owned()
            } else {
                format!(" `{}`", name.escape_debug())
            };
            return Err(Error::config(format!("the store's URL has an unknown parameter{shown}: {}", list(known))));
        };
        if found.iter().any(|(other, _)| *other == first) {
            return Err(Error::config(format!("the store's URL has the parameter `{first}` more than once")));
        }
        found.push((first, decode(value)));
    }
    Ok(found)
}

fn first_name(name: &str, known: &[Names]) -> Option<String> {
    let is = |known: &str| match known.strip_suffix("[]") {
        Some(family) => name.strip_prefix(family).is_some_and(|rest| rest.starts_with('[') && rest.ends_with(']')),
        None => name == known,
    };
    let names = known.iter().find(|names| names.iter().any(|known| is(known)))?;
    Some(if names[0].ends_with("[]") { name.to_owned() } else { names[0].to_owned() })
}

fn list(known: &[Names]) -> String {
    let names: Vec<_> = known.iter().flat_map(|names| names.first()).map(|name| format!("`{name}`")).collect();
    format!("it can have {}", names.join(", "))
}

/// Decodes percent-encoding, and `+` as a space, as the drivers do.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let encoded = if *first == b'%' { behind.get(..2).and_then(hex) } else { None };
        bytes.push(encoded.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if encoded.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Names] = &[&["sslmode", "ssl-mode"], &["options"], &["options[]"]];

    fn read(query: &str) -> Result<Vec<(String, String)>, String> {
        parameters(Some(query), KNOWN).map_err(|error| error.to_string())
    }

    #[test]
    fn a_parameter_is_read_by_each_of_its_names() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(parameters(None, KNOWN).unwrap(), []);
        assert_eq!(read("ssl-mode=a+b%20c%"), Ok(vec![pair("sslmode", "a b c%")]));
        let families = [pair("options[a]", "1"), pair("options[b]", "2"), pair("options", "")];
        assert_eq!(read("options[a]=1&options%5Bb%5d=2&options&"), Ok(families.into()));
    }

    #[test]
    fn what_is_unknown_or_repeated_is_refused_without_a_value() {
        for (query, told) in [
            ("sslmod=hunter2", "unknown parameter `sslmod`: it can have `sslmode`, `options`, `options[]`"),
            ("SSLMODE=hunter2", "unknown parameter `SSLMODE`"),
            ("options[a=hunter2", "unknown parameter `options[a`"),
            ("sslmode=hunter2&sslmode=hunter2", "the parameter `sslmode` more than once"),
            ("sslmode=hunter2&ssl%2Dmode=a", "the parameter `sslmode` more than once"),
            ("options[a]=1&options[a]=hunter2", "the parameter `options[a]` more than once"),
            // The password is `x?hunter2`.
            (
                "hunter2@host/db",
                "unknown parameter, unless the `?` belongs to a password: write it as `%3F`: it can have",
            ),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(told) && !error.contains("hunter2"), "{error}");
        }
    }

    #[cfg(any(feature = "mysql", feature = "postgres"))]
    #[test]
    fn the_table_is_taken_out_of_a_url() {
        let known: &[Names] = &[TABLE, &["sslmode"]];
        let of = |url| table(url, known).map(|(table, url)| (table.map(|table| table.to_string()), url));
        for (url, without) in [
            ("db://h/d?table=order", "db://h/d?"),
            ("db://h/d?sslmode=a%26b&t%61ble=order#x", "db://h/d?sslmode=a%26b#x"),
            ("db://h/d?table=ord%65r&sslmode=a", "db://h/d?sslmode=a"),
        ] {
            assert_eq!(of(url).unwrap(), (Some("order".to_owned()), without.to_owned()));
        }
        for url in ["db://h/table=x", "db://h/d?sslmode=table", "db://u:table=#@h/d"] {
            assert_eq!(of(url).unwrap(), (None, url.to_owned()));
        }
        for url in ["db://h/d?table=", "db://h/d?table=hunter2%20", "db://h/d?table=a&table=hunter2"] {
            let error = of(url).unwrap_err().to_string();
            assert!(error.contains("table") && !error.contains("hunter2"), "{error}");
        }
    }

    #[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
    #[test]
    fn a_password_that_is_not_encoded_is_not_shown() {
        for url in ["db://user:a?hunter2#b@host/db", "db://user:a#b?hunter2@host/db", "db://user:?hunter2=#&@host"] {
            let error = parameters(query(url), KNOWN).unwrap_err().to_string();
            assert!(
                error.contains("unless the `?` belongs to a password") && !error.contains("hunter2"),
                "{url}: {error}"
            );
        }
        assert_eq!(query("db://host/db?sslmode=a#b"), Some("sslmode=a"));
        assert_eq!(query("db://host/db#b?sslmode=a"), None);
    }
}
