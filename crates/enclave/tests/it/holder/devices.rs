//! The list of devices.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::*;
use keyfold_protocol::ids::InstanceId;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::signed_request::Profile;

use super::{Refusal, SimHolder};
use crate::world::{Answer, ok, refuse};

impl SimHolder {
    pub(super) fn put_device(
        &mut self,
        owner: &AccountRef,
        device: Thumbprint,
        state: DeviceState,
        now: u64,
    ) {
        let list = self.devices.entry(owner.clone()).or_default();
        list.retain(|entry| entry.device != device);
        list.push(DeviceEntry {
            device,
            state,
            added: now,
            last_used: None,
        });
    }

    pub(super) fn enrol(&mut self, instance: InstanceId, enrol: &DeviceEnrol, now: u64) -> Answer {
        let verified = self.evidence(Profile::SignIn, instance, &enrol.evidence, now)?;
        let device = verified.request.device;
        let owner = AccountRef {
            project: verified.request.project,
            account: enrol.account,
        };
        self.not_revoked(&owner, device)?;
        let state = match (self.devices.get(&owner), self.state(&owner, device)) {
            (None, _) if enrol.first_device => DeviceState::Active,
            (_, Some(known)) if known.is_active(now) => DeviceState::Active,
            (_, Some(known)) => known,
            _ => DeviceState::Pending {
                active_at: now + 86_400,
            },
        };
        self.put_device(&owner, device, state, now);
        ok(self.device_ack(&owner, device, state, now))
    }

    pub(super) fn reserve_mail(
        &mut self,
        instance: InstanceId,
        reserve: &DeviceMailReserve,
        now: u64,
    ) -> Answer {
        let verified = self.evidence(Profile::SignIn, instance, &reserve.evidence, now)?;
        if verified.request.intent.operation() != Operation::SignInStart {
            return refuse(Code::IntentMismatch);
        }
        let device = verified.request.device;
        let owner = AccountRef {
            project: verified.request.project,
            account: reserve.account,
        };
        self.not_revoked(&owner, device)?;
        self.active(&owner, device, now)?;
        let count = self.device_mails.entry((owner, device)).or_default();
        *count += 1;
        if *count > self.mail_limit {
            return refuse(Code::MailLimit);
        }
        ok(Empty {})
    }

    pub(super) fn approve(
        &mut self,
        instance: InstanceId,
        message: &InSession,
        now: u64,
    ) -> Answer {
        let (owner, _, verified) = self.in_session(instance, &message.evidence, now)?;
        self.active(&owner, verified.request.device, now)?;
        let Intent::ApproveDevice { device, .. } = verified.request.intent else {
            return refuse(Code::EvidenceInvalid);
        };
        if self.state(&owner, device).is_none() {
            return refuse(Code::DeviceUnknown);
        }
        self.put_device(&owner, device, DeviceState::Active, now);
        ok(self.device_ack(&owner, device, DeviceState::Active, now))
    }

    pub(super) fn revoke_devices(
        &mut self,
        instance: InstanceId,
        message: &DeviceRevoke,
        now: u64,
    ) -> Answer {
        let (owner, _, verified) = self.in_session(instance, &message.evidence, now)?;
        let by = verified.request.device;
        let list = self.devices.entry(owner.clone()).or_default();
        let gone: Vec<Thumbprint> = match verified.request.intent {
            Intent::RevokeDevice { device, .. } => vec![device],
            _ => {
                let listed = list.iter().map(|entry| entry.device);
                let all = listed.chain(message.devices.iter().copied());
                all.filter(|device| *device != by).collect()
            }
        };
        if gone != [by] {
            self.active(&owner, by, now)?;
        }
        let list = self.devices.entry(owner.clone()).or_default();
        list.retain(|entry| !gone.contains(&entry.device));
        let gone = gone.into_iter().map(|device| (owner.clone(), device));
        self.revoked_devices.extend(gone);
        ok(Empty {})
    }

    pub(super) fn not_revoked(
        &self,
        owner: &AccountRef,
        device: Thumbprint,
    ) -> Result<(), Refusal> {
        if self.revoked_devices.contains(&(owner.clone(), device)) {
            return refuse(Code::DeviceRevoked);
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, sync: &DeviceSync, now: u64) -> Answer {
        let realm = self.realm.as_ref().unwrap();
        let first = &sync.acks[0];
        let device = sync.jwk.thumbprint();
        let good = sync.acks.iter().all(|ack| {
            ack.owner == first.owner
                && ack.device == device
                && ack.state == first.state
                && ack.is_fresh(now)
                && ack.verify(realm)
        });
        if !good || sync.acks.len() < usize::from(realm.record().threshold) {
            return refuse(Code::EvidenceInvalid);
        }
        self.not_revoked(&first.owner, device)?;
        self.put_device(&first.owner, device, first.state, now);
        ok(self.device_ack(&first.owner, device, first.state, now))
    }

    pub(super) fn device_ack(
        &self,
        owner: &AccountRef,
        device: Thumbprint,
        state: DeviceState,
        issued: u64,
    ) -> DeviceAck {
        let realm = self.realm.as_ref().unwrap().id();
        DeviceStatement {
            realm,
            holder: self.index,
            owner,
            device,
            state,
            issued,
        }
        .sign(&self.signing)
    }

    pub(super) fn state(&self, owner: &AccountRef, device: Thumbprint) -> Option<DeviceState> {
        self.devices
            .get(owner)?
            .iter()
            .find(|entry| entry.device == device)
            .map(|e| e.state)
    }

    pub(super) fn active(
        &self,
        owner: &AccountRef,
        device: Thumbprint,
        now: u64,
    ) -> Result<(), Refusal> {
        match self.state(owner, device) {
            Some(state) if state.is_active(now) => Ok(()),
            Some(_) => refuse(Code::DevicePending),
            None => refuse(Code::DeviceUnknown),
        }
    }
}
