//! Vectors of the format description (section 12); calldata against a second encoder.

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex};
use alloy_sol_types::{SolCall, SolValue, sol};
use proptest::prelude::*;

use super::{Context, counterfactual_address, wallet_address};
use crate::context::{ContextName, ENTRY_POINT_V07, UnknownContext};
use crate::{abi, context};

sol! {
    function deploy(address mainModule, bytes32 salt) external payable returns (address);
    function execute(bytes packed, bytes signature) external payable;
    function selfExecute(bytes packed) external payable;
    function updateImageHash(bytes32 imageHash) external payable;
    function imageHash() external view returns (bytes32);
    function readNonce(uint256 space) external view returns (uint256);
    function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
}

const IMAGE_HASH: B256 = b256!("c11cff97d1826a1599a0b6e75d583c8d1413d721bc3ab0b5808e3b57813f97ce");

#[test]
fn wallet_addresses_match_published_vectors() {
    for (name, expected) in [
        (
            ContextName::SequenceRc5,
            address!("9216f3b1ab1a872bed72da41d0832e285f8a7de6"),
        ),
        (
            ContextName::SequenceRc5Erc4337,
            address!("ef2462de22f02bb3c80627b20f80704e11df3cc3"),
        ),
        (
            ContextName::SequenceRc4,
            address!("63b87fd773e44badd6ed6f506e56b85c2168e10e"),
        ),
    ] {
        let context = name.context();
        assert_eq!(wallet_address(&IMAGE_HASH, &context), expected);
        let parts = (&context.factory, &context.stage1, &context.creation_code);
        let (factory, stage1, code) = parts;
        assert_eq!(
            counterfactual_address(&IMAGE_HASH, factory, stage1, code),
            expected
        );
    }
}

#[test]
fn init_code_hashes_match_published_vectors() {
    assert_eq!(
        Context::sequence_rc5().init_code_hash(),
        b256!("108ec9459d08d016c34e0d3357656670fac2387bc04626c9754bc2f824a6eb8a")
    );
    assert_eq!(
        Context::sequence_rc5_4337().init_code_hash(),
        b256!("c75c42a5ea0df786097a5e0ce3cbfabe3352f2b69c96a3689f0072a8c7c6c37c")
    );
}

#[test]
fn selectors_are_those_of_the_functions() {
    assert_eq!(abi::DEPLOY, deployCall::SELECTOR);
    assert_eq!(abi::EXECUTE, executeCall::SELECTOR);
    assert_eq!(abi::SELF_EXECUTE, selfExecuteCall::SELECTOR);
    assert_eq!(abi::UPDATE_IMAGE_HASH, updateImageHashCall::SELECTOR);
    assert_eq!(abi::IMAGE_HASH, imageHashCall::SELECTOR);
    assert_eq!(abi::READ_NONCE, readNonceCall::SELECTOR);
    assert_eq!(abi::IS_VALID_SIGNATURE, isValidSignatureCall::SELECTOR);
}

proptest! {
    #[test]
    fn calldata_matches_a_second_encoder(
        first in prop::collection::vec(any::<u8>(), 0..100),
        second in prop::collection::vec(any::<u8>(), 0..100),
        word in any::<[u8; 32]>(),
    ) {
        let (packed, signature): (Bytes, Bytes) = (first.into(), second.into());
        let hash = B256::from(word);
        let call = executeCall { packed: packed.clone(), signature: signature.clone() };
        prop_assert_eq!(abi::execute(&packed, &signature).to_vec(), call.abi_encode());
        let call = selfExecuteCall { packed: packed.clone() };
        prop_assert_eq!(abi::self_execute(&packed).to_vec(), call.abi_encode());
        let call = isValidSignatureCall { hash, signature: signature.clone() };
        prop_assert_eq!(abi::is_valid_signature(&hash, &signature).to_vec(), call.abi_encode());
        let call = updateImageHashCall { imageHash: hash };
        prop_assert_eq!(abi::update_image_hash(&hash).to_vec(), call.abi_encode());
        let context = Context::sequence_rc5();
        let call = deployCall { mainModule: context.stage1, salt: hash };
        let deploy = abi::deploy(&context.stage1, &hash);
        prop_assert_eq!(deploy.as_ref(), call.abi_encode());

        let wrapped = abi::erc6492_wrap(&context, &hash, &signature);
        let body = (context.factory, deploy.clone(), signature.clone()).abi_encode_params();
        prop_assert_eq!(wrapped.as_ref(), [&body[..], abi::ERC6492_SUFFIX.as_slice()].concat());
        let unwrapped = abi::erc6492_unwrap(&wrapped).unwrap();
        let expected =
            abi::Erc6492 { factory: context.factory, deploy_data: deploy, signature };
        prop_assert_eq!(unwrapped, expected);
    }

    #[test]
    fn unwrapping_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        bytes.extend_from_slice(abi::ERC6492_SUFFIX.as_slice());
        let _ = abi::erc6492_unwrap(&bytes);
    }
}

#[test]
fn contexts_are_found_by_their_names() {
    for name in ContextName::ALL {
        assert_eq!(name.as_str().parse(), Ok(name));
        assert_eq!(name.to_string(), name.as_str());
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<ContextName>(&json).unwrap(), name);
        assert_eq!(name.is_keyfold(), name.as_str().starts_with("keyfold"));
        let of_4337 = name.as_str().ends_with("-4337");
        assert_eq!(name.entry_point().is_some(), of_4337);
    }
    for unknown in ["", "Keyfold", "sequence-rc6", "keyfold "] {
        assert_eq!(unknown.parse::<ContextName>(), Err(UnknownContext));
        let json = format!("\"{unknown}\"");
        assert!(serde_json::from_str::<ContextName>(&json).is_err());
    }
    let stages: std::collections::BTreeSet<Address> =
        ContextName::ALL.map(|name| name.context().stage1).into();
    assert_eq!(stages.len(), ContextName::ALL.len());
    for name in ContextName::CHOICES {
        assert_eq!(name.context().creation_code, context::CREATION_CODE);
    }
}

#[test]
fn reading_a_nonce_names_the_space() {
    let space = alloy_primitives::aliases::U160::from(7);
    let call = readNonceCall {
        space: U256::from(7),
    };
    assert_eq!(
        hex::encode(abi::read_nonce(space)),
        hex::encode(call.abi_encode())
    );
}

/// Runs the deployer's CREATE2 over the committed artifacts: an address in the code that is not what
/// the sources compile to would send deposits to nowhere.
#[test]
fn own_addresses_are_those_of_the_committed_artifacts() {
    let parse = |text: &str| -> serde_json::Value { serde_json::from_str(text).unwrap() };
    let deployments = parse(include_str!("../../../contracts/deployments.json"));
    let context = Context::keyfold();
    let extensions = ContextName::Keyfold.extensions().unwrap();
    let with_erc4337 = ContextName::KeyfoldErc4337.context();
    let entry_points = (
        ENTRY_POINT_V07,
        address!("4337084D9E255Ff0702461CF8895CE9E3b5Ff108"),
    );
    let deployer = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
    assert_eq!(deployments["deployer"], deployer.to_string());
    let expected = [
        (
            include_str!("../../../contracts/artifacts/Factory.json"),
            context.factory,
            Vec::new(),
        ),
        (
            include_str!("../../../contracts/artifacts/Stage2.json"),
            context.stage2,
            (Address::ZERO, Address::ZERO).abi_encode(),
        ),
        (
            include_str!("../../../contracts/artifacts/Stage1.json"),
            context.stage1,
            (
                context.factory,
                context.stage2,
                Address::ZERO,
                Address::ZERO,
            )
                .abi_encode(),
        ),
        (
            include_str!("../../../contracts/artifacts/Guest.json"),
            context.guest,
            Vec::new(),
        ),
        (
            include_str!("../../../contracts/artifacts/Stage2.json"),
            with_erc4337.stage2,
            entry_points.abi_encode(),
        ),
        (
            include_str!("../../../contracts/artifacts/Stage1.json"),
            with_erc4337.stage1,
            (
                context.factory,
                with_erc4337.stage2,
                entry_points.0,
                entry_points.1,
            )
                .abi_encode(),
        ),
        (
            include_str!("../../../contracts/artifacts/Passkeys.json"),
            extensions.passkeys,
            Vec::new(),
        ),
        (
            include_str!("../../../contracts/artifacts/Recovery.json"),
            extensions.recovery,
            Vec::new(),
        ),
        (
            include_str!("../../../contracts/artifacts/Sessions.json"),
            extensions.sessions,
            Vec::new(),
        ),
    ];
    assert!(deployments["contracts"].as_array().unwrap().len() >= expected.len());
    let deployed = deployments["contracts"].as_array().unwrap();
    for (artifact, address, arguments) in expected {
        let artifact = parse(artifact);
        let name = &artifact["contractName"];
        let mut code = hex::decode(artifact["bytecode"].as_str().unwrap()).unwrap();
        code.extend_from_slice(&arguments);
        assert_eq!(
            deployer.create2_from_code(B256::ZERO, &code),
            address,
            "{name}"
        );
        let entry = deployed
            .iter()
            .find(|entry| entry["address"] == address.to_string())
            .unwrap();
        assert_eq!(&entry["artifact"], name);
        assert_eq!(
            entry["constructorArguments"],
            hex::encode_prefixed(&arguments)
        );
    }
}
