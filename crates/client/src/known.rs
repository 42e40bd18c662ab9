//! What a device knows of its accounts for longer than a session lasts.
//!
//! Without it every sign-in would believe whatever address it is told. So a program stores
//! [`KnownWallets`] beside the session, and keeps it when the session ends.

use alloy_primitives::Address;
use keyfold_crypto::Encoder;
use keyfold_protocol::ids::{AccountId, Digest32, ProjectId, RealmId};
use serde::{Deserialize, Serialize};

use crate::wallet::{Wallet, WalletRefused};

/// Most wallets of one account that are remembered; more than any account may have.
const MAX_WALLETS: usize = 64;

/// Which account an address signs in to, and which wallet a label of an account names: what this
/// device was told first.
///
/// It grows with the addresses that a person signs in with on this device. It tells who they are to
/// whoever can guess an address; it is of no use for signing.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownWallets {
    sign_ins: Vec<KnownSignIn>,
    accounts: Vec<KnownAccount>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownSignIn {
    who: Digest32,
    account: AccountId,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownAccount {
    owner: Owner,
    wallets: Labels,
}

/// An account, among those of all realms and projects.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    pub(crate) realm: RealmId,
    pub(crate) project: ProjectId,
    pub(crate) account: AccountId,
}

impl KnownWallets {
    /// Adds what another program learned meanwhile. Where they differ, what is here stays.
    pub fn merge(&mut self, other: &Self) {
        for KnownSignIn { who, account } in &other.sign_ins {
            self.keep_account(*who, *account);
        }
        for KnownAccount { owner, wallets } in &other.accounts {
            for (label, address) in &wallets.0 {
                self.keep(owner, label, *address);
            }
        }
    }

    /// Tells which account somebody signed in to before.
    pub(crate) fn account(&self, who: &Digest32) -> Option<AccountId> {
        self.sign_ins
            .iter()
            .find(|known| known.who == *who)
            .map(|known| known.account)
    }

    /// Remembers an account, unless another one is known.
    pub(crate) fn keep_account(&mut self, who: Digest32, account: AccountId) {
        if self.account(&who).is_none() {
            self.sign_ins.push(KnownSignIn { who, account });
        }
    }

    /// Checks a wallet against what its label named before.
    pub(crate) fn check(&self, owner: &Owner, wallet: &Wallet) -> Result<(), WalletRefused> {
        let known = self.accounts.iter().find(|known| known.owner == *owner);
        known.map_or(Ok(()), |known| known.wallets.check(wallet))
    }

    /// Remembers a label, unless it is known.
    pub(crate) fn keep(&mut self, owner: &Owner, label: &str, address: Address) {
        let known = self.accounts.iter_mut().find(|known| known.owner == *owner);
        match known {
            Some(known) => known.wallets.keep(label, address),
            None => self.accounts.push(KnownAccount {
                owner: owner.clone(),
                wallets: Labels(vec![(label.to_owned(), address)]),
            }),
        }
    }
}

impl std::fmt::Debug for KnownWallets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnownWallets")
            .field("accounts", &self.accounts.len())
            .finish_non_exhaustive()
    }
}

/// Names who signs in, without storing the address as it is. However it is spelled, it is one
/// account (`docs/decisions/0014-email-case.md`).
pub(crate) fn who(realm: RealmId, project: &ProjectId, email: &str) -> Digest32 {
    let hash = Encoder::new("keyfold/known-sign-in/v1")
        .bytes(realm.as_bytes())
        .str(project.as_str())
        .str(&email.trim().to_lowercase())
        .sha256();
    Digest32::from_bytes(hash)
}

/// Address by label, as each was first seen.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Labels(Vec<(String, Address)>);

impl Labels {
    fn find(&self, label: &str) -> Option<Address> {
        self.0
            .iter()
            .find(|(known, _)| known == label)
            .map(|(_, address)| *address)
    }

    /// The wallet of a label never becomes another.
    pub(crate) fn check(&self, wallet: &Wallet) -> Result<(), WalletRefused> {
        match self.find(wallet.label()) {
            Some(before) if before != wallet.address() => Err(WalletRefused::Changed {
                before,
                now: wallet.address(),
            }),
            None if self.0.len() >= MAX_WALLETS => Err(WalletRefused::TooMany),
            _ => Ok(()),
        }
    }

    pub(crate) fn keep(&mut self, label: &str, address: Address) {
        if self.find(label).is_none() && self.0.len() < MAX_WALLETS {
            self.0.push((label.to_owned(), address));
        }
    }
}
