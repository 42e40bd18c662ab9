//! Rules against calls, what is used up, and the call that writes it down (format 5.4, 5.5).

use alloy_primitives::{Address, B256, Bytes, U256};

use super::{
    CallRule, Permission, SessionError, SessionPermissions, SessionReader, rule_usage_hash,
    value_usage_hash,
};
use crate::payload::{BehaviorOnError, Call};

/// Selector of `incrementUsageLimit((bytes32,uint256)[])`.
pub const INCREMENT_USAGE_LIMIT: [u8; 4] = [0x42, 0xde, 0x14, 0x18];

/// A new total, as the session manager stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageLimit {
    /// The key: see [`rule_usage_hash`] and [`value_usage_hash`].
    pub usage_hash: B256,
    /// The total after this payload.
    pub amount: U256,
}

/// A call that a session key is going to sign.
#[derive(Clone, Copy, Debug)]
pub struct PlannedCall<'a> {
    /// The call.
    pub call: &'a Call,
    /// The session of the key.
    pub session: &'a SessionPermissions,
    /// Which of its permissions the call uses.
    pub permission: u8,
}

/// Builds the call that must stand first when limits are used up, for the explicit calls that
/// will follow it, in order. `None` if none is needed.
///
/// The key of the first of these calls must sign it, at index 0.
///
/// # Errors
/// [`SessionError`] if a call is not permitted, or the chain cannot be asked.
pub fn increment_call(
    wallet: &Address,
    manager: &Address,
    calls: &[PlannedCall<'_>],
    reader: &impl SessionReader,
) -> Result<Option<Call>, SessionError> {
    let mut usage = Usage::new(*wallet, *manager, true, reader);
    for (index, planned) in calls.iter().enumerate() {
        let refused = |reason| SessionError::Call {
            index: index + 1,
            reason,
        };
        if planned.call.to == *manager {
            return Err(refused(CallRule::IncrementNotFirst));
        }
        usage
            .explicit(index + 1, planned.call, planned.session, planned.permission)
            .map_err(refused)?;
    }
    let totals = usage.totals();
    if totals.is_empty() {
        return Ok(None);
    }
    let data = increment_data(&totals);
    Ok(Some(Call::new(*manager, U256::ZERO, data)))
}

/// Encodes `incrementUsageLimit(totals)`.
#[must_use]
pub fn increment_data(totals: &[UsageLimit]) -> Bytes {
    let mut out = Vec::with_capacity(68 + totals.len() * 64);
    out.extend_from_slice(&INCREMENT_USAGE_LIMIT);
    out.extend_from_slice(crate::bytes::word(32u8).as_slice());
    out.extend_from_slice(crate::bytes::word(totals.len() as u64).as_slice());
    for total in totals {
        out.extend_from_slice(total.usage_hash.as_slice());
        out.extend_from_slice(&total.amount.to_be_bytes::<32>());
    }
    out.into()
}

/// What one key has used so far.
struct SessionUsage {
    signer: Address,
    value: U256,
    rules: Vec<UsageLimit>,
}

/// Adds up what the explicit calls of one payload use.
pub(super) struct Usage<'a, R> {
    wallet: Address,
    manager: Address,
    /// Whether the first call counts: without it nothing may be used.
    counting: bool,
    reader: &'a R,
    /// By key, in order of first appearance.
    sessions: Vec<SessionUsage>,
}

impl<'a, R: SessionReader> Usage<'a, R> {
    pub(super) fn new(wallet: Address, manager: Address, counting: bool, reader: &'a R) -> Self {
        Self {
            wallet,
            manager,
            counting,
            reader,
            sessions: Vec::new(),
        }
    }

    /// Judges an explicit call and counts it.
    pub(super) fn explicit(
        &mut self,
        index: usize,
        call: &Call,
        session: &SessionPermissions,
        permission: u8,
    ) -> Result<(), CallRule> {
        if session.chain_id != 0 && session.chain_id != self.reader.chain_id() {
            return Err(CallRule::WrongChain);
        }
        if session.deadline != 0 && self.reader.now_unix_seconds() > session.deadline {
            return Err(CallRule::SessionExpired);
        }
        if call.to == self.manager {
            if index != 0 {
                return Err(CallRule::IncrementNotFirst);
            }
            if !call.value.is_zero() {
                return Err(CallRule::Value);
            }
            // Judged at the end, against what the other calls used; its key's totals are the first.
            return self.open(session).map(drop);
        }
        let permission = session
            .permissions
            .get(usize::from(permission))
            .ok_or(CallRule::MissingPermission)?;
        if !self.counting {
            permission.judge(call, |_, _| Err(CallRule::Uncounted))?;
            return if call.value.is_zero() {
                Ok(())
            } else {
                Err(CallRule::Uncounted)
            };
        }
        let position = self.open(session)?;
        let (wallet, reader) = (self.wallet, self.reader);
        let used = self
            .sessions
            .get_mut(position)
            .ok_or(CallRule::MissingPermission)?;
        permission.judge(call, |index, value| {
            let key = rule_usage_hash(&session.signer, permission, index);
            let total = used.total(&wallet, key, reader)?;
            total.amount = total
                .amount
                .checked_add(value)
                .ok_or(CallRule::Rule { index })?;
            Ok(total.amount)
        })?;
        used.value = used
            .value
            .checked_add(call.value)
            .filter(|total| *total <= session.value_limit)
            .ok_or(CallRule::Value)?;
        Ok(())
    }

    /// Finds the key's usage; reads what it has sent before when it appears first.
    fn open(&mut self, session: &SessionPermissions) -> Result<usize, CallRule> {
        let known = self
            .sessions
            .iter()
            .position(|one| one.signer == session.signer);
        if let Some(position) = known {
            return Ok(position);
        }
        let key = value_usage_hash(&session.signer);
        let value = self
            .reader
            .limit_usage(&self.wallet, &key)
            .ok_or(CallRule::UsageUnknown)?;
        self.sessions.push(SessionUsage {
            signer: session.signer,
            value,
            rules: Vec::new(),
        });
        Ok(self.sessions.len() - 1)
    }

    /// The new totals, in the order in which the increment call must list them.
    pub(super) fn totals(&self) -> Vec<UsageLimit> {
        let mut totals = Vec::new();
        for session in &self.sessions {
            totals.extend_from_slice(&session.rules);
            if !session.value.is_zero() {
                totals.push(UsageLimit {
                    usage_hash: value_usage_hash(&session.signer),
                    amount: session.value,
                });
            }
        }
        totals
    }

    /// Judges the payload's first call, if it counts, against what all calls used.
    pub(super) fn check_increment(&self, first: &Call) -> Result<(), SessionError> {
        if !self.counting {
            return Ok(());
        }
        let totals = self.totals();
        if totals.is_empty() {
            return Err(SessionError::NeedlessIncrement);
        }
        let good = first.behavior_on_error == BehaviorOnError::Revert
            && !first.only_fallback
            && first.data == increment_data(&totals);
        if good {
            Ok(())
        } else {
            Err(SessionError::WrongIncrement)
        }
    }
}

impl SessionUsage {
    /// The running total of a rule, beginning with what is stored.
    fn total(
        &mut self,
        wallet: &Address,
        key: B256,
        reader: &impl SessionReader,
    ) -> Result<&mut UsageLimit, CallRule> {
        let known = self.rules.iter().position(|one| one.usage_hash == key);
        let position = known.unwrap_or_else(|| {
            self.rules.push(UsageLimit {
                usage_hash: key,
                amount: U256::ZERO,
            });
            self.rules.len() - 1
        });
        let total = self.rules.get_mut(position).ok_or(CallRule::UsageUnknown)?;
        // Zero may mean "not read yet": then the stored total is zero too, or is counted now.
        if total.amount.is_zero() {
            total.amount = reader
                .limit_usage(wallet, &key)
                .ok_or(CallRule::UsageUnknown)?;
        }
        Ok(total)
    }
}

impl Permission {
    /// Judges a call. `total` gives what the cumulative rule of this index has in all, with what
    /// the call adds.
    fn judge(
        &self,
        call: &Call,
        mut total: impl FnMut(usize, U256) -> Result<U256, CallRule>,
    ) -> Result<(), CallRule> {
        if self.target != call.to {
            return Err(CallRule::Target);
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let refused = CallRule::Rule { index };
            if rule.mask.is_zero() {
                return Err(refused);
            }
            let mut value = rule.value_in(&call.data).ok_or(refused)?;
            if rule.cumulative {
                value = total(index, value)?;
            }
            if !rule.comparison.holds(value, rule.value.into()) {
                return Err(refused);
            }
        }
        Ok(())
    }
}
