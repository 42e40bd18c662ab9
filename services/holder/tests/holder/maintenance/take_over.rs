//! What is taken in under a warrant.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{Empty, SealDirection, path};
use keyfold_protocol::ids::{InstanceId, KeyId, RealmId};
use keyfold_protocol::maintenance::{BatchSeal, TakeOver};

use crate::world::{Answer, Dealt, World, code, random};

async fn send(world: &World, message: &TakeOver) -> Answer<Empty> {
    world.call(path::SHARE_TAKE_OVER, message).await
}

#[tokio::test]
async fn shares_that_do_not_match_are_refused_and_nothing_is_kept() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let (new, other) = (world.redeal(&old, 2), world.redeal(&old, 2));
    let warrant = world.allowed(2);
    let good = world.take_over_message(&warrant, &[&new]);
    let with = |plain: Vec<u8>| TakeOver {
        shares: world.seal_batch(&warrant, &plain),
        ..good.clone()
    };
    let altered = |at: usize| {
        let mut plain = new.plain();
        plain[at] ^= 1;
        plain
    };
    // Another holder's share, genuine, in this one's place.
    let third = Dealt {
        sharing: new.sharing.clone(),
        shares: vec![Vec::new(), new.shares[2].clone()],
    };
    let mut commitment = good.clone();
    commitment.keys[0].leaf[1].0[0] ^= 1;
    let mut entropy = good.clone();
    entropy.keys[0].entropy[1].0[0] ^= 1;
    // Whose shares they are is in what was committed to.
    let mut owner = good.clone();
    owner.keys[0].key = KeyId::from_bytes(random());
    for (what, bad) in [
        ("an altered share", with(altered(60))),
        ("an altered opening", with(altered(10))),
        ("an altered index", with(altered(5))),
        ("another version", with(altered(4))),
        ("a length beyond the end", with(altered(1))),
        ("no share", with(Vec::new())),
        ("the leaf key's alone", with(new.plain()[..70].to_vec())),
        ("cut short", with(new.plain()[..100].to_vec())),
        ("something after it", with([new.plain(), vec![0]].concat())),
        ("another splitting's", with(other.plain())),
        ("another holder's", with(third.plain())),
        ("another commitment", commitment),
        ("another commitment to entropy", entropy),
        ("another key", owner),
    ] {
        assert_eq!(
            code(send(&world, &bad).await),
            Code::EvidenceInvalid,
            "{what}"
        );
    }
    assert_eq!(
        code(world.release_of(&person, &new).await),
        Code::KeyUnknown
    );
    assert_eq!(code(world.confirm(&[&new]).await), Code::KeyUnknown);
    send(&world, &good).await.unwrap();
}

#[tokio::test]
async fn one_bad_key_of_a_batch_keeps_all_of_it_out() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let second = world.dealt_key(&person).await;
    let (good, mut bad) = (world.redeal(&old, 2), world.redeal(&second, 2));
    bad.shares[1] = world.redeal(&second, 2).shares[1].clone();
    let answer = world.take_over(&world.allowed(2), &[&good, &bad]).await;
    assert_eq!(code(answer), Code::EvidenceInvalid);
    assert_eq!(
        code(world.release_of(&person, &good).await),
        Code::KeyUnknown
    );
}

#[tokio::test]
async fn an_envelope_for_something_else_does_not_open() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let warrant = world.allowed(2);
    let good = world.take_over_message(&warrant, &[&new]);
    let info = || world.batch_seal(&warrant, SealDirection::ToHolder);
    for (what, info) in [
        (
            "the other way",
            world.batch_seal(&warrant, SealDirection::ToInstance),
        ),
        (
            "another warrant",
            world.batch_seal(&world.allowed(3), SealDirection::ToHolder),
        ),
        (
            "another realm",
            BatchSeal {
                realm: RealmId::from_bytes([1; 32]),
                ..info()
            },
        ),
        (
            "another instance",
            BatchSeal {
                instance: InstanceId::from_bytes([1; 16]),
                ..info()
            },
        ),
        (
            "another holder",
            BatchSeal {
                holder: 3,
                ..info()
            },
        ),
    ] {
        let bad = TakeOver {
            shares: world.seal_batch_as(&info, &new.plain()),
            ..good.clone()
        };
        assert_eq!(code(send(&world, &bad).await), Code::SealBroken, "{what}");
    }
}

#[tokio::test]
async fn lists_that_are_not_one_commitment_for_each_holder_are_refused() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let good = world.take_over_message(&world.allowed(2), &[&new]);
    type Change = fn(&mut TakeOver);
    let changes: [(&str, Change); 8] = [
        ("two of three", |m| m.keys[0].leaf.truncate(2)),
        ("four of three", |m| m.keys[0].leaf.extend_from_within(..1)),
        ("no leaf key", |m| m.keys[0].leaf.clear()),
        ("entropy of two", |m| m.keys[0].entropy.truncate(2)),
        ("entropy of four", |m| {
            m.keys[0].entropy.extend_from_within(..1)
        }),
        ("an earlier generation", |m| m.keys[0].generation = 1),
        ("a later generation", |m| m.keys[0].generation = 3),
        ("a key twice", |m| m.keys.push(m.keys[0].clone())),
    ];
    for (what, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(
            code(send(&world, &bad).await),
            Code::MalformedRequest,
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_key_of_another_account_is_not_replaced() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let (thief, _) = world.person_with_dealt_key().await;
    let stolen = world.deal(&thief.owner, old.sharing.key, 2, &[&[1; 32], &[2; 16]]);
    let answer = world.take_over(&world.allowed(2), &[&stolen]).await;
    assert_eq!(code(answer), Code::OwnershipMismatch);
    world.release_of(&person, &old).await.unwrap();
}

#[tokio::test]
async fn a_key_does_not_lose_its_entropy() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let leaf_only = world.deal(&old.sharing.owner, old.sharing.key, 2, &[&[1; 32]]);
    let answer = world.take_over(&world.allowed(2), &[&leaf_only]).await;
    assert_eq!(code(answer), Code::EvidenceInvalid);
}

#[tokio::test]
async fn a_generation_that_is_settled_takes_nothing_more() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let warrant = world.allowed(3);
    let (new, late) = (world.redeal(&old, 3), world.redeal(&old, 3));
    world.take_over(&warrant, &[&new]).await.unwrap();
    let acks = world.all_confirm(&[&new]).await;
    world.retire(&[&new], &acks).await.unwrap();
    assert_eq!(
        code(world.take_over(&warrant, &[&late]).await),
        Code::KeyExists
    );
    let earlier = world.redeal(&old, 2);
    let answer = world.take_over(&world.allowed(2), &[&earlier]).await;
    assert_eq!(code(answer), Code::KeyExists);
    // The one that it is settled on is here; whoever asks again hears so.
    world.take_over(&warrant, &[&new]).await.unwrap();
    world.release_of(&person, &new).await.unwrap();
}

#[tokio::test]
async fn a_share_is_kept_for_one_splitting() {
    let world = World::new().await;
    let (_, old) = world.person_with_dealt_key().await;
    let new = world.redeal(&old, 2);
    let warrant = world.allowed(2);
    world.take_over(&warrant, &[&new]).await.unwrap();
    let mut other = Dealt {
        sharing: new.sharing.clone(),
        shares: new.shares.clone(),
    };
    other.sharing.leaf[0].0[0] ^= 1;
    assert_eq!(
        code(world.take_over(&warrant, &[&other]).await),
        Code::KeyExists
    );
    assert_eq!(code(world.confirm(&[&other]).await), Code::KeyUnknown);
    world.confirm(&[&new]).await.unwrap();
}

#[tokio::test]
async fn a_holder_that_missed_a_key_has_its_share_after_a_refresh() {
    let world = World::new().await;
    let (person, _) = world.person_with_dealt_key().await;
    let id = KeyId::from_bytes(random());
    let missed = world.deal(&person.owner, id, 1, &[&[1; 32], &[2; 16]]);
    let warrant = world.allowed(2);
    let handed = world
        .hand_over(&warrant, vec![missed.part()])
        .await
        .unwrap();
    assert_eq!(handed.missing, [0]);
    let new = world.redeal(&missed, 2);
    world.take_over(&warrant, &[&new]).await.unwrap();
    let acks = world.all_confirm(&[&new]).await;
    world.retire(&[&new], &acks).await.unwrap();
    world.release_of(&person, &new).await.unwrap();
}

#[tokio::test]
async fn attempts_are_bounded_and_none_that_may_count_makes_room() {
    let world = World::new().await;
    let (person, old) = world.person_with_dealt_key().await;
    let attempt = async || {
        let new = world.redeal(&old, 2);
        (world.take_over(&world.allowed(2), &[&new]).await, new)
    };
    // Confirmed: the account's record names it, perhaps for long.
    let (_, promised) = attempt().await;
    world.confirm(&[&promised]).await.unwrap();
    world.advance(1);
    let (_, oldest) = attempt().await;
    world.advance(1);
    for _ in 2..32 {
        attempt().await.0.unwrap();
    }
    assert_eq!(code(attempt().await.0), Code::ReleaseLimit);
    // A later generation is not concerned, and touches nothing of this one.
    let later = world.redeal(&old, 3);
    world.take_over(&world.allowed(3), &[&later]).await.unwrap();
    world.advance_far(86_398).await;
    assert_eq!(code(attempt().await.0), Code::ReleaseLimit);
    world.advance_far(1).await;
    let (answer, new) = attempt().await;
    answer.unwrap();
    for (dealt, kept) in [
        (&old, true),
        (&promised, true),
        (&oldest, false),
        (&new, true),
        (&later, true),
    ] {
        assert_eq!(world.release_of(&person, dealt).await.is_ok(), kept);
    }
}
