//! An issuer's token vouches for one device of one account, verified by keys that the holder
//! fetched itself from a real server; whatever that server does, a sign-in ends.

use keyfold_crypto::b64;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::{Evidence, Item};
use keyfold_protocol::holder_api::{DeviceAck, DeviceEnrol, path};
use keyfold_protocol::ids::Digest32;

use crate::revocations::{approve, revoke};
use crate::world::{Behaviour, Issuer, Person, Token, World, code};

const DAY: u64 = 86_400;

async fn world(issuer: &Issuer) -> World {
    let config = issuer.config();
    World::with(|holder| holder.issuers = vec![config]).await
}

/// A person of that name at the issuer, bound to an account by its active device.
async fn known(world: &World, issuer: &Issuer, subject: &str) -> Person {
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    let token = issuer.token(world, &person, subject);
    let linked = world.link(&person, issuer.sign(&token)).await;
    assert_eq!(linked.unwrap().counts_from, world.now());
    person
}

async fn lets_in(world: &World, device: &Person, item: Item) -> bool {
    let ack = world
        .enrol_showing(device, &world.sign_in(device), vec![item])
        .await;
    ack.unwrap().state.is_active(world.now())
}

#[tokio::test]
async fn a_token_for_the_device_lets_it_in_at_once() {
    let issuer = Issuer::start().await;
    let mut world = world(&issuer).await;
    let person = known(&world, &issuer, "anna").await;
    world.restart().await;
    let second = Person::of(person.owner);
    let token = issuer.token(&world, &second, "anna");
    assert!(lets_in(&world, &second, issuer.sign(&token)).await);
}

#[tokio::test]
async fn a_token_that_says_anything_else_lets_nobody_in() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let person = known(&world, &issuer, "anna").await;
    let boris = known(&world, &issuer, "boris").await;
    let device = Person::of(person.owner.clone());
    let token = || issuer.token(&world, &device, "anna");
    let now = world.now();
    let with = |claim: &str, value: serde_json::Value| issuer.sign(&token().with(claim, value));
    let mut other_salt = token();
    other_salt.salt[0] ^= 1;
    let stranger = keyfold_crypto::jwk::DeviceSigningKey::generate_p256(&mut crate::world::rng());
    let mut claimed = issuer.sign(&token());
    if let Item::IdToken(shown) = &mut claimed {
        shown.client_id = "other".to_owned();
    }
    for (what, item) in [
        (
            "for another device",
            issuer.sign(&issuer.token(&world, &person, "anna")),
        ),
        (
            "about somebody else",
            issuer.sign(&issuer.token(&world, &device, "boris")),
        ),
        ("without a nonce", with("nonce", serde_json::Value::Null)),
        ("with another salt", issuer.sign(&other_salt)),
        ("for another app", with("aud", "other".into())),
        ("for another app than is claimed", claimed),
        ("at another party's request", with("azp", "other".into())),
        (
            "of an issuer that is not trusted",
            with("iss", "https://other.example".into()),
        ),
        (
            "of the issuer with a slash",
            with("iss", "https://issuer.example/".into()),
        ),
        ("over", with("exp", (now - 61).into())),
        ("too old", with("iat", (now - 661).into())),
        ("from the future", with("iat", (now + 61).into())),
        (
            "signed by somebody else",
            issuer.sign_by(&token(), &stranger),
        ),
    ] {
        assert!(!lets_in(&world, &device, item).await, "{what}");
    }
    // Another project has other nonces.
    let mut elsewhere = Person::of(device.owner.clone());
    elsewhere.owner.project = "other.example".parse().unwrap();
    let foreign = issuer.sign(&issuer.token(&world, &elsewhere, "anna"));
    let here = Person {
        owner: device.owner.clone(),
        ..elsewhere
    };
    assert!(!lets_in(&world, &here, foreign).await);
    // The genuine one is the account's, nobody else's.
    let thief = device.in_account(boris.owner);
    let genuine = issuer.sign(&token());
    assert!(!lets_in(&world, &thief, genuine.clone()).await);
    assert!(lets_in(&world, &device, genuine).await);
}

#[tokio::test]
async fn a_token_with_a_second_signature_is_used_up_with_the_first() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let person = known(&world, &issuer, "anna").await;
    let device = Person::of(person.owner);
    let token = issuer.token(&world, &device, "anna");
    let genuine = issuer.sign(&token);
    let turned = turned(&genuine);
    assert!(lets_in(&world, &device, genuine).await);
    forget(&world, &device).await;
    assert!(!lets_in(&world, &device, turned).await);
    // It would have been good, had it been the first.
    let other = Person::of(device.owner.clone());
    let token = issuer.token(&world, &other, "anna");
    let turned = self::turned(&issuer.sign(&token));
    assert!(lets_in(&world, &other, turned).await);
}

/// The same token with the mirror image of its signature, n - s in place of s, which is valid too.
fn turned(item: &Item) -> Item {
    const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let mut item = item.clone();
    let Item::IdToken(shown) = &mut item else {
        panic!("no token");
    };
    let (message, signature) = shown.token.rsplit_once('.').unwrap();
    let mut signature = b64::decode(signature, 64).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let n = i32::from(u8::from_str_radix(&N[2 * at..2 * at + 2], 16).unwrap());
        let digit = n - i32::from(signature[32 + at]) - borrow;
        borrow = i32::from(digit < 0);
        signature[32 + at] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    shown.token = format!("{message}.{}", b64::encode(&signature)).into();
    item
}

async fn forget(world: &World, device: &Person) {
    let database = keyfold_storage::Database::open(world.config.database_path())
        .await
        .unwrap();
    sqlx::query("DELETE FROM devices WHERE device = ?")
        .bind(&device.thumbprint().0[..])
        .execute(database.writer())
        .await
        .unwrap();
    database.close().await;
}

#[tokio::test]
async fn whom_a_first_sign_in_names_vouches_after_the_delay() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let person = Person::new("app.example");
    let sign_in = async |token: Token, first_device| {
        let mut items = person.items(&world.sign_in(&person));
        items.push(issuer.sign(&token));
        let message = DeviceEnrol {
            account: person.owner.account,
            first_device,
            evidence: Evidence::new(items),
        };
        world
            .call::<DeviceAck>(path::DEVICE_ENROL, &message)
            .await
            .unwrap()
    };
    sign_in(issuer.token(&world, &person, "anna"), true).await;
    let [early, late] = [0, 1].map(|_| Person::of(person.owner.clone()));
    let token = issuer.token(&world, &early, "anna");
    assert!(!lets_in(&world, &early, issuer.sign(&token)).await);
    world.advance_far(DAY / 2).await;
    // Signing in again does not begin the wait anew.
    sign_in(issuer.token(&world, &person, "anna"), false).await;
    world.advance_far(DAY / 2).await;
    let token = issuer.token(&world, &late, "anna");
    assert!(lets_in(&world, &late, issuer.sign(&token)).await);
}

#[tokio::test]
async fn whom_a_device_had_bound_vouches_no_more_once_it_is_taken_off() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let owner = known(&world, &issuer, "anna").await;
    let device = |_| Person::of(owner.owner.clone());
    let [thief, early, late] = [0, 1, 2].map(device);
    world.enrol(&thief).await.unwrap();
    approve(&world, &owner, &thief).await.unwrap();
    let token = issuer.token(&world, &thief, "mallory");
    world.link(&thief, issuer.sign(&token)).await.unwrap();
    revoke(&world, &owner, &thief).await.unwrap();
    let mallory = |device| issuer.sign(&issuer.token(&world, device, "mallory"));
    assert!(!lets_in(&world, &early, mallory(&early)).await);
    // The owner's own goes on; and he can have the other one vouch again.
    let anna = issuer.sign(&issuer.token(&world, &early, "anna"));
    assert!(lets_in(&world, &early, anna).await);
    let linked = world.link(&owner, mallory(&owner)).await.unwrap();
    assert_eq!(linked.counts_from, world.now());
    assert!(lets_in(&world, &late, mallory(&late)).await);
}

#[tokio::test]
async fn a_token_that_came_by_a_code_is_linked_and_waits() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    let callback = Digest32::from_bytes([7; 32]);
    let item = || issuer.sign(&issuer.token(&world, &person, "anna"));
    let linked = world.link_naming(&person, callback, item()).await.unwrap();
    assert_eq!(linked.counts_from, world.now() + DAY);
    // A device that names the token itself ends the wait.
    let linked = world.link(&person, item()).await.unwrap();
    assert_eq!(linked.counts_from, world.now());
}

#[tokio::test]
async fn a_holder_that_trusts_no_issuer_asks_none_and_lets_the_device_wait() {
    let issuer = Issuer::start().await;
    let world = World::new().await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    let token = issuer.token(&world, &person, "anna");
    let refused = world.link(&person, issuer.sign(&token)).await;
    assert_eq!(code(refused), Code::EvidenceInvalid);
    let second = Person::of(person.owner);
    let token = issuer.token(&world, &second, "anna");
    assert!(!lets_in(&world, &second, issuer.sign(&token)).await);
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn keys_are_fetched_once_for_many_and_again_when_they_are_old() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let person = known(&world, &issuer, "anna").await;
    let devices: Vec<_> = (0..8).map(|_| Person::of(person.owner.clone())).collect();
    let answers = futures_util::future::join_all(devices.iter().map(async |device| {
        let token = issuer.token(&world, device, "anna");
        lets_in(&world, device, issuer.sign(&token)).await
    }))
    .await;
    assert!(answers.into_iter().all(|active| active));
    assert_eq!(issuer.asked(), 1);
    world.advance_far(3_600).await;
    let device = Person::of(person.owner.clone());
    let token = issuer.token(&world, &device, "anna");
    assert!(lets_in(&world, &device, issuer.sign(&token)).await);
    assert_eq!(issuer.asked(), 2);
    // A key that the issuer took back counts for an hour at most.
    issuer.behave(Behaviour::Keys(vec!["two"]));
    world.advance_far(3_600).await;
    let device = Person::of(person.owner);
    let token = issuer.token(&world, &device, "anna");
    assert!(!lets_in(&world, &device, issuer.sign(&token)).await);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_a_flood_of_unknown_ones_asks_once_in_a_while() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let person = known(&world, &issuer, "anna").await;
    world.advance(30);
    issuer.behave(Behaviour::Keys(vec!["one", "two"]));
    let signed_by = |kid, device: &Person| {
        let token = issuer.token(&world, device, "anna");
        issuer.sign(&Token { kid, ..token })
    };
    let device = Person::of(person.owner.clone());
    assert!(lets_in(&world, &device, signed_by("two", &device)).await);
    assert_eq!(issuer.asked(), 2);
    let device = Person::of(person.owner.clone());
    for _ in 0..20 {
        assert!(!lets_in(&world, &device, signed_by("three", &device)).await);
    }
    assert_eq!(issuer.asked(), 2);
    world.advance(30);
    for _ in 0..20 {
        assert!(!lets_in(&world, &device, signed_by("three", &device)).await);
    }
    assert_eq!(issuer.asked(), 3);
    // Meanwhile the keys that are known serve everybody else.
    assert!(lets_in(&world, &device, signed_by("one", &device)).await);
}

#[tokio::test]
async fn an_issuer_that_redirects_or_sends_no_keys_is_away_and_is_asked_again_later() {
    for (what, behaviour) in [
        ("redirects", Behaviour::Redirect),
        ("is huge", Behaviour::Huge(64 * 1024)),
        ("is endless", Behaviour::Huge(16 << 20)),
        ("is no JSON", Behaviour::Body("<html>")),
        ("has no keys", Behaviour::Body("{\"keys\":[]}")),
        (
            "has a secret key",
            Behaviour::Body("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}"),
        ),
    ] {
        let issuer = Issuer::start().await;
        let world = world(&issuer).await;
        let person = Person::new("app.example");
        world.enrol(&person).await.unwrap();
        issuer.behave(behaviour);
        let item = || issuer.sign(&issuer.token(&world, &person, "anna"));
        for _ in 0..3 {
            let away = world.link(&person, item()).await;
            assert_eq!(code(away), Code::Unavailable, "{what}");
        }
        assert_eq!(issuer.asked(), 1, "{what}");
        // A sign-in ends all the same.
        let device = Person::of(person.owner.clone());
        let token = issuer.token(&world, &device, "anna");
        assert!(!lets_in(&world, &device, issuer.sign(&token)).await);
        issuer.behave(Behaviour::Keys(vec!["one"]));
        world.advance(30);
        assert!(world.link(&person, item()).await.is_ok(), "{what}");
    }
}

#[tokio::test]
async fn an_issuer_that_never_answers_holds_up_nobody_for_long() {
    let issuer = Issuer::start().await;
    let world = world(&issuer).await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    issuer.behave(Behaviour::Silent);
    let device = |_: usize| Person::of(person.owner.clone());
    let devices: Vec<_> = (0..4).map(device).collect();
    let answers = futures_util::future::join_all(devices.iter().map(async |device| {
        let token = issuer.token(&world, device, "anna");
        lets_in(&world, device, issuer.sign(&token)).await
    }))
    .await;
    assert!(answers.into_iter().all(|active| !active));
    // One waited for all.
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_server_with_a_certificate_of_somebody_else_is_not_asked() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let mut config = issuer.config();
    config.roots_pem = other.config().roots_pem;
    let mut named = issuer.config();
    named.issuer = "https://named.example".to_owned();
    named.jwks_uri = "https://named.example/jwks".to_owned();
    let world = World::with(|holder| holder.issuers = vec![config, named]).await;
    let person = Person::new("app.example");
    world.enrol(&person).await.unwrap();
    for iss in ["https://issuer.example", "https://named.example"] {
        let token = issuer.token(&world, &person, "anna").with("iss", iss);
        let away = world.link(&person, issuer.sign(&token)).await;
        assert_eq!(code(away), Code::Unavailable, "{iss}");
    }
    assert_eq!(issuer.asked(), 0);
}
