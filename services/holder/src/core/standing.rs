//! Whether a device, its session and its nonce may act now, by the holder's own tables.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::DeviceState;

use super::devices::Place;
use crate::error::Coded;

/// What the tables say, read in the transaction that will act on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Whether the nonce was new; it is spent by the transaction that asked.
    pub(crate) nonce_is_new: bool,
    /// Whether the session was ended.
    pub(crate) session_revoked: bool,
    /// The device on this holder's own list for this project and account.
    pub(crate) device: Place,
}

/// Says why a device may not act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StandingRefusal {
    #[error("this signed request was used before")]
    NonceReused,
    #[error("this device was taken off the account")]
    DeviceRevoked,
    #[error("this session was ended")]
    SessionRevoked,
    #[error("this holder does not know the device for this account")]
    DeviceUnknown,
    #[error("the device is not active yet")]
    DevicePending,
}

impl Coded for StandingRefusal {
    fn code(&self) -> Code {
        match self {
            Self::NonceReused => Code::NonceReused,
            Self::DeviceRevoked => Code::DeviceRevoked,
            Self::SessionRevoked => Code::SessionRevoked,
            Self::DeviceUnknown => Code::DeviceUnknown,
            Self::DevicePending => Code::DevicePending,
        }
    }
}

/// Proof that a [`Standing`] was good. Only [`Standing::check`] makes one.
#[derive(Debug)]
pub(crate) struct Good(());

impl Standing {
    /// Checks nonce, session and device, in this order.
    pub(crate) fn check(&self, now: u64) -> Result<Good, StandingRefusal> {
        if self.check_listed()?.is_active(now) {
            Ok(Good(()))
        } else {
            Err(StandingRefusal::DevicePending)
        }
    }

    /// Checks the same, but that the device may still be waiting: for what only asks whether the
    /// session stands and releases nothing.
    pub(crate) fn check_listed(&self) -> Result<DeviceState, StandingRefusal> {
        if !self.nonce_is_new {
            return Err(StandingRefusal::NonceReused);
        }
        if self.device == Place::Revoked {
            return Err(StandingRefusal::DeviceRevoked);
        }
        if self.session_revoked {
            return Err(StandingRefusal::SessionRevoked);
        }
        match self.device {
            Place::Listed(state) => Ok(state),
            Place::Unknown => Err(StandingRefusal::DeviceUnknown),
            Place::Revoked => Err(StandingRefusal::DeviceRevoked),
        }
    }

    /// Tells whether only the nonce speaks against it: the same request was taken before.
    pub(crate) fn was_confirmed(&self) -> bool {
        !self.nonce_is_new && !self.session_revoked && matches!(self.device, Place::Listed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Standing = Standing {
        nonce_is_new: true,
        session_revoked: false,
        device: Place::Listed(DeviceState::Active),
    };

    #[test]
    fn each_defect_is_named() {
        assert!(GOOD.check(0).is_ok());
        let refusal = |standing: Standing| standing.check(99).err();
        assert_eq!(
            refusal(Standing {
                nonce_is_new: false,
                ..GOOD
            }),
            Some(StandingRefusal::NonceReused)
        );
        assert_eq!(
            refusal(Standing {
                session_revoked: true,
                ..GOOD
            }),
            Some(StandingRefusal::SessionRevoked)
        );
        assert_eq!(
            refusal(Standing {
                device: Place::Unknown,
                ..GOOD
            }),
            Some(StandingRefusal::DeviceUnknown)
        );
        // Of two reasons the one that a new session does not mend.
        assert_eq!(
            refusal(Standing {
                session_revoked: true,
                device: Place::Revoked,
                ..GOOD
            }),
            Some(StandingRefusal::DeviceRevoked)
        );
    }

    #[test]
    fn a_pending_device_acts_from_its_second_on_and_not_one_earlier() {
        let pending = Standing {
            device: Place::Listed(DeviceState::Pending { active_at: 100 }),
            ..GOOD
        };
        assert_eq!(
            pending.check(99).err(),
            Some(StandingRefusal::DevicePending)
        );
        assert!(pending.check(100).is_ok());
    }
}
