//! The key machine's word about a wallet's latest configuration, as the checkpointer contract
//! reads it.
//!
//! The word is an EIP-712 structure whose domain has no chain: the configuration is the same on
//! all. Pure; who signs, and when, is the caller's.

use alloy_primitives::{Address, B256, Bytes, Keccak256, U256, keccak256};

use crate::EcdsaSignature;
use crate::bytes::word;
use crate::config::CHECKPOINT_LIMIT;

/// The longest life that the contract accepts, seconds.
pub const MAX_LIFETIME_SECONDS: u64 = 86_400;
/// Length of a proof: root, checkpoint (7), issued (8), expires (8), signature (ERC-2098).
pub const PROOF_LEN: usize = 32 + 7 + 8 + 8 + 64;

/// How long after it is distrusted the key machine still has a say, seconds.
pub const DISTRUST_DELAY_SECONDS: u64 = 3 * 24 * 60 * 60;

/// Computes what a signer of a wallet approves to take the key machine's say about it away, on one
/// chain. `number` is the contract's `changes(wallet)`: each approval counts once.
#[must_use]
pub fn distrust_hash(
    checkpointer: &Address,
    chain_id: u64,
    wallet: &Address,
    number: U256,
) -> B256 {
    let domain = words(&[
        keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        ),
        keccak256("Keyfold Checkpointer"),
        keccak256("1"),
        word(chain_id),
        checkpointer.into_word(),
    ]);
    let body = words(&[
        keccak256("Distrust(address wallet,uint256 number)"),
        wallet.into_word(),
        number.into(),
    ]);
    typed(&domain, &body)
}

/// What the key machine says: this is the wallet's latest root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootStatement {
    /// The wallet.
    pub wallet: Address,
    /// Root of its latest configuration.
    pub image_hash: B256,
    /// Checkpoint of that configuration, below 2^56.
    pub checkpoint: u64,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds of the last second at which it counts.
    pub expires: u64,
}

/// Why bytes are no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not [`PROOF_LEN`] bytes.
    #[error("a proof has {PROOF_LEN} bytes")]
    Length,
    /// `r` or `s` is out of range, or `s` is in the upper half.
    #[error("the signature of the proof is not one")]
    Signature,
    /// The checkpoint does not fit 56 bits.
    #[error("the checkpoint does not fit 56 bits")]
    Checkpoint,
}

impl RootStatement {
    /// Computes what the key machine signs, for a checkpointer contract.
    #[must_use]
    pub fn hash(&self, checkpointer: &Address) -> B256 {
        let domain = words(&[
            keccak256("EIP712Domain(string name,string version,address verifyingContract)"),
            keccak256("Keyfold Checkpointer"),
            keccak256("1"),
            checkpointer.into_word(),
        ]);
        let statement = words(&[
            keccak256(
                "Attestation(address wallet,bytes32 imageHash,uint256 checkpoint,uint256 issued,uint256 expires)",
            ),
            self.wallet.into_word(),
            self.image_hash,
            word(self.checkpoint),
            word(self.issued),
            word(self.expires),
        ]);
        typed(&domain, &statement)
    }

    /// Writes statement and signature as the contract takes them. The wallet is not in it.
    ///
    /// # Errors
    /// [`ProofError::Checkpoint`].
    pub fn to_proof(&self, signature: &EcdsaSignature) -> Result<Bytes, ProofError> {
        if self.checkpoint >= CHECKPOINT_LIMIT {
            return Err(ProofError::Checkpoint);
        }
        let [_, checkpoint @ ..] = self.checkpoint.to_be_bytes();
        let mut out = Vec::with_capacity(PROOF_LEN);
        out.extend_from_slice(self.image_hash.as_slice());
        out.extend_from_slice(&checkpoint);
        out.extend_from_slice(&self.issued.to_be_bytes());
        out.extend_from_slice(&self.expires.to_be_bytes());
        out.extend_from_slice(&signature.to_compact());
        Ok(out.into())
    }

    /// Reads a proof about a wallet. Who signed it, and whether it still counts, is not checked.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn from_proof(wallet: Address, proof: &[u8]) -> Result<(Self, EcdsaSignature), ProofError> {
        let parts = || {
            let (image_hash, rest) = proof.split_first_chunk::<32>()?;
            let (checkpoint, rest) = rest.split_first_chunk::<7>()?;
            let (issued, rest) = rest.split_first_chunk::<8>()?;
            let (expires, rest) = rest.split_first_chunk::<8>()?;
            let signature: &[u8; 64] = rest.try_into().ok()?;
            let checkpoint = checkpoint
                .iter()
                .fold(0, |number, byte| (number << 8) | u64::from(*byte));
            let statement = Self {
                wallet,
                image_hash: B256::from(*image_hash),
                checkpoint,
                issued: u64::from_be_bytes(*issued),
                expires: u64::from_be_bytes(*expires),
            };
            Some((statement, signature))
        };
        let (statement, signature) = parts().ok_or(ProofError::Length)?;
        let signature = EcdsaSignature::from_compact(signature).ok_or(ProofError::Signature)?;
        Ok((statement, signature))
    }
}

fn words(words: &[B256]) -> B256 {
    let mut hasher = Keccak256::new();
    for word in words {
        hasher.update(word);
    }
    hasher.finalize()
}

fn typed(domain: &B256, body: &B256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update([0x19, 0x01]);
    hasher.update(domain);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use alloy_sol_types::{Eip712Domain, SolStruct, sol};

    use super::*;

    sol! {
        struct Attestation {
            address wallet;
            bytes32 imageHash;
            uint256 checkpoint;
            uint256 issued;
            uint256 expires;
        }
        struct Distrust {
            address wallet;
            uint256 number;
        }
    }

    fn statement() -> RootStatement {
        RootStatement {
            wallet: Address::repeat_byte(1),
            image_hash: B256::repeat_byte(2),
            checkpoint: 0x0001_0203_0405_0607,
            issued: 1_800_000_000,
            expires: 1_800_003_600,
        }
    }

    fn signature() -> EcdsaSignature {
        EcdsaSignature::new(B256::repeat_byte(0x11), B256::repeat_byte(0x22), true).unwrap()
    }

    #[test]
    fn the_hash_is_that_of_another_implementation_of_eip_712() {
        let ours = statement();
        let checkpointer = Address::repeat_byte(3);
        let theirs = Attestation {
            wallet: ours.wallet,
            imageHash: ours.image_hash,
            checkpoint: alloy_primitives::U256::from(ours.checkpoint),
            issued: alloy_primitives::U256::from(ours.issued),
            expires: alloy_primitives::U256::from(ours.expires),
        };
        let domain = Eip712Domain {
            name: Some("Keyfold Checkpointer".into()),
            version: Some("1".into()),
            verifying_contract: Some(checkpointer),
            ..Default::default()
        };
        assert_eq!(
            ours.hash(&checkpointer),
            theirs.eip712_signing_hash(&domain)
        );
    }

    #[test]
    fn the_hash_of_a_distrust_is_that_of_another_implementation_of_eip_712() {
        let (wallet, checkpointer) = (Address::repeat_byte(1), Address::repeat_byte(3));
        let number = U256::from(7);
        let domain = Eip712Domain {
            name: Some("Keyfold Checkpointer".into()),
            version: Some("1".into()),
            chain_id: Some(U256::from(10)),
            verifying_contract: Some(checkpointer),
            ..Default::default()
        };
        let theirs = Distrust { wallet, number }.eip712_signing_hash(&domain);
        assert_eq!(distrust_hash(&checkpointer, 10, &wallet, number), theirs);
    }

    #[test]
    fn a_proof_returns_what_it_was_made_of() {
        let proof = statement().to_proof(&signature()).unwrap();
        assert_eq!(proof.len(), PROOF_LEN);
        let read = RootStatement::from_proof(statement().wallet, &proof);
        assert_eq!(read, Ok((statement(), signature())));
    }

    #[test]
    fn proofs_of_another_length_or_without_a_signature_are_refused() {
        let proof = statement().to_proof(&signature()).unwrap();
        for len in 0..PROOF_LEN {
            let short = RootStatement::from_proof(Address::ZERO, &proof[..len]);
            assert_eq!(short, Err(ProofError::Length), "{len}");
        }
        let long = [&proof[..], &[0]].concat();
        let read = RootStatement::from_proof(Address::ZERO, &long);
        assert_eq!(read, Err(ProofError::Length));
        let mut unsigned = proof.to_vec();
        unsigned[55..].fill(0);
        let read = RootStatement::from_proof(Address::ZERO, &unsigned);
        assert_eq!(read, Err(ProofError::Signature));
        let too_large = RootStatement {
            checkpoint: CHECKPOINT_LIMIT,
            ..statement()
        };
        assert_eq!(
            too_large.to_proof(&signature()),
            Err(ProofError::Checkpoint)
        );
    }
}
