//! The release of a share: the whole order of checks, in types that cannot be taken out of order.
//!
//! ```text
//! Evidence ─verify→ Requested ─admit→ Admitted ─record→ Durable<Admitted> ─seal→ Released
//!            pure         in one transaction    with its entry         to the instance
//! ```
//!
//! [`Requested`] needs a [`Member`]: an instance whose attestation document, registration and
//! signature over this very call were verified. [`Admitted`] needs the holder's own tables.
//! A [`Durable`] one is made only by the ledger, of the very release whose own entry it wrote, after
//! that entry, the nonce and the checkpoint over them are on disk. Only that can seal a share.

use keyfold_crypto::commitment::{CommittedShare, ShareContext, SharePurpose};
use keyfold_crypto::{Canonical as _, hpke};
use keyfold_protocol::anchor::Anchor;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{
    ReleaseAad, Released, SealDirection, SealedShare, ShareRelease, ShareSeal, key_share_context,
    seed_share_context,
};
use keyfold_protocol::ids::{Digest32, RequestId};
use keyfold_protocol::intent::{KeyUse, Operation};
use keyfold_protocol::log_entry::Event;
use rand_core::CryptoRng;

use super::operation::{EvidenceRefusal, Rules, SessionOperation};
use super::standing::{Standing, StandingRefusal};
use super::window::Window;
use crate::error::{ApiError, Coded};
use crate::ledger::{Durable, Logged};
use crate::member::Member;

/// The operations for which a leaf key's share leaves the holder.
const OPERATIONS: &[Operation] = &[
    Operation::SignTransaction,
    Operation::SignMessage,
    Operation::UpdateConfig,
];
/// Seconds over which releases are counted.
const WINDOW_SECONDS: u64 = 60;

/// What the tables say of the key that is asked for.
#[derive(Debug, Clone)]
pub(crate) enum KeyFacts {
    /// There is no such key.
    Unknown,
    /// There is, and it belongs to somebody else.
    Foreign,
    /// It belongs to the account and project that ask.
    Owned {
        /// Its releases so far.
        window: Window,
    },
}

/// Says why a share was not released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReleaseRefusal {
    #[error(transparent)]
    Standing(#[from] StandingRefusal),
    #[error("there is no such key")]
    KeyUnknown,
    #[error("the key does not belong to this account")]
    ForeignKey,
    #[error("the key has no share of that generation and commitment")]
    OtherSharing,
    #[error("the key was used too often within a minute")]
    LimitReached,
}

impl Coded for ReleaseRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Standing(standing) => standing.code(),
            Self::KeyUnknown | Self::OtherSharing => Code::KeyUnknown,
            Self::ForeignKey => Code::OwnershipMismatch,
            Self::LimitReached => Code::ReleaseLimit,
        }
    }
}

/// A release that a device of the account really asked for. The tables were not asked yet.
#[derive(Debug)]
pub(crate) struct Requested {
    operation: SessionOperation,
    key_use: KeyUse,
    generation: u32,
}

impl Requested {
    /// Verifies the evidence, and that the signed intent uses a key.
    pub(crate) fn verify(
        member: &Member,
        message: &ShareRelease,
        rules: &Rules<'_>,
    ) -> Result<Self, EvidenceRefusal> {
        let operation = SessionOperation::verify(member, &message.evidence, OPERATIONS, rules)?;
        let key_use = *operation
            .intent()
            .key_use()
            .ok_or(EvidenceRefusal::WrongOperation)?;
        Ok(Self {
            operation,
            key_use,
            generation: message.generation,
        })
    }

    pub(crate) fn operation(&self) -> &SessionOperation {
        &self.operation
    }

    pub(crate) fn key_use(&self) -> &KeyUse {
        &self.key_use
    }

    /// Decides by the holder's own tables: nonce, session, device, key, limit. Which of its shares it
    /// has for the generation and commitment that are asked for is the store's to find: while new
    /// ones are made there are two generations, and only the account's record knows which counts.
    pub(crate) fn admit(
        self,
        standing: &Standing,
        key: &KeyFacts,
        now: u64,
        limit_per_minute: u32,
    ) -> Result<Admitted, ReleaseRefusal> {
        let _good = standing.check(now)?;
        let window = match key {
            KeyFacts::Unknown => return Err(ReleaseRefusal::KeyUnknown),
            KeyFacts::Foreign => return Err(ReleaseRefusal::ForeignKey),
            KeyFacts::Owned { window } => *window,
        };
        let window = window
            .count_one(now, WINDOW_SECONDS, limit_per_minute)
            .ok_or(ReleaseRefusal::LimitReached)?;
        Ok(Admitted {
            requested: self,
            window,
        })
    }
}

/// A release that was decided. It is worth nothing until it is [`Durable`].
#[derive(Debug)]
pub(crate) struct Admitted {
    requested: Requested,
    window: Window,
}

impl Admitted {
    /// Returns the count to be stored.
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    pub(crate) fn operation(&self) -> &SessionOperation {
        &self.requested.operation
    }

    pub(crate) fn key_use(&self) -> &KeyUse {
        &self.requested.key_use
    }

    pub(crate) fn generation(&self) -> u32 {
        self.requested.generation
    }

    fn owner(&self) -> &AccountRef {
        self.operation().owner()
    }

    fn request_id(&self) -> RequestId {
        self.operation().intent().request_id()
    }
}

impl Logged for Admitted {
    fn event(&self) -> Event<'_> {
        Event::Released {
            owner: self.owner(),
            device: self.operation().device(),
            request: self.request_id(),
            operation: self.operation().intent().operation(),
            wallet: self.key_use().wallet,
            key: self.key_use().key,
            generation: self.generation(),
            digest: self.key_use().digest,
        }
    }
}

impl Durable<Admitted> {
    /// Seals the share to the instance that asked, for the request at hand.
    ///
    /// # Security
    ///
    /// The share is the plaintext; it is wiped when this returns.
    pub(crate) fn seal(
        self,
        member: &Member,
        share: &CommittedShare,
        anchor: Option<Anchor>,
        rng: &mut impl CryptoRng,
    ) -> Result<Released, ApiError> {
        let admitted = self.value();
        let context = key_share_context(
            member.realm().id(),
            admitted.owner(),
            admitted.key_use().key,
            SharePurpose::LeafKey,
            member.index(),
            admitted.generation(),
        );
        let aad = ReleaseAad {
            request: admitted.request_id(),
            digest: admitted.key_use().digest,
        };
        let sealed = seal_share(member, share, &context, &aad, rng)?;
        Ok(Released {
            share: sealed,
            anchor,
            entry: self.position(),
        })
    }
}

/// The release of the holder's share of the realm seed to an instance of the realm.
#[derive(Debug)]
pub(crate) struct SeedRelease;

impl Logged for SeedRelease {
    fn event(&self) -> Event<'_> {
        Event::SeedReleased
    }
}

impl Durable<SeedRelease> {
    /// Seals the share to the instance that asked.
    ///
    /// # Security
    ///
    /// As [`Durable<Admitted>::seal`].
    pub(crate) fn seal(
        self,
        member: &Member,
        share: &CommittedShare,
        rng: &mut impl CryptoRng,
    ) -> Result<Released, ApiError> {
        let context = seed_share_context(&member.realm().record().genesis_nonce, member.index());
        // No device asks for the seed: request and digest are zeros.
        let aad = ReleaseAad {
            request: RequestId::from_bytes([0; 16]),
            digest: Digest32::from_bytes([0; 32]),
        };
        Ok(Released {
            share: seal_share(member, share, &context, &aad, rng)?,
            anchor: None,
            entry: self.position(),
        })
    }
}

fn seal_share(
    member: &Member,
    share: &CommittedShare,
    context: &ShareContext,
    aad: &ReleaseAad,
    rng: &mut impl CryptoRng,
) -> Result<SealedShare, ApiError> {
    let info = ShareSeal {
        direction: SealDirection::ToInstance,
        instance: member.instance().id,
        context,
    };
    let sealed = share.to_bytes().expose(|bytes| {
        let (info, aad) = (info.to_signed_bytes(), aad.to_signed_bytes());
        hpke::seal(&member.instance().hpke_key, &info, &aad, bytes, rng)
    });
    sealed
        .map(SealedShare)
        .map_err(|_| ApiError::Broken("a share cannot be sealed to a registered instance"))
}
