//! Keeping the memory of a process out of core dumps and other programs' hands.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Switches core dumps off, for good, and on Linux also keeps other programs of the same user from
/// attaching to the process or reading its memory.
///
/// For the beginning of a program that holds secrets. Memory that was swapped or hibernated is out
/// of its reach.
///
/// # Errors
///
/// If the system refuses.
pub fn switch_off() -> std::io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

/// Does what [`switch_off`] does, and leaves it to the log if that fails.
pub fn switch_off_or_warn() {
    if let Err(error) = switch_off() {
        tracing::warn!(%error, "cannot switch core dumps off");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getrlimit;

    use super::*;

    #[test]
    fn the_process_leaves_no_dump() {
        switch_off().unwrap();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{DumpableBehavior, dumpable_behavior};
            assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        }
        // Twice does no harm.
        switch_off().unwrap();
    }
}
