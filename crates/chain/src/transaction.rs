//! EIP-1559 transactions: fields, the hash that is signed, the bytes a node takes.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::{Decodable as _, Encodable, Header};
use keyfold_wallet::EcdsaSignature;

/// Type byte of an EIP-1559 transaction (EIP-2718).
const TYPE: u8 = 2;
/// An empty RLP list: we send no access list.
const EMPTY_LIST: u8 = 0xc0;

/// A transaction that nobody has signed yet. Its access list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The chain; binds the signature to it.
    pub chain_id: u64,
    /// How many transactions the sender has sent before.
    pub nonce: u64,
    /// Wei per gas for the block's maker.
    pub max_priority_fee_per_gas: u128,
    /// Wei per gas at most, in all.
    pub max_fee_per_gas: u128,
    /// Gas at most.
    pub gas_limit: u64,
    /// Who is called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Calldata.
    pub data: Bytes,
}

/// A transaction as a node takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// The bytes for `eth_sendRawTransaction`.
    pub raw: Bytes,
    /// Its hash, by which the chain names it.
    pub hash: B256,
}

impl Transaction {
    /// Computes the hash that the sender signs.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        keccak256(self.envelope(&[]))
    }

    /// Adds the signature over [`Self::signing_hash`].
    #[must_use]
    pub fn sign_with(&self, signature: &EcdsaSignature) -> SignedTransaction {
        let (r, s) = (
            U256::from_be_bytes(signature.r().0),
            U256::from_be_bytes(signature.s().0),
        );
        let raw = self.envelope(&[&u8::from(signature.y_parity()), &r, &s]);
        SignedTransaction {
            hash: keccak256(&raw),
            raw: raw.into(),
        }
    }

    /// Reads the fields of a signed transaction; its signature is not looked at.
    ///
    /// Returns `None` for bytes that [`Self::sign_with`] does not make.
    #[must_use]
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let mut list = raw.strip_prefix(&[TYPE])?;
        let mut fields = Header::decode_bytes(&mut list, true).ok()?;
        let input = &mut fields;
        let transaction = Self {
            chain_id: u64::decode(input).ok()?,
            nonce: u64::decode(input).ok()?,
            max_priority_fee_per_gas: u128::decode(input).ok()?,
            max_fee_per_gas: u128::decode(input).ok()?,
            gas_limit: u64::decode(input).ok()?,
            to: Address::decode(input).ok()?,
            value: U256::decode(input).ok()?,
            data: Bytes::decode(input).ok()?,
        };
        *input = input.strip_prefix(&[EMPTY_LIST])?;
        // Parity, r, s.
        for _ in 0..3 {
            U256::decode(input).ok()?;
        }
        (list.is_empty() && input.is_empty()).then_some(transaction)
    }

    /// Writes the type byte and the list of fields, followed by more of them.
    fn envelope(&self, more: &[&dyn Encodable]) -> Vec<u8> {
        let mut fields = Vec::with_capacity(self.data.len() + 256);
        self.chain_id.encode(&mut fields);
        self.nonce.encode(&mut fields);
        self.max_priority_fee_per_gas.encode(&mut fields);
        self.max_fee_per_gas.encode(&mut fields);
        self.gas_limit.encode(&mut fields);
        self.to.encode(&mut fields);
        self.value.encode(&mut fields);
        self.data.encode(&mut fields);
        fields.push(EMPTY_LIST);
        for field in more {
            field.encode(&mut fields);
        }
        let mut out = vec![TYPE];
        Header {
            list: true,
            payload_length: fields.len(),
        }
        .encode(&mut out);
        out.append(&mut fields);
        out
    }

    /// Computes the most wei the transaction can cost its sender.
    #[must_use]
    pub fn max_cost(&self) -> U256 {
        U256::from(self.max_fee_per_gas)
            .saturating_mul(U256::from(self.gas_limit))
            .saturating_add(self.value)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};

    use super::*;

    fn transaction(data: &[u8]) -> Transaction {
        Transaction {
            chain_id: 31_337,
            nonce: 0,
            max_priority_fee_per_gas: 1,
            max_fee_per_gas: 300,
            gas_limit: 21_000,
            to: Address::repeat_byte(0x11),
            value: U256::from(1_000_000),
            data: Bytes::copy_from_slice(data),
        }
    }

    /// Written out by hand from EIP-1559 and the rules of RLP.
    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        let expected = hex!(
            "02" "e6" // type; list of 38 bytes
            "827a69" "80" "01" "82012c" "825208" // chain, nonce, tip, fee, gas
            "941111111111111111111111111111111111111111" // to
            "830f4240" "80" "c0" // value, data, access list
        );
        assert_eq!(
            hex::encode(transaction(&[]).envelope(&[])),
            hex::encode(expected)
        );
        assert_eq!(transaction(&[]).signing_hash(), keccak256(expected));
    }

    #[test]
    fn the_signer_is_recovered_from_what_is_sent() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        for size in [0, 1, 55, 56, 255, 256, 70_000] {
            let unsigned = transaction(&vec![0xab; size]);
            let (signature, parity) =
                key.sign_prehash_recoverable(unsigned.signing_hash().as_slice());
            let mut rsv = [0; 65];
            rsv[..64].copy_from_slice(&signature.to_bytes());
            rsv[64] = parity.to_byte();
            let signed = unsigned.sign_with(&EcdsaSignature::from_rsv(&rsv).unwrap());
            assert_eq!(signed.hash, keccak256(&signed.raw));
            assert_eq!(Transaction::decode(&signed.raw), Some(unsigned.clone()));
            for cut in [0, 1, 2, signed.raw.len() / 2, signed.raw.len() - 1] {
                assert_eq!(Transaction::decode(&signed.raw[..cut]), None);
            }
            let longer = [&signed.raw[..], &[0]].concat();
            assert_eq!(Transaction::decode(&longer), None);
            assert_eq!(Transaction::decode(&unsigned.envelope(&[])), None);

            // The bytes without the last three fields are what was signed.
            let parsed = Parsed::of(&signed.raw);
            let signature = Signature::from_scalars(parsed.r, parsed.s).unwrap();
            let recovered = VerifyingKey::recover_from_prehash(
                unsigned.signing_hash().as_slice(),
                &signature,
                RecoveryId::from_byte(parsed.parity).unwrap(),
            );
            assert_eq!(recovered.unwrap(), *key.verifying_key());
        }
    }

    struct Parsed {
        parity: u8,
        r: [u8; 32],
        s: [u8; 32],
    }

    impl Parsed {
        fn of(raw: &[u8]) -> Self {
            use alloy_rlp::Decodable;
            assert_eq!(raw[0], TYPE);
            let mut fields = &raw[1..];
            let header = Header::decode(&mut fields).unwrap();
            assert!(header.list && header.payload_length == fields.len());
            for _ in 0..9 {
                let header = Header::decode(&mut fields).unwrap();
                fields = &fields[header.payload_length..];
            }
            let parity = u8::decode(&mut fields).unwrap();
            let r = U256::decode(&mut fields).unwrap().to_be_bytes();
            let s = U256::decode(&mut fields).unwrap().to_be_bytes();
            assert!(fields.is_empty());
            Self { parity, r, s }
        }
    }
}
