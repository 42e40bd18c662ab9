//! Sign-ins that were begun here and wait for their proof. They live and die with the instance.
//!
//! Each is of one device in one project, ends after its time, and, save for mailed codes, is used up
//! by the first answer, good or not. Memory is bounded; when there is no room, what is new is
//! refused. A project takes no more of it than [`keyfold_identity::room`] lets it, which also says
//! why handles are remembered here rather than sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyfold_crypto::jwk::Thumbprint;
use keyfold_identity::challenge::{ChallengeLimits, PendingChallenges};
use keyfold_identity::oidc::binding::NonceSalt;
use keyfold_identity::oidc::commitment::TokenCommitments;
use keyfold_identity::oidc::waiting::{AuthorizationId, WaitingAuthorizations};
use keyfold_identity::passkey::UserHandle;
use keyfold_identity::room::may_take;
use keyfold_identity::{EmailAddress, PendingSignIns};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::{ProjectId, SignInHandle};
use rand_core::CryptoRng;

/// Sign-ins in all; about 512 bytes of memory each.
const TOTAL: usize = 50_000;
/// Of these, how many of one device; beginning again replaces the oldest.
const PER_DEVICE: usize = 8;
/// Tokens that are remembered, and of one device.
const TOKENS: usize = 50_000;
const TOKENS_PER_DEVICE: usize = 8;

/// What waits.
pub(crate) struct Waiting {
    codes: Mutex<PendingSignIns>,
    challenges: Mutex<PendingChallenges>,
    authorizations: Mutex<WaitingAuthorizations>,
    commitments: Mutex<TokenCommitments>,
    begun: Mutex<Begun>,
}

/// What has to be shown, and what is needed to judge it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Password(EmailAddress),
    Provider {
        name: String,
        id: AuthorizationId,
    },
    Token {
        issuer: String,
        salt: Option<NonceSalt>,
    },
    Ethereum,
    Solana,
    Farcaster,
    Passkey,
    NewPasskey {
        user: UserHandle,
        name: String,
    },
    Totp,
    RecoveryCode,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Self {
            codes: Mutex::new(PendingSignIns::new(Default::default())),
            challenges: Mutex::new(PendingChallenges::new(ChallengeLimits::default())),
            authorizations: Mutex::new(WaitingAuthorizations::new(Default::default())),
            commitments: Mutex::new(TokenCommitments::new(TOKENS, TOKENS_PER_DEVICE)),
            begun: Mutex::default(),
        }
    }

    /// Those that wait for a mailed code.
    pub(crate) fn codes(&self) -> MutexGuard<'_, PendingSignIns> {
        lock(&self.codes)
    }

    pub(crate) fn challenges(&self) -> MutexGuard<'_, PendingChallenges> {
        lock(&self.challenges)
    }

    pub(crate) fn authorizations(&self) -> MutexGuard<'_, WaitingAuthorizations> {
        lock(&self.authorizations)
    }

    pub(crate) fn commitments(&self) -> MutexGuard<'_, TokenCommitments> {
        lock(&self.commitments)
    }

    /// Remembers what a device began, until `ends` (Unix seconds).
    pub(crate) fn begin(
        &self,
        project: &ProjectId,
        device: Thumbprint,
        step: Step,
        now: u64,
        ends: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<SignInHandle, Code> {
        let handle = SignInHandle::random(rng);
        let entry = Entry {
            project: project.clone(),
            device,
            step,
            ends,
        };
        lock(&self.begun).keep(handle, entry, now)?;
        Ok(handle)
    }

    /// Takes what a device began; to anybody else it does not exist, and asking costs its owner
    /// nothing.
    pub(crate) fn take(
        &self,
        project: &ProjectId,
        device: Thumbprint,
        handle: &SignInHandle,
        now: u64,
    ) -> Result<Step, Code> {
        lock(&self.begun)
            .take(project, device, handle, now)
            .ok_or(Code::SignInRefused)
    }

    /// Forgets what has expired.
    pub(crate) fn sweep(&self, now: u64) {
        self.codes().forget_old(now);
        self.challenges().forget_old(now);
        self.authorizations().forget_old(now);
        self.commitments().forget_old(now);
        lock(&self.begun).forget_old(now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Entry {
    project: ProjectId,
    device: Thumbprint,
    step: Step,
    ends: u64,
}

#[derive(Default)]
struct Begun {
    entries: BTreeMap<SignInHandle, Entry>,
    ends: BTreeSet<(u64, SignInHandle)>,
    by_device: BTreeMap<Thumbprint, Vec<SignInHandle>>,
    by_project: BTreeMap<ProjectId, usize>,
}

impl Begun {
    fn keep(&mut self, handle: SignInHandle, entry: Entry, now: u64) -> Result<(), Code> {
        self.forget_old(now);
        let of_device = self.by_device.get(&entry.device);
        let oldest = of_device
            .filter(|handles| handles.len() >= PER_DEVICE)
            .and_then(|handles| handles.first().copied());
        if let Some(oldest) = oldest {
            self.remove(&oldest);
        }
        let of_project = self.by_project.get(&entry.project).copied();
        if !may_take(of_project.unwrap_or_default(), self.entries.len(), TOTAL) {
            return Err(Code::RateLimited);
        }
        self.ends.insert((entry.ends, handle));
        self.by_device.entry(entry.device).or_default().push(handle);
        *self.by_project.entry(entry.project.clone()).or_default() += 1;
        self.entries.insert(handle, entry);
        Ok(())
    }

    fn take(
        &mut self,
        project: &ProjectId,
        device: Thumbprint,
        handle: &SignInHandle,
        now: u64,
    ) -> Option<Step> {
        self.forget_old(now);
        let entry = self.entries.get(handle)?;
        if entry.project != *project || entry.device != device {
            return None;
        }
        self.remove(handle).map(|entry| entry.step)
    }

    fn forget_old(&mut self, now: u64) {
        while let Some(&(ends, handle)) = self.ends.first()
            && ends <= now
        {
            self.remove(&handle);
            self.ends.remove(&(ends, handle));
        }
    }

    fn remove(&mut self, handle: &SignInHandle) -> Option<Entry> {
        let entry = self.entries.remove(handle)?;
        self.ends.remove(&(entry.ends, *handle));
        if let Some(handles) = self.by_device.get_mut(&entry.device) {
            handles.retain(|known| known != handle);
            if handles.is_empty() {
                self.by_device.remove(&entry.device);
            }
        }
        if let Some(count) = self.by_project.get_mut(&entry.project) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_project.remove(&entry.project);
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use keyfold_crypto::testing::SeededRng;

    use super::*;

    const NOW: u64 = 1_000;

    fn project() -> ProjectId {
        "app.example".parse().unwrap()
    }

    fn begin(waiting: &Waiting, device: u8, rng: &mut SeededRng) -> SignInHandle {
        let device = Thumbprint([device; 32]);
        waiting
            .begin(&project(), device, Step::Passkey, NOW, NOW + 300, rng)
            .unwrap()
    }

    #[test]
    fn what_was_begun_is_taken_once_by_its_device_in_its_project_and_time() {
        let (waiting, mut rng) = (Waiting::new(), SeededRng::new(1));
        let handle = begin(&waiting, 1, &mut rng);
        let device = Thumbprint([1; 32]);
        let other: ProjectId = "other.example".parse().unwrap();
        let refused = Err(Code::SignInRefused);
        assert_eq!(waiting.take(&other, device, &handle, NOW), refused);
        let thief = Thumbprint([2; 32]);
        assert_eq!(waiting.take(&project(), thief, &handle, NOW), refused);
        assert_eq!(
            waiting.take(&project(), device, &handle, NOW + 299),
            Ok(Step::Passkey)
        );
        assert_eq!(waiting.take(&project(), device, &handle, NOW), refused);
        let late = begin(&waiting, 1, &mut rng);
        assert_eq!(waiting.take(&project(), device, &late, NOW + 300), refused);
    }

    #[test]
    fn a_device_replaces_its_own_and_nobody_elses() {
        let (waiting, mut rng) = (Waiting::new(), SeededRng::new(1));
        let others = begin(&waiting, 2, &mut rng);
        let mine: Vec<_> = (0..=PER_DEVICE)
            .map(|_| begin(&waiting, 1, &mut rng))
            .collect();
        let device = Thumbprint([1; 32]);
        assert!(waiting.take(&project(), device, &mine[0], NOW).is_err());
        for handle in &mine[1..] {
            assert!(waiting.take(&project(), device, handle, NOW).is_ok());
        }
        let other = Thumbprint([2; 32]);
        assert!(waiting.take(&project(), other, &others, NOW).is_ok());
        let begun = lock(&waiting.begun);
        assert!(begun.entries.is_empty() && begun.ends.is_empty());
        assert!(begun.by_device.is_empty() && begun.by_project.is_empty());
    }

    #[test]
    fn floods_in_some_projects_leave_room_for_another() {
        let mut begun = Begun::default();
        let mut rng = SeededRng::new(1);
        let mut devices = 0_u32;
        let mut keep = |begun: &mut Begun, project: &str| {
            devices += 1;
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&devices.to_be_bytes());
            let entry = Entry {
                project: project.parse().unwrap(),
                device: Thumbprint(bytes),
                step: Step::Totp,
                ends: NOW + 10,
            };
            begun.keep(SignInHandle::random(&mut rng), entry, NOW)
        };
        for flood in ["a.example", "b.example", "c.example"] {
            let took = (0..TOTAL).take_while(|_| keep(&mut begun, flood).is_ok());
            assert!((6_000..=10_000).contains(&took.count()), "{flood}");
            assert_eq!(keep(&mut begun, flood), Err(Code::RateLimited));
        }
        for _ in 0..5_000 {
            assert_eq!(keep(&mut begun, "d.example"), Ok(()));
        }
        begun.forget_old(NOW + 10);
        assert!(begun.entries.is_empty() && begun.by_device.is_empty());
    }
}
