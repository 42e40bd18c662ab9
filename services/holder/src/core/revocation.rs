//! The end of devices.

use std::collections::BTreeSet;

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::intent::Intent;

use super::devices::Place;
use super::operation::EvidenceRefusal;
use super::standing::{Standing, StandingRefusal};
use crate::error::Coded;

/// Devices taken off one account, from which on it gets no new ones.
///
/// What stands here stays for good, so it must end somewhere. Who is active alone makes it grow.
pub(crate) const MAX_REVOKED: u64 = 1_024;
/// Devices taken off one account, from which on none is taken off that is not listed: a thief who
/// names keys that nobody has must not use up the room for the own one.
const MAX_REVOKED_UNLISTED: u64 = MAX_REVOKED / 2;

/// Says why a device was not taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RevocationRefusal {
    #[error(transparent)]
    Standing(#[from] StandingRefusal),
    #[error("this holder does not list the device, and has taken off more than it may unlisted")]
    TooMany,
}

impl Coded for RevocationRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Standing(standing) => standing.code(),
            Self::TooMany => Code::DeviceLimit,
        }
    }
}

/// Which devices are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// One, as the signed intent names it.
    One(Thumbprint),
    /// Every one but the one that asks: those on the list, and these.
    Others(BTreeSet<Thumbprint>),
}

impl Target {
    /// Reads what a signed intent asks for; `named` is the enclave's word.
    ///
    /// # Security
    ///
    /// The enclave adds names only where the device asked for the end of all: then it can take away
    /// more than the account has, and let nobody in by it.
    pub(crate) fn of(intent: &Intent, named: &[Thumbprint]) -> Result<Self, EvidenceRefusal> {
        match intent {
            Intent::RevokeDevice { device, .. } if named.is_empty() => Ok(Self::One(*device)),
            Intent::RevokeDevice { .. } => Err(EvidenceRefusal::WrongOperation),
            _ => Ok(Self::Others(named.iter().copied().collect())),
        }
    }

    /// The devices that are meant, where `listed` are on the list and `by` asks.
    pub(crate) fn devices(
        &self,
        listed: impl IntoIterator<Item = Thumbprint>,
        by: Thumbprint,
    ) -> BTreeSet<Thumbprint> {
        match self {
            Self::One(device) => BTreeSet::from([*device]),
            Self::Others(named) => {
                let everyone = listed.into_iter().chain(named.iter().copied());
                everyone.filter(|device| *device != by).collect()
            }
        }
    }
}

/// Decides whether devices go that are still there (`left`, with their places), of which `revoked`
/// went before. `false` where there is nothing to do.
///
/// A device that may act ends any; one that waits ends itself. What is done already is confirmed to
/// whoever shows its evidence, also again: the answer may have been lost, or it ended itself.
pub(crate) fn decide(
    standing: &Standing,
    target: &Target,
    by: Thumbprint,
    left: &[(Thumbprint, Place)],
    revoked: u64,
    now: u64,
) -> Result<bool, RevocationRefusal> {
    match target {
        Target::One(_) if left.is_empty() => return Ok(false),
        Target::One(device) if *device == by => {
            standing.check_listed()?;
        }
        Target::Others(_) if left.is_empty() && standing.was_confirmed() => return Ok(false),
        Target::One(_) | Target::Others(_) => {
            let _good = standing.check(now)?;
        }
    }
    let unlisted = left.iter().filter(|(_, place)| *place == Place::Unknown);
    let unlisted = u64::try_from(unlisted.count()).unwrap_or(u64::MAX);
    if unlisted > 0 && revoked.saturating_add(unlisted) > MAX_REVOKED_UNLISTED {
        return Err(RevocationRefusal::TooMany);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use keyfold_protocol::holder_api::DeviceState;

    use super::*;

    const BY: Thumbprint = Thumbprint([1; 32]);
    const OTHER: Thumbprint = Thumbprint([2; 32]);
    const ACTIVE: Place = Place::Listed(DeviceState::Active);
    const WAITS: Place = Place::Listed(DeviceState::Pending { active_at: 100 });

    fn standing(device: Place) -> Standing {
        Standing {
            nonce_is_new: true,
            session_revoked: false,
            device,
        }
    }

    #[test]
    fn one_that_waits_ends_itself_and_nobody_else() {
        let one = |target, by| {
            let left = [(target, ACTIVE)];
            decide(&standing(by), &Target::One(target), BY, &left, 0, 99)
        };
        assert_eq!(one(BY, WAITS), Ok(true));
        assert_eq!(one(OTHER, ACTIVE), Ok(true));
        let pending = RevocationRefusal::Standing(StandingRefusal::DevicePending);
        assert_eq!(one(OTHER, WAITS), Err(pending));
        let others = Target::Others(BTreeSet::new());
        let left = [(OTHER, ACTIVE)];
        let decided = decide(&standing(WAITS), &others, BY, &left, 0, 99);
        assert_eq!(decided, Err(pending));
    }

    #[test]
    fn what_was_taken_off_takes_nothing_off() {
        let gone = RevocationRefusal::Standing(StandingRefusal::DeviceRevoked);
        let left = [(OTHER, ACTIVE)];
        for target in [Target::One(OTHER), Target::Others(BTreeSet::from([OTHER]))] {
            let decided = decide(&standing(Place::Revoked), &target, BY, &left, 0, 0);
            assert_eq!(decided, Err(gone));
        }
        // Its own end is told it again.
        let own = Target::One(BY);
        assert_eq!(
            decide(&standing(Place::Revoked), &own, BY, &[], 1, 0),
            Ok(false)
        );
    }

    #[test]
    fn keys_that_nobody_has_leave_room_for_those_that_are_listed() {
        let standing = standing(ACTIVE);
        let one = |place, revoked| {
            let left = [(OTHER, place)];
            decide(&standing, &Target::One(OTHER), BY, &left, revoked, 0)
        };
        assert_eq!(one(Place::Unknown, MAX_REVOKED_UNLISTED - 1), Ok(true));
        let full = Err(RevocationRefusal::TooMany);
        assert_eq!(one(Place::Unknown, MAX_REVOKED_UNLISTED), full);
        assert_eq!(one(ACTIVE, MAX_REVOKED), Ok(true));
    }

    #[test]
    fn every_other_one_is_the_list_and_what_is_named_without_the_one_that_asks() {
        let named = Target::Others(BTreeSet::from([Thumbprint([3; 32]), BY]));
        let devices = named.devices([BY, OTHER], BY);
        assert_eq!(devices, BTreeSet::from([OTHER, Thumbprint([3; 32])]));
    }
}
