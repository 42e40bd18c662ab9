//! What to pay for gas, from what blocks cost lately and what the operator allows.

use serde::{Deserialize, Serialize};

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeeBounds {
    /// Wei per gas at most, in all.
    pub max_fee_per_gas: u64,
    /// Wei per gas at most, for the block's maker, in a first offer. What replaces one must offer
    /// an eighth more, or nodes do not take it.
    pub max_priority_fee_per_gas: u64,
    /// Wei per gas at least, for the block's maker: some chains take no less.
    pub min_priority_fee_per_gas: u64,
}

const GWEI: u64 = 1_000_000_000;

impl Default for FeeBounds {
    fn default() -> Self {
        Self {
            max_fee_per_gas: 500 * GWEI,
            max_priority_fee_per_gas: 20 * GWEI,
            min_priority_fee_per_gas: GWEI / 1000,
        }
    }
}

/// What blocks cost lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeHistory {
    /// Wei per gas that the next block burns.
    pub next_base_fee: u128,
    /// What the makers of recent blocks got at the median, wei per gas.
    pub rewards: Vec<u128>,
}

/// What a transaction offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// Wei per gas at most, in all.
    pub max_fee_per_gas: u128,
    /// Wei per gas for the block's maker.
    pub max_priority_fee_per_gas: u128,
}

/// Gas costs more than the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("gas costs {needed} wei now, more than the {allowed} that are allowed")]
pub struct FeesTooHigh {
    /// Wei per gas that the next block takes.
    pub needed: u128,
    /// Wei per gas that are allowed.
    pub allowed: u128,
}

impl FeeBounds {
    /// Chooses what to offer: twice the base fee, so that six full blocks in a row do not price
    /// the transaction out, never more than is allowed.
    ///
    /// # Errors
    ///
    /// [`FeesTooHigh`] if not even the next block is affordable.
    ///
    /// # Security
    ///
    /// The history is what a node says; the bounds limit what a lying one can make us burn.
    pub fn choose(&self, history: &FeeHistory) -> Result<Fees, FeesTooHigh> {
        let allowed = u128::from(self.max_fee_per_gas);
        let mut rewards = history.rewards.clone();
        rewards.sort_unstable();
        let median = rewards.get(rewards.len() / 2).copied().unwrap_or_default();
        let tip = median
            .max(u128::from(self.min_priority_fee_per_gas))
            .min(u128::from(self.max_priority_fee_per_gas));
        let needed = history.next_base_fee.saturating_add(tip);
        if needed > allowed {
            return Err(FeesTooHigh { needed, allowed });
        }
        let wanted = history.next_base_fee.saturating_mul(2).saturating_add(tip);
        Ok(Fees {
            max_fee_per_gas: wanted.min(allowed),
            max_priority_fee_per_gas: tip,
        })
    }
}

impl FeeBounds {
    /// Bounds the price so that so much gas costs at most so many wei.
    #[must_use]
    pub fn with_cost(self, wei: u128, gas: u64) -> Self {
        let price = u64::try_from(wei / u128::from(gas.max(1))).unwrap_or(u64::MAX);
        Self {
            max_fee_per_gas: self.max_fee_per_gas.min(price),
            ..self
        }
    }

    /// Chooses what to offer for a transaction in place of what was offered, if that is too little
    /// for the next block.
    ///
    /// # Errors
    ///
    /// [`FeesTooHigh`] if what nodes take for a replacement is not allowed.
    pub fn raise(&self, offered: Fees, history: &FeeHistory) -> Result<Option<Fees>, FeesTooHigh> {
        let now = self.choose(history)?;
        let needed = history
            .next_base_fee
            .saturating_add(now.max_priority_fee_per_gas);
        if offered.max_fee_per_gas >= needed {
            return Ok(None);
        }
        self.replace(offered, history).map(Some)
    }

    /// Chooses what to offer in place of what was offered, whether or not that was enough.
    ///
    /// # Errors
    ///
    /// [`FeesTooHigh`] if what nodes take for a replacement is not allowed.
    pub fn replace(&self, offered: Fees, history: &FeeHistory) -> Result<Fees, FeesTooHigh> {
        let now = self.choose(history)?;
        let fees = Fees {
            max_fee_per_gas: an_eighth_more(offered.max_fee_per_gas).max(now.max_fee_per_gas),
            max_priority_fee_per_gas: an_eighth_more(offered.max_priority_fee_per_gas)
                .max(now.max_priority_fee_per_gas),
        };
        let allowed = u128::from(self.max_fee_per_gas);
        if fees.max_fee_per_gas > allowed {
            return Err(FeesTooHigh {
                needed: fees.max_fee_per_gas,
                allowed,
            });
        }
        Ok(fees)
    }
}

/// Nodes want a tenth more of both prices, some an eighth.
const fn an_eighth_more(fee: u128) -> u128 {
    fee.saturating_add(fee.div_ceil(8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn history(next_base_fee: u128, rewards: &[u128]) -> FeeHistory {
        FeeHistory {
            next_base_fee,
            rewards: rewards.to_vec(),
        }
    }

    #[test]
    fn one_bribing_block_does_not_set_the_price() {
        let fees = FeeBounds::default().choose(&history(1_000, &[2_000_000, u128::MAX, 3_000_000]));
        assert_eq!(fees.unwrap().max_priority_fee_per_gas, 3_000_000);
    }

    #[test]
    fn a_fee_spike_is_refused_and_not_paid() {
        let bounds = FeeBounds::default();
        let spike = u128::from(bounds.max_fee_per_gas);
        assert!(bounds.choose(&history(spike, &[])).is_err());
        assert!(bounds.choose(&history(u128::MAX, &[u128::MAX])).is_err());
    }

    #[test]
    fn what_a_transaction_costs_bounds_its_price() {
        let bounds = FeeBounds::default().with_cost(1_000_000, 1_000);
        assert_eq!(bounds.max_fee_per_gas, 1_000);
        assert!(bounds.choose(&history(1_001, &[])).is_err());
        let unbounded = FeeBounds::default().with_cost(u128::MAX, 0);
        assert_eq!(unbounded, FeeBounds::default());
    }

    #[test]
    fn a_price_is_raised_only_where_it_is_too_low_and_only_as_allowed() {
        let bounds = FeeBounds::default();
        let offered = bounds.choose(&history(10_000_000, &[2_000_000])).unwrap();
        let again = |base| bounds.raise(offered, &history(base, &[2_000_000]));
        assert_eq!(again(10_000_000), Ok(None));
        assert_eq!(again(20_000_000), Ok(None));
        assert!(again(20_000_001).unwrap().is_some());
        assert!(again(bounds.max_fee_per_gas.into()).is_err());
    }

    proptest! {
        #[test]
        fn a_replacement_is_one_to_nodes_and_within_what_is_allowed(
            base in any::<u32>(), later in any::<u64>(), reward in any::<u64>(),
        ) {
            let bounds = FeeBounds::default();
            let Ok(old) = bounds.choose(&history(base.into(), &[reward.into()])) else {
                return Ok(());
            };
            if let Ok(new) = bounds.replace(old, &history(later.into(), &[reward.into()])) {
                prop_assert!(new.max_fee_per_gas * 8 >= old.max_fee_per_gas * 9);
                prop_assert!(new.max_priority_fee_per_gas * 8 >= old.max_priority_fee_per_gas * 9);
                prop_assert!(new.max_priority_fee_per_gas <= new.max_fee_per_gas);
                prop_assert!(new.max_fee_per_gas <= bounds.max_fee_per_gas.into());
                prop_assert!(new.max_fee_per_gas > u128::from(later));
            }
        }

        #[test]
        fn what_is_offered_suffices_for_the_next_block_and_is_allowed(
            base in any::<u64>(), rewards in prop::collection::vec(any::<u64>(), 0..5),
        ) {
            let bounds = FeeBounds::default();
            let rewards: Vec<_> = rewards.into_iter().map(u128::from).collect();
            if let Ok(fees) = bounds.choose(&history(base.into(), &rewards)) {
                prop_assert!(fees.max_fee_per_gas <= bounds.max_fee_per_gas.into());
                prop_assert!(fees.max_fee_per_gas >= u128::from(base) + fees.max_priority_fee_per_gas);
                prop_assert!(fees.max_priority_fee_per_gas <= bounds.max_priority_fee_per_gas.into());
            }
        }
    }
}
