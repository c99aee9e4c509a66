//! Where the links of the Markdown files lead for whoever reads them in the repository. The built book has a check of its own:
//! `.ci/book`.

use std::path::{Path, PathBuf};

use crate::{pages, project, read};

/// All of them: README, the book, and what stands in other folders.
fn markdown() -> Vec<String> {
    let more = [
        "ARCHITECTURE.md",
        "BENCHMARKS.md",
        "CHANGELOG.md",
        "examples/README.md",
        "findings/README.md",
        "tests/model/README.md",
        "tests/shuttle/README.md",
    ];
    pages().into_iter().chain(more.map(str::to_owned)).collect()
}

/// Its lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !fence && !code
    })
}

/// Where its links lead that lead to a file.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text).collect::<Vec<_>>().join("\n");
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://")).map(str::to_owned).collect()
}

/// The anchors of its headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> Vec<String> {
    let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    prose(text)
        .filter_map(heading)
        .map(|text| text.chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

fn leads(from: &str, link: &str) -> Result<(), &'static str> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let to: PathBuf = match path {
        "" => project().join(from),
        path => project().join(Path::new(from).parent().unwrap()).join(path),
    };
    if !to.exists() {
        return Err("no such file");
    }
    let has = || anchors(&std::fs::read_to_string(&to).unwrap()).iter().any(|there| there == anchor);
    if anchor.is_empty() || has() { Ok(()) } else { Err("no such heading") }
}

#[test]
fn each_link_of_a_markdown_file_leads_somewhere() {
    let mut broken = String::new();
    let mut seen = 0;
    for from in markdown() {
        for link in links(&read(&from)) {
            seen += 1;
            if let Err(why) = leads(&from, &link) {
                broken += &format!("{from}: {link}: {why}\n");
            }
        }
    }
    assert!(broken.is_empty(), "{broken}");
    assert!(seen >= 50, "{seen}");
}

#[test]
fn a_link_to_what_is_not_there_is_told() {
    assert_eq!(leads("README.md", "docs/src/nowhere.md"), Err("no such file"));
    assert_eq!(leads("README.md", "docs/src/guarantee.md#nowhere"), Err("no such heading"));
    assert_eq!(leads("docs/src/tx.md", "guarantee.md#an-http-client-that-hangs-up"), Ok(()));
    assert_eq!(links("[a](b.md#c)\n```\n[d](e)\n```\n[f](https://g.h)"), ["b.md#c"]);
    assert_eq!(anchors("# What doesn't `come` back\n```\n# no\n```\n## B_c"), ["what-doesnt-come-back", "b_c"]);
}
