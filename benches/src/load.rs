//! Operations by concurrent callers, and how many of them there were a second.

use std::future::Future;
use std::time::Instant;

use crate::rounds::median;

/// How often everything is measured, in turns.
pub const ROUNDS: usize = 5;

/// The key of a number: 24 bytes.
pub fn id(number: usize) -> String {
    format!("order-{number:018}")
}

/// `count` operations by `callers` tasks, as operations a second.
pub async fn rate<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    count: usize,
    operation: impl Fn(usize) -> F + Clone + Send + 'static,
) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let operation = operation.clone();
            tokio::spawn(async move {
                for nth in 0..count / callers {
                    operation(nth * callers + caller).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (count / callers * callers) as f64 / begun.elapsed().as_secs_f64()
}

/// What was measured, by name, in the order in which it came.
#[derive(Default)]
pub struct Rates(Vec<(&'static str, Vec<f64>)>);

impl Rates {
    /// One more round of this.
    pub fn note(&mut self, name: &'static str, rate: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rates)) => rates.push(rate),
            None => self.0.push((name, vec![rate])),
        }
    }

    /// The median of its rounds.
    pub fn of(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, rates)| median(rates.clone()))
    }

    /// As a table.
    pub fn print(&self, title: &str) {
        println!("\n## {title}: medians of {ROUNDS} rounds, operations a second\n\n| | a second |\n|---|---|");
        for (name, rates) in &self.0 {
            println!("| {name} | {:.0} |", median(rates.clone()));
        }
    }
}

/// One line of a table of targets: `reach` in times of something else.
pub fn target(name: &str, reach: &str, measured: f64) {
    println!("| {name} | {reach} | {measured:.2} |");
}
