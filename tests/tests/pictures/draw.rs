//! A timeline as SVG: a column for each lane, time runs downwards. Narrow, so that a phone shows it without scrolling, and of
//! colours for light and dark pages, over a ground of its own.

use std::fmt::Write;

use crate::script::{Row, Sign, Timeline, Word};

const WIDTH: usize = 400;
/// Left of the lanes, where the times stand.
const GUTTER: usize = 40;
const HEAD: usize = 34;
const ROW: usize = 34;
/// From the top of a row to the line of its text, and to its sign.
const TEXT: usize = 13;
const SIGN: usize = 21;
const FOOT: usize = 34;
const MARGIN: usize = 6;
/// From the middle of a mark to its text.
const BESIDE: usize = 14;
/// How wide a character is, about.
const CHARACTER: usize = 7;

/// The dark colours are chosen by the page that shows the picture: browsers go by its `color-scheme`.
const STYLE: &str = "\
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328; stroke: #fff; stroke-width: 4px; stroke-linejoin: round; paint-order: stroke }
.head { font-weight: 600 }
.time { fill: #59636e }
.ground { fill: #fff; stroke: #d1d9e0 }
.lane { stroke: #818b98; stroke-dasharray: 2 3 }
.lease { fill: #b6d9ff }
.body { fill: #0550ae }
.still { fill: #fff; stroke: #0550ae; stroke-dasharray: 3 2 }
.arrow { stroke: #1f2328; stroke-width: 1.3px; fill: none }
.tip, .dot { fill: #1f2328 }
.crash { stroke: #cf222e; stroke-width: 3px }
.effect { fill: #953800; stroke: #fff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; stroke: #161b22 }
.time { fill: #9198a1 }
.ground { fill: #161b22; stroke: #3d444d }
.lane { stroke: #656c76 }
.lease { fill: #163d6b }
.body { fill: #79c0ff }
.still { fill: #161b22; stroke: #79c0ff }
.arrow { stroke: #e6edf3 }
.tip, .dot { fill: #e6edf3 }
.crash { stroke: #ff7b72 }
.effect { fill: #ffb757; stroke: #161b22 }
}
</style>
";

/// The whole file.
pub(crate) fn svg(timeline: &Timeline) -> String {
    let picture = Picture { lanes: timeline.lanes.len() };
    let bottom = HEAD + timeline.rows.len() * ROW;
    let height = bottom + FOOT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{}\" height=\"{}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n{STYLE}",
        WIDTH * 13 / 10,
        height * 13 / 10,
        escaped(&timeline.title),
        escaped(&timeline.text),
    );
    add(&mut svg, format_args!(r#"<rect class="ground" x="0.5" y="0.5" width="399" height="{}" rx="6"/>"#, height - 1));
    for (lane, name) in timeline.lanes.iter().enumerate() {
        let x = picture.x(lane);
        add(&mut svg, format_args!(r#"<path class="lane" d="M{x} {HEAD}V{bottom}"/>"#));
        add(
            &mut svg,
            format_args!(r#"<text class="head" x="{x}" y="22" text-anchor="middle">{}</text>"#, escaped(name)),
        );
    }
    let bars = Bars::of(timeline, bottom);
    for Bar { class, lane, from, to } in &bars {
        bar(&mut svg, class, picture.x(*lane), *from, to - from);
    }
    timeline.rows.iter().enumerate().for_each(|(number, row)| picture.row(&mut svg, row, HEAD + number * ROW));
    legend(&mut svg, &bars, timeline, bottom + 16);
    svg + "</svg>\n"
}

/// A stretch of a lane.
struct Bar {
    class: &'static str,
    lane: usize,
    from: usize,
    to: usize,
}

/// The bars of a picture, those behind others first.
struct Bars {
    done: Vec<Bar>,
    open: Vec<Bar>,
}

impl Bars {
    fn of(timeline: &Timeline, bottom: usize) -> Vec<Bar> {
        let mut bars = Self { done: Vec::new(), open: Vec::new() };
        for (number, row) in timeline.rows.iter().enumerate() {
            let y = HEAD + number * ROW + SIGN;
            if let Sign::In(word, lane) = row.sign {
                bars.change(word, lane, y);
            }
            row.besides.iter().for_each(|&(word, lane)| bars.change(word, lane, y));
        }
        while let Some(bar) = bars.open.pop() {
            bars.done.push(Bar { to: bottom, ..bar });
        }
        bars.done.sort_by_key(|bar| bar.class != "lease");
        bars.done
    }

    fn change(&mut self, word: Word, lane: usize, y: usize) {
        match word {
            Word::Lease => self.begin("lease", lane, y),
            Word::Over => self.end(&["lease"], lane, y),
            Word::Runs => self.begin("body", lane, y),
            Word::Ends => self.end(&["lease", "body", "still"], lane, y),
            Word::Crash => self.end(&["body", "still"], lane, y),
            Word::Pause => {
                self.end(&["body"], lane, y);
                self.begin("still", lane, y);
            }
            Word::Resume => {
                self.end(&["still"], lane, y);
                self.begin("body", lane, y);
            }
            Word::Effect | Word::Note => {}
        }
    }

    fn begin(&mut self, class: &'static str, lane: usize, from: usize) {
        self.open.push(Bar { class, lane, from, to: from });
    }

    fn end(&mut self, classes: &[&str], lane: usize, to: usize) {
        let ends = |bar: &mut Bar| bar.lane == lane && classes.contains(&bar.class);
        self.done.extend(self.open.extract_if(.., ends).map(|bar| Bar { to, ..bar }));
    }
}

struct Picture {
    lanes: usize,
}

impl Picture {
    /// The middle of a lane.
    fn x(&self, lane: usize) -> usize {
        GUTTER + (2 * lane + 1) * (WIDTH - GUTTER) / (2 * self.lanes)
    }

    fn row(&self, svg: &mut String, row: &Row, top: usize) {
        let y = top + SIGN;
        let text = match row.sign {
            Sign::Message { from, to } => {
                let (from, to) = (self.x(from), self.x(to));
                arrow(svg, from, to, y);
                above(&row.text, usize::midpoint(from, to), top + TEXT)
            }
            Sign::In(word, lane) => {
                mark(svg, word, self.x(lane), y);
                beside(&row.text, self.x(lane), y + 4)
            }
        };
        if !row.time.is_empty() {
            add(svg, format_args!(r#"<text class="time" x="8" y="{}">{}</text>"#, text.y, escaped(&row.time)));
        }
        let Text { x, y, anchor } = text;
        add(svg, format_args!(r#"<text x="{x}" y="{y}" text-anchor="{anchor}">{}</text>"#, escaped(&row.text)));
    }
}

/// Where a text stands.
struct Text {
    x: usize,
    y: usize,
    anchor: &'static str,
}

/// About as wide as it will be.
fn width(text: &str) -> usize {
    text.chars().count() * CHARACTER
}

/// Over the middle of an arrow, and within the picture.
fn above(text: &str, middle: usize, y: usize) -> Text {
    let half = width(text) / 2;
    Text { x: middle.clamp(GUTTER + half, WIDTH - MARGIN - half), y, anchor: "middle" }
}

/// To the right of a mark, or to its left where that has no room.
fn beside(text: &str, mark: usize, y: usize) -> Text {
    if mark + BESIDE + width(text) <= WIDTH - MARGIN {
        Text { x: mark + BESIDE, y, anchor: "start" }
    } else {
        Text { x: mark - BESIDE, y, anchor: "end" }
    }
}

/// It ends before the bar of the lane that it goes to.
fn arrow(svg: &mut String, from: usize, to: usize, y: usize) {
    let (end, back) = if to > from { (to - 10, to - 17) } else { (to + 10, to + 17) };
    let (above, below) = (y - 4, y + 4);
    add(svg, format_args!(r#"<path class="arrow" d="M{from} {y}H{back}"/>"#));
    add(svg, format_args!(r#"<path class="tip" d="M{end} {y}L{back} {above}V{below}z"/>"#));
}

fn mark(svg: &mut String, word: Word, x: usize, y: usize) {
    match word {
        Word::Crash => add(svg, format_args!(r#"<path class="crash" d="M{x} {y}m-6 -6l12 12m0 -12l-12 12"/>"#)),
        Word::Effect => add(svg, format_args!(r#"<path class="effect" d="M{x} {y}m0 -8l8 8l-8 8l-8 -8z"/>"#)),
        Word::Over => add(svg, format_args!(r#"<path class="arrow" d="M{x} {y}m-12 0h24"/>"#)),
        _ => add(svg, format_args!(r#"<circle class="dot" cx="{x}" cy="{y}" r="4"/>"#)),
    }
}

/// What the signs mean that this picture has.
fn legend(svg: &mut String, bars: &[Bar], timeline: &Timeline, y: usize) {
    let mut x = 14;
    let mut explain = |svg: &mut String, sign: &dyn Fn(&mut String, usize), means: &str| {
        sign(svg, x);
        add(svg, format_args!(r#"<text x="{}" y="{}">{means}</text>"#, x + BESIDE, y + 4));
        x += BESIDE + width(means) + 22;
    };
    for (class, means) in [("lease", "lease"), ("body", "the handler runs")] {
        if bars.iter().any(|bar| bar.class == class) {
            explain(svg, &|svg, x| bar(svg, class, x, y - 6, 12), means);
        }
    }
    for (word, means) in [(Word::Effect, "effect"), (Word::Crash, "crash")] {
        if timeline.rows.iter().any(|row| matches!(row.sign, Sign::In(shown, _) if shown == word)) {
            explain(svg, &|svg, x| mark(svg, word, x, y), means);
        }
    }
}

fn bar(svg: &mut String, class: &str, x: usize, y: usize, height: usize) {
    let width = if class == "lease" { 18 } else { 6 };
    let x = x - width / 2;
    add(svg, format_args!(r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#));
}

fn add(svg: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(svg, "{line}");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
