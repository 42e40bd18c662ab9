//! The host looks through everything it has.

use alloy_primitives::U256;
use common::keys::secrets;
use common::search::{Haystack, Needle};
use common::storage::{ring, sealed_records};
use common::{Person, refused, told};
use keyfold_client::NewProject;
use keyfold_client::ids::KeyId;
use keyfold_protocol::client_api::MailSettings;
use keyfold_testkit::journey::payment;
use keyfold_testkit::system::{CHAIN_ID, new_key};

use super::{World, common};

/// A line of the mail about a new device.
const NOTICE: &str = "A device that was not seen before signed in";

const SMTP_USER: &str = "mailer-of-the-third-app";
const SMTP_PASSWORD: &str = "hunter2-correct-horse";

pub(super) async fn a_host_that_records_everything_finds_no_plaintext(world: &World) {
    let World {
        system,
        alice,
        wallet,
        ..
    } = world;
    // A whole life: funds, a transaction, a third app with a password for its mail server.
    system
        .chain()
        .fund(wallet.address(), U256::from(10_u128.pow(18)))
        .await
        .unwrap();
    let limit = keyfold_client::WaitLimit::default();
    alice
        .device
        .send(&alice.session, wallet, CHAIN_ID, vec![payment()], limit)
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    let administrator = new_key();
    let mail = MailSettings {
        host: "smtp.keyfold.test".to_owned(),
        port: 465,
        security: Default::default(),
        from: "codes@keyfold.test".to_owned(),
        username: Some(SMTP_USER.to_owned()),
        password: Some(SMTP_PASSWORD.to_owned().into()),
        roots_pem: Some(
            std::fs::read_to_string(system.files().root().join("mail-root.pem")).unwrap(),
        ),
    };
    system
        .device(&administrator)
        .unwrap()
        .create_project(NewProject {
            project: "third.example".parse().unwrap(),
            display_name: "The third app".to_owned(),
            mail,
            guard: None,
            checkpointer: None,
            contracts: Default::default(),
            sign_in: Default::default(),
        })
        .await
        .unwrap_or_else(|error| panic!("{}", told(&error)));
    // Its mail server takes no password, so this fails; the password was at hand all the same.
    let third = "third.example".parse().unwrap();
    let failed = alice.device.start_email(&third, "carol@mail.example").await;
    refused(failed, "mail_failed");

    let mut needles = vec![
        Needle::new("the email address", alice.email.as_bytes()),
        Needle::new("another email address", b"carol@mail.example"),
        Needle::new("the label of a wallet", wallet.label().as_bytes()),
        Needle::new("the mail server's user", SMTP_USER.as_bytes()),
        Needle::new("the mail server's password", SMTP_PASSWORD.as_bytes()),
        Needle::new("a device's private key", &secret_of(alice)),
        Needle::new(
            "an administrator's private key",
            &administrator_secret(&administrator),
        ),
    ];
    let mails = system.mailbox().all().unwrap();
    assert!(mails.len() >= 5, "there should be codes to look for");
    for mail in &mails {
        match mail.code() {
            Some(code) => needles.push(Needle::new("a code", code.as_bytes())),
            None => needles.push(Needle::new("a notice", NOTICE.as_bytes())),
        }
    }
    let attestation = alice.session.attestation().unwrap();
    for part in attestation.split('.').skip(1) {
        needles.push(Needle::new("a session attestation", part.as_bytes()));
        let decoded = keyfold_crypto::b64::decode(part, 1 << 16).unwrap();
        needles.push(Needle::new("a session attestation, decoded", &decoded));
    }
    needles.extend(secrets(system, alice, wallet).await);
    for number in 0..3 {
        let master = ring(system, number).current().to_secret();
        // In its own file it must be; that is not searched, since its form is another.
        let derived = keyfold_crypto::hash::sha256(&master.expose(|bytes| *bytes));
        needles.push(Needle::new("a hash of a master key", &derived));
    }

    let files = system.files();
    let mut folders = vec![
        files.traffic(),
        files.logs(),
        files.gateway(),
        files.guard(),
        files.relayer(),
    ];
    folders.extend((0..3).map(|number| files.holder(number)));
    let everything = Haystack::of(&folders);
    assert!(
        everything.bytes() > 500_000,
        "that is too little to be everything"
    );
    let found = everything.find(&needles);
    assert!(found.is_empty(), "found:\n{}", found.join("\n"));

    // The same search finds what is known to be there, so that finding nothing means something.
    let record = sealed_records(system).await.swap_remove(0);
    let sees = |needle: Needle, folder| !Haystack::of(&[folder]).find(&[needle]).is_empty();
    let known = [
        sees(
            Needle::new("a path", b"/v1/host/records/get"),
            files.traffic(),
        ),
        sees(Needle::new("a path", b"/v1/ohttp"), files.traffic()),
        sees(
            Needle::new("the realm", system.pin().realm.as_bytes()),
            files.gateway(),
        ),
        sees(Needle::new("a record", &record), files.gateway()),
        sees(Needle::new("a record", &record), files.traffic()),
        sees(
            Needle::new("a device", &alice.session.device().0),
            files.holder(0),
        ),
        sees(
            Needle::new("a key id", KeyId::as_bytes(&wallet.key())),
            files.holder(2),
        ),
        sees(Needle::new("a log line", b"holder"), files.logs()),
    ];
    assert_eq!(known, [true; 8], "the search is blind");
}

fn secret_of(person: &Person) -> Vec<u8> {
    administrator_secret(&person.key)
}

fn administrator_secret(key: &keyfold_crypto::jwk::DeviceSigningKey) -> Vec<u8> {
    // One byte for the algorithm, then the key.
    let bytes = key.to_secret_bytes().expose(<[u8]>::to_vec);
    bytes[bytes.len() - 32..].to_vec()
}
