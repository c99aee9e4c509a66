//! "Did you mean ..?": finds the nearest of a few names, and lists names in words.

/// The candidate that `name` is most likely a misspelling of.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let longest = name.chars().count().max(candidate.chars().count());
            let distance = distance(name, candidate);
            (distance <= allowed(longest)).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// How many mistakes a word of this length may hold and still be recognised.
fn allowed(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    }
}

/// How many letters have to be inserted, removed, replaced, or swapped with their neighbour, to turn one word into the other
/// (the optimal string alignment distance).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 0..from.len() {
        let mut row = vec![i + 1; to.len() + 1];
        for j in 0..to.len() {
            let replaced = last[j] + usize::from(from[i] != to[j]);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from[i] == to[j - 1] && from[i - 1] == to[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn list<'n>(names: impl IntoIterator<Item = &'n str>, last: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{distance, list, nearest};

    #[test]
    fn counts_the_letters_that_differ() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("key", ""), 3);
        assert_eq!(distance("order_id", "ordr_id"), 1);
        assert_eq!(distance("kye", "key"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("ordr_id", ["cents", "order_id"]), Some("order_id"));
        assert_eq!(nearest("kye", ["key", "ttl"]), Some("key"));
        assert_eq!(nearest("on_eror", ["on_error", "on_crash"]), Some("on_error"));
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("banana", ["key", "ttl"]), None);
    }

    #[test]
    fn lists_in_words() {
        assert_eq!(list(["a"], "or"), "`a`");
        assert_eq!(list(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
