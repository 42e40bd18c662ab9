//! A program that answers questions by JSON lines.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

/// For an answer, so that a test ends where a counterpart hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// For a program to end after its standard input did.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Why a counterpart did not do what a test asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CounterpartError {
    /// Its packages are not installed.
    #[error("{path} is missing; run tools/setup.sh tests (`make setup`) first")]
    Missing {
        /// What was looked for.
        path: PathBuf,
    },
    /// It cannot be started, or talked to.
    #[error("{name} cannot be talked to")]
    Io {
        /// Which program.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended by itself, or says nothing; why stands on standard error.
    #[error("{name} has ended or does not answer")]
    Silent {
        /// Which program.
        name: String,
    },
    /// Its answer cannot be read.
    #[error("{name} answered what cannot be read")]
    Answer {
        /// Which program.
        name: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// It says no, in its own words.
    #[error("{name} refused: {reason}")]
    Refused {
        /// Which program.
        name: String,
        /// Its words.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Certificate(#[from] rcgen::Error),
}

/// A running program of `tools/counterparts`.
///
/// It ends when this is dropped, and when the test's process ends, however that ends: its standard
/// input closes then.
#[derive(Debug)]
pub struct Program {
    name: String,
    pipes: Mutex<Pipes>,
}

#[derive(Debug)]
struct Pipes {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts a script and waits until it can be asked.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`].
    pub async fn start(script: &str) -> Result<Self, CounterpartError> {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tools", "counterparts"]
            .iter()
            .collect();
        let packages = folder.join("node_modules");
        if !packages.exists() {
            return Err(CounterpartError::Missing { path: packages });
        }
        let name = script.to_owned();
        let mut child = Command::new("node")
            .arg(folder.join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| CounterpartError::Io {
                name: name.clone(),
                source,
            })?;
        let silent = || CounterpartError::Silent { name: name.clone() };
        let questions = child.stdin.take().ok_or_else(silent)?;
        let output = child.stdout.take().ok_or_else(silent)?;
        let mut pipes = Pipes {
            child,
            questions,
            answers: BufReader::new(output).lines(),
        };
        pipes.read(&name).await?;
        Ok(Self {
            name,
            pipes: Mutex::new(pipes),
        })
    }

    /// Asks a question and waits for its answer. Questions of several tasks wait for each other.
    ///
    /// # Errors
    ///
    /// [`CounterpartError`]; [`CounterpartError::Refused`] where the program says no.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        ask: &str,
        mut arguments: Value,
    ) -> Result<T, CounterpartError> {
        if let Some(members) = arguments.as_object_mut() {
            members.insert("ask".to_owned(), ask.into());
        }
        let mut pipes = self.pipes.lock().await;
        let line = format!("{arguments}\n");
        let written = pipes.questions.write_all(line.as_bytes()).await;
        written.map_err(|source| CounterpartError::Io {
            name: self.name.clone(),
            source,
        })?;
        let mut said = pipes.read(&self.name).await?;
        if let Some(reason) = said.get("error").and_then(Value::as_str) {
            return Err(CounterpartError::Refused {
                name: self.name.clone(),
                reason: reason.to_owned(),
            });
        }
        let answer = said.get_mut("answer").map(Value::take).unwrap_or_default();
        serde_json::from_value(answer).map_err(|source| CounterpartError::Answer {
            name: self.name.clone(),
            source,
        })
    }

    /// Lets it end in order and waits for that; kills it where it does not.
    pub async fn stop(self) {
        let Pipes {
            mut child,
            questions,
            answers,
        } = self.pipes.into_inner();
        drop((questions, answers));
        if tokio::time::timeout(END_WITHIN, child.wait())
            .await
            .is_err()
        {
            let _ = child.kill().await;
        }
    }
}

impl Pipes {
    async fn read(&mut self, name: &str) -> Result<Value, CounterpartError> {
        let line = tokio::time::timeout(ANSWER_WITHIN, self.answers.next_line()).await;
        let Ok(Ok(Some(line))) = line else {
            return Err(CounterpartError::Silent {
                name: name.to_owned(),
            });
        };
        serde_json::from_str(&line).map_err(|source| CounterpartError::Answer {
            name: name.to_owned(),
            source,
        })
    }
}
