//! The text of a timeline.
//!
//! ```text
//! title: A crash
//! text: What is seen, for who can't see it. Lines of it are joined.
//! lanes: Worker, Store
//!
//! 0 s    Worker -> Store: claim
//!        runs Worker
//! 1 s    crash Worker: killed
//! ```
//!
//! A line of the lower part begins with a time or with blanks. `A -> B: text` is a message. `WORD LANE: text` is what happens
//! in one lane: [`Word`] has them. Without a text it happens at the line before, and takes no room.

/// A picture.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) lanes: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One line of the picture.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) time: String,
    pub(crate) text: String,
    pub(crate) sign: Sign,
    /// What happens at this moment besides.
    pub(crate) besides: Vec<(Word, usize)>,
}

/// What a row shows. Lanes are counted from the left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sign {
    Message { from: usize, to: usize },
    In(Word, usize),
}

/// What can happen in a lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Word {
    /// A lease begins.
    Lease,
    /// A lease ends by time.
    Over,
    /// A body begins.
    Runs,
    /// A body and its lease end.
    Ends,
    /// A body ends, and its lease doesn't.
    Crash,
    /// A body stands still.
    Pause,
    /// A body goes on.
    Resume,
    /// The body does what can't be undone.
    Effect,
    /// Anything else.
    Note,
}

/// The longest text of a row, in characters: what a line of the picture has room for.
const LONGEST: usize = 40;

impl Word {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "lease" => Self::Lease,
            "over" => Self::Over,
            "runs" => Self::Runs,
            "ends" => Self::Ends,
            "crash" => Self::Crash,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "effect" => Self::Effect,
            "note" => Self::Note,
            _ => return None,
        })
    }
}

impl Timeline {
    /// Reads a text; the error names the line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut timeline = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            timeline.read(line).map_err(|error| format!("line {number}: {error}: {line}"))?;
        }
        timeline.text = timeline.text.trim_end().to_owned();
        Ok(timeline)
    }

    fn read(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
        } else if let Some(title) = line.strip_prefix("title: ") {
            self.title = title.to_owned();
        } else if let Some(text) = line.strip_prefix("text: ") {
            self.text += &format!("{text} ");
        } else if let Some(lanes) = line.strip_prefix("lanes: ") {
            self.lanes = lanes.split(", ").map(str::to_owned).collect();
        } else {
            let (time, event) = line.split_once("  ").ok_or("two blanks stand between the time and the event")?;
            self.event(time, event.trim())?;
        }
        Ok(())
    }

    fn event(&mut self, time: &str, event: &str) -> Result<(), String> {
        let (what, text) = event.split_once(": ").unwrap_or((event, ""));
        if text.chars().count() > LONGEST {
            return Err(format!("a text has at most {LONGEST} characters"));
        }
        let sign = match what.split_once(" -> ") {
            Some((from, to)) => Sign::Message { from: self.lane(from)?, to: self.lane(to)? },
            None => {
                let (word, lane) = what.split_once(' ').ok_or("no lane")?;
                Sign::In(Word::parse(word).ok_or("no such word")?, self.lane(lane)?)
            }
        };
        match (sign, self.rows.last_mut()) {
            (Sign::In(word, lane), Some(row)) if text.is_empty() => row.besides.push((word, lane)),
            _ if text.is_empty() => return Err("no text".to_owned()),
            _ => self.rows.push(Row { time: time.to_owned(), text: text.to_owned(), sign, besides: Vec::new() }),
        }
        Ok(())
    }

    fn lane(&self, name: &str) -> Result<usize, String> {
        self.lanes.iter().position(|lane| lane == name).ok_or(format!("no lane `{name}`"))
    }
}

#[test]
fn a_text_is_read_line_by_line() {
    let text =
        "title: T\ntext: One.\ntext: Two.\nlanes: A, B c\n\n0 s  A -> B c: hello\n     runs A\n9 s  crash A: dead\n";
    let timeline = Timeline::parse(text).unwrap();
    assert_eq!((timeline.title.as_str(), timeline.text.as_str()), ("T", "One. Two."));
    assert_eq!(timeline.rows.len(), 2);
    assert_eq!(timeline.rows[0].sign, Sign::Message { from: 0, to: 1 });
    assert_eq!(timeline.rows[0].besides, [(Word::Runs, 0)]);
    assert_eq!((timeline.rows[1].time.as_str(), timeline.rows[1].sign), ("9 s", Sign::In(Word::Crash, 0)));
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let told = |line: &str| Timeline::parse(&format!("lanes: A, B\n{line}\n")).unwrap_err();
    assert_eq!(told("0 s A -> B: hello"), "line 2: two blanks stand between the time and the event: 0 s A -> B: hello");
    assert_eq!(told("  A -> C: hello"), "line 2: no lane `C`:   A -> C: hello");
    assert_eq!(told("  jumps A: high"), "line 2: no such word:   jumps A: high");
    assert_eq!(told("  A -> B"), "line 2: no text:   A -> B");
    assert!(told(&format!("  A -> B: {}", "x".repeat(41))).contains("at most 40 characters"));
}
