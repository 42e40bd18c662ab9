//! Chains of configuration updates, and snapshots.

use super::*;

fn generation(byte: u8, checkpoint: u64) -> ValidConfig {
    let config = single(owner(byte), 1, 1).into_inner();
    ValidConfig::new(Config {
        checkpoint,
        ..config
    })
    .unwrap()
}

fn link(byte: u8, payload: &Payload, chain_id: u64) -> Parts {
    let hash = payload.op_hash(&WALLET, chain_id);
    Parts::from([(owner(byte), SignaturePart::EcdsaHash(sign(byte, &hash)))])
}

fn update_to(config: &ValidConfig) -> Payload {
    PayloadBody::ConfigUpdate(config.image_hash()).into()
}

#[test]
fn a_chain_proves_the_oldest_configuration() {
    let (newest, middle, oldest) = (generation(3, 9), generation(2, 4), generation(1, 0));
    let payload = message();
    let any = || Header {
        no_chain_id: true,
        ..Header::default()
    };
    let bytes = encode_chain(&[
        (&newest, &link(3, &payload, 1), Header::default()),
        (&middle, &link(2, &update_to(&newest), ANY_CHAIN), any()),
        (&oldest, &link(1, &update_to(&middle), ANY_CHAIN), any()),
    ])
    .unwrap();
    let recovered = recover(&request(&payload), &decode(&bytes).unwrap(), &ecrecover).unwrap();
    assert_eq!(recovered.image_hash, oldest.image_hash());
    assert_eq!(recovered.op_hash, payload.op_hash(&WALLET, 1));
}

#[test]
fn a_chain_that_goes_back_in_time_is_refused() {
    for checkpoint in [0, 1] {
        let (newer, older) = (generation(2, 0), generation(1, checkpoint));
        let payload = message();
        let bytes = encode_chain(&[
            (&newer, &link(2, &payload, 1), Header::default()),
            (&older, &link(1, &update_to(&newer), 1), Header::default()),
        ])
        .unwrap();
        let result = recover(&request(&payload), &decode(&bytes).unwrap(), &ecrecover);
        assert_eq!(result, Err(RecoverError::CheckpointOrder));
    }
}

#[test]
fn a_part_of_the_signers_is_recovered_with_its_weight_but_is_not_enough() {
    let payload = message();
    let tree = Topology::branch(
        single(owner(1), 1, 1).topology.clone(),
        single(owner(2), 1, 1).topology.clone(),
    );
    let config = ValidConfig::new(Config {
        threshold: 2,
        checkpoint: 0,
        checkpointer: None,
        topology: tree,
    })
    .unwrap();
    let bytes = encode(&config, &link(1, &payload, 1), &Header::default()).unwrap();
    let decoded = decode(&bytes).unwrap();
    let partial = recover_partial(&request(&payload), &decoded, &ecrecover).unwrap();
    assert_eq!(partial.weight, U256::from(1));
    assert_eq!(partial.image_hash, config.image_hash());
    assert_eq!(
        recover(&request(&payload), &decoded, &ecrecover),
        Err(RecoverError::InsufficientWeight {
            threshold: 2,
            weight: U256::from(1)
        })
    );
}

#[test]
fn a_configuration_older_than_the_snapshot_is_refused() {
    let payload = message();
    let with = |checkpoint| {
        let config = generation(1, checkpoint).into_inner();
        ValidConfig::new(Config {
            checkpointer: Some(C),
            ..config
        })
        .unwrap()
    };
    let attempt = |config: &ValidConfig, data: B256| {
        let data = Some(Bytes::copy_from_slice(data.as_slice()));
        let header = Header {
            checkpointer_data: data,
            ..Header::default()
        };
        let bytes = encode(config, &link(1, &payload, 1), &header).unwrap();
        recover(&request(&payload), &decode(&bytes).unwrap(), &Chain)
    };
    // The snapshot in these tests stands at checkpoint 5.
    let other = B256::repeat_byte(1);
    assert_eq!(attempt(&with(5), other), Err(RecoverError::UnusedSnapshot));
    assert!(attempt(&with(6), other).is_ok());
    assert!(attempt(&with(5), with(5).image_hash()).is_ok());
    assert!(attempt(&with(5), B256::ZERO).is_ok());
}
