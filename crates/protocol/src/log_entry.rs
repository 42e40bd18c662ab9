//! What a key holder records, durably, before it acts.
//!
//! Each entry is the canonical encoding of one of these types, with the hash of the entry before
//! it implied by its place in the Merkle tree. Entries name accounts by their random ids and hold
//! no address, code, token or key.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_crypto::{Canonical, Encoder};

use crate::evidence::AccountRef;
use crate::holder_api::DeviceState;
use crate::ids::{
    AddressId, Digest32, InstanceId, KeyId, ProjectId, RealmId, RequestId, SessionId,
};
use crate::intent::Operation;
use crate::maintenance::{KeyShares, Sharing};

/// One thing that a holder did.
#[derive(Debug, Clone)]
pub struct LogEntry<'a> {
    /// The realm.
    pub realm: RealmId,
    /// Unix milliseconds, by the holder's clock.
    pub unix_ms: u64,
    /// The instance that asked.
    pub instance: InstanceId,
    /// What was done.
    pub event: Event<'a>,
}

/// What a holder did.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// Registered an instance, by the hash of its document.
    Registered {
        /// SHA-256 of the attestation document.
        document: Digest32,
    },
    /// Joined the realm.
    Genesis,
    /// Released its share of the realm seed.
    SeedReleased,
    /// Put a device on an account's list, or changed its state.
    Device {
        /// Whose.
        owner: &'a AccountRef,
        /// Thumbprint.
        device: Thumbprint,
        /// Whether it may act.
        state: DeviceState,
    },
    /// Stored shares of a new key.
    KeyStored {
        /// Whose.
        owner: &'a AccountRef,
        /// The key.
        key: KeyId,
        /// Its generation.
        generation: u32,
    },
    /// Handed shares of keys over, for new ones to be made under a warrant.
    KeysHandedOver {
        /// The warrant.
        warrant: Digest32,
        /// The shares.
        keys: &'a [KeyShares],
    },
    /// Stored new shares of keys under a warrant, beside those that it had.
    KeysTakenOver {
        /// The warrant.
        warrant: Digest32,
        /// The splittings that they belong to.
        keys: &'a [Sharing],
    },
    /// Let all shares of keys end but those of one splitting of each.
    KeysRetired {
        /// The splittings that are left.
        keys: &'a [Sharing],
    },
    /// Released a share of a key.
    Released {
        /// Whose.
        owner: &'a AccountRef,
        /// The device that asked.
        device: Thumbprint,
        /// The request.
        request: RequestId,
        /// What for.
        operation: Operation,
        /// The wallet.
        wallet: AddressId,
        /// The key.
        key: KeyId,
        /// Its generation.
        generation: u32,
        /// What is signed with it.
        digest: Digest32,
    },
    /// Took over an instance's statement of the keys that sign session attestations.
    KeysStated {
        /// SHA-256 of the JWK set as it is stored.
        keys: Digest32,
    },
    /// Ended a session.
    Revoked {
        /// Whose.
        owner: &'a AccountRef,
        /// The session.
        session: SessionId,
    },
    /// Bound an identity to an account, so that it vouches for devices.
    IdentityLinked {
        /// Whose.
        owner: &'a AccountRef,
        /// The enclaves' name for it.
        identity: Digest32,
        /// Unix seconds from which it counts.
        counts_from: u64,
    },
    /// Took an identity off an account.
    IdentityUnlinked {
        /// Whose.
        owner: &'a AccountRef,
        /// The enclaves' name for it.
        identity: Digest32,
    },
    /// Took devices off an account for good.
    DevicesRevoked {
        /// Whose.
        owner: &'a AccountRef,
        /// The device that asked.
        by: Thumbprint,
        /// Thumbprints, in ascending order; none where every other one was to go and there was none.
        devices: &'a [Thumbprint],
    },
    /// Heard that a project is about to be changed.
    ProjectChanged {
        /// Which.
        project: &'a ProjectId,
        /// The version that it is to have then.
        version: u64,
        /// The command, by the hash of what its administrators signed.
        command: Digest32,
    },
}

impl Canonical for LogEntry<'_> {
    const LABEL: &'static str = "keyfold/holder-log-entry/v1";

    fn encode(&self, out: &mut Encoder) {
        let sharings = |out: &mut Encoder, keys: &[Sharing]| {
            out.list(keys.len());
            for sharing in keys {
                out.str(sharing.owner.project.as_str());
                out.bytes(sharing.owner.account.as_bytes());
                out.bytes(sharing.key.as_bytes());
                out.u32(sharing.generation);
                out.bytes(&sharing.digest());
            }
        };
        let owner = |out: &mut Encoder, owner: &AccountRef| {
            out.str(owner.project.as_str());
            out.bytes(owner.account.as_bytes());
        };
        out.bytes(self.realm.as_bytes());
        out.u64(self.unix_ms);
        out.bytes(self.instance.as_bytes());
        match &self.event {
            Event::Registered { document } => {
                out.u8(1);
                out.bytes(document.as_bytes());
            }
            Event::Genesis => {
                out.u8(2);
            }
            Event::SeedReleased => {
                out.u8(3);
            }
            Event::Device {
                owner: whose,
                device,
                state,
            } => {
                out.u8(4);
                owner(out, whose);
                out.bytes(&device.0);
                match state {
                    DeviceState::Active => out.u8(1).u64(0),
                    DeviceState::Pending { active_at } => out.u8(2).u64(*active_at),
                };
            }
            Event::KeyStored {
                owner: whose,
                key,
                generation,
            } => {
                out.u8(5);
                owner(out, whose);
                out.bytes(key.as_bytes());
                out.u32(*generation);
            }
            Event::Released {
                owner: whose,
                device,
                request,
                operation,
                wallet,
                key,
                generation,
                digest,
            } => {
                out.u8(6);
                owner(out, whose);
                out.bytes(&device.0);
                out.bytes(request.as_bytes());
                out.str(operation.as_str());
                out.bytes(wallet.as_bytes());
                out.bytes(key.as_bytes());
                out.u32(*generation);
                out.bytes(digest.as_bytes());
            }
            Event::KeysHandedOver { warrant, keys } => {
                out.u8(14);
                out.bytes(warrant.as_bytes());
                out.list(keys.len());
                for shares in *keys {
                    owner(out, &shares.owner);
                    out.bytes(shares.key.as_bytes());
                    out.u32(shares.generation);
                }
            }
            Event::KeysTakenOver { warrant, keys } => {
                out.u8(15);
                out.bytes(warrant.as_bytes());
                sharings(out, keys);
            }
            Event::KeysRetired { keys } => {
                out.u8(16);
                sharings(out, keys);
            }
            Event::KeysStated { keys } => {
                out.u8(8);
                out.bytes(keys.as_bytes());
            }
            Event::Revoked {
                owner: whose,
                session,
            } => {
                out.u8(7);
                owner(out, whose);
                out.bytes(session.as_bytes());
            }
            Event::IdentityLinked {
                owner: whose,
                identity,
                counts_from,
            } => {
                out.u8(11);
                owner(out, whose);
                out.bytes(identity.as_bytes());
                out.u64(*counts_from);
            }
            Event::IdentityUnlinked {
                owner: whose,
                identity,
            } => {
                out.u8(12);
                owner(out, whose);
                out.bytes(identity.as_bytes());
            }
            Event::DevicesRevoked {
                owner: whose,
                by,
                devices,
            } => {
                out.u8(9);
                owner(out, whose);
                out.bytes(&by.0);
                out.u32(u32::try_from(devices.len()).unwrap_or(u32::MAX));
                for device in *devices {
                    out.bytes(&device.0);
                }
            }
            Event::ProjectChanged {
                project,
                version,
                command,
            } => {
                out.u8(13);
                out.str(project.as_str());
                out.u64(*version);
                out.bytes(command.as_bytes());
            }
        }
    }
}
