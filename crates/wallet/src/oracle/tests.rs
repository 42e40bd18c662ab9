//! Methods against the vectors of format section 12; transport against section 9.2. The comparison
//! with the package itself is in `conformance/`.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const A: &str = "0x1111111111111111111111111111111111111111";
const B: &str = "0x2222222222222222222222222222222222222222";
const C: &str = "0x3333333333333333333333333333333333333333";

fn no_entropy() -> [u8; 32] {
    panic!("this method asks for no randomness")
}

fn ask(method: &str, params: Value) -> Answer {
    call(method, &params.to_string(), &mut no_entropy)
}

fn text(method: &str, params: Value) -> String {
    ask(method, params).unwrap().as_str().unwrap().to_owned()
}

/// The JSON in a result that is hex of it.
fn inside(result: &str) -> Value {
    serde_json::from_slice(&hex::decode(result).unwrap()).unwrap()
}

fn config(content: &str) -> Value {
    inside(&text(
        "config_new",
        json!({"threshold": "1", "checkpoint": "0", "from": "flat", "content": content}),
    ))
}

#[test]
fn configurations_are_those_of_the_vectors() {
    let one = config(&format!("signer:{A}:1"));
    assert_eq!(
        text("config_imageHash", json!({ "input": one })),
        "0xc11cff97d1826a1599a0b6e75d583c8d1413d721bc3ab0b5808e3b57813f97ce"
    );
    assert_eq!(
        text("config_encode", json!({ "input": one })),
        format!("0x06000111{}", &A[2..])
    );
    let node = "0x".to_owned() + &"ee".repeat(32);
    let two = inside(&text(
        "config_new",
        json!({
            "threshold": "2", "checkpoint": "300", "checkpointer": C,
            "content": format!("signer:{A}:1 signer:{B}:16 nested:2:3:(signer:{C}:1 node:{node})"),
        }),
    ));
    assert_eq!(
        text("config_imageHash", json!({ "input": two })),
        "0x7a99e7c24fb2cef5244f5d81270078395f5108c2bd8e0d5ea889c07febb546df"
    );
    let signature = text(
        "signature_encode",
        json!({"input": two, "signatures": "", "chainId": false, "checkpointerData": "0xdeadbeef"}),
    );
    let (a, b, c) = (&A[2..], &B[2..], &C[2..]);
    let expected = format!(
        "0x4a{c}000004deadbeef012c0211{a}41501010{b}6e00003611{c}30{}",
        &node[2..]
    );
    assert_eq!(signature, expected);
    let again = text("signature_concat", json!({ "signatures": [signature] }));
    assert_eq!(again, expected);
    let decoded = inside(&text("signature_decode", json!({ "signature": signature })));
    assert_eq!(decoded["configuration"]["topology"][0]["address"], A);
    assert_eq!(decoded["checkpointerData"], "0xdeadbeef");
}

#[test]
fn a_chain_shows_the_checkpointer_of_its_last_link() {
    let link = |checkpoint: u8, data: &str| {
        let config = json!({
            "threshold": "0", "checkpoint": checkpoint.to_string(), "checkpointer": B,
            "topology": {"type": "signer", "address": format!("0x{}", "00".repeat(20)), "weight": "0"},
        });
        let params = json!({"input": config, "checkpointerData": data});
        text("signature_encode", params)
    };
    let chain = text(
        "signature_concat",
        json!({ "signatures": [link(2, "0x02"), link(1, "0x01")] }),
    );
    let (b, zero) = (&B[2..], "00".repeat(20));
    let newest = format!("44{b}02001000{zero}");
    let oldest = format!("0401001000{zero}");
    assert_eq!(
        chain,
        format!("0x41{b}000001 01 00002d{newest} 000019{oldest}").replace(' ', "")
    );
    let decoded = inside(&text("signature_decode", json!({ "signature": chain })));
    assert_eq!(decoded["configuration"]["checkpoint"], "2");
    assert_eq!(decoded["suffix"][0]["configuration"]["checkpoint"], "1");
    assert_eq!(decoded["suffix"][0]["checkpointerData"], "0x01");
}

#[test]
fn sessions_are_those_of_the_vectors() {
    let empty = inside(&text("session_empty", json!({ "identitySigner": A })));
    assert_eq!(
        text(
            "session_encodeTopology",
            json!({ "sessionTopology": empty })
        ),
        format!("0x21163040{}", &A[2..])
    );
    assert_eq!(
        text("session_imageHash", json!({ "sessionTopology": empty })),
        "0x97b30670649c7dc653ae0f3edb5ccde9bffd072c0714ec259785e1b1523b0789"
    );
    let session = json!({
        "signer": B, "chainId": "1", "valueLimit": "1000", "deadline": "2000000000",
        "permissions": [{"target": C, "rules": [{
            "cumulative": true, "operation": 3, "offset": "36",
            "value": format!("0x{:064x}", 100), "mask": format!("0x{}", "ff".repeat(32)),
        }]}],
    });
    let add = json!({"explicitSession": session, "sessionTopology": empty});
    let full = inside(&text("session_explicit_add", add));
    assert_eq!(
        text("session_imageHash", json!({ "sessionTopology": full })),
        "0x4a7d761e81b140c2ef181d76e25cf91fa237079f46a18fe99d5a4e68e1bb9f7f"
    );
    assert!(
        ask(
            "session_explicit_add",
            json!({"explicitSession": session, "sessionTopology": full})
        )
        .is_err()
    );
    let remove = json!({"explicitSessionAddress": B, "sessionTopology": full});
    assert_eq!(inside(&text("session_explicit_remove", remove)), empty);
    let blacklist = |method, address, tree: &Value| {
        let params = json!({"blacklistAddress": address, "sessionTopology": tree});
        inside(&text(method, params))
    };
    let add = "session_implicit_addBlacklistAddress";
    let listed = blacklist(add, A, &blacklist(add, B, &empty));
    assert_eq!(listed[0]["blacklist"], json!([A, B]));
    assert_eq!(blacklist(add, A, &listed), listed);
    let remove = "session_implicit_removeBlacklistAddress";
    assert_eq!(blacklist(remove, A, &blacklist(remove, B, &listed)), empty);
    assert_eq!(blacklist(remove, C, &listed), listed);
}

#[test]
fn recovery_trees_are_those_of_the_vectors() {
    let leaves = format!("signer:{A}:100:1600000000 signer:{B}:2592000:0 signer:{C}:0:0");
    let root = "0xd451503106aeacea18a5938dcb58f40a202addf8eb515b2d93483d7be4e547cb";
    assert_eq!(
        text("recovery_hashFromLeaves", json!({ "leaves": leaves })),
        root
    );
    let list: Vec<_> = leaves.split(' ').collect();
    let whole = text("recovery_encode", json!({ "leaves": list }));
    assert_eq!(
        text("recovery_hashEncoded", json!({ "encoded": whole })),
        root
    );
    let trimmed = text("recovery_trim", json!({"leaves": leaves, "signer": B}));
    assert_eq!(
        trimmed,
        format!(
            "0x0365e4e1834310f04f31c2d5a688b0d09693229564e8e8679a02bd98b148980a350400004101{}278d00\
             00000000000000000382ea614f3ae607717cc62130d14cb45f9612fc550183eeca81b5ce0906d7bd12",
            &B[2..]
        )
    );
    assert_eq!(
        text("recovery_hashEncoded", json!({ "encoded": trimmed })),
        root
    );
    let nobody = text(
        "recovery_trim",
        json!({"leaves": leaves, "signer": format!("0x{}", "99".repeat(20))}),
    );
    assert_eq!(nobody, format!("0x03{}", &root[2..]));
}

#[test]
fn passkeys_are_those_of_the_vectors() {
    let mut key = json!({
        "x": format!("0x{}", "0a".repeat(32)), "y": format!("0x{}", "0b".repeat(32)),
        "requireUserVerification": true,
    });
    assert_eq!(
        text("passkeys_computeRoot", key.clone()),
        "0x45a76cf0a665bdd6e9ba7adc0675c2de79215be50739d5eea5502c9bd6e9565e"
    );
    key["credentialId"] = "cred".into();
    assert_eq!(
        text("passkeys_computeRoot", key.clone()),
        "0xf3d563b57e0fc6dc763b6e39a06e880cdb1261aa3ca7479334face9c19ac2efe"
    );
    key["metadataHash"] = key["x"].clone();
    assert!(ask("passkeys_computeRoot", key).is_err());
}

#[test]
fn the_client_data_of_a_passkey_keeps_its_order() {
    let word = format!("0x{}", "0a".repeat(32));
    let params = format!(
        r#"{{"x":"{word}","y":"{word}","r":"{word}","s":"{word}","requireUserVerification":false,
        "authenticatorData":"0x00","embedMetadata":false,
        "clientDataJson": {{ "type": "webauthn.get", "challenge": "AA", "a": [1, true, null] }}}}"#
    );
    let encoded = call("passkeys_encodeSignature", &params, &mut no_entropy).unwrap();
    let decoded = ask(
        "passkeys_decodeSignature",
        json!({ "encodedSignature": encoded }),
    )
    .unwrap();
    assert_eq!(
        decoded["clientDataJSON"],
        r#"{"type":"webauthn.get","challenge":"AA","a":[1,true,null]}"#
    );
    assert_eq!(decoded["typeIndex"], 1);
    let valid = params.replacen('{', &format!(r#"{{"challenge":"{word}","#), 1);
    assert_eq!(
        call("passkeys_validateSignature", &valid, &mut no_entropy),
        Ok(Value::Bool(false))
    );
}

#[test]
fn payloads_are_those_of_the_vectors() {
    use crate::payload::{Call, abi_encode};
    use alloy_primitives::{U256, aliases::U160};
    let data = format!("a9059cbb{}{}{:064x}", "00".repeat(12), &C[2..], 100);
    let to = B.parse().unwrap();
    let call = Call::new(to, U256::ZERO, hex::decode(data).unwrap());
    let payload = crate::Payload::calls(U160::ZERO, 0, vec![call]);
    let abi = hex::encode_prefixed(abi_encode(&payload, false));
    let packed = text("payload_toPacked", json!({ "payload": abi }));
    assert!(packed.starts_with(&format!("0x130044{}000044a9059cbb", &B[2..])));
    let wallet = "0x9216f3b1ab1a872bed72da41d0832e285f8a7de6";
    for (chain, expected) in [
        (
            json!("1"),
            "0x810944a35254a18e4ddf0250a16637dcd17ea7c92dfe67c58c93bfc7a10b92cb",
        ),
        (
            json!(0),
            "0xb58a691dd1b932f686345a2a8c2baeab5901927fba3f45b4bb96e0486b686629",
        ),
    ] {
        let params = json!({"wallet": wallet, "chainId": chain, "payload": abi});
        assert_eq!(text("payload_hashFor", params), expected);
    }
    let shown = inside(&text("payload_toJson", json!({ "payload": abi })));
    assert_eq!(shown["calls"][0]["behaviorOnError"], "revert");
    assert_eq!(shown["parentWallets"], json!([]));
    assert_eq!(
        ask("payload_toAbi", json!({})),
        Err(OracleError::not_implemented())
    );
    let message = crate::Payload::from(crate::PayloadBody::Message(Default::default()));
    let abi = hex::encode_prefixed(abi_encode(&message, false));
    assert_eq!(
        ask("payload_toPacked", json!({ "payload": abi })),
        Err(OracleError::not_implemented())
    );
    assert_eq!(
        text(
            "address_calculate",
            json!({
                "imageHash": "0xc11cff97d1826a1599a0b6e75d583c8d1413d721bc3ab0b5808e3b57813f97ce",
                "factory": "0x00000000000018A77519fcCCa060c2537c9D6d3F",
                "module": "0x0000000000001f3C39d61698ab21131a12134454",
            })
        ),
        wallet
    );
}

#[test]
fn random_trees_can_be_used_and_a_seed_makes_them_the_same() {
    let mut asked = 0u8;
    let mut random = |method: &str, params: Value| {
        let result = call(method, &params.to_string(), &mut || {
            asked += 1;
            [asked; 32]
        });
        inside(result.unwrap().as_str().unwrap())
    };
    for skewed in ["left", "right", "none"] {
        let params = json!({"maxDepth": "20", "checkpointer": "yes", "skewed": skewed});
        let config = random("devTools_randomConfig", params);
        assert!(config["checkpointer"].is_string());
        text("config_encode", json!({ "input": config }));
    }
    let left = random(
        "devTools_randomConfig",
        json!({"maxDepth": 2, "skewed": "left"}),
    );
    assert!(left["topology"][1].is_array() && !left["topology"][0].is_array());
    let one = random("devTools_randomConfig", json!({}));
    assert_ne!(one, random("devTools_randomConfig", json!({})));
    let seeded = json!({"seed": "x", "maxDepth": 5});
    let one = random("devTools_randomConfig", seeded.clone());
    assert_eq!(one, random("devTools_randomConfig", seeded));
    let wanted = json!({"maxDepth": 3, "maxPermissions": 4, "maxRules": 3});
    let sessions = random("devTools_randomSessionTopology", wanted);
    text("session_imageHash", json!({ "sessionTopology": sessions }));
    assert_eq!(asked, 7);
    for (method, params) in [
        ("devTools_randomConfig", json!({"maxDepth": 1_000_000})),
        (
            "devTools_randomSessionTopology",
            json!({"maxPermissions": 127, "maxRules": 255}),
        ),
    ] {
        assert!(call(method, &params.to_string(), &mut || [0; 32]).is_err());
    }
}

#[test]
fn every_method_is_known_and_refuses_what_is_no_object() {
    for method in METHODS {
        for params in ["", "null", "[]", "{", "7", "\"\""] {
            let result = call(method, params, &mut || [0; 32]);
            assert!(
                matches!(result, Err(OracleError::Failed(_))) || method.starts_with("devTools"),
                "{method} {params}"
            );
        }
    }
    assert!(matches!(
        ask("config_old", json!({})),
        Err(OracleError::UnknownMethod(_))
    ));
}

#[test]
fn signatures_out_of_range_are_written_down_for_contracts_to_refuse() {
    let high = format!("0x{}", "ff".repeat(32));
    let signature = text(
        "signature_encode",
        json!({
            "input": config(&format!("signer:{A}:1")),
            "signatures": format!("{A}:hash:{high}:{high}:27 {B}:erc1271:0x00"),
        }),
    );
    assert_eq!(signature, format!("0x04000101{}", "ff".repeat(64)));
    for bad in [
        "hash:1:2:3",
        "hash",
        "what:0x",
        "erc1271:00",
        &format!("hash:{high}:{high}:29"),
    ] {
        let params =
            json!({"input": config(&format!("signer:{A}:1")), "signatures": format!("{A}:{bad}")});
        assert!(ask("signature_encode", params).is_err(), "{bad}");
    }
}

#[test]
fn a_wide_signature_is_shown_without_recursion() {
    // As many nodes as a signature may have: the tree that the JSON shows is that deep.
    let nodes = "30".to_owned() + &"01".repeat(32);
    let signature = format!("0x000001{}", nodes.repeat(30_000));
    let shown = text("signature_decode", json!({ "signature": signature }));
    assert!(shown.len() > 30_000 * 66);
}

// ─── Transport ───

fn post(body: &str) -> (u16, Value) {
    let reply = answer(body.as_bytes(), &mut || [0; 32]);
    (reply.status, serde_json::from_str(&reply.body).unwrap())
}

#[test]
fn errors_have_the_codes_of_the_format() {
    for (body, status, code) in [
        ("", 400, PARSE),
        ("{", 400, PARSE),
        ("\u{0}", 400, PARSE),
        ("[]", 200, INVALID),
        ("7", 200, INVALID),
        ("{}", 200, INVALID),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"config_new"}"#,
            200,
            INVALID,
        ),
        (r#"{"jsonrpc":"2.0","id":1}"#, 200, INVALID),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#, 200, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"config_new"}"#,
            200,
            -32000,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"config_new","params":[]}"#,
            200,
            -32000,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"payload_toAbi","params":{}}"#,
            200,
            -32000,
        ),
    ] {
        let (got, reply) = post(body);
        assert_eq!(
            (got, &reply["error"]["code"]),
            (status, &json!(code)),
            "{body}"
        );
        assert_eq!(reply["jsonrpc"], "2.0");
    }
    let invalid_utf8 = answer(b"\"\xff\"", &mut || [0; 32]);
    assert_eq!(invalid_utf8.status, 400);
}

const PARSE: i32 = -32700;
const INVALID: i32 = -32600;

#[test]
fn a_batch_is_answered_in_order_with_its_ids() {
    let (status, reply) = post(&format!(
        r#"[{{"jsonrpc":"2.0","id":"a","method":"session_empty","params":{{"identitySigner":"{A}"}}}},
           {{"jsonrpc":"2.0","method":"x"}}, 7,
           {{"jsonrpc":"2.0","id":{{"b":1}},"method":"session_empty","params":{{"identitySigner":"{B}"}}}}]"#
    ));
    assert_eq!(status, 200);
    assert_eq!(reply[0]["id"], "a");
    assert!(reply[0]["result"].is_string());
    assert_eq!(reply[1]["id"], Value::Null);
    assert_eq!(reply[1]["error"]["code"], -32601);
    assert_eq!(reply[2]["error"]["code"], INVALID);
    assert_eq!(reply[3]["id"], json!({"b": 1}));
}

#[test]
fn deep_json_is_refused() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"session_imageHash","params":{{"sessionTopology":{deep}}}}}"#
    );
    let reply = answer(body.as_bytes(), &mut || [0; 32]);
    assert!(reply.body.contains("-32000"), "{}", reply.body);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_panics(
        method in proptest::sample::select(&METHODS[..]),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in ".{0,80}",
    ) {
        let bytes = hex::encode_prefixed(bytes);
        let mut params = serde_json::Map::new();
        for name in [
            "signature", "payload", "encoded", "encodedSignature", "wallet", "chainId", "imageHash",
            "checkpointerData", "authenticatorData", "identitySigner",
        ] {
            params.insert(name.to_owned(), bytes.clone().into());
        }
        for name in ["content", "signatures", "leaves", "seed", "clientDataJson", "threshold"] {
            params.insert(name.to_owned(), text.clone().into());
        }
        params.insert("input".to_owned(), config(&format!("signer:{A}:1 sapient:0x{}:{B}:255", "00".repeat(32))));
        params.insert("wallet".to_owned(), A.into());
        let _ = call(method, &Value::Object(params).to_string(), &mut || [0; 32]);
        let _ = answer(text.as_bytes(), &mut || [0; 32]);
    }

    #[test]
    fn what_is_read_is_written_again(
        kinds in proptest::collection::vec(0u8..5, 1..12),
        weight in any::<u8>(),
        data in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let data = hex::encode_prefixed(data);
        let address = |index: usize| format!("0x{:040x}", index + 1);
        let mut parts = Vec::new();
        let elements: Vec<String> = kinds.iter().enumerate().map(|(index, kind)| {
            let (a, word) = (address(index), format!("0x{:064x}", index + 7));
            match kind {
                0 => { parts.push(format!("{a}:hash:{word}:{word}:28")); format!("signer:{a}:{weight}") }
                1 => { parts.push(format!("{a}:erc1271:{data}")); format!("signer:{a}:{weight}") }
                2 => { parts.push(format!("{a}:sapient:{data}")); format!("sapient:{word}:{a}:{weight}") }
                3 => format!("nested:300:{weight}:(signer:{a}:1 node:{word})"),
                _ => format!("any-address-subdigest:{word}"),
            }
        }).collect();
        let params = json!({"input": config(&elements.join(" ")), "signatures": parts.join(" ")});
        let signature = text("signature_encode", params);
        let again = text("signature_concat", json!({ "signatures": [signature] }));
        prop_assert_eq!(signature, again);
    }
}
