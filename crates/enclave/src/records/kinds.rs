//! What the records hold. Each has a version `v` of its form, 1.

use core::fmt;
use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, FixedBytes};
use keyfold_crypto::commitment::ShareCommitment;
use keyfold_crypto::jwk::{PublicJwk, Thumbprint};
use keyfold_identity::passkey::PasskeyCredential;
use keyfold_identity::recovery::RecoveryCodes;
use keyfold_protocol::client_api::{GuardSettings, MailSettings, WalletInfo};
use keyfold_protocol::config::ConfigChange;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{AccountId, Digest32, KeyId, ProjectId, SessionId};
use keyfold_protocol::project::{LimitSettings, SignInSettings, StepUp, StepUpRules};
use keyfold_protocol::secret_text::SecretText;
use keyfold_wallet::{Config, ContextName};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Body;
use crate::limits::{MAX_REVOKED, NOTICES_PER_HOUR};
use crate::settings::SecretName;

/// The version of a form; reading another one fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) struct One;

impl TryFrom<u32> for One {
    type Error = &'static str;

    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if version == 1 {
            Ok(Self)
        } else {
            Err("a record of a version that this release does not read")
        }
    }
}

impl From<One> for u32 {
    fn from(One: One) -> Self {
        1
    }
}

/// The keys that session attestations are signed with.
#[derive(Serialize, Deserialize)]
pub(crate) struct RealmKeysRecord {
    pub(crate) v: One,
    /// The current one first.
    pub(crate) attestation: Vec<StoredAttestationKey>,
}

/// One attestation key.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredAttestationKey {
    /// Tagged private key, base64url.
    pub(crate) secret: String,
    /// Unix seconds.
    pub(crate) created: u64,
}

impl Drop for StoredAttestationKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl ZeroizeOnDrop for StoredAttestationKey {}

impl Body for RealmKeysRecord {
    const KIND: &'static str = "realm-keys";
}

/// A project.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) v: One,
    pub(crate) project: ProjectId,
    /// Counts its changes, from 1.
    #[serde(default = "first_version")]
    pub(crate) version: u64,
    pub(crate) display_name: String,
    pub(crate) administrators: Vec<PublicJwk>,
    /// How many administrators must sign a change.
    #[serde(default = "one_administrator")]
    pub(crate) threshold: u8,
    /// SHA-256 of the command that made this version, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Digest32>,
    /// Without its password, save where an earlier release wrote it; [`Project::mail`] has both.
    pub(crate) mail: MailSettings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<GuardSettings>,
    /// The checkpointer contract of new wallets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkpointer: Option<Address>,
    /// The contracts of its wallets.
    #[serde(default)]
    pub(crate) contracts: ContextName,
    /// How people sign in.
    #[serde(default)]
    pub(crate) sign_in: SignInSettings,
    /// Secrets by name, such as a registration's at a provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) secrets: BTreeMap<String, SecretText>,
    /// Unix seconds.
    pub(crate) created: u64,
}

fn first_version() -> u64 {
    1
}

fn one_administrator() -> u8 {
    1
}

impl Project {
    /// A secret, if it is there.
    pub(crate) fn secret(&self, name: &SecretName) -> Option<&SecretText> {
        self.secrets.get(&name.to_string())
    }

    /// The password at the mail server, if there is one.
    pub(crate) fn mail_password(&self) -> Option<&SecretText> {
        let inline = self.mail.password.as_ref();
        self.secret(&SecretName::Mail).or(inline)
    }

    /// How mail is sent, with its password.
    pub(crate) fn mail(&self) -> MailSettings {
        MailSettings {
            password: self.mail_password().cloned(),
            ..self.mail.clone()
        }
    }
}

impl Body for Project {
    const KIND: &'static str = "project";
}

/// From an identity to its account.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) v: One,
    /// Nobody's, once it was taken off its account.
    pub(crate) account: Option<AccountId>,
}

impl Body for Identity {
    const KIND: &'static str = "identity";
}

/// A person's account in one project.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) v: One,
    pub(crate) account: AccountId,
    pub(crate) project: ProjectId,
    pub(crate) identities: Vec<IdentityRecord>,
    pub(crate) devices: Vec<DeviceRecord>,
    pub(crate) sessions: Vec<SessionRecord>,
    pub(crate) wallets: Vec<WalletRecord>,
    /// The app of codes that is a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) totp: Option<TotpRecord>,
    /// The codes on paper that were not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recovery_codes: Option<RecoveryCodes>,
    /// What the person wants a fresh proof for, beyond the project's rules.
    #[serde(default = "StepUpRules::none")]
    pub(crate) step_up: StepUpRules,
    /// Devices that were taken off, the last one last. Never empty again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) revoked: Vec<Thumbprint>,
    /// Mails about devices that were sent of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notices: Option<NoticeCount>,
}

/// How many mails about an account's devices were sent within an hour.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct NoticeCount {
    /// Unix seconds at which the hour began.
    since: u64,
    count: u8,
}

impl Body for Account {
    const KIND: &'static str = "account";
}

/// A way to sign in to the account.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IdentityRecord {
    /// Such as `email`.
    pub(crate) method: String,
    /// Keyed hash of project, method and address.
    pub(crate) hash: Digest32,
    /// What the person knows it by; of mail the address itself, for notices.
    pub(crate) address: String,
    /// Unix seconds.
    #[serde(default)]
    pub(crate) added: u64,
    /// Of the method `passkey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) passkey: Option<PasskeyCredential>,
    /// Of the method `email`, where the person set a password: its hash, in PHC's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
}

/// An app of codes (RFC 6238).
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TotpRecord {
    /// Base64url.
    pub(crate) secret: SecretText,
    /// Whether a code of it was shown; it counts for nothing before.
    pub(crate) confirmed: bool,
    /// The step of the last code that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_step: Option<u64>,
}

/// A device that signed in.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeviceRecord {
    pub(crate) jkt: Thumbprint,
    pub(crate) jwk: PublicJwk,
    pub(crate) name: String,
    /// Unix seconds.
    pub(crate) added: u64,
    /// Whether the holders let it wait when it signed in, and it did nothing since as one that may
    /// act.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) waiting: bool,
    /// The strongest proof that it was let in by: its own, or that of the device that approved it.
    #[serde(default = "nothing_but_a_sign_in")]
    pub(crate) let_in_by: StepUp,
}

fn nothing_but_a_sign_in() -> StepUp {
    StepUp::Code
}

/// A session.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(crate) sid: SessionId,
    pub(crate) jkt: Thumbprint,
    /// Unix seconds.
    pub(crate) auth_time: u64,
    /// Unix seconds.
    pub(crate) ends: u64,
    /// How the person signed in, and stepped up since (RFC 8176).
    pub(crate) amr: Vec<String>,
    /// How well they signed in.
    pub(crate) acr: String,
    /// The last proof and its Unix second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proved: Option<(StepUp, u64)>,
}

/// A wallet. Nothing in it is secret: shares are with the holders.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WalletRecord {
    pub(crate) label: String,
    /// Set until all n holders hold a version of the record with the wallet in it. Nobody is told
    /// of it before: one that fewer hold might still be left behind.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) staged: bool,
    pub(crate) key: KeyId,
    pub(crate) generation: u32,
    pub(crate) threshold: u8,
    /// One for each holder, in order.
    pub(crate) leaf: Vec<ShareCommitment>,
    /// One for each holder, in order.
    pub(crate) entropy: Vec<ShareCommitment>,
    /// The first configuration, which the address comes from.
    pub(crate) config: Config,
    /// The guard's signer in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<Address>,
    /// The contracts that the address comes from.
    #[serde(default)]
    pub(crate) context: ContextName,
    pub(crate) address: Address,
    /// Root of the first configuration.
    pub(crate) image_hash: B256,
    /// Unix seconds.
    pub(crate) created: u64,
    /// What changed since, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) updates: Vec<UpdateRecord>,
    /// The key that is to be the next owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_owner: Option<OwnerKey>,
}

/// A change of a wallet's configuration, with the signatures of the configuration before.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpdateRecord {
    pub(crate) change: ConfigChange,
    /// Root of the configuration that followed.
    pub(crate) image_hash: B256,
    /// Unix seconds.
    pub(crate) signed_at: u64,
    /// The owner's signature, in the form of ERC-2098.
    pub(crate) owner: FixedBytes<64>,
    /// The guard's, where the configuration has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<FixedBytes<64>>,
}

/// A key whose shares all holders keep. Nothing in it is secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OwnerKey {
    /// Its address.
    pub(crate) owner: Address,
    pub(crate) key: KeyId,
    pub(crate) generation: u32,
    pub(crate) threshold: u8,
    /// One for each holder, in order.
    pub(crate) leaf: Vec<ShareCommitment>,
    /// One for each holder, in order.
    pub(crate) entropy: Vec<ShareCommitment>,
}

impl Account {
    /// The session of an id, if it was not ended.
    pub(crate) fn session(&self, sid: &SessionId) -> Option<&SessionRecord> {
        self.sessions.iter().find(|session| session.sid == *sid)
    }

    /// The wallets that somebody may be told of.
    pub(crate) fn wallets(&self) -> impl Iterator<Item = &WalletRecord> {
        self.wallets.iter().filter(|wallet| !wallet.staged)
    }

    /// The wallet of a label, staged or not.
    pub(crate) fn wallet_of(&self, label: &str) -> Option<&WalletRecord> {
        self.wallets.iter().find(|wallet| wallet.label == label)
    }

    pub(crate) fn wallet(&self, address: &Address) -> Option<&WalletRecord> {
        self.wallets
            .iter()
            .find(|wallet| wallet.address == *address)
    }

    /// Names a device that signed in, in the state that the holders know it in.
    ///
    /// Where there are as many as there may be, the oldest that was let in by nobody and never
    /// acted makes room, so that whoever only reads the mailbox cannot use the places up. Its
    /// sessions end, or it would be one more than may be once its waiting time is over.
    ///
    /// # Errors
    ///
    /// `device_limit` where every device was let in.
    pub(crate) fn name_device(
        &mut self,
        jwk: &PublicJwk,
        name: String,
        waiting: bool,
        limits: &LimitSettings,
        now_unix_seconds: u64,
    ) -> Result<(), Code> {
        let jkt = jwk.thumbprint();
        if let Some(known) = self.devices.iter_mut().find(|device| device.jkt == jkt) {
            known.name = name;
            known.waiting &= waiting;
            return Ok(());
        }
        // More than one has to go where the project has lowered its limit.
        while self.devices.len() >= usize::from(limits.devices) {
            let oldest = self.devices.iter().position(|device| device.waiting);
            let gone = self.devices.remove(oldest.ok_or(Code::DeviceLimit)?);
            self.sessions.retain(|session| session.jkt != gone.jkt);
        }
        self.devices.push(DeviceRecord {
            jkt,
            jwk: *jwk,
            name,
            added: now_unix_seconds,
            waiting,
            // There is nobody whom the first one could be new to.
            let_in_by: match self.had_no_device() {
                true => StepUp::Passkey,
                false => StepUp::Code,
            },
        });
        Ok(())
    }

    /// Tells whether [`Account::name_device`] has a place for a device.
    pub(crate) fn has_place(&self, device: Thumbprint, limits: &LimitSettings) -> bool {
        let stay = self.devices.iter().filter(|known| !known.waiting).count();
        stay < usize::from(limits.devices) || self.devices.iter().any(|known| known.jkt == device)
    }

    /// Tells whether a device may act, as far as is known here: holders decide.
    pub(crate) fn lets_act(&self, device: Thumbprint) -> bool {
        let mut devices = self.devices.iter();
        devices.any(|known| known.jkt == device && !known.waiting)
    }

    /// Tells whether a device would be the account's first one, ever.
    pub(crate) fn had_no_device(&self) -> bool {
        self.devices.is_empty() && self.revoked.is_empty()
    }

    /// Takes devices off, with their sessions; tells whether that changed anything.
    pub(crate) fn take_off(&mut self, gone: &[Thumbprint]) -> bool {
        let before = (self.devices.len(), self.sessions.len());
        self.devices.retain(|device| !gone.contains(&device.jkt));
        self.sessions.retain(|session| !gone.contains(&session.jkt));
        let mut changed = before != (self.devices.len(), self.sessions.len());
        for device in gone {
            if self.revoked.contains(device) {
                continue;
            }
            if self.revoked.len() >= MAX_REVOKED {
                self.revoked.remove(0);
            }
            self.revoked.push(*device);
            changed = true;
        }
        changed
    }

    /// The devices that have a name or a session here, but for one.
    pub(crate) fn devices_but(&self, one: Thumbprint) -> Vec<Thumbprint> {
        let named = self.devices.iter().map(|device| device.jkt);
        let in_session = self.sessions.iter().map(|session| session.jkt);
        let mut others: Vec<_> = named.chain(in_session).filter(|jkt| *jkt != one).collect();
        others.sort_unstable_by_key(|jkt| jkt.0);
        others.dedup();
        others
    }

    /// Counts one more notice, if that is within the hour's limit.
    pub(crate) fn count_notice(&mut self, now_unix_seconds: u64) -> bool {
        let fresh = NoticeCount {
            since: now_unix_seconds,
            count: 0,
        };
        let mut notices = self
            .notices
            .filter(|known| now_unix_seconds < known.since.saturating_add(3_600))
            .unwrap_or(fresh);
        if notices.count >= NOTICES_PER_HOUR {
            return false;
        }
        notices.count += 1;
        self.notices = Some(notices);
        true
    }

    /// Notes a proof that lets a device in: its own, or that of one that approves it. Tells whether
    /// that changed anything.
    pub(crate) fn let_in(&mut self, device: Thumbprint, by: StepUp) -> bool {
        let known = self.devices.iter_mut().find(|known| known.jkt == device);
        match known {
            Some(known) if known.let_in_by < by => {
                known.let_in_by = by;
                true
            }
            _ => false,
        }
    }

    /// The proof that a device has still to show where new ones must show one this strong.
    ///
    /// Never more than the account can show, so that no rule locks it for good.
    pub(crate) fn owes(&self, device: Thumbprint, rule: Option<StepUp>) -> Option<StepUp> {
        let needed = rule?.min(self.strongest());
        let known = self.devices.iter().find(|known| known.jkt == device);
        let shown = known.map_or(StepUp::Code, |known| known.let_in_by);
        (shown < needed).then_some(needed)
    }

    /// The strongest that the account can show as a fresh proof.
    pub(crate) fn strongest(&self) -> StepUp {
        if self.identities.iter().any(|known| known.passkey.is_some()) {
            StepUp::Passkey
        } else if self.totp.as_ref().is_some_and(|totp| totp.confirmed) {
            StepUp::SecondFactor
        } else {
            StepUp::Code
        }
    }

    /// Adds a session; those that ended make room, then the oldest of the same device, then of one
    /// that waits, then the oldest.
    ///
    /// # Errors
    ///
    /// `rate_limited` where the device waits and nothing but sessions of others could make room:
    /// whoever reads the mailbox must not end the owner's sessions.
    pub(crate) fn add_session(
        &mut self,
        session: SessionRecord,
        limits: &LimitSettings,
        now_unix_seconds: u64,
    ) -> Result<(), Code> {
        let most = usize::from(limits.sessions).max(1);
        if self.sessions.len() >= most {
            self.sessions
                .retain(|session| session.ends > now_unix_seconds);
        }
        let waits = |jkt: &Thumbprint| {
            let mut devices = self.devices.iter();
            devices.any(|device| device.jkt == *jkt && device.waiting)
        };
        while self.sessions.len() >= most {
            let own = self.sessions.iter().position(|s| s.jkt == session.jkt);
            let waiting = || self.sessions.iter().position(|s| waits(&s.jkt));
            let oldest = || (!waits(&session.jkt)).then_some(0);
            let gone = own.or_else(waiting).or_else(oldest);
            self.sessions.remove(gone.ok_or(Code::RateLimited)?);
        }
        self.sessions.push(session);
        Ok(())
    }
}

impl WalletRecord {
    /// Lets another key be the owner's.
    pub(crate) fn take_key(&mut self, new: OwnerKey) {
        self.key = new.key;
        self.generation = new.generation;
        self.threshold = new.threshold;
        self.leaf = new.leaf;
        self.entropy = new.entropy;
    }

    pub(crate) fn info(&self) -> WalletInfo {
        WalletInfo {
            label: self.label.clone(),
            address: self.address,
            context: self.context,
            key: self.key,
            config: self.config.clone(),
            image_hash: self.image_hash,
            created: self.created,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Project")
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RealmKeysRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RealmKeysRecord([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::jwk::DeviceSigningKey;
    use keyfold_crypto::testing::SeededRng;

    use super::*;

    fn account() -> Account {
        Account {
            v: One,
            account: AccountId::from_bytes([1; 16]),
            project: "app.example".parse().unwrap(),
            identities: Vec::new(),
            devices: Vec::new(),
            sessions: Vec::new(),
            wallets: Vec::new(),
            totp: None,
            recovery_codes: None,
            step_up: StepUpRules::none(),
            revoked: Vec::new(),
            notices: None,
        }
    }

    #[test]
    fn a_flood_of_notices_ends_and_the_next_hour_has_its_own() {
        let mut account = account();
        let mut sent = |now| (0..50).filter(|_| account.count_notice(now)).count();
        assert_eq!(sent(1_000), usize::from(NOTICES_PER_HOUR));
        assert_eq!(sent(4_599), 0);
        assert_eq!(sent(4_600), usize::from(NOTICES_PER_HOUR));
    }

    #[test]
    fn an_account_that_a_device_was_taken_off_has_had_one_for_good() {
        let mut account = account();
        assert!(account.had_no_device());
        for number in 0..=u8::try_from(MAX_REVOKED).unwrap() {
            assert!(account.take_off(&[Thumbprint([number; 32])]));
            assert!(!account.had_no_device());
        }
        assert_eq!(account.revoked.len(), MAX_REVOKED);
        assert!(!account.revoked.contains(&Thumbprint([0; 32])));
        assert!(!account.take_off(&[Thumbprint([1; 32])]));
    }

    #[test]
    fn a_device_that_was_let_in_or_used_makes_no_room_and_one_that_waits_does() {
        let mut rng = SeededRng::new(1);
        let mut key = || DeviceSigningKey::generate_p256(&mut rng).public_jwk();
        let mut account = account();
        let limits = LimitSettings {
            devices: 5,
            ..LimitSettings::default()
        };
        let keys: Vec<PublicJwk> = (0..5).map(|_| key()).collect();
        for (at, key) in keys.iter().enumerate() {
            // The third and the fourth wait.
            let waiting = matches!(at, 2 | 3);
            account
                .name_device(key, at.to_string(), waiting, &limits, 0)
                .unwrap();
        }
        let mut add =
            |account: &mut Account| account.name_device(&key(), String::new(), true, &limits, 1);
        add(&mut account).unwrap();
        let names = |account: &Account| -> Vec<String> {
            account.devices.iter().map(|d| d.name.clone()).collect()
        };
        assert_eq!(account.devices.len(), 5);
        assert!(!names(&account).contains(&"2".to_owned()));
        // Signing in again as one that may act keeps the place.
        account
            .name_device(&keys[3], "3".to_owned(), false, &limits, 2)
            .unwrap();
        add(&mut account).unwrap();
        assert!(names(&account).contains(&"3".to_owned()));
        for device in &mut account.devices {
            device.waiting = false;
        }
        assert_eq!(add(&mut account), Err(Code::DeviceLimit));
        account
            .name_device(&keys[0], "first".to_owned(), true, &limits, 3)
            .unwrap();
        assert_eq!(account.devices[0].name, "first");
    }

    #[test]
    fn a_session_beyond_the_projects_limit_ends_the_oldest() {
        let limits = LimitSettings {
            sessions: 2,
            ..LimitSettings::default()
        };
        let mut account = account();
        for number in 1..=4 {
            let session = SessionRecord {
                sid: SessionId::from_bytes([number; 16]),
                jkt: Thumbprint([1; 32]),
                auth_time: 0,
                ends: 100,
                amr: Vec::new(),
                acr: String::new(),
                proved: None,
            };
            account.add_session(session, &limits, 1).unwrap();
        }
        let left: Vec<u8> = account
            .sessions
            .iter()
            .map(|s| s.sid.as_bytes()[0])
            .collect();
        assert_eq!(left, [3, 4]);
    }

    #[test]
    fn a_device_that_waits_ends_no_session_of_one_that_was_let_in() {
        let limits = LimitSettings {
            sessions: 3,
            ..LimitSettings::default()
        };
        let mut rng = SeededRng::new(2);
        let mut account = account();
        let mut device = |account: &mut Account, waiting| {
            let key = DeviceSigningKey::generate_p256(&mut rng).public_jwk();
            let named = account.name_device(&key, String::new(), waiting, &limits, 0);
            named.map(|()| key.thumbprint())
        };
        let owner = device(&mut account, false).unwrap();
        let [thief, other] = [(); 2].map(|()| device(&mut account, true).unwrap());
        let session = |jkt, number| SessionRecord {
            sid: SessionId::from_bytes([number; 16]),
            jkt,
            auth_time: 0,
            ends: 100 + u64::from(number),
            amr: Vec::new(),
            acr: String::new(),
            proved: None,
        };
        let left = |account: &Account| -> Vec<u8> {
            let mut left = account.sessions.iter();
            left.by_ref().map(|s| s.sid.as_bytes()[0]).collect()
        };
        let mut add = |jkt, number, now| account.add_session(session(jkt, number), &limits, now);
        for number in 1..=3 {
            add(owner, number, 1).unwrap();
        }
        assert_eq!(add(thief, 4, 1), Err(Code::RateLimited));
        assert_eq!(left(&account), [1, 2, 3]);
        // One that has ended makes room; then its own goes before anybody's, then another's that waits.
        let mut add = |jkt, number, now| account.add_session(session(jkt, number), &limits, now);
        add(thief, 5, 101).unwrap();
        add(thief, 6, 101).unwrap();
        add(other, 7, 101).unwrap();
        assert_eq!(left(&account), [2, 3, 7]);
        // The owner ends what waits, and never lacks a session for it.
        let mut add = |jkt, number, now| account.add_session(session(jkt, number), &limits, now);
        let fresh = Thumbprint([9; 32]);
        add(fresh, 8, 101).unwrap();
        add(fresh, 9, 101).unwrap();
        assert_eq!(left(&account), [2, 3, 9]);
    }
}
