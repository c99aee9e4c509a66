//! The pages are complete where they list things: a name that is added to the code has to be added to its page.

use crate::read;

/// The attribute's own list of its arguments.
fn arguments() -> Vec<String> {
    let file = read("idem-macros/src/args.rs");
    let (_, list) = file.split_once("const NAMES: ").unwrap();
    let (_, list) = list.split_once("= [").unwrap();
    list.split(']').next().unwrap().split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of the tables of a page, by their first cells.
fn first_cells(page: &str) -> String {
    page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect::<Vec<_>>().join("\n")
}

#[test]
fn readme_and_the_book_have_each_argument_of_the_attribute() {
    let arguments = arguments();
    assert!(arguments.len() >= 15, "{arguments:?}");
    for page in ["README.md", "docs/src/choosing.md"] {
        let cells = first_cells(&read(page));
        for argument in &arguments {
            assert!(cells.contains(&format!("`{argument}`")), "{page} has no row for the argument `{argument}`");
        }
    }
}

#[test]
fn the_book_has_each_option_of_each_store() {
    let page = read("docs/src/stores.md");
    for (store, name) in [("sqlite", "Sqlite"), ("postgres", "Postgres"), ("mysql", "MySql"), ("redis", "Redis")] {
        let (_, section) = page.split_once(&format!("\n## {name}Store\n")).unwrap();
        let cells = first_cells(section.split("\n## ").next().unwrap());
        let options = read(&format!("idem-runtime/src/store/{store}/options.rs"));
        let options =
            options.lines().filter_map(|line| line.trim_start().strip_prefix("pub fn ")?.split_once("(mut self"));
        let options: Vec<_> = options.map(|(option, _)| option).collect();
        assert!(options.len() >= 4, "{store}: {options:?}");
        for option in options {
            assert!(cells.contains(&format!("`{option}`")), "{name}Store has no row for its option `{option}`");
        }
    }
}

/// It is what a newcomer reads in five minutes. What is longer belongs into the book.
#[test]
fn readme_is_short_and_links_to_each_page_of_the_book() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 180, "{} lines", readme.lines().count());
    let contents = read("docs/src/SUMMARY.md");
    let pages = contents.split("](").skip(1).map(|link| link.split(')').next().unwrap());
    for page in pages {
        assert!(readme.contains(&format!("(docs/src/{page})")), "README has no link to {page}");
    }
}

/// The table of the stores' speeds is a copy.
#[test]
fn the_book_has_the_figures_of_the_benchmarks() {
    let (page, benchmarks) = (read("docs/src/stores.md"), read("BENCHMARKS.md"));
    let (_, table) = page.split_once("\n## How fast\n").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let figures: Vec<_> =
        rows.flat_map(|row| row.split(" | ").skip(1)).map(|cell| cell.replace([',', ' ', '|'], "")).collect();
    assert_eq!(figures.len(), 16, "{figures:?}");
    for figure in figures {
        assert!(benchmarks.contains(&format!("| {figure} |")), "BENCHMARKS.md has no {figure}");
    }
}
