//! Small contracts that answer for signers and checkpointers, and what they answer, in Rust.

use alloy_primitives::{Address, B256, Bytes, Keccak256, U256, address, b256, hex, keccak256};
use keyfold_wallet::payload::{ANY_CHAIN, abi_encode};
use keyfold_wallet::signature::{EcdsaSignature, Recover, Request, StaticApproval};
use revm::precompile::hash::{ripemd160_run, sha256_run};

use crate::chain::{Chain, arguments, selector};
use crate::keys::recover;

/// Answers with the first word of the data; refuses less than a word.
pub(crate) const ECHO: Address = address!("ec00000000000000000000000000000000000001");
/// Answers with the hash of all it was called with: any difference in what the wallet passes on shows.
pub(crate) const DIGEST: Address = address!("ec00000000000000000000000000000000000002");
/// Answers with the magic of ERC-1271 if the data begins with the hash asked about, otherwise with zero.
pub(crate) const BOUND: Address = address!("ec00000000000000000000000000000000000003");
/// Reverts.
pub(crate) const REFUSING: Address = address!("ec00000000000000000000000000000000000004");
/// Answers with nothing.
pub(crate) const SILENT: Address = address!("ec00000000000000000000000000000000000005");
/// Answers with a word of ones.
pub(crate) const GARBAGE: Address = address!("ec00000000000000000000000000000000000006");
/// Answers with the first two words of the data; refuses to speak of another wallet than the one that asks.
pub(crate) const CHECKPOINTER: Address = address!("ec00000000000000000000000000000000000007");
/// Welcomes implicit calls.
pub(crate) const WELCOMING: Address = address!("ec00000000000000000000000000000000000008");
/// An account without code.
pub(crate) const NOBODY: Address = address!("ec00000000000000000000000000000000000009");

pub(crate) const ALL: [Address; 9] = [
    ECHO,
    DIGEST,
    BOUND,
    REFUSING,
    SILENT,
    GARBAGE,
    CHECKPOINTER,
    WELCOMING,
    NOBODY,
];

/// What the mocks revert with: `Refused()`.
pub(crate) const REFUSED: &str = "Refused()";

const MAGIC: B256 = b256!("1626ba7e00000000000000000000000000000000000000000000000000000000");

pub(crate) fn install(chain: &mut Chain) {
    // mstore(0, selector of Refused()), revert with its four bytes
    let refuse = format!("63{}6000526004601cfd", hex::encode(selector(REFUSED)));
    let codes = [
        // p = 4 + calldata[36], where the data's length stands; if 32 > length, refuse; answer word(p + 32)
        (
            ECHO,
            format!("6024356004018035602011601a57602001356000526020 6000f35b{refuse}"),
        ),
        (DIGEST, "36600060003736600020 60005260206000f3".into()),
        // eq(word(p + 32), calldata[4]) * magic
        (
            BOUND,
            "60243560040160200135600435146316 26ba7e0260e01b60005260206000f3".into(),
        ),
        (REFUSING, refuse.clone()),
        (SILENT, "00".into()),
        (GARBAGE, "60001960005260206000f3".into()),
        // if calldata[4] is not the caller, refuse; answer the two words at p + 32
        (
            CHECKPOINTER,
            format!("600435331415601957604060243560240160003760406000f35b{refuse}"),
        ),
        // keccak256(prefix, wallet, audience hash, issuer hash): three arguments, the second a tuple
        (
            WELCOMING,
            format!(
                "7f{}600052 600435 60601b 602052 602435600401 8060600135603452 604001356054 52 \
                 6074600020 600052 60206000f3",
                hex::encode(keccak256("acceptImplicitRequest"))
            ),
        ),
    ];
    for (address, code) in codes {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        chain.set_code(address, &hex::decode(code).unwrap());
    }
}

/// The first `words` words of the data, zeros where it ends.
fn padded(data: &[u8], word: usize) -> B256 {
    let mut out = [0u8; 32];
    for (to, from) in out.iter_mut().zip(data.iter().skip(word * 32)) {
        *to = *from;
    }
    out.into()
}

fn first_word(data: &[u8]) -> Option<B256> {
    data.get(..32).map(B256::from_slice)
}

fn magic_if(condition: bool) -> Option<B256> {
    Some(if condition { MAGIC } else { B256::ZERO })
}

/// Calldata of `recoverSapientSignature`.
pub(crate) fn sapient_call(request: &Request<'_>, data: &[u8]) -> Vec<u8> {
    let payload = abi_encode(request.payload, request.chain_id == ANY_CHAIN);
    let mut out = hex!("13792a4a").to_vec();
    out.extend(arguments(&payload[32..], data));
    out
}

/// Calldata of `recoverSapientSignatureCompact`.
pub(crate) fn compact_call(hash: &B256, data: &[u8]) -> Vec<u8> {
    let mut out = hex!("898bd921").to_vec();
    out.extend_from_slice(hash.as_slice());
    out.extend_from_slice(&U256::from(64).to_be_bytes::<32>());
    out.extend_from_slice(&U256::from(data.len()).to_be_bytes::<32>());
    out.extend_from_slice(data);
    out.resize(out.len() + data.len().next_multiple_of(32) - data.len(), 0);
    out
}

/// The chain as the verifier sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mocks {
    /// Who asks.
    pub(crate) wallet: Address,
    /// The approval that the wallet has stored for a hash.
    pub(crate) approval: Option<(B256, StaticApproval)>,
}

impl Recover for Mocks {
    fn ecrecover(&self, hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
        recover(hash, signature)
    }

    fn erc1271(&self, signer: &Address, hash: &B256, data: &[u8]) -> Option<bool> {
        Some(match *signer {
            ECHO => first_word(data) == Some(MAGIC),
            BOUND => padded(data, 0) == *hash,
            _ => false,
        })
    }

    fn sapient(&self, signer: &Address, request: &Request<'_>, data: &[u8]) -> Option<B256> {
        match *signer {
            ECHO => first_word(data),
            DIGEST => Some(keccak256(sapient_call(request, data))),
            // The first argument stands behind its offset.
            BOUND => magic_if(padded(data, 0) == B256::from(U256::from(64))),
            GARBAGE => Some(B256::repeat_byte(0xff)),
            WELCOMING => Some(welcome(&sapient_call(request, data))),
            other => first_word(&precompile(other, &sapient_call(request, data))?),
        }
    }

    fn sapient_compact(&self, signer: &Address, hash: &B256, data: &[u8]) -> Option<B256> {
        match *signer {
            ECHO => first_word(data),
            DIGEST => Some(keccak256(compact_call(hash, data))),
            BOUND => magic_if(padded(data, 0) == *hash),
            GARBAGE => Some(B256::repeat_byte(0xff)),
            WELCOMING => Some(welcome(&compact_call(hash, data))),
            other => first_word(&precompile(other, &compact_call(hash, data))?),
        }
    }

    fn static_approval(&self, _wallet: &Address, op_hash: &B256) -> Option<StaticApproval> {
        let (hash, approval) = self.approval.as_ref()?;
        Some(StaticApproval {
            expiry: if hash == op_hash { approval.expiry } else { 0 },
            ..*approval
        })
    }

    fn snapshot(&self, checkpointer: &Address, data: &[u8]) -> Option<(B256, U256)> {
        if *checkpointer == CHECKPOINTER {
            return Some((padded(data, 0), padded(data, 1).into()));
        }
        let mut call = hex!("ccce3bc8").to_vec();
        call.extend(self.wallet.into_word());
        call.extend(U256::from(64).to_be_bytes::<32>());
        let answer = precompile(*checkpointer, &call)?;
        (answer.len() >= 64).then(|| (padded(&answer, 0), padded(&answer, 1).into()))
    }
}

/// Mutation finds addresses at which there is no code, but which answer all the same.
fn precompile(address: Address, call: &[u8]) -> Option<Bytes> {
    let number = U256::from_be_bytes(address.into_word().0);
    match u8::try_from(number).ok()? {
        2 => sha256_run(call, u64::MAX).ok().map(|output| output.bytes),
        3 => ripemd160_run(call, u64::MAX)
            .ok()
            .map(|output| output.bytes),
        4 => Some(Bytes::copy_from_slice(call)),
        _ => None,
    }
}

/// What [`WELCOMING`] computes of any calldata.
fn welcome(calldata: &[u8]) -> B256 {
    let word = |at: usize| -> [u8; 32] {
        let mut out = [0u8; 32];
        for (to, from) in out.iter_mut().zip(calldata.iter().skip(at)) {
            *to = *from;
        }
        out
    };
    let offset = usize::try_from(U256::from_be_bytes(word(36)));
    let at = |add: usize| offset.ok().and_then(|offset| offset.checked_add(4 + add));
    let mut hasher = Keccak256::new();
    hasher.update(keccak256("acceptImplicitRequest"));
    hasher.update(&word(4)[12..]);
    hasher.update(at(0x60).map(word).unwrap_or_default());
    hasher.update(at(0x40).map(word).unwrap_or_default());
    hasher.finalize()
}
