//! What happened in each phase.

use std::{fmt, time::Duration};

/// How the requests of a phase went.
#[derive(Clone, Default)]
pub struct Tally {
    pub requests: usize,
    pub failures: Vec<String>,
    pub longest: Duration,
}

impl Tally {
    /// A line that a process has printed.
    pub fn add(&mut self, line: &str) {
        let (millis, outcome) = line.split_once(' ').unwrap_or(("0", line));
        self.requests += 1;
        self.longest = self.longest.max(Duration::from_millis(millis.parse().unwrap_or(0)));
        if outcome != "ok" {
            self.failures.push(outcome.to_owned());
        }
    }
}

pub struct Row {
    pub what: &'static str,
    pub tally: Tally,
    pub token_requests: usize,
    pub expected: usize,
}

impl Row {
    pub fn is_as_expected(&self) -> bool {
        self.tally.requests > 0
            && self.tally.failures.is_empty()
            && self.token_requests == self.expected
    }

    pub fn print_head() {
        println!(
            "{:<44}{:>10}{:>8}{:>10}{:>16}",
            "", "requests", "failed", "longest", "token requests"
        );
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { requests, failures, longest } = &self.tally;
        let (what, failed, millis) = (self.what, failures.len(), longest.as_millis());
        write!(f, "{what:<44}{requests:>10}{failed:>8}{millis:>7} ms{:>16}", self.token_requests)?;
        if let Some(failure) = failures.first() {
            write!(f, "  {failure}")?;
        }
        if self.token_requests != self.expected {
            write!(f, "  expected {}", self.expected)?;
        }
        Ok(())
    }
}
