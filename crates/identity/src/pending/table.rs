//! One table of sign-ins: of strangers, or of devices that an account knows.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;

use super::{
    Asked, CODE_SECONDS, FinishError, Limits, MAX_ATTEMPTS, MAX_CODES, ProjectKey, SLOT_SECONDS,
    SignInId, SignInKey, SlotKey, StartError,
};
use crate::code::OneTimeCode;
use crate::email::EmailAddress;
use crate::room::may_take;

/// Sign-ins and slots.
pub(super) struct Table {
    pub(super) limits: Limits,
    /// By project, address and device: at most one each.
    pub(super) sign_ins: BTreeMap<SignInKey, SignIn>,
    /// The one code of a sign-in that works.
    pub(super) by_id: BTreeMap<SignInId, SignInKey>,
    /// When each entry of `sign_ins` ends.
    pub(super) ends: BTreeSet<(u64, SignInKey)>,
    pub(super) by_project: BTreeMap<ProjectKey, usize>,
    pub(super) by_device: BTreeMap<[u8; 32], usize>,
    pub(super) slots: BTreeMap<SlotKey, Slots>,
    /// When the last slot of each entry of `slots` ends.
    pub(super) slot_ends: BTreeSet<(u64, SlotKey)>,
    /// How many entries of `slots` each project has.
    pub(super) slots_by_project: BTreeMap<ProjectKey, usize>,
}

pub(super) struct SignIn {
    project: ProjectKey,
    slot: SlotKey,
    email: EmailAddress,
    device: [u8; 32],
    id: SignInId,
    /// Erased with the last attempt. What is left then remembers that there was one.
    pub(super) code: Option<OneTimeCode>,
    attempts_used: u8,
    codes_made: u8,
    slot_taken_at: u64,
    ends_at: u64,
}

pub(super) struct Slots {
    project: ProjectKey,
    /// When each was taken; oldest first, never empty.
    pub(super) taken: Vec<u64>,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sign_ins: BTreeMap::new(),
            by_id: BTreeMap::new(),
            ends: BTreeSet::new(),
            by_project: BTreeMap::new(),
            by_device: BTreeMap::new(),
            slots: BTreeMap::new(),
            slot_ends: BTreeSet::new(),
            slots_by_project: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sign_ins.len()
    }

    pub(super) fn has(&self, key: &SignInKey) -> bool {
        self.sign_ins.contains_key(key)
    }

    pub(super) fn has_id(&self, id: &SignInId) -> bool {
        self.by_id.contains_key(id)
    }

    /// As [`super::PendingSignIns::start`], once what is old was forgotten.
    pub(super) fn start(
        &mut self,
        asked: Asked<'_>,
        now_unix_seconds: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<(SignInId, OneTimeCode), StartError> {
        let key = asked.key;
        let ends_at = now_unix_seconds.saturating_add(CODE_SECONDS);
        if let Some(sign_in) = self.sign_ins.get(&key) {
            if sign_in.attempts_used >= MAX_ATTEMPTS || sign_in.codes_made >= MAX_CODES {
                return Err(StartError::DeviceExhausted {
                    retry_at_unix_seconds: sign_in.ends_at,
                });
            }
        } else {
            self.change_slots(asked.slot, asked.project, |taken| {
                taken.retain(|at| at.saturating_add(SLOT_SECONDS) > now_unix_seconds);
            });
            self.check_room(&asked)?;
        }

        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let id = SignInId(id);
        let code = OneTimeCode::random(rng);
        let kept = code.duplicate();

        if let Some(sign_in) = self.sign_ins.get_mut(&key) {
            self.by_id.remove(&sign_in.id);
            self.ends.remove(&(sign_in.ends_at, key));
            sign_in.id = id;
            sign_in.code = Some(kept);
            sign_in.codes_made += 1;
            // A clock that went back must not make the memory of used attempts shorter.
            sign_in.ends_at = sign_in.ends_at.max(ends_at);
            self.ends.insert((sign_in.ends_at, key));
        } else {
            *self.by_project.entry(asked.project).or_default() += 1;
            *self.by_device.entry(asked.device).or_default() += 1;
            let slot_taken_at = self.take_slot(asked.slot, asked.project, now_unix_seconds);
            self.ends.insert((ends_at, key));
            self.sign_ins.insert(
                key,
                SignIn {
                    project: asked.project,
                    slot: asked.slot,
                    email: asked.email.clone(),
                    device: asked.device,
                    id,
                    code: Some(kept),
                    attempts_used: 0,
                    codes_made: 1,
                    slot_taken_at,
                    ends_at,
                },
            );
        }
        self.by_id.insert(id, key);
        Ok((id, code))
    }

    /// As [`super::PendingSignIns::finish`], once what is old was forgotten.
    pub(super) fn finish(
        &mut self,
        id: &SignInId,
        project: &ProjectKey,
        device: &[u8; 32],
        code: &OneTimeCode,
    ) -> Result<EmailAddress, FinishError> {
        let key = *self.by_id.get(id).ok_or(FinishError::Unknown)?;
        let sign_in = self.sign_ins.get_mut(&key).ok_or(FinishError::Unknown)?;
        if sign_in.project != *project
            || sign_in.device != *device
            || sign_in.attempts_used >= MAX_ATTEMPTS
        {
            return Err(FinishError::Unknown);
        }

        sign_in.attempts_used += 1;
        let right = sign_in
            .code
            .as_ref()
            .is_some_and(|expected| expected.matches(code));

        if !right {
            let attempts_left = MAX_ATTEMPTS - sign_in.attempts_used;
            if attempts_left == 0 {
                sign_in.code = None;
                self.by_id.remove(id);
            }
            return Err(FinishError::WrongCode { attempts_left });
        }
        let done = self.remove(&key).ok_or(FinishError::Unknown)?;
        self.change_slots(done.slot, done.project, |taken| {
            let given_back = taken.iter().position(|at| *at == done.slot_taken_at);
            if let Some(position) = given_back {
                taken.remove(position);
            }
        });
        Ok(done.email)
    }

    pub(super) fn address(
        &self,
        id: &SignInId,
        project: &ProjectKey,
        device: &[u8; 32],
    ) -> Option<&EmailAddress> {
        let sign_in = self.sign_ins.get(self.by_id.get(id)?)?;
        (sign_in.project == *project && sign_in.device == *device).then_some(&sign_in.email)
    }

    pub(super) fn forget_old(&mut self, now_unix_seconds: u64) {
        while let Some(&(ends_at, key)) = self.ends.first()
            && ends_at <= now_unix_seconds
        {
            self.ends.pop_first();
            self.remove(&key);
        }
        while let Some(&(ends_at, slot)) = self.slot_ends.first()
            && ends_at <= now_unix_seconds
        {
            self.slot_ends.pop_first();
            if let Some(slots) = self.slots.remove(&slot) {
                count_down(&mut self.slots_by_project, &slots.project);
            }
        }
    }

    fn check_room(&self, asked: &Asked<'_>) -> Result<(), StartError> {
        let held = |count: Option<&usize>| count.copied().unwrap_or_default();
        let Limits {
            total,
            per_device,
            addresses,
        } = self.limits;
        match self.slots.get(&asked.slot) {
            Some(slots) if slots.taken.len() >= asked.slots => {
                let first = slots.taken.first().copied().unwrap_or_default();
                return Err(StartError::AddressLimit {
                    retry_at_unix_seconds: first.saturating_add(SLOT_SECONDS),
                });
            }
            Some(_) => {}
            None => {
                let of_project = held(self.slots_by_project.get(&asked.project));
                if !may_take(of_project, self.slots.len(), addresses) {
                    return Err(StartError::Full);
                }
            }
        }
        if held(self.by_device.get(&asked.device)) >= per_device {
            return Err(StartError::DeviceLimit);
        }
        let of_project = held(self.by_project.get(&asked.project));
        if !may_take(of_project, self.sign_ins.len(), total) {
            return Err(StartError::Full);
        }
        Ok(())
    }

    fn remove(&mut self, key: &SignInKey) -> Option<SignIn> {
        let removed = self.sign_ins.remove(key)?;
        self.by_id.remove(&removed.id);
        self.ends.remove(&(removed.ends_at, *key));
        count_down(&mut self.by_project, &removed.project);
        count_down(&mut self.by_device, &removed.device);
        Some(removed)
    }

    /// Takes a slot; returns the time it is filed under.
    fn take_slot(&mut self, slot: SlotKey, project: ProjectKey, now_unix_seconds: u64) -> u64 {
        let mut taken_at = now_unix_seconds;
        self.change_slots(slot, project, |taken| {
            // Stays sorted even if the clock went back.
            taken_at = taken
                .last()
                .copied()
                .unwrap_or_default()
                .max(now_unix_seconds);
            taken.push(taken_at);
        });
        taken_at
    }

    /// Changes somebody's slots and files them under their new end.
    fn change_slots(
        &mut self,
        slot: SlotKey,
        project: ProjectKey,
        change: impl FnOnce(&mut Vec<u64>),
    ) {
        let end = |taken: &[u64]| {
            taken
                .last()
                .map(|at| (at.saturating_add(SLOT_SECONDS), slot))
        };
        let mut taken = Vec::new();
        if let Some(slots) = self.slots.remove(&slot) {
            count_down(&mut self.slots_by_project, &slots.project);
            taken = slots.taken;
        }
        if let Some(end) = end(&taken) {
            self.slot_ends.remove(&end);
        }
        change(&mut taken);
        if let Some(end) = end(&taken) {
            self.slot_ends.insert(end);
            *self.slots_by_project.entry(project).or_default() += 1;
            self.slots.insert(slot, Slots { project, taken });
        }
    }
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
