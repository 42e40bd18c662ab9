//! Warrants, and what is said under them.

use keyfold_protocol::maintenance::{
    BatchSeal, DrillStatement, KeyShares, SharesStatement, Sharing,
};
use keyfold_protocol::warrant::Warrant;

use super::*;

fn commitment(byte: u8) -> ShareCommitment {
    ShareCommitment([byte; 32])
}

fn sharing() -> Sharing {
    Sharing {
        owner: owner(),
        key: KeyId::from_bytes([0xf1; 16]),
        generation: 20_480,
        leaf: vec![commitment(1), commitment(2), commitment(3)],
        entropy: vec![commitment(4), commitment(5), commitment(6)],
    }
}

fn shares() -> KeyShares {
    sharing().part(2).unwrap()
}

#[test]
fn warrant() {
    let warrant = Warrant {
        version: 1,
        realm: realm(),
        from: 1,
        to: 2,
        generation: 20_480,
        image: [0xb3; 48],
        issued: 1_800_000_000,
        expires: 1_800_604_800,
    };
    let mut l = Listing::new(
        "keyfold/warrant/v1",
        "The operators of t holders sign it (Ed25519); its SHA-256 is how logs name it.",
    );
    l.u32("version", 1);
    l.bytes("realm id", &[0xa1; 32]);
    l.u32("from version of the realm record", 1);
    l.u32("to version", 2);
    l.u32("generation", 20_480);
    l.bytes("PCR0 of the image", &[0xb3; 48]);
    l.u64("issued (Unix s)", 1_800_000_000);
    l.u64("expires (Unix s)", 1_800_604_800);
    l.check("warrant", &warrant.to_signed_bytes());
}

#[test]
fn batch_seal() {
    let seal = BatchSeal {
        direction: SealDirection::ToHolder,
        realm: realm(),
        warrant: Digest32::from_bytes([0xb4; 32]),
        instance: InstanceId::from_bytes([0xf2; 16]),
        holder: 2,
    };
    let mut l = Listing::new(
        "keyfold/batch-seal/v1",
        "HPKE info of the shares of a batch on their way between an instance and a holder.",
    );
    l.u8("direction: 1 in, 2 out", 1);
    l.bytes("realm id", &[0xa1; 32]);
    l.bytes("SHA-256 of the warrant", &[0xb4; 32]);
    l.bytes("instance id", &[0xf2; 16]);
    l.u8("holder index", 2);
    l.check("batch-seal", &seal.to_signed_bytes());
}

#[test]
fn a_sharing() {
    let mut l = Listing::new(
        "keyfold/sharing/v1",
        "SHA-256 of it is how holders name one splitting of one key.",
    );
    l.bytes("project", b"app.example");
    l.bytes("account", &[0xa2; 16]);
    l.bytes("key id", &[0xf1; 16]);
    l.u32("generation", 20_480);
    for (list, bytes) in [("leaf key", [1, 2, 3]), ("entropy", [4, 5, 6])] {
        l.u32(&format!("{list}: count"), 3);
        for byte in bytes {
            l.bytes("commitment", &[byte; 32]);
        }
    }
    l.check_hash("sharing", Digest32::from_bytes(sharing().digest()));

    let without = Sharing {
        entropy: Vec::new(),
        ..sharing()
    };
    assert_ne!(without.digest(), sharing().digest());
}

#[test]
fn shares_ack() {
    let keys = [sharing()];
    let statement = SharesStatement {
        realm: realm(),
        holder: 2,
        keys: &keys,
    };
    let mut l = Listing::new(
        "keyfold/shares-ack/v1",
        "A holder states (Ed25519) that its shares of these splittings are on its disk.",
    );
    l.bytes("realm id", &[0xa1; 32]);
    l.u8("holder index", 2);
    l.u32("splittings: count", 1);
    l.bytes("SHA-256 of the splitting", &sharing().digest());
    l.check("shares-ack", &statement.to_signed_bytes());
}

#[test]
fn drill() {
    let without = KeyShares {
        entropy: None,
        ..shares()
    };
    let keys = [shares(), without];
    let statement = DrillStatement {
        realm: realm(),
        holder: 2,
        nonce: Digest32::from_bytes([0xd1; 32]),
        keys: &keys,
        bad: &[1],
    };
    let mut l = Listing::new(
        "keyfold/drill/v1",
        "A holder states (Ed25519) which of its shares are not good.",
    );
    l.bytes("realm id", &[0xa1; 32]);
    l.u8("holder index", 2);
    l.bytes("nonce", &[0xd1; 32]);
    l.u32("keys: count", 2);
    for entropy in [true, false] {
        l.bytes("key id", &[0xf1; 16]);
        l.u32("generation", 20_480);
        l.bytes("commitment of the leaf key", &[2; 32]);
        l.u8("entropy present", u8::from(entropy));
        if entropy {
            l.bytes("commitment of entropy", &[5; 32]);
        }
    }
    l.u32("bad: count", 1);
    l.u32("place in the list, from 0", 1);
    l.check("drill", &statement.to_signed_bytes());
}

#[test]
fn log_entries_of_maintenance() {
    let entry = |event| {
        let entry = LogEntry {
            realm: realm(),
            unix_ms: 1_800_000_000_123,
            instance: InstanceId::from_bytes([0xf2; 16]),
            event,
        };
        entry.to_signed_bytes()
    };
    let listing = |purpose: &str, number| {
        let purpose = format!("A leaf of a holder's log: here {purpose}.");
        let mut l = Listing::new("keyfold/holder-log-entry/v1", &purpose);
        l.bytes("realm id", &[0xa1; 32]);
        l.u64("Unix milliseconds", 1_800_000_000_123);
        l.bytes("instance id", &[0xf2; 16]);
        l.u8("event: 14 over, 15 in, 16 retired", number);
        l
    };
    let key = |l: &mut Listing| {
        l.u32("keys: count", 1);
        l.bytes("project", b"app.example");
        l.bytes("account", &[0xa2; 16]);
        l.bytes("key id", &[0xf1; 16]);
        l.u32("generation", 20_480);
    };
    let warrant = Digest32::from_bytes([0xb4; 32]);
    let (over, new) = ([shares()], [sharing()]);

    let mut l = listing("shares that were handed over under a warrant", 14);
    l.bytes("SHA-256 of the warrant", &[0xb4; 32]);
    key(&mut l);
    let handed = Event::KeysHandedOver {
        warrant,
        keys: &over,
    };
    l.check("holder-log-entry-keys-handed-over", &entry(handed));

    let mut l = listing("new shares that were taken over under a warrant", 15);
    l.bytes("SHA-256 of the warrant", &[0xb4; 32]);
    key(&mut l);
    l.bytes("SHA-256 of the splitting", &sharing().digest());
    let taken = Event::KeysTakenOver {
        warrant,
        keys: &new,
    };
    l.check("holder-log-entry-keys-taken-over", &entry(taken));

    let mut l = listing("the end of all shares of a key but one splitting's", 16);
    key(&mut l);
    l.bytes("SHA-256 of the splitting", &sharing().digest());
    let retired = Event::KeysRetired { keys: &new };
    l.check("holder-log-entry-keys-retired", &entry(retired));
}
