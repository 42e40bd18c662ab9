//! Signers that are contracts, asked through a chain.

use super::*;

#[test]
fn contracts_are_asked() {
    let sapient = Topology::Sapient {
        address: B,
        weight: 4,
        image_hash: B256::repeat_byte(9),
    };
    let topology = Topology::branch(
        Topology::Signer {
            address: A,
            weight: 2,
        },
        sapient,
    );
    let config = Config {
        threshold: 6,
        checkpoint: 0,
        checkpointer: None,
        topology,
    };
    let config = ValidConfig::new(config).unwrap();
    let payload = message();
    let parts = |a: &'static [u8], b: SignaturePart| {
        Parts::from([(A, SignaturePart::Erc1271(Bytes::from_static(a))), (B, b)])
    };
    let yes = || Bytes::from_static(b"yes");
    let compact = SignaturePart::SapientCompact(Bytes::from_static(b"compact"));
    for good in [
        parts(b"yes", SignaturePart::Sapient(yes())),
        parts(b"yes", compact),
    ] {
        let bytes = encode(&config, &good, &Header::default()).unwrap();
        let decoded = decode(&bytes).unwrap();
        let recovered = recover(&request(&payload), &decoded, &Chain).unwrap();
        assert_eq!(recovered.image_hash, config.image_hash());
        // Without a chain to ask, contracts never count.
        let refused = recover(&request(&payload), &decoded, &ecrecover);
        assert_eq!(refused, Err(RecoverError::ContractSigner(A)));
    }
    for (bad, signer) in [
        (parts(b"no", SignaturePart::Sapient(yes())), A),
        (parts(b"yes", SignaturePart::SapientCompact(yes())), B),
    ] {
        let bytes = encode(&config, &bad, &Header::default()).unwrap();
        let refused = recover(&request(&payload), &decode(&bytes).unwrap(), &Chain);
        assert_eq!(refused, Err(RecoverError::ContractSigner(signer)));
    }
}
