//! The projects' policies: one JSON file each, read for each decision, so that an edit counts at once.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use keyfold_guard::{Policy, PolicyError, ValidPolicy};
use keyfold_protocol::ids::ProjectId;

/// Largest policy file, bytes.
const MAX_POLICY_BYTES: u64 = 1024 * 1024;

/// Says why a project's policy cannot be used, which refuses all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyFileError {
    #[error("the project has no policy")]
    Missing,
    #[error("cannot read {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is not a file")]
    NotAFile { path: PathBuf },
    #[error("others than the owner of {path} may write it (mode {mode:o}); chmod go-w it")]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("the file is larger than {MAX_POLICY_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Invalid(#[from] PolicyError),
}

/// Reads policies from a folder.
#[derive(Debug)]
pub(crate) struct Policies {
    folder: PathBuf,
}

impl Policies {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Reads a project's policy. Blocks.
    ///
    /// # Security
    ///
    /// Whoever can write the file, or put another in its place, decides for the guard.
    pub(crate) fn of(&self, project: &ProjectId) -> Result<ValidPolicy, PolicyFileError> {
        // A project id is a domain: it cannot leave the folder.
        let path = self.folder.join(format!("{project}.json"));
        let io = |source| PolicyFileError::Io {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => PolicyFileError::Missing,
            _ => io(source),
        })?;
        let is = file.metadata().map_err(io)?;
        if !is.is_file() {
            return Err(PolicyFileError::NotAFile { path });
        }
        only_owner_writes(&path, &is)?;
        let folder = std::fs::metadata(&self.folder).map_err(io)?;
        only_owner_writes(&self.folder, &folder)?;
        let mut text = Vec::new();
        file.take(MAX_POLICY_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(io)?;
        if text.len() as u64 > MAX_POLICY_BYTES {
            return Err(PolicyFileError::TooLarge);
        }
        let policy: Policy = serde_json::from_slice(&text)?;
        Ok(policy.try_into()?)
    }
}

fn only_owner_writes(path: &Path, is: &Metadata) -> Result<(), PolicyFileError> {
    let mode = is.mode() & 0o7777;
    if mode & 0o022 == 0 {
        return Ok(());
    }
    Err(PolicyFileError::TooOpen {
        path: path.to_owned(),
        mode,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, FileTimes, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Folder {
        dir: tempfile::TempDir,
        policies: Policies,
        project: ProjectId,
    }

    impl Folder {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let policies = Policies::new(dir.path().to_owned());
            let project = "app.example".parse().unwrap();
            Self {
                dir,
                policies,
                project,
            }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("app.example.json")
        }

        fn write(&self, revision: u32) {
            let text = format!(r#"{{"version":1,"revision":{revision},"chains":[]}}"#);
            fs::write(self.path(), text).unwrap();
            fs::set_permissions(self.path(), Permissions::from_mode(0o644)).unwrap();
        }

        fn read(&self) -> Result<u32, PolicyFileError> {
            let policy = self.policies.of(&self.project)?;
            Ok(policy.revision())
        }
    }

    #[test]
    fn an_edit_of_the_same_length_and_time_counts() {
        let folder = Folder::new();
        folder.write(1);
        let times = FileTimes::new().set_modified(
            fs::metadata(folder.path())
                .and_then(|is| is.modified())
                .unwrap(),
        );
        assert_eq!(folder.read().unwrap(), 1);
        folder.write(2);
        let file = File::options().write(true).open(folder.path()).unwrap();
        file.set_times(times).unwrap();
        assert_eq!(folder.read().unwrap(), 2);
    }

    #[test]
    fn what_others_can_write_is_not_read() {
        let folder = Folder::new();
        folder.write(1);
        let set = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        for mode in [0o664, 0o646, 0o602] {
            set(&folder.path(), mode);
            let refused = folder.read();
            assert!(
                matches!(refused, Err(PolicyFileError::TooOpen { mode: m, .. }) if m == mode),
                "{refused:?}"
            );
        }
        set(&folder.path(), 0o640);
        assert_eq!(folder.read().unwrap(), 1);
        for mode in [0o770, 0o1777] {
            set(folder.dir.path(), mode);
            assert!(matches!(
                folder.read(),
                Err(PolicyFileError::TooOpen { .. })
            ));
        }
    }

    #[test]
    fn what_is_missing_too_large_or_no_policy_is_told_apart() {
        let folder = Folder::new();
        assert!(matches!(folder.read(), Err(PolicyFileError::Missing)));
        folder.write(1);
        let mut text = fs::read(folder.path()).unwrap();
        text.resize(MAX_POLICY_BYTES as usize, b' ');
        fs::write(folder.path(), &text).unwrap();
        assert_eq!(folder.read().unwrap(), 1);
        text.push(b' ');
        fs::write(folder.path(), &text).unwrap();
        assert!(matches!(folder.read(), Err(PolicyFileError::TooLarge)));
        fs::write(folder.path(), "{}").unwrap();
        assert!(matches!(folder.read(), Err(PolicyFileError::Json(_))));
        fs::remove_file(folder.path()).unwrap();
        fs::create_dir(folder.path()).unwrap();
        assert!(matches!(
            folder.read(),
            Err(PolicyFileError::NotAFile { .. })
        ));
    }
}
