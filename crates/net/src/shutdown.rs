//! Ending in order: a signal that many tasks can wait for.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells tasks that the process is to end. Clones share it.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Starts the shutdown. Dropping it starts it too, so that a lost trigger does not keep servers
/// alive.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl Shutdown {
    /// Makes a shutdown that the caller triggers.
    pub fn manual() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Makes a shutdown that SIGTERM, SIGINT or SIGHUP (a terminal that is closed) triggers.
    ///
    /// # Errors
    ///
    /// If the signal handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let mut hup = signal(SignalKind::hangup())?;
        let (trigger, shutdown) = Self::manual();
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                _ = hup.recv() => {}
            }
            trigger.trigger();
        });
        Ok(shutdown)
    }

    /// Waits until the shutdown is triggered.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        // An error means that the trigger is gone, which counts as triggered.
        let _ = receiver.wait_for(|triggered| *triggered).await;
    }

    /// Tells whether the shutdown was triggered.
    pub fn is_triggered(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownTrigger {
    /// Starts the shutdown.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}
