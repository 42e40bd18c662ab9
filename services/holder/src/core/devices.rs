//! What becomes of a device on an account's list.

use std::collections::BTreeSet;

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{DeviceAck, DeviceState, DeviceSync, MAX_ACK_AGE_SECONDS};
use keyfold_protocol::realm::{MAX_HOLDERS, VerifiedRealm};

use super::revocation::MAX_REVOKED;
use crate::error::Coded;

/// Most devices of one account.
pub(crate) const MAX_DEVICES: u64 = 32;

/// How long after every other device was taken off the statements of others bring nobody. Longer
/// than one counts that a holder made before it heard of it, with room for clocks. Seconds.
const SETTLING_SECONDS: u64 = MAX_ACK_AGE_SECONDS + 300;

/// Says why a device was not taken onto a list, or not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceRefusal {
    #[error("the account has as many devices that were let in or used as it may have")]
    TooMany,
    #[error("more devices were taken off the account than may be, so it gets no new one")]
    TooManyRevoked,
    #[error("the device was taken off the account")]
    Revoked,
    #[error("this holder does not know the device that is to be approved")]
    TargetUnknown,
    #[error("the statements are not about one and the same device")]
    Mixed,
    #[error("too few holders of the realm state that they know the device")]
    TooFewHolders,
}

impl Coded for DeviceRefusal {
    fn code(&self) -> Code {
        match self {
            Self::TooMany | Self::TooManyRevoked => Code::DeviceLimit,
            Self::Revoked => Code::DeviceRevoked,
            Self::TargetUnknown => Code::DeviceUnknown,
            Self::Mixed | Self::TooFewHolders => Code::EvidenceInvalid,
        }
    }
}

/// Where a device stands with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere.
    Unknown,
    /// On the list.
    Listed(DeviceState),
    /// It was taken off, for good.
    Revoked,
}

/// What the list says of a device and its account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListFacts {
    /// The device.
    pub(crate) device: Place,
    /// How many devices were taken off the account.
    pub(crate) revoked: u64,
    /// When every other device was taken off last, in Unix seconds.
    pub(crate) cleared: Option<u64>,
    /// How many devices the account has.
    pub(crate) count: u64,
    /// The oldest that nobody let in and that never acted: it signed in, and at most its waiting
    /// time ended.
    pub(crate) dispensable: Option<Thumbprint>,
}

impl ListFacts {
    /// Adds a device, where there is room or some can be made.
    ///
    /// # Security
    ///
    /// Whoever reads the person's mail can begin with any number of devices. They must not use the
    /// places up, and they must not push out a device that the person let in or uses.
    fn add(&self, state: DeviceState) -> Result<Change, DeviceRefusal> {
        if self.revoked >= MAX_REVOKED {
            return Err(DeviceRefusal::TooManyRevoked);
        }
        if self.count < MAX_DEVICES {
            return Ok(Change::Add(state));
        }
        let gone = self.dispensable.ok_or(DeviceRefusal::TooMany)?;
        Ok(Change::AddInsteadOf(gone, state))
    }

    /// Tells whether the device may act.
    pub(crate) fn is_active(&self, now: u64) -> bool {
        matches!(self.device, Place::Listed(state) if state.is_active(now))
    }

    /// Tells whether others may still have statements of theirs about devices that were taken off.
    fn settling(&self, now: u64) -> bool {
        self.cleared
            .is_some_and(|cleared| now < cleared.saturating_add(SETTLING_SECONDS))
    }
}

/// What is done to the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing; the device is known in this state.
    Keep(DeviceState),
    /// The device is added in this state.
    Add(DeviceState),
    /// The same, and this one goes.
    AddInsteadOf(Thumbprint, DeviceState),
    /// The device, already listed, gets this state.
    Set(DeviceState),
}

impl Change {
    /// Returns the state that the device has afterwards.
    pub(crate) fn state(self) -> DeviceState {
        match self {
            Self::Keep(state)
            | Self::Add(state)
            | Self::AddInsteadOf(_, state)
            | Self::Set(state) => state,
        }
    }
}

/// Decides a sign-in: a known device keeps its state, the first of an account is active at once,
/// every other one waits.
///
/// # Security
///
/// First is who is first here *and* in the account's record: a holder that missed the account has
/// an empty list too, and must not let a thief of a mailbox in at once. Whom it makes wait for
/// nothing, it lets in when t others say that they do. An account that a device was taken off had
/// one: nobody is its first again.
pub(crate) fn enrol(
    facts: &ListFacts,
    first_device: bool,
    now: u64,
    delay: u64,
) -> Result<Change, DeviceRefusal> {
    match facts.device {
        Place::Revoked => Err(DeviceRefusal::Revoked),
        Place::Listed(state) => Ok(Change::Keep(settled(state, now))),
        Place::Unknown if first_device && facts.count == 0 && facts.revoked == 0 => {
            Ok(Change::Add(DeviceState::Active))
        }
        Place::Unknown => facts.add(waiting(now, delay)),
    }
}

/// Decides a sign-in that something else vouches for, which this holder verified: the device is
/// active at once.
pub(crate) fn vouch(facts: &ListFacts) -> Result<Change, DeviceRefusal> {
    match facts.device {
        Place::Revoked => Err(DeviceRefusal::Revoked),
        Place::Unknown => facts.add(DeviceState::Active),
        Place::Listed(DeviceState::Active) => Ok(Change::Keep(DeviceState::Active)),
        Place::Listed(DeviceState::Pending { .. }) => Ok(Change::Set(DeviceState::Active)),
    }
}

/// Decides an approval by a device that is itself active.
pub(crate) fn approve(facts: &ListFacts) -> Result<Change, DeviceRefusal> {
    // One whose waiting time is over acts anyway; now it is also one that was let in.
    match facts.device {
        Place::Unknown => Err(DeviceRefusal::TargetUnknown),
        Place::Revoked => Err(DeviceRefusal::Revoked),
        Place::Listed(DeviceState::Active) => Ok(Change::Keep(DeviceState::Active)),
        Place::Listed(DeviceState::Pending { .. }) => Ok(Change::Set(DeviceState::Active)),
    }
}

/// Statements of at least t holders that a device is on their lists.
#[derive(Debug)]
pub(crate) struct VerifiedSync {
    /// Whose device.
    pub(crate) owner: AccountRef,
    /// Thumbprint of the key.
    pub(crate) device: Thumbprint,
    /// Whether t of them say that it is active.
    pub(crate) active: bool,
}

impl VerifiedSync {
    /// Verifies the statements of distinct holders about the key in the message.
    ///
    /// # Security
    ///
    /// Holders, not statements, are counted: the same holder twice is one. What was said too long
    /// ago counts for nothing, since it may not be so any more.
    pub(crate) fn verify(
        realm: &VerifiedRealm,
        message: &DeviceSync,
        now: u64,
    ) -> Result<Self, DeviceRefusal> {
        let first = message.acks.first().ok_or(DeviceRefusal::TooFewHolders)?;
        if message.acks.len() > MAX_HOLDERS {
            return Err(DeviceRefusal::Mixed);
        }
        let device = message.jwk.thumbprint();
        let same = |ack: &DeviceAck| ack.owner == first.owner && ack.device == device;
        if !message.acks.iter().all(same) {
            return Err(DeviceRefusal::Mixed);
        }
        let (mut known, mut active) = (BTreeSet::new(), BTreeSet::new());
        let good = |ack: &&DeviceAck| ack.is_fresh(now) && ack.verify(realm);
        for ack in message.acks.iter().filter(good) {
            known.insert(ack.holder);
            // A waiting time that others' clocks ended is not taken for an end here.
            if ack.state == DeviceState::Active {
                active.insert(ack.holder);
            }
        }
        let threshold = usize::from(realm.record().threshold);
        if known.len() < threshold {
            return Err(DeviceRefusal::TooFewHolders);
        }
        Ok(Self {
            owner: first.owner.clone(),
            device,
            active: active.len() >= threshold,
        })
    }

    /// Decides what the statements of t others do here: they can make a device active that t of
    /// them know as active; otherwise it waits by this holder's own clock.
    ///
    /// # Security
    ///
    /// Where every other device was taken off, those that this holder did not know may be among
    /// them, and statements of others from before may still be fresh: for a while they count for
    /// no more than a sign-in.
    pub(crate) fn apply(
        &self,
        facts: &ListFacts,
        now: u64,
        delay: u64,
    ) -> Result<Change, DeviceRefusal> {
        let active = self.active && !facts.settling(now);
        match facts.device {
            Place::Revoked => Err(DeviceRefusal::Revoked),
            Place::Listed(state) => Ok(match settled(state, now) {
                DeviceState::Pending { .. } if active => Change::Set(DeviceState::Active),
                state => Change::Keep(state),
            }),
            Place::Unknown if active => facts.add(DeviceState::Active),
            Place::Unknown => facts.add(waiting(now, delay)),
        }
    }
}

/// A waiting time that is over is no state of its own.
pub(crate) fn settled(state: DeviceState, now: u64) -> DeviceState {
    if state.is_active(now) {
        DeviceState::Active
    } else {
        state
    }
}

fn waiting(now: u64, delay: u64) -> DeviceState {
    settled(
        DeviceState::Pending {
            active_at: now.saturating_add(delay),
        },
        now,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;
    const DAY: u64 = 86_400;

    fn facts(device: Option<DeviceState>, count: u64) -> ListFacts {
        ListFacts {
            device: device.map_or(Place::Unknown, Place::Listed),
            revoked: 0,
            cleared: None,
            count,
            dispensable: None,
        }
    }

    #[test]
    fn only_the_first_device_of_an_empty_account_acts_at_once() {
        let pending = DeviceState::Pending {
            active_at: NOW + DAY,
        };
        assert_eq!(
            enrol(&facts(None, 0), true, NOW, DAY),
            Ok(Change::Add(DeviceState::Active))
        );
        for (count, first) in [(0, false), (1, false), (1, true)] {
            assert_eq!(
                enrol(&facts(None, count), first, NOW, DAY),
                Ok(Change::Add(pending))
            );
        }
        let mut left = facts(None, 0);
        left.revoked = 1;
        assert_eq!(enrol(&left, true, NOW, DAY), Ok(Change::Add(pending)));
        left.revoked = MAX_REVOKED;
        let refused = Err(DeviceRefusal::TooManyRevoked);
        assert_eq!(enrol(&left, true, NOW, DAY), refused);
        let mut full = facts(None, MAX_DEVICES);
        assert_eq!(enrol(&full, true, NOW, DAY), Err(DeviceRefusal::TooMany));
        full.dispensable = Some(Thumbprint([7; 32]));
        assert_eq!(
            enrol(&full, true, NOW, DAY),
            Ok(Change::AddInsteadOf(Thumbprint([7; 32]), pending))
        );
    }

    #[test]
    fn signing_in_again_does_not_shorten_or_restart_the_wait() {
        let pending = DeviceState::Pending { active_at: NOW + 5 };
        assert_eq!(
            enrol(&facts(Some(pending), 2), false, NOW, DAY),
            Ok(Change::Keep(pending))
        );
        assert_eq!(
            enrol(&facts(Some(pending), 2), false, NOW + 5, DAY),
            Ok(Change::Keep(DeviceState::Active))
        );
    }

    #[test]
    fn an_approval_reaches_listed_devices_only() {
        let pending = DeviceState::Pending {
            active_at: NOW + DAY,
        };
        assert_eq!(approve(&facts(None, 1)), Err(DeviceRefusal::TargetUnknown));
        assert_eq!(
            approve(&facts(Some(pending), 2)),
            Ok(Change::Set(DeviceState::Active))
        );
        let over = DeviceState::Pending { active_at: NOW };
        assert_eq!(
            approve(&facts(Some(over), 2)),
            Ok(Change::Set(DeviceState::Active))
        );
    }

    #[test]
    fn what_was_taken_off_does_not_come_back_by_any_way() {
        let mut gone = facts(None, 1);
        gone.device = Place::Revoked;
        let refused = Err(DeviceRefusal::Revoked);
        assert_eq!(enrol(&gone, false, NOW, DAY), refused);
        assert_eq!(approve(&gone), refused);
        for active in [false, true] {
            assert_eq!(known(active).apply(&gone, NOW, DAY), refused);
        }
    }

    #[test]
    fn statements_from_before_all_others_were_taken_off_bring_nobody_back() {
        let waits = DeviceState::Pending {
            active_at: NOW + DAY,
        };
        for device in [None, Some(waits)] {
            let mut cleared = facts(device, 1);
            cleared.cleared = Some(NOW - SETTLING_SECONDS + 1);
            let change = known(true).apply(&cleared, NOW, DAY).unwrap();
            assert_eq!(change.state(), waits);
            cleared.cleared = Some(NOW - SETTLING_SECONDS);
            let change = known(true).apply(&cleared, NOW, DAY).unwrap();
            assert_eq!(change.state(), DeviceState::Active);
        }
    }

    fn known(active: bool) -> VerifiedSync {
        VerifiedSync {
            owner: AccountRef {
                project: "app.example".parse().unwrap(),
                account: keyfold_protocol::ids::AccountId::from_bytes([1; 16]),
            },
            device: Thumbprint([7; 32]),
            active,
        }
    }
}
