//! Different keys and scopes are different to the store.

use super::{Case, cases};
use crate::conformance::bench::{Bench, record};
use crate::conformance::verdict::Verdict;
use crate::protocol::{Key, Standing};

pub(super) const CASES: &[Case] = cases! {
    "fault: a collation that folds case" => keys_differ_by_case,
    "fault: a collation that folds accents, or a Unicode normal form" => keys_differ_by_accent_and_normal_form,
    "fault: a column that pads with spaces" => keys_differ_by_spaces,
    "keys are binary: NUL ends a C string" => keys_differ_by_nul_bytes,
    "keys are binary: not all of them are UTF-8" => keys_differ_by_invalid_utf8,
    "every byte is a key" => every_byte_is_a_key,
    "fault: a column that is too narrow cuts keys off" => longest_keys_differ_by_their_last_byte,
    "keys are not read as numbers" => keys_differ_by_digits,
    "a key is data: the store quotes, escapes or binds it" => keys_of_punctuation_differ,
    "fault: a namespace without the function" => scopes_are_apart,
    "fault: a separator between scope and key is not escaped" => boundary_of_scope_and_key_is_kept,
    "a scope is a path of modules, which can be long" => long_scopes_are_apart,
};

/// Completes each of these keys with a result of its own. Then claims each, and expects its result.
async fn differ<K: AsRef<[u8]>>(bench: &Bench, keys: &[(String, K)]) -> Verdict {
    let shown = |(scope, key): &(String, K)| {
        let (key, len) = (key.as_ref(), key.as_ref().len());
        let cut = if len > 40 { format!("… ({len} bytes)") } else { String::new() };
        format!("`{}{cut}` in `{scope}`", key[..len.min(40)].escape_ascii())
    };
    for (number, named) in keys.iter().enumerate() {
        let caller = bench.caller_in(&named.0, &named.1);
        let grant = caller.granted_first(format!("the first claim of {}", shown(named))).await?;
        caller.completes("its completion", grant.fence, &record(number.to_string()), Standing::Held).await?;
    }
    for (number, named) in keys.iter().enumerate() {
        let caller = bench.caller_in(&named.0, &named.1);
        caller.replayed(format!("a duplicate of {}", shown(named)), &record(number.to_string())).await?;
    }
    Ok(())
}

async fn keys_of_one_scope_differ<K: AsRef<[u8]>>(bench: &Bench, keys: impl IntoIterator<Item = K>) -> Verdict {
    let keys: Vec<_> = keys.into_iter().map(|key| (bench.scope.clone(), key)).collect();
    differ(bench, &keys).await
}

async fn keys_differ_by_case(bench: Bench) -> Verdict {
    keys_of_one_scope_differ(&bench, ["A1", "a1", "straße", "STRASSE", "strasse", "ı", "i", "I"]).await
}

async fn keys_differ_by_accent_and_normal_form(bench: Bench) -> Verdict {
    keys_of_one_scope_differ(&bench, ["caf\u{e9}", "cafe\u{301}", "cafe", "\u{fb01}", "fi", "\u{212b}", "\u{c5}"]).await
}

async fn keys_differ_by_spaces(bench: Bench) -> Verdict {
    keys_of_one_scope_differ(&bench, ["a", "a ", "a  ", " a", "a\t", "a\n", "a\r\n", " ", "  ", "a\u{a0}", "a\u{200b}"])
        .await
}

async fn keys_differ_by_nul_bytes(bench: Bench) -> Verdict {
    let keys: [&[u8]; 7] = [b"a", b"a\0", b"a\0b", b"a\0c", b"\0", b"\0\0", b"\0a"];
    keys_of_one_scope_differ(&bench, keys).await
}

async fn keys_differ_by_invalid_utf8(bench: Bench) -> Verdict {
    let keys: [&[u8]; 7] = [b"\xff", b"\xfe", b"\xef\xbf\xbd", b"a\xff", b"a\xc3", b"\xed\xa0\x80", b"\x80"];
    keys_of_one_scope_differ(&bench, keys).await
}

async fn every_byte_is_a_key(bench: Bench) -> Verdict {
    keys_of_one_scope_differ(&bench, (0..=u8::MAX).map(|byte| [byte])).await
}

async fn longest_keys_differ_by_their_last_byte(bench: Bench) -> Verdict {
    let long = |len: usize, last: u8| {
        let mut key = vec![b'k'; len];
        key[len - 1] = last;
        key
    };
    let lengths = [64, 128, 192, 255, 256, 512, 767, 768, Key::MAX_LEN];
    keys_of_one_scope_differ(&bench, lengths.into_iter().flat_map(|len| [long(len, b'a'), long(len, b'b')])).await
}

async fn keys_differ_by_digits(bench: Bench) -> Verdict {
    keys_of_one_scope_differ(&bench, ["1", "01", "1.0", "1e0", "+1", "0x1", "true", "null", "NULL", "-0", "0"]).await
}

async fn keys_of_punctuation_differ(bench: Bench) -> Verdict {
    let keys =
        ["'", "''", "\"", "\\", "\\'", "%", "_", "a%", "*", "?", "$1", ":key", "{a}", "{b}", ";--", "\u{1b}", "\u{1f}"];
    keys_of_one_scope_differ(&bench, keys).await
}

async fn scopes_are_apart(bench: Bench) -> Verdict {
    let scope = |end: &str| format!("{}::{end}", bench.scope);
    let scopes = ["charge", "refund", "Charge", "CHARGE", "charge ", " charge", "charg\u{e9}", "charge_", "charge%"];
    differ(&bench, &scopes.map(|end| (scope(end), "order-1"))).await
}

async fn boundary_of_scope_and_key_is_kept(bench: Bench) -> Verdict {
    let mut keys = Vec::new();
    // Joined by this separator, scope and key of each pair give the same text.
    for separator in ["", ":", "/", "::", ".", "\u{1f}", "|", "#", "-", "_", " ", "\n", "}"] {
        keys.push((format!("{}{separator}b", bench.scope), "c".to_owned()));
        keys.push((bench.scope.clone(), format!("b{separator}c")));
    }
    differ(&bench, &keys).await
}

async fn long_scopes_are_apart(bench: Bench) -> Verdict {
    let scope = |last: &str| format!("{}{}{last}", bench.scope, "m".repeat(249usize.saturating_sub(bench.scope.len())));
    differ(&bench, &["a", "b", "A"].map(|last| (scope(last), "order-1"))).await
}
