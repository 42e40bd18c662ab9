//! Steps with their times, for people and for scripts.

use std::future::Future;
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::system::SystemError;

/// One step that was done.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub milliseconds: u64,
}

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    People,
    /// Standard error; standard output is for the JSON object.
    Scripts,
    /// Nowhere.
    Silent,
}

/// Tells what happens, and remembers how long it took.
#[derive(Debug)]
pub struct Report {
    output: Output,
    steps: Vec<Step>,
}

impl Report {
    /// Begins a report.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            steps: Vec::new(),
        }
    }

    /// Does a step, and tells its name and time when it is done.
    ///
    /// # Errors
    ///
    /// What the step failed with.
    pub async fn step<T>(
        &mut self,
        name: &str,
        step: impl Future<Output = Result<T, SystemError>>,
    ) -> Result<T, SystemError> {
        let begun = Instant::now();
        let result = step.await?;
        self.done(name, begun.elapsed());
        Ok(result)
    }

    fn done(&mut self, name: &str, took: Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.line(&format!("{milliseconds:>7} ms  {name}"));
        self.steps.push(Step {
            name: name.to_owned(),
            milliseconds,
        });
    }

    /// Tells something that belongs to the step before.
    pub fn detail(&self, text: &str) {
        self.line(&format!("            {text}"));
    }

    /// Tells a line.
    pub fn line(&self, text: &str) {
        // Whoever closed the output does not wait for it.
        let _ = match self.output {
            Output::People => writeln!(std::io::stdout(), "{text}"),
            Output::Scripts => writeln!(std::io::stderr(), "{text}"),
            Output::Silent => Ok(()),
        };
    }

    /// Returns the steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}
