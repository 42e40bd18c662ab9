//! Keys that sign in microseconds, for tests only: their nonces are known and used again.

use alloy_primitives::{Address, B256, B512, U256, keccak256, uint};
use keyfold_wallet::signature::EcdsaSignature;
use revm::precompile::secp256k1::bitcoin_secp256k1;

const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
pub(crate) const P256_ORDER: U256 =
    uint!(0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551_U256);

/// A multiplier, and the point it makes.
struct Point {
    scalar: U256,
    x: U256,
    odd: bool,
}

/// Keys of one curve.
pub(crate) struct Keys {
    order: U256,
    secrets: Vec<U256>,
    public: Vec<Vec<u8>>,
    nonces: Vec<Point>,
}

impl Keys {
    pub(crate) fn secp256k1() -> Self {
        Self::new(ORDER, |scalar| {
            let key = k256::ecdsa::SigningKey::from_slice(&scalar.to_be_bytes::<32>()).unwrap();
            key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
        })
    }

    pub(crate) fn p256() -> Self {
        Self::new(P256_ORDER, |scalar| {
            let key = p256::ecdsa::SigningKey::from_slice(&scalar.to_be_bytes::<32>()).unwrap();
            key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
        })
    }

    fn new(order: U256, point: impl Fn(U256) -> Vec<u8>) -> Self {
        let secrets: Vec<U256> = (1..=8u64).map(U256::from).collect();
        let nonce = |index: u64| {
            let scalar = U256::from_be_bytes(keccak256(index.to_be_bytes()).0) % order;
            let encoded = point(scalar);
            Point {
                scalar: scalar.inv_mod(order).unwrap(),
                x: U256::from_be_slice(&encoded[1..33]) % order,
                odd: encoded[64] & 1 == 1,
            }
        };
        Self {
            order,
            public: secrets.iter().map(|secret| point(*secret)).collect(),
            secrets,
            nonces: (0..16).map(nonce).collect(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.secrets.len()
    }

    pub(crate) fn address(&self, key: usize) -> Address {
        Address::from_slice(&keccak256(&self.public[key][1..])[12..])
    }

    /// The key's point.
    pub(crate) fn point(&self, key: usize) -> (B256, B256) {
        let public = &self.public[key];
        (
            B256::from_slice(&public[1..33]),
            B256::from_slice(&public[33..]),
        )
    }

    /// Signs: `r`, a low `s`, and the parity.
    pub(crate) fn sign_raw(&self, key: usize, hash: &B256) -> (B256, B256, bool) {
        let Point { scalar, x, odd } = &self.nonces[usize::from(hash[31]) % self.nonces.len()];
        let digest = U256::from_be_bytes(hash.0) % self.order;
        let sum = digest.add_mod(x.mul_mod(self.secrets[key], self.order), self.order);
        let s = sum.mul_mod(*scalar, self.order);
        if s > self.order / U256::from(2) {
            ((*x).into(), (self.order - s).into(), !odd)
        } else {
            ((*x).into(), s.into(), *odd)
        }
    }

    pub(crate) fn sign(&self, key: usize, hash: &B256) -> EcdsaSignature {
        let (r, s, odd) = self.sign_raw(key, hash);
        EcdsaSignature::new(r, s, odd).unwrap()
    }
}

/// Whose key made a signature.
pub(crate) fn recover(hash: &B256, signature: &EcdsaSignature) -> Option<Address> {
    let bytes = B512::from_slice(&signature.to_rsv()[..64]);
    bitcoin_secp256k1::ecrecover(&bytes, u8::from(signature.y_parity()), hash)
        .ok()
        .map(Address::from_word)
}
