//! What is remembered of records never goes backwards.

use keyfold_crypto::ed25519::SigningKey;
use keyfold_protocol::anchor::{Anchor, AnchorAck, AnchorStatement, AnchorStep};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{AnchorCommit, AnchorRead, AnchorRepair, Anchors, path};
use keyfold_protocol::ids::{Digest32, RecordId};

use crate::world::{Answer, OWN, World, code, rng};

const RECORD: RecordId = RecordId::from_bytes([9; 32]);

fn anchor(version: u64, hash: u8) -> Anchor {
    Anchor {
        version,
        hash: Digest32::from_bytes([hash; 32]),
    }
}

async fn commit(world: &World, previous: Option<Anchor>, next: Anchor) -> Answer<AnchorAck> {
    let step = AnchorStep {
        record: RECORD,
        previous,
        next,
    };
    world
        .call(path::ANCHOR_COMMIT, &AnchorCommit { step })
        .await
}

async fn read(world: &World) -> Option<Anchor> {
    let other = RecordId::from_bytes([8; 32]);
    let message = AnchorRead {
        records: vec![other, RECORD],
    };
    let anchors = world
        .call::<Anchors>(path::ANCHOR_READ, &message)
        .await
        .unwrap()
        .anchors;
    assert_eq!((anchors.len(), &anchors[0]), (2, &None));
    let ack = anchors[1]?;
    assert!(ack.verify(world.realm()));
    assert_eq!((ack.holder, ack.record), (OWN, RECORD));
    Some(ack.anchor)
}

fn ack(world: &World, by: usize, anchor: Anchor) -> AnchorAck {
    let (holder, key) = &world.others[by];
    AnchorStatement {
        realm: world.realm_id(),
        holder: *holder,
        record: RECORD,
        anchor,
    }
    .sign(key)
}

async fn repair(world: &World, acks: Vec<AnchorAck>) -> Answer<AnchorAck> {
    world
        .call(path::ANCHOR_REPAIR, &AnchorRepair { acks })
        .await
}

#[tokio::test]
async fn steps_go_forward_one_by_one_and_may_be_repeated() {
    let world = World::new().await;
    let (one, two) = (anchor(1, 1), anchor(2, 2));
    assert_eq!(read(&world).await, None);
    for _ in 0..2 {
        let ack = commit(&world, None, one).await.unwrap();
        assert!(ack.verify(world.realm()));
    }
    commit(&world, Some(one), two).await.unwrap();
    assert_eq!(read(&world).await, Some(two));
}

#[tokio::test]
async fn an_anchor_does_not_go_backwards_or_sideways_or_over_a_version() {
    let world = World::new().await;
    let (one, two) = (anchor(1, 1), anchor(2, 2));
    assert_eq!(code(commit(&world, None, two).await), Code::AnchorConflict);
    assert_eq!(
        code(commit(&world, Some(one), two).await),
        Code::AnchorConflict
    );
    commit(&world, None, one).await.unwrap();
    commit(&world, Some(one), two).await.unwrap();
    for (previous, next) in [
        (None, one),
        (Some(two), one),
        (Some(one), anchor(2, 3)),
        (Some(two), anchor(4, 4)),
        (Some(anchor(2, 9)), anchor(3, 3)),
        (Some(anchor(u64::MAX, 1)), anchor(0, 1)),
    ] {
        assert_eq!(
            code(commit(&world, previous, next).await),
            Code::AnchorConflict
        );
    }
    assert_eq!(read(&world).await, Some(two));
}

#[tokio::test]
async fn an_anchor_comes_with_the_share() {
    let world = World::new().await;
    let (person, key) = world.person_with_key().await;
    commit(&world, None, anchor(1, 1)).await.unwrap();
    let released = world
        .release(&person, &key, &world.use_of(&person, &key))
        .await
        .unwrap();
    assert_eq!(released.anchor, Some(anchor(1, 1)));
}

#[tokio::test]
async fn a_holder_that_lags_takes_over_what_a_write_quorum_remembers() {
    let world = World::new().await;
    let newest = anchor(7, 7);
    let acks = |anchor| vec![ack(&world, 0, anchor), ack(&world, 1, anchor)];
    repair(&world, acks(newest)).await.unwrap();
    assert_eq!(read(&world).await, Some(newest));
    // Never back, however many say so; the same version is decided by the quorum.
    assert_eq!(
        code(repair(&world, acks(anchor(6, 6))).await),
        Code::AnchorConflict
    );
    repair(&world, acks(newest)).await.unwrap();
    commit(&world, Some(newest), anchor(8, 1)).await.unwrap();
    repair(&world, acks(anchor(8, 2))).await.unwrap();
    assert_eq!(read(&world).await, Some(anchor(8, 2)));
}

#[tokio::test]
async fn too_few_or_unfit_statements_repair_nothing() {
    let world = World::new().await;
    let seven = anchor(7, 7);
    let good = |by| ack(&world, by, seven);
    let stranger = AnchorStatement {
        realm: world.realm_id(),
        holder: 3,
        record: RECORD,
        anchor: seven,
    }
    .sign(&SigningKey::generate(&mut rng()));
    let cases: Vec<(&str, Vec<AnchorAck>)> = vec![
        ("none", vec![]),
        ("one", vec![good(0)]),
        ("one twice", vec![good(0), good(0)]),
        (
            "forged index",
            vec![
                good(0),
                AnchorAck {
                    holder: 3,
                    ..good(0)
                },
            ],
        ),
        ("a stranger's key", vec![good(0), stranger]),
        (
            "different anchors",
            vec![good(0), ack(&world, 1, anchor(7, 8))],
        ),
        (
            "another record",
            vec![
                good(0),
                AnchorAck {
                    record: RecordId::from_bytes([1; 32]),
                    ..good(1)
                },
            ],
        ),
        ("too many", vec![good(0); 33]),
    ];
    for (what, acks) in cases {
        assert_eq!(
            code(repair(&world, acks).await),
            Code::EvidenceInvalid,
            "{what}"
        );
    }
    assert_eq!(read(&world).await, None);
}

#[tokio::test]
async fn a_restart_forgets_no_anchor() {
    let mut world = World::new().await;
    commit(&world, None, anchor(1, 1)).await.unwrap();
    world.restart().await;
    assert_eq!(read(&world).await, Some(anchor(1, 1)));
    assert_eq!(
        code(commit(&world, None, anchor(1, 2)).await),
        Code::AnchorConflict
    );
}

#[tokio::test]
async fn more_than_16_records_at_once_are_refused() {
    let world = World::new().await;
    let message = AnchorRead {
        records: vec![RECORD; 17],
    };
    let answer = world.call::<Anchors>(path::ANCHOR_READ, &message).await;
    assert_eq!(code(answer), Code::MalformedRequest);
}
