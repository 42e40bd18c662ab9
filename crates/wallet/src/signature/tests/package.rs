//! What the npm package encodes (`vectors/configs.json`, `vectors/chains.json`).

use serde::Deserialize;

use super::*;
use crate::text;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    config: Config,
    image_hash: B256,
    no_chain_id: bool,
    checkpointer_data: Option<Bytes>,
    parts: Vec<String>,
    signature: Bytes,
    decoded: serde_json::Value,
}

#[derive(Deserialize)]
struct Chained {
    links: Vec<usize>,
    signature: Bytes,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../vectors/configs.json")).unwrap()
}

#[test]
fn signatures_are_those_of_the_package() {
    for case in cases() {
        assert_eq!(case.config.image_hash(), case.image_hash);
        let parts: Parts = case
            .parts
            .iter()
            .map(|part| text::part(part).unwrap())
            .collect();
        let header = Header {
            no_chain_id: case.no_chain_id,
            checkpointer_data: case.checkpointer_data,
            encoding: Encoding::Npm,
        };
        let bytes = encode_unjudged(&case.config, &parts, &header).unwrap();
        assert_eq!(hex::encode(&bytes), hex::encode(&case.signature));
        let decoded = decode(&bytes).unwrap();
        assert_eq!(decoded.encode(Encoding::Npm).unwrap(), bytes);
        assert_eq!(serde_json::to_value(&decoded).unwrap(), case.decoded);
        let shortest = decoded.encode(Encoding::Shortest).unwrap();
        assert!(shortest.len() <= bytes.len());
        assert_eq!(decode(&shortest).unwrap(), decoded);
    }
}

#[test]
fn chains_are_those_of_the_package() {
    let cases = cases();
    let chains: Vec<Chained> =
        serde_json::from_str(include_str!("../../../vectors/chains.json")).unwrap();
    for chain in chains {
        let links: Vec<&[u8]> = chain
            .links
            .iter()
            .map(|link| cases[*link].signature.as_ref())
            .collect();
        let bytes = concat(&links).unwrap();
        assert_eq!(hex::encode(&bytes), hex::encode(&chain.signature));
        let decoded = decode(&bytes).unwrap();
        assert_eq!(decoded.encode(Encoding::Npm).unwrap(), bytes);
        let json = serde_json::to_value(&decoded).unwrap();
        assert_eq!(json["suffix"].as_array().unwrap().len(), links.len() - 1);
        assert_eq!(concat(&[&bytes]), Err(ConcatError::NotSingle(0)));
    }
    assert_eq!(concat(&[]), Err(ConcatError::Empty));
    assert_eq!(concat(&[&[]]), Err(ConcatError::Truncated(0)));
    assert_eq!(concat(&[&[0x40, 1]]), Err(ConcatError::Truncated(0)));
    assert_eq!(concat(&[&[0x80]]), Err(ConcatError::NotSingle(0)));
}
