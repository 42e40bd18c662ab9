//! One process of the system: started, waited for, stopped, killed, always on the same data.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex as SyncMutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::system::SystemError;

/// For a process to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// For a process to end after it was asked to, before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Lines of a log that an error shows.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 16 * 1024;

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// A line of standard output with this text says that it is ready.
    pub(crate) ready: &'static str,
    /// Asks it to end.
    pub(crate) end_with: Signal,
    pub(crate) log: PathBuf,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Copies standard output to the log.
    drain: JoinHandle<()>,
}

/// A process that can be started and ended at any moment.
///
/// It ends with the process that started it: its standard input closes then, which every role
/// watches, and what does not is started under a parent-death signal.
#[derive(Debug)]
pub struct Process {
    spec: Spec,
    running: Mutex<Option<Running>>,
    /// The pid, for signals that must not wait for a start under way.
    pid: SyncMutex<Option<Pid>>,
}

impl Process {
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            spec,
            running: Mutex::new(None),
            pid: SyncMutex::new(None),
        }
    }

    /// Returns what people call it.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Returns the file with everything it printed, over all its runs.
    pub fn log(&self) -> &Path {
        &self.spec.log
    }

    /// Returns its process id while it runs.
    pub fn id(&self) -> Option<i32> {
        let pid = self.pid.lock();
        let pid = *pid.unwrap_or_else(std::sync::PoisonError::into_inner);
        pid.map(|pid| pid.as_raw_nonzero().get())
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// [`SystemError`], with its last log lines.
    pub async fn start(&self) -> Result<(), SystemError> {
        let mut running = self.running.lock().await;
        if let Some(before) = running.as_mut()
            && matches!(before.child.try_wait(), Ok(None))
        {
            return Err(SystemError::Running {
                name: self.spec.name.clone(),
            });
        }
        let (mut child, log) = self.spawn()?;
        self.set_pid(child.id());
        let lines = child.stdout.take().map(|out| BufReader::new(out).lines());
        let Some(lines) = lines else {
            return Err(SystemError::Step {
                what: format!("start {}", self.spec.name),
                problem: "its standard output is gone".to_owned(),
            });
        };
        let waited = tokio::time::timeout(READY_WITHIN, self.until_ready(lines, log)).await;
        match waited {
            Ok(Some((lines, log))) => {
                let drain = tokio::spawn(copy(lines, log));
                *running = Some(Running { child, drain });
                Ok(())
            }
            // Its output ended: so does it.
            Ok(None) => {
                let _ = child.start_kill();
                let status = child.wait().await;
                self.set_pid(None);
                Err(SystemError::Ended {
                    name: self.spec.name.clone(),
                    status: status.map_or_else(|error| error.to_string(), |s| s.to_string()),
                    tail: self.tail(),
                    log: self.spec.log.clone(),
                })
            }
            Err(_elapsed) => {
                let _ = child.kill().await;
                self.set_pid(None);
                Err(SystemError::NotReady {
                    name: self.spec.name.clone(),
                    seconds: READY_WITHIN.as_secs(),
                    tail: self.tail(),
                    log: self.spec.log.clone(),
                })
            }
        }
    }

    fn spawn(&self) -> Result<(Child, File), SystemError> {
        let spec = &self.spec;
        let open = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&spec.log)
                .map_err(SystemError::io(format!("write {}", spec.log.display())))
        };
        let (log, errors) = (open()?, open()?);
        let child = Command::new(&spec.program)
            .args(&spec.arguments)
            .envs(spec.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            // Ctrl-C in a terminal reaches this process alone, which ends the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| SystemError::Spawn {
                name: spec.name.clone(),
                program: spec.program.clone(),
                source,
            })?;
        Ok((child, log))
    }

    async fn until_ready(
        &self,
        mut lines: Lines<BufReader<ChildStdout>>,
        mut log: File,
    ) -> Option<(Lines<BufReader<ChildStdout>>, File)> {
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = writeln!(log, "{line}");
            if line.contains(self.spec.ready) {
                return Some((lines, log));
            }
        }
        None
    }

    /// Asks it to end, waits, and kills it where it does not.
    pub async fn stop(&self) {
        if let Some(mut running) = self.running.lock().await.take() {
            // A paused process would not notice.
            self.signal(Signal::CONT);
            self.signal(self.spec.end_with);
            drop(running.child.stdin.take());
            if tokio::time::timeout(END_WITHIN, running.child.wait())
                .await
                .is_err()
            {
                tracing::warn!(name = self.name(), "did not end when asked; killed");
                let _ = running.child.kill().await;
            }
            self.set_pid(None);
            let _ = running.drain.await;
        }
    }

    /// Kills it, as a power failure of its machine would.
    pub async fn kill(&self) {
        // Before the lock: whoever waits for its readiness learns of its end.
        self.signal(Signal::KILL);
        if let Some(mut running) = self.running.lock().await.take() {
            let _ = running.child.kill().await;
            self.set_pid(None);
            let _ = running.drain.await;
        }
    }

    /// Kills it where it runs and starts it again.
    ///
    /// # Errors
    ///
    /// [`SystemError`].
    pub async fn restart(&self) -> Result<(), SystemError> {
        self.kill().await;
        self.start().await
    }

    /// Stops its time: it accepts connections and answers nothing.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Process::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Tells whether it runs.
    pub async fn is_running(&self) -> bool {
        match self.running.lock().await.as_mut() {
            Some(running) => {
                let runs = matches!(running.child.try_wait(), Ok(None));
                if !runs {
                    // Its number may soon be another's.
                    self.set_pid(None);
                }
                runs
            }
            None => false,
        }
    }

    /// Returns the pid, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let pid = *self
            .pid
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    /// Returns the last lines of its log.
    pub fn tail(&self) -> String {
        tail(&self.spec.log)
    }

    fn set_pid(&self, pid: Option<u32>) {
        let pid = pid
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        *self
            .pid
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = pid;
    }

    fn signal(&self, signal: Signal) {
        // The pid is forgotten before the process is waited for elsewhere, so it is still ours.
        let pid = self
            .pid
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pid) = *pid {
            let _ = kill_process(pid, signal);
        }
    }
}

async fn copy(mut lines: Lines<BufReader<ChildStdout>>, mut log: File) {
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = writeln!(log, "{line}");
    }
}

/// Reads the end of a file that may be large.
fn tail(path: &Path) -> String {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let mut last = VecDeque::new();
    for line in text.lines() {
        if last.len() == TAIL_LINES {
            last.pop_front();
        }
        last.push_back(format!("  {line}"));
    }
    Vec::from(last).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str) -> Process {
        Process::new(Spec {
            name: "shell".to_owned(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: Vec::new(),
            ready: "ready",
            end_with: Signal::TERM,
            log: folder.join("shell.log"),
        })
    }

    #[tokio::test]
    async fn a_process_is_ready_when_it_says_so_and_can_be_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let process = shell(dir.path(), "echo first; echo ready; exec cat");
        process.start().await.unwrap();
        assert!(process.is_running().await);
        assert!(matches!(
            process.start().await,
            Err(SystemError::Running { .. })
        ));
        process.kill().await;
        assert!(!process.is_running().await);
        process.restart().await.unwrap();
        process.stop().await;
        assert!(!process.is_running().await && process.pid().is_none());
    }

    #[tokio::test]
    async fn an_error_names_the_process_and_shows_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let process = shell(dir.path(), "echo out; echo the disk is full >&2; exit 3");
        let error = process.start().await.unwrap_err().to_string();
        assert!(error.contains("shell ended"), "{error}");
        assert!(error.contains("the disk is full"), "{error}");
    }

    #[tokio::test]
    async fn what_ignores_the_signal_and_its_closed_input_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let process = shell(
            dir.path(),
            "trap '' TERM; echo ready; while :; do sleep 1; done",
        );
        process.start().await.unwrap();
        process.stop().await;
        assert!(!process.is_running().await);
    }
}
