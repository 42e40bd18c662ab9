use alloy_primitives::B256;
use keyfold_wallet::context::ContextName;
use keyfold_wallet::wallet_address;
use serde_json::json;

use crate::{Vectors, hex};

/// Keyfold's own contracts are not here: contracts/deployments.json pins them.
#[test]
fn addresses() {
    let mut vectors = Vectors::new("Addresses of wallets, by image hash and contracts");
    for name in ContextName::ALL {
        if !name.as_str().starts_with("sequence") {
            continue;
        }
        let context = name.context();
        for image_hash in [B256::ZERO, B256::repeat_byte(0xab)] {
            vectors.valid(
                name.as_str(),
                json!({
                    "imageHash": image_hash,
                    "factory": context.factory.to_string(),
                    "module": context.stage1.to_string(),
                    "creationCode": context.creation_code,
                    "initCodeHash": context.init_code_hash(),
                    "address": hex(wallet_address(&image_hash, &context)),
                }),
            );
        }
    }
    vectors.check("address");
}
