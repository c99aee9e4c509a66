//! Whether the links of the built book lead somewhere: `.ci/book` builds both. It uses nothing but std.
//!
//! A relative one has to lead to a file, of the book or of the project around it, and its anchor to an element there. Nothing
//! is asked of a network: an outer link has to be of https and well-formed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("which folder? `links target/book`");
        return ExitCode::FAILURE;
    };
    let (pages, broken) = check(Path::new(&folder));
    broken.iter().for_each(|link| eprintln!("{link}"));
    println!("{pages} pages, {} broken links", broken.len());
    if pages > 0 && broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The number of pages below this folder, and what is wrong with their links.
fn check(folder: &Path) -> (usize, Vec<String>) {
    let pages: BTreeMap<_, _> = html(folder).into_iter().map(|path| (path.clone(), Page::read(&path))).collect();
    let mut broken = Vec::new();
    for (path, page) in &pages {
        for link in &page.links {
            if let Err(why) = leads(path, link, &pages) {
                broken.push(format!("{}: {link}: {why}", path.display()));
            }
        }
    }
    (pages.len(), broken)
}

/// The pages below this folder.
fn html(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => html(&path),
        Some(extension) if extension == "html" => vec![path],
        _ => Vec::new(),
    };
    entries.flat_map(below).collect()
}

#[derive(Default)]
struct Page {
    links: BTreeSet<String>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(path: &Path) -> Self {
        Self::of(&std::fs::read_to_string(path).unwrap_or_default())
    }

    fn of(html: &str) -> Self {
        let mut page = Self::default();
        for tag in tags(html) {
            for (name, value) in attributes(tag) {
                match name {
                    "href" | "src" => drop(page.links.insert(value)),
                    "id" | "name" => drop(page.anchors.insert(value)),
                    _ => {}
                }
            }
        }
        page
    }
}

/// What stands between `<` and `>`; of scripts, styles and comments nothing.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let tag = &rest[rest.find('<')? + 1..];
        let skipped = [("!--", "-->"), ("script>", "</script"), ("style>", "</style")];
        if let Some((_, end)) = skipped.into_iter().find(|(start, _)| tag.starts_with(start)) {
            rest = &tag[tag.find(end)?..];
            return Some("");
        }
        let end = end_of_tag(tag)?;
        rest = &tag[end..];
        Some(&tag[..end])
    })
}

/// Where the `>` is that stands in no quotes.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quoted = false;
    tag.find(|character| {
        quoted ^= character == '"';
        character == '>' && !quoted
    })
}

/// Each `name="value"` of a tag.
fn attributes(tag: &str) -> impl Iterator<Item = (&str, String)> {
    let parts: Vec<_> = tag.split('"').collect();
    parts
        .chunks_exact(2)
        .filter_map(|pair| {
            let name = pair[0].trim().strip_suffix('=')?.split_whitespace().last()?;
            Some((name, pair[1].replace("&amp;", "&")))
        })
        .collect::<Vec<_>>()
        .into_iter()
}

fn leads(from: &Path, link: &str, pages: &BTreeMap<PathBuf, Page>) -> Result<(), &'static str> {
    if let Some(outer) = link.strip_prefix("https://") {
        return is_well_formed(outer).then_some(()).ok_or("it is malformed");
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    if path.contains(':') {
        return Err("it is not of https");
    }
    let path = path.split('?').next().unwrap_or_default();
    let to = match path {
        "" => from.to_owned(),
        path => plain(&from.parent().unwrap_or(Path::new("")).join(path)),
    };
    let to = if to.is_dir() && to.join("index.html").exists() { to.join("index.html") } else { to };
    match pages.get(&to) {
        Some(page) if anchor.is_empty() || page.anchors.contains(anchor) => Ok(()),
        Some(_) => Err("no such anchor"),
        None if to.exists() => Ok(()),
        None => Err("no such file"),
    }
}

/// Behind `https://`: a host with a dot, and nothing that a URL can't have.
fn is_well_formed(outer: &str) -> bool {
    let host = outer.split(['/', '?', '#']).next().unwrap_or_default();
    let characters = |character: char| character.is_ascii_graphic() && !"<>\"\\^`{|}".contains(character);
    host.contains('.') && !host.starts_with('.') && !host.ends_with('.') && outer.chars().all(characters)
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            component => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of each link of a page of its own that stands beside `there.html` with the anchor `here`.
    fn said(links: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let page: String =
            links.iter().map(|link| format!("<p title=\"a > b\"><a class=\"x\" href=\"{link}\">y</a>")).collect();
        std::fs::write(folder.path().join("page.html"), page + "<h2 id=\"own\">").unwrap();
        std::fs::write(folder.path().join("there.html"), "<h2 id=\"here\">").unwrap();
        let (pages, broken) = check(folder.path());
        assert_eq!(pages, 2);
        let page = format!("{}: ", folder.path().join("page.html").display());
        broken.into_iter().map(|line| line.strip_prefix(&page).unwrap().to_owned()).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_let_through() {
        let links =
            ["there.html", "./there.html#here", "#own", "https://docs.rs/a?b=c&amp;d#e", "there.html?highlight=x#here"];
        assert_eq!(said(&links), [""; 0]);
    }

    #[test]
    fn each_kind_of_broken_link_is_told() {
        let says = |link: &str, why: &str| assert_eq!(said(&[link]), [format!("{link}: {why}")]);
        says("nowhere.html", "no such file");
        says("there.html#gone", "no such anchor");
        says("#gone", "no such anchor");
        says("http://docs.rs/a", "it is not of https");
        says("mailto:a@b.c", "it is not of https");
        says("https://docs", "it is malformed");
        says("https://docs.rs/a b", "it is malformed");
    }

    #[test]
    fn what_a_script_or_a_comment_has_is_no_link() {
        let page = Page::of("<script>a = '<a href=\"x\">'</script><!-- <a href=\"y\"> --><a href=\"z\">");
        assert_eq!(page.links.into_iter().collect::<Vec<_>>(), ["z"]);
    }
}
