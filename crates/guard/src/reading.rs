//! What one call does, as far as its bytes tell.

use alloy_primitives::{Address, U256, hex};
use keyfold_wallet::Call;

const TRANSFER: [u8; 4] = hex!("a9059cbb");
const APPROVE: [u8; 4] = hex!("095ea7b3");
const TRANSFER_FROM: [u8; 4] = hex!("23b872dd");

/// What a call does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Sends native coin.
    NativeTransfer {
        /// Who receives.
        to: Address,
        /// Wei.
        value: U256,
    },
    /// ERC-20 `transfer(address,uint256)`.
    Erc20Transfer {
        /// The token.
        token: Address,
        /// Who receives.
        to: Address,
        /// In the token's smallest unit.
        amount: U256,
    },
    /// ERC-20 `approve(address,uint256)`.
    Erc20Approve {
        /// The token.
        token: Address,
        /// Who may spend.
        spender: Address,
        /// In the token's smallest unit.
        amount: U256,
    },
    /// ERC-20 `transferFrom(address,address,uint256)`.
    Erc20TransferFrom {
        /// The token.
        token: Address,
        /// Who pays.
        from: Address,
        /// Who receives.
        to: Address,
        /// In the token's smallest unit.
        amount: U256,
    },
    /// Anything else.
    Unknown {
        /// The target.
        to: Address,
        /// The first four bytes, where there are as many.
        selector: Option<[u8; 4]>,
        /// Wei sent along.
        value: U256,
    },
}

impl Reading {
    /// Returns the address that is called.
    pub fn target(&self) -> Address {
        match self {
            Self::NativeTransfer { to, .. } | Self::Unknown { to, .. } => *to,
            Self::Erc20Transfer { token, .. }
            | Self::Erc20Approve { token, .. }
            | Self::Erc20TransferFrom { token, .. } => *token,
        }
    }

    /// Returns every address that the call touches as far as is known: target first.
    pub fn addresses(&self) -> Vec<Address> {
        match self {
            Self::NativeTransfer { to, .. } | Self::Unknown { to, .. } => vec![*to],
            Self::Erc20Transfer { token, to, .. } => vec![*token, *to],
            Self::Erc20Approve { token, spender, .. } => vec![*token, *spender],
            Self::Erc20TransferFrom {
                token, from, to, ..
            } => vec![*token, *from, *to],
        }
    }
}

/// Reads a call.
///
/// # Security
///
/// Only the one canonical encoding of a known function counts: exact length, no value sent along,
/// clean upper bytes of each address. Everything else is [`Reading::Unknown`], because a token may
/// read sloppy bytes differently from this function. Delegate calls are unknown, whatever their data.
pub fn read(call: &Call) -> Reading {
    let unknown = || Reading::Unknown {
        to: call.to,
        selector: call.data.first_chunk::<4>().copied(),
        value: call.value,
    };
    if call.delegate_call {
        return unknown();
    }
    if call.data.is_empty() {
        return Reading::NativeTransfer {
            to: call.to,
            value: call.value,
        };
    }
    if call.value != U256::ZERO {
        return unknown();
    }
    read_erc20(call.to, &call.data).unwrap_or_else(unknown)
}

fn read_erc20(token: Address, data: &[u8]) -> Option<Reading> {
    let (selector, arguments) = data.split_first_chunk::<4>()?;
    let (words, rest) = arguments.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    match (*selector, words) {
        (TRANSFER, [to, amount]) => Some(Reading::Erc20Transfer {
            token,
            to: address(to)?,
            amount: U256::from_be_bytes(*amount),
        }),
        (APPROVE, [spender, amount]) => Some(Reading::Erc20Approve {
            token,
            spender: address(spender)?,
            amount: U256::from_be_bytes(*amount),
        }),
        (TRANSFER_FROM, [from, to, amount]) => Some(Reading::Erc20TransferFrom {
            token,
            from: address(from)?,
            to: address(to)?,
            amount: U256::from_be_bytes(*amount),
        }),
        _ => None,
    }
}

fn address(word: &[u8; 32]) -> Option<Address> {
    let (upper, lower) = word.split_first_chunk::<12>()?;
    (*upper == [0; 12]).then(|| Address::from_slice(lower))
}
