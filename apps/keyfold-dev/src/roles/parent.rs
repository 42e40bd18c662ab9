//! Ending with the process that started this one, however that ended.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;

use keyfold_net::Shutdown;

use super::Outcome;

/// Makes a shutdown that also begins when standard input closes.
pub(super) fn also_with_stdin(signals: Shutdown) -> std::io::Result<Shutdown> {
    let (trigger, shutdown) = Shutdown::manual();
    let (closed, mut at_end) = tokio::sync::oneshot::channel::<()>();
    // A thread, because a runtime waits for its own blocking reads when it ends.
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            let mut rest = [0; 64];
            let mut input = std::io::stdin().lock();
            while matches!(input.read(&mut rest), Ok(1..)) {}
            drop(closed);
        })?;
    tokio::spawn(async move {
        tokio::select! {
            () = signals.wait() => {}
            _ = &mut at_end => {}
        }
        trigger.trigger();
    });
    Ok(shutdown)
}

/// Asks the system to end this process with its parent, then becomes the program.
pub(super) fn become_tied(command: &[String]) -> Outcome {
    let (program, arguments) = command.split_first().ok_or("name a program")?;
    #[cfg(target_os = "linux")]
    {
        let parent = rustix::process::getppid();
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        if rustix::process::getppid() != parent {
            return Err("the parent is gone".into());
        }
    }
    Err(std::process::Command::new(program)
        .args(arguments)
        .exec()
        .into())
}
