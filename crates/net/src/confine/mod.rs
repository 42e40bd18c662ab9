//! A process that gives up what it will not need: files, system calls, privileges, swap.
//!
//! Whoever takes over a service by a bug of it gets no more than the service could still do: no file
//! outside of its folders, no other program, no other process's memory. Nothing here is the first
//! line of defence; a kernel that cannot hold a measure is told of and not waited for.

#[cfg(target_os = "linux")]
mod linux;

use std::fmt;
use std::path::{Path, PathBuf};

/// What a process may touch from now on.
///
/// # Security
///
/// On Linux the kernel keeps most of this for each thread, and threads begun later inherit it: apply
/// it on the first thread, before a runtime has others.
#[derive(Debug, Clone, Default)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub struct Confinement {
    writes: Vec<PathBuf>,
    sockets: Vec<PathBuf>,
    reads: Vec<PathBuf>,
    resolves_names: bool,
}

/// One thing that can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// No program that it might start gets more rights than it has.
    NoNewPrivileges,
    /// No memory is written to swap.
    LockedMemory,
    /// Files outside of the named ones cannot be opened, nor outside processes signalled.
    Files,
    /// Root's rights are given up, but for those to lock memory, to listen on low ports, and to open
    /// others' files among the named ones.
    Capabilities,
    /// Starting programs, reading other processes and administering the machine are refused.
    SystemCalls,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNewPrivileges => "no new privileges",
            Self::LockedMemory => "locked memory",
            Self::Files => "files (Landlock)",
            Self::Capabilities => "capabilities dropped",
            Self::SystemCalls => "system calls (seccomp)",
        })
    }
}

/// What came of a [`Confinement`].
#[derive(Debug, Clone, Default)]
pub struct Confined {
    holds: Vec<Measure>,
    missing: Vec<(Measure, String)>,
}

impl Confinement {
    /// Begins with nothing but `/dev/null` and `/dev/urandom`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows everything in a folder, but starting programs from it.
    #[must_use]
    pub fn writes_beneath(mut self, folder: impl Into<PathBuf>) -> Self {
        self.writes.push(folder.into());
        self
    }

    /// Allows everything in the folder of a Unix socket, which is replaced at each start. The folder
    /// is made where it is missing, as it would be when the socket is bound.
    #[must_use]
    pub fn socket(mut self, socket: &Path) -> Self {
        let folder = socket.parent().filter(|path| *path != Path::new(""));
        self.sockets
            .push(folder.unwrap_or(Path::new(".")).to_owned());
        self
    }

    /// Allows reading a file, or all of a folder.
    #[must_use]
    pub fn reads(mut self, path: impl Into<PathBuf>) -> Self {
        self.reads.push(path.into());
        self
    }

    /// Allows reading what the system's resolver reads: its configuration and its modules.
    ///
    /// A rule is for the file that is there now. Where `/etc/resolv.conf` is itself replaced, and is
    /// no link into another folder, the process has to be started again.
    #[must_use]
    pub fn resolves_names(mut self) -> Self {
        self.resolves_names = true;
        self
    }

    /// Confines this thread and all that it begins, for good. Never fails as a whole.
    ///
    /// What is not there now (a path named above) cannot be opened later.
    pub fn apply(&self) -> Confined {
        #[cfg(target_os = "linux")]
        {
            for folder in &self.sockets {
                // Whoever binds the socket says what is wrong with it.
                let _ = std::fs::create_dir_all(folder);
            }
            linux::apply(self)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let missing = (Measure::Files, "only Linux is confined".to_owned());
            Confined {
                holds: Vec::new(),
                missing: vec![missing],
            }
        }
    }

    /// Does what [`Confinement::apply`] does, and logs what holds and what does not.
    pub fn apply_and_log(&self) -> Confined {
        let confined = self.apply();
        confined.log();
        confined
    }

    #[cfg(target_os = "linux")]
    fn all_reads(&self) -> Vec<PathBuf> {
        let mut reads = self.reads.clone();
        reads.push("/dev/urandom".into());
        if self.resolves_names {
            reads.extend(RESOLVER.iter().map(PathBuf::from));
            // A service that manages the file replaces it in its own folder.
            let managed = std::fs::canonicalize("/etc/resolv.conf").ok();
            let folder = managed.as_deref().and_then(Path::parent);
            if let Some(folder) = folder.filter(|folder| *folder != Path::new("/etc")) {
                reads.push(folder.to_owned());
            }
        }
        reads
    }
}

/// What a C library's resolver opens; modules are loaded from the library folders.
#[cfg(target_os = "linux")]
const RESOLVER: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
];

impl Confined {
    /// Returns what holds.
    pub fn holds(&self) -> &[Measure] {
        &self.holds
    }

    /// Returns what does not hold, and why.
    pub fn missing(&self) -> &[(Measure, String)] {
        &self.missing
    }

    /// Logs both, in one line; it is a warning where something is missing.
    pub fn log(&self) {
        let holds: Vec<_> = self.holds.iter().map(ToString::to_string).collect();
        let holds = holds.join(", ");
        let missing = self.missing.iter();
        let missing: Vec<_> = missing
            .map(|(what, why)| format!("{what}: {why}"))
            .collect();
        let missing = missing.join("; ");
        if missing.is_empty() {
            tracing::info!(holds, "the process is confined");
        } else {
            tracing::warn!(holds, missing, "the process is confined in part");
        }
    }

    #[cfg(target_os = "linux")]
    fn note(&mut self, measure: Measure, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.holds.push(measure),
            Err(why) => self.missing.push((measure, why)),
        }
    }
}
