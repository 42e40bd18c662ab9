//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit on open descriptors to the hard one, and returns it; `None` is no limit.
///
/// The usual soft limit of 1024 exists for programs that call `select`, and is less than what
/// [`crate::ServeLimits`] lets strangers open: they would keep the process from opening its own
/// files. For a program's beginning, before it serves.
///
/// # Errors
///
/// If the system refuses; the limit is then what it was.
pub fn raise_limit() -> std::io::Result<Option<u64>> {
    let before = getrlimit(Resource::Nofile);
    if before.current != before.maximum {
        let current = before.maximum;
        setrlimit(Resource::Nofile, Rlimit { current, ..before })?;
    }
    Ok(before.maximum)
}

/// Does what [`raise_limit`] does, and leaves it to the log if that fails.
pub fn raise_limit_or_warn() {
    match raise_limit() {
        Ok(limit) => tracing::debug!(?limit, "descriptors"),
        Err(error) => tracing::warn!(%error, "cannot raise the limit on open descriptors"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        // Not by much: other tests may share the process.
        let lower = Rlimit {
            current: before.maximum.map_or(Some(65_536), |most| Some(most - 1)),
            ..before
        };
        setrlimit(Resource::Nofile, lower).unwrap();
        assert_eq!(raise_limit().unwrap(), before.maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
        // Twice does no harm.
        assert_eq!(raise_limit().unwrap(), before.maximum);
    }
}
