//! The book's timelines. Each is drawn from a text in `docs/pictures` into `docs/src/pictures`, and this test says whether the
//! two still belong together. `IDEM_PICTURES=overwrite cargo test -p idem-tests --test pictures` draws them anew.

mod draw;
mod script;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::script::Timeline;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

/// The files of a folder, by their names without the ending.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect()
}

fn timelines() -> BTreeMap<String, Timeline> {
    let parse = |(name, text): (String, String)| {
        let timeline = Timeline::parse(&text).unwrap_or_else(|error| panic!("docs/pictures/{name}.txt: {error}"));
        (name, timeline)
    };
    files(&docs().join("pictures")).into_iter().map(parse).collect()
}

#[test]
fn each_picture_is_what_its_text_gives() {
    let folder = docs().join("src/pictures");
    let drawn: BTreeMap<_, _> = timelines().into_iter().map(|(name, timeline)| (name, draw::svg(&timeline))).collect();
    if std::env::var("IDEM_PICTURES").is_ok_and(|word| word == "overwrite") {
        for (name, svg) in &drawn {
            std::fs::write(folder.join(format!("{name}.svg")), svg).unwrap();
        }
    }
    let committed = files(&folder);
    let names: Vec<_> = committed.keys().collect();
    assert_eq!(drawn.keys().collect::<Vec<_>>(), names, "each text has a picture, and each picture a text");
    for (name, svg) in &drawn {
        let again = "IDEM_PICTURES=overwrite cargo test -p idem-tests --test pictures";
        assert!(committed[name] == *svg, "docs/src/pictures/{name}.svg is not what its text gives. Draw it: {again}");
    }
}

/// An image's `<desc>` is for whoever opens the file. A page's reader hears the page's own words.
#[test]
fn each_picture_is_shown_with_its_title_in_its_place() {
    let page = std::fs::read_to_string(docs().join("src/guarantee.md")).unwrap();
    for (name, timeline) in timelines() {
        let shown = format!("![{}. {}](pictures/{name}.svg)", timeline.title, timeline.text);
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains(&shown), "guarantee.md has to show: {shown}");
    }
}
