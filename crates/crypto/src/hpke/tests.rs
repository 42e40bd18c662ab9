use core::convert::Infallible;

use proptest::prelude::*;
use rand_core::{TryCryptoRng, TryRng};

use super::*;
use crate::testing::SeededRng;

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// Gives exactly the 32 bytes that a vector calls ikmE.
struct Scripted([u8; 32]);

impl TryRng for Scripted {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("not asked for")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("not asked for")
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        dst.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Scripted {}

#[test]
fn rfc_9180_appendix_a_1_1() {
    let info = hex::decode("4f6465206f6e2061204772656369616e2055726e").unwrap();
    let ikm_e = unhex("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234");
    let ikm_r = unhex("6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037");
    let private = unhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
    let public = unhex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d");
    let plaintext =
        hex::decode("4265617574792069732074727574682c20747275746820626561757479").unwrap();
    let aad = hex::decode("436f756e742d30").unwrap();
    let sealed = concat!(
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9",
        "6d8770ac83d07bea87e13c512a"
    );

    let recipient = derive_key_pair(&Secret::from_array(ikm_r));
    assert_eq!(recipient.to_secret(), Secret::from_array(private));
    assert_eq!(recipient.public_key(), HpkePublicKey(public));
    let ours = seal(
        &recipient.public_key(),
        &info,
        &aad,
        &plaintext,
        &mut Scripted(ikm_e),
    )
    .unwrap();
    assert_eq!(hex::encode(&ours), sealed);
    assert_eq!(
        open(&recipient, &info, &aad, &ours).unwrap(),
        SecretBytes::from_slice(&plaintext)
    );
}

fn fixture() -> (HpkePrivateKey, Vec<u8>) {
    let mut rng = SeededRng::new(1);
    let key = HpkePrivateKey::generate(&mut rng);
    let sealed = seal(&key.public_key(), b"info", b"aad", b"share", &mut rng).unwrap();
    (key, sealed)
}

#[test]
fn another_purpose_place_or_recipient_does_not_open() {
    let (key, sealed) = fixture();
    assert!(open(&key, b"info", b"aad", &sealed).is_ok());
    assert_eq!(open(&key, b"inf", b"aad", &sealed), Err(OpenError));
    assert_eq!(open(&key, b"info", b"aa", &sealed), Err(OpenError));
    assert_eq!(open(&key, b"", b"infoaad", &sealed), Err(OpenError));
    let other = HpkePrivateKey::generate(&mut SeededRng::new(2));
    assert_eq!(open(&other, b"info", b"aad", &sealed), Err(OpenError));
}

#[test]
fn altered_messages_do_not_open() {
    let (key, sealed) = fixture();
    for bit in (0..sealed.len() * 8).step_by(3) {
        // X25519 ignores the highest bit of a point; HPKE binds the encapsulated key as sent.
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            open(&key, b"info", b"aad", &altered),
            Err(OpenError),
            "bit {bit}"
        );
    }
    let mut highest = sealed.clone();
    highest[31] ^= 0x80;
    assert_eq!(open(&key, b"info", b"aad", &highest), Err(OpenError));
    for len in (0..sealed.len()).step_by(5) {
        assert_eq!(open(&key, b"info", b"aad", &sealed[..len]), Err(OpenError));
    }
    assert_eq!(
        open(&key, b"info", b"aad", &[0; OVERHEAD_BYTES]),
        Err(OpenError)
    );
}

#[test]
fn keys_of_small_order_are_refused() {
    // With these the shared secret is zero whatever the private key is: RFC 9180 section 7.1.4.
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [
        [0; 32],
        one,
        unhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        unhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ] {
        let refused = seal(&HpkePublicKey(weak), b"", b"", b"x", &mut SeededRng::new(1));
        assert_eq!(refused, Err(SealError::InvalidKey));
        let (key, mut sealed) = fixture();
        sealed[..32].copy_from_slice(&weak);
        assert_eq!(open(&key, b"info", b"aad", &sealed), Err(OpenError));
    }
}

#[test]
fn sizes_are_bounded() {
    let key = HpkePrivateKey::generate(&mut SeededRng::new(1));
    let mut rng = SeededRng::new(2);
    let largest = vec![0; MAX_PLAINTEXT_BYTES];
    let mut sealed = seal(&key.public_key(), b"", b"", &largest, &mut rng).unwrap();
    assert!(open(&key, b"", b"", &sealed).is_ok());
    sealed.push(0);
    assert_eq!(open(&key, b"", b"", &sealed), Err(OpenError));
    let longer = vec![0; MAX_PLAINTEXT_BYTES + 1];
    let refused = seal(&key.public_key(), b"", b"", &longer, &mut rng);
    assert_eq!(refused, Err(SealError::TooLong));
}

#[test]
fn keys_have_a_json_form_and_private_ones_do_not_print() {
    let key = HpkePrivateKey::generate(&mut SeededRng::new(1));
    let json = serde_json::to_string(&key.public_key()).unwrap();
    assert_eq!(json.len(), 45);
    assert_eq!(
        serde_json::from_str::<HpkePublicKey>(&json).unwrap(),
        key.public_key()
    );
    assert!(serde_json::from_str::<HpkePublicKey>("\"AA\"").is_err());
    assert_eq!(format!("{key:?}"), "HpkePrivateKey(Secret<32>([redacted]))");
    assert_eq!(
        HpkePrivateKey::from_secret(key.to_secret()).public_key(),
        key.public_key()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_was_sealed_opens(
        plaintext in proptest::collection::vec(any::<u8>(), 0..200),
        info in proptest::collection::vec(any::<u8>(), 0..20),
        aad in proptest::collection::vec(any::<u8>(), 0..20),
        seed: u64,
    ) {
        let mut rng = SeededRng::new(seed);
        let key = HpkePrivateKey::generate(&mut rng);
        let sealed = seal(&key.public_key(), &info, &aad, &plaintext, &mut rng).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + OVERHEAD_BYTES);
        prop_assert_eq!(
            open(&key, &info, &aad, &sealed).unwrap(),
            SecretBytes::from_slice(&plaintext)
        );
    }
}
