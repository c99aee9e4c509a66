//! The parameters of statements: bound to a prepared statement, or written into its text.

use std::fmt::Write as _;

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;

/// A parameter of a statement.
#[derive(Debug)]
pub(super) enum Param<'a> {
    Flag(bool),
    Integer(Option<i64>),
    Text(&'a str),
    Bytes(Option<&'a [u8]>),
    Integers(Vec<Option<i64>>),
    Texts(Vec<&'a str>),
    ByteStrings(Vec<Option<&'a [u8]>>),
}

/// A text of each request: a plain value for a single request, and else an array, as the two forms of the statement
/// expect it.
pub(super) fn texts<'a, R>(requests: &[&'a R], of: impl Fn(&'a R) -> &'a str) -> Param<'a> {
    match requests {
        [request] => Param::Text(of(request)),
        _ => Param::Texts(requests.iter().map(|request| of(request)).collect()),
    }
}

/// Bytes of each request, in the same way.
pub(super) fn byte_strings<'a, R>(requests: &[&'a R], of: impl Fn(&'a R) -> Option<&'a [u8]>) -> Param<'a> {
    match requests {
        [request] => Param::Bytes(of(request)),
        _ => Param::ByteStrings(requests.iter().map(|request| of(request)).collect()),
    }
}

/// A number of each request, in the same way.
pub(super) fn integers<'a, R>(requests: &[&'a R], of: impl Fn(&'a R) -> Option<i64>) -> Param<'a> {
    match requests {
        [request] => Param::Integer(of(request)),
        _ => Param::Integers(requests.iter().map(|request| of(request)).collect()),
    }
}

/// Binds the parameters for a prepared statement.
pub(super) fn bound(params: &[Param<'_>]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for param in params {
        let added = match param {
            Param::Flag(flag) => arguments.add(flag),
            Param::Integer(number) => arguments.add(number),
            Param::Text(text) => arguments.add(text),
            Param::Bytes(bytes) => arguments.add(bytes),
            Param::Integers(numbers) => arguments.add(numbers),
            Param::Texts(texts) => arguments.add(texts),
            Param::ByteStrings(strings) => arguments.add(strings),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Writes the parameters into the statement, in place of `$1` to `$9`. Texts and bytes are written in hexadecimal, so
/// that nothing in them can end a literal, whatever the settings of the session are.
pub(super) fn inlined(sql: &str, params: &[Param<'_>]) -> String {
    let mut text = String::with_capacity(2 * sql.len());
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let nth = after.bytes().next().and_then(|digit| digit.checked_sub(b'1')).map(usize::from);
        rest = match nth.and_then(|nth| params.get(nth)).zip(after.get(1..)) {
            Some((param, after)) => {
                literal(&mut text, param);
                after
            }
            None => {
                text.push('$');
                after
            }
        };
    }
    text.push_str(rest);
    text
}

fn literal(sql: &mut String, param: &Param<'_>) {
    match param {
        Param::Flag(flag) => sql.push_str(if *flag { "true" } else { "false" }),
        Param::Integer(number) => integer(sql, *number),
        Param::Text(written) => text(sql, written),
        Param::Bytes(written) => bytes(sql, *written),
        Param::Integers(numbers) => list(sql, numbers, |sql, number| integer(sql, *number)),
        Param::Texts(texts) => list(sql, texts, |sql, written| text(sql, written)),
        Param::ByteStrings(strings) => list(sql, strings, |sql, written| bytes(sql, *written)),
    }
}

fn list<T>(sql: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    sql.push_str("ARRAY[");
    for (nth, item) in items.iter().enumerate() {
        sql.push_str(if nth == 0 { "" } else { "," });
        write(sql, item);
    }
    sql.push(']');
}

fn integer(sql: &mut String, number: Option<i64>) {
    match number {
        // In parentheses, because a minus binds less than what may follow.
        Some(number) => drop(write!(sql, "({number}::bigint)")),
        None => sql.push_str("NULL::bigint"),
    }
}

fn text(sql: &mut String, written: &str) {
    sql.push_str("convert_from(");
    bytes(sql, Some(written.as_bytes()));
    sql.push_str(",'UTF8')");
}

fn bytes(sql: &mut String, written: Option<&[u8]>) {
    let Some(written) = written else { return sql.push_str("NULL::bytea") };
    sql.push_str("decode('");
    for byte in written {
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push_str("','hex')");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_so_that_nothing_ends_a_literal() {
        let params = [
            Param::Text("it's \\ $2"),
            Param::Bytes(Some(b"'\0\xff")),
            Param::Integer(Some(-1)),
            Param::Integers(vec![Some(1), None]),
            Param::ByteStrings(vec![Some(b"a"), None]),
            Param::Texts(vec!["a"]),
            Param::Flag(true),
        ];
        let wanted = "convert_from(decode('69742773205c202432','hex'),'UTF8') decode('2700ff','hex') (-1::bigint) \
                      ARRAY[(1::bigint),NULL::bigint]::bigint[] ARRAY[decode('61','hex'),NULL::bytea] \
                      ARRAY[convert_from(decode('61','hex'),'UTF8')] true $8 $ $a";
        assert_eq!(inlined("$1 $2 $3 $4::bigint[] $5 $6 $7 $8 $ $a", &params), wanted);
    }
}
