//! Sign-ins that were begun here and wait for their proof. They live and die with the instance.

use std::sync::Mutex;

use keyfold_identity::PendingSignIns;
use keyfold_identity::pending::Limits;

/// What waits.
pub(crate) struct Waiting {
    /// For a mailed code.
    pub(crate) codes: Mutex<PendingSignIns>,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Self {
            codes: Mutex::new(PendingSignIns::new(Limits::default())),
        }
    }
}
