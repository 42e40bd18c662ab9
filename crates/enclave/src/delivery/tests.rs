use keyfold_crypto::testing::SeededRng;
use keyfold_protocol::delivery::{SEALED_LEN, SEALED_TEXT_LEN};
use keyfold_protocol::ids::{AccountId, AddressId, SessionId};
use keyfold_protocol::session::{AttestationSigner, Confirmation, SessionClaims};

use super::*;
use keyfold_protocol::project::WALLETS;

const ENDS: u64 = 2_000_000_000;

fn cookies(seed: u8) -> SessionCookies {
    let secret = |n| Secret::from_array([n; 32]);
    SessionCookies::new(secret(seed), secret(seed + 100))
}

fn owner(project: &ProjectId) -> Owner<'_> {
    Owner {
        realm: RealmId::from_bytes([1; 32]),
        project,
        device: Thumbprint([2; 32]),
    }
}

fn project() -> ProjectId {
    "app.example".parse().unwrap()
}

fn seal(attestation: &str) -> SealedSession {
    let project = project();
    cookies(1)
        .seal(owner(&project), attestation, ENDS, &mut SeededRng::new(1))
        .unwrap()
}

#[test]
fn what_was_sealed_for_a_device_in_a_project_opens_for_it_until_the_session_ends() {
    let (project, sealed) = (project(), seal("an.attes.tation"));
    let open = |now| cookies(1).open(owner(&project), sealed.as_str(), now);
    assert_eq!(open(ENDS - 1).as_deref(), Ok("an.attes.tation"));
    assert_eq!(open(ENDS), Err(Code::SessionExpired));
}

#[test]
fn a_cookie_of_another_realm_key_project_or_device_is_no_session() {
    let (project, sealed) = (project(), seal("an.attes.tation"));
    let other_project: ProjectId = "other.example".parse().unwrap();
    let own = owner(&project);
    let foreign = [
        owner(&other_project),
        Owner {
            realm: RealmId::from_bytes([9; 32]),
            ..own
        },
        Owner {
            device: Thumbprint([9; 32]),
            ..own
        },
    ];
    for owner in foreign {
        let opened = cookies(1).open(owner, sealed.as_str(), 1);
        assert_eq!(opened, Err(Code::SessionInvalid));
    }
    let opened = cookies(2).open(own, sealed.as_str(), 1);
    assert_eq!(opened, Err(Code::SessionInvalid));
}

#[test]
fn a_cookie_with_any_byte_altered_cut_or_added_is_no_session() {
    let project = project();
    let bytes = seal("an.attes.tation").to_bytes().unwrap();
    let refused = |text: &str| {
        let opened = cookies(1).open(owner(&project), text, 1);
        assert_eq!(opened, Err(Code::SessionInvalid));
    };
    // The end, version and key of the envelope, nonce, content, tag.
    for at in (0..45).chain([46, 1_500, SEALED_LEN - 1]) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        refused(SealedSession::from_bytes(&altered).unwrap().as_str());
    }
    let text = keyfold_crypto::b64::encode(&bytes);
    refused("");
    refused(&text[..SEALED_TEXT_LEN - 1]);
    refused(&format!("{text}A"));
    refused(&text.repeat(1_000));
    refused(&"A".repeat(SEALED_TEXT_LEN));
    refused(&"\0".repeat(SEALED_TEXT_LEN));
}

#[test]
fn the_end_of_a_session_cannot_be_put_off() {
    let project = project();
    let mut bytes = seal("an.attes.tation").to_bytes().unwrap();
    bytes[..8].copy_from_slice(&(ENDS + 1).to_be_bytes());
    let later = SealedSession::from_bytes(&bytes).unwrap();
    let opened = cookies(1).open(owner(&project), later.as_str(), ENDS);
    assert_eq!(opened, Err(Code::SessionInvalid));
}

#[test]
fn the_same_attestation_is_sealed_otherwise_each_time_and_every_one_to_the_same_length() {
    let project = project();
    let mut rng = SeededRng::new(1);
    let mut seal = |text: &str| {
        let sealed = cookies(1).seal(owner(&project), text, ENDS, &mut rng);
        sealed.unwrap().as_str().to_owned()
    };
    assert_ne!(seal("a"), seal("a"));
    let longest = "a".repeat(SEALED_CONTENT_LEN);
    assert_eq!(seal("a").len(), seal(&longest).len());
    let project = self::project();
    let too_long = cookies(1).seal(
        owner(&project),
        &format!("{longest}a"),
        ENDS,
        &mut SeededRng::new(1),
    );
    assert_eq!(too_long, Err(TooLong));
}

/// The largest that there is: as many wallets as an account may have, the longest domain.
#[test]
fn the_largest_attestation_fits_a_cookie() {
    let longest = [["a"; 63].concat(), ["b"; 63].concat(), ["c"; 63].concat()].join(".");
    let project: ProjectId = format!("{longest}.{}", "d".repeat(61)).parse().unwrap();
    assert_eq!(project.as_str().len(), 253);
    let claims = SessionClaims {
        iss: RealmId::from_bytes([1; 32]),
        aud: project.clone(),
        sub: AccountId::from_bytes([2; 16]),
        cnf: Confirmation {
            jkt: Thumbprint([3; 32]),
        },
        wallets: vec![AddressId::from_bytes([4; 20]); usize::from(*WALLETS.end())],
        amr: ["otp", "pwd", "hwk", "user", "mfa", "face", "pop", "swk"]
            .map(str::to_owned)
            .to_vec(),
        acr: "passkey-with-user-verification-waiting".to_owned(),
        auth_time: 1_999_000_000,
        sid: SessionId::from_bytes([5; 16]),
        iat: 1_999_999_000,
        exp: ENDS,
        jti: keyfold_crypto::b64::encode(&[6; 16]),
    };
    let text = AttestationSigner::generate_rs256()
        .unwrap()
        .sign(&claims)
        .unwrap();
    let sealed = cookies(1)
        .seal(owner(&project), &text, ENDS, &mut SeededRng::new(1))
        .unwrap();
    let opened = cookies(1).open(owner(&project), sealed.as_str(), 1);
    assert_eq!(opened, Ok(text));
}

#[test]
fn the_name_of_a_cookie_is_of_its_device_and_project_and_nobody_without_the_key_can_tell() {
    let (project, other): (ProjectId, ProjectId) = (project(), "other.example".parse().unwrap());
    let own = owner(&project);
    let slot = cookies(1).slot(own);
    assert_eq!(cookies(1).slot(own), slot);
    let device = Thumbprint([9; 32]);
    assert_ne!(cookies(1).slot(owner(&other)), slot);
    assert_ne!(cookies(1).slot(Owner { device, ..own }), slot);
    assert_ne!(cookies(2).slot(own), slot);
}

#[test]
fn nothing_of_the_keys_is_printed() {
    assert_eq!(format!("{:?}", cookies(1)), "SessionCookies([redacted])");
}
