//! Bytes that no encoder should make.

use super::*;

#[test]
fn high_s_is_refused() {
    let low = sign(1, &B256::repeat_byte(7));
    let s = U256::from_be_bytes(ORDER.0) - U256::from_be_bytes(low.s().0);
    assert_eq!(
        EcdsaSignature::new(*low.r(), s.into(), !low.y_parity()),
        None
    );

    // On the wire the top bit of s is the parity, so only the values just above half fit there.
    let just_above = U256::from_be_bytes(HALF_ORDER.0) + U256::from(1);
    let mut bytes = [&[0, 1, 1][..], &[7; 32]].concat();
    bytes.extend_from_slice(&just_above.to_be_bytes::<32>());
    assert_eq!(decode(&bytes), Err(DecodeError::InvalidEcdsa));
}

#[test]
fn zero_r_and_zero_address_are_refused() {
    assert_eq!(
        decode(&[&[0, 1, 1][..], &[0; 64]].concat()),
        Err(DecodeError::InvalidEcdsa)
    );
    assert_eq!(
        decode(&[&[0, 1, 0x11][..], &[0; 20]].concat()),
        Err(DecodeError::ZeroAddress)
    );
}

#[test]
fn every_truncation_is_refused() {
    let header = Header {
        checkpointer_data: Some(hex!("00").into()),
        ..Header::default()
    };
    let bytes = encode_unsigned(&crate::config::tests::config2(), &header).unwrap();
    for length in 0..bytes.len() {
        // Between two items a signature is complete, but it is another tree's.
        if let Ok(shorter) = decode(&bytes[..length]) {
            assert_ne!(shorter, decode(&bytes).unwrap());
        }
    }
    assert_eq!(decode(&[]), Err(DecodeError::Truncated));
    assert_eq!(decode(&[0, 1]), Err(DecodeError::MalformedTree));
}

#[test]
fn malformed_shapes_are_refused() {
    let node = [&[0x30][..], &[7; 32]].concat();
    let with = |head: &[u8]| decode(&[head, node.as_slice()].concat());
    assert!(matches!(with(&[0x01, 0, 0]), Err(DecodeError::Truncated)));
    assert_eq!(decode(&[0x01]), Err(DecodeError::MalformedChain));
    assert_eq!(with(&[0x00, 1, 0x41, 33]), Err(DecodeError::MalformedTree));
    assert_eq!(
        decode(&[0x00, 1, 0x31]),
        Err(DecodeError::UnknownFlag(0x31))
    );
    assert_eq!(
        decode(&[0x00, 1, 0xb0]),
        Err(DecodeError::UnknownFlag(0xb0))
    );
    assert_eq!(decode(&[0x80, 0]), Err(DecodeError::TrailingBytes));
    assert_eq!(decode(&[0x84]), Err(DecodeError::UnknownFlag(0x84)));
    assert_eq!(decode(&[0x03]), Err(DecodeError::UnknownFlag(0x03)));
    let inner = [&[0x01, 0, 0, 36, 0x80, 1][..], &node].concat();
    assert!(decode(&inner).is_err());
}

#[test]
fn thresholds_of_zero_are_refused() {
    let node = [&[0x30][..], &[7; 32]].concat();
    assert_eq!(
        decode(&[&[0, 0][..], &node].concat()),
        Err(DecodeError::ZeroThreshold)
    );
    let nested = [&[0, 1, 0x64, 0, 0, 0, 0, 33][..], &node].concat();
    assert_eq!(decode(&nested), Err(DecodeError::ZeroThreshold));
}

#[test]
fn nesting_without_end_is_refused() {
    let mut bytes = [&[0x30][..], &[7; 32]].concat();
    for _ in 0..100 {
        let head = [0x6f, 0, (bytes.len() >> 8) as u8, bytes.len() as u8];
        bytes = [&head[..], &bytes].concat();
    }
    assert_eq!(
        decode(&[&[0, 1][..], &bytes].concat()),
        Err(DecodeError::TooDeep)
    );
}
