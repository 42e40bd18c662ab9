//! What is enforced is not sent beside a field that this release would silently leave out.
#![allow(clippy::unwrap_used)]

use keyfold_protocol::anchor::{Anchor, AnchorStep};
use keyfold_protocol::evidence::{EVIDENCE_VERSION, Evidence};
use keyfold_protocol::holder_api::{
    AnchorCommit, AnchorRead, AnchorRepair, AttemptKind, AttemptReserve, DeviceMailReserve,
    InSession, MailReserve, TimeRequest,
};
use keyfold_protocol::ids::{AccountId, Digest32, RecordId};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn takes_nothing_more<T: Serialize + DeserializeOwned>(message: &T) {
    let mut json = serde_json::to_value(message).unwrap();
    serde_json::from_value::<T>(json.clone()).unwrap();
    json["valid_until"] = 1.into();
    let refused = serde_json::from_value::<T>(json).err().unwrap();
    assert!(refused.to_string().contains("unknown field"), "{refused}");
}

#[test]
fn an_unknown_field_in_a_request_of_an_enclave_is_refused() {
    let digest = Digest32::from_bytes([1; 32]);
    let record = RecordId::from_bytes([2; 32]);
    let next = Anchor {
        version: 1,
        hash: digest,
    };
    let step = AnchorStep {
        record,
        previous: None,
        next,
    };
    takes_nothing_more(&next);
    takes_nothing_more(&step);
    takes_nothing_more(&AnchorCommit { step });
    takes_nothing_more(&AnchorRead {
        records: vec![record],
    });
    takes_nothing_more(&AnchorRepair { acks: Vec::new() });
    takes_nothing_more(&MailReserve {
        project: "app.example".parse().unwrap(),
        address: digest,
    });
    takes_nothing_more(&DeviceMailReserve {
        account: AccountId::from_bytes([1; 16]),
        evidence: Evidence {
            version: EVIDENCE_VERSION,
            items: Vec::new(),
        },
    });
    takes_nothing_more(&AttemptReserve {
        project: "app.example".parse().unwrap(),
        kind: AttemptKind::Password,
        subject: digest,
    });
    takes_nothing_more(&TimeRequest { nonce: digest });
    takes_nothing_more(&InSession {
        evidence: Evidence {
            version: EVIDENCE_VERSION,
            items: Vec::new(),
        },
    });
}
