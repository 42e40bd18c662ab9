//! What several requests at once can do that one after the other cannot: one proof shown twice, an
//! identity linked and taken off, a password used while another takes its place.

use std::future::Future;

use futures_util::future::join_all;
use keyfold_protocol::account::*;
use keyfold_protocol::client_api::*;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::project_command::ProjectChanged;
use keyfold_protocol::sign_in::{Method, Proof, SignInStarted};

use crate::app::{ANNA, APP, App, BORIS, assert_refused};
use crate::device::{Device, Reply};
use crate::factors::{enrol, link_passkey, unlink_identity};
use crate::methods::{
    Passkey, app, by_password, ethereum, ethereum_key, nonce, set_password, settings,
};
use crate::projects::{TEAM, Team, settings as settings_with};

/// Goes on after so many turns of everybody else.
async fn later<T>(turns: usize, then: impl Future<Output = T>) -> T {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    then.await
}

/// How many of several answers were good; the others were all refused with this code.
#[track_caller]
fn good(replies: &[Reply], refused: Code) -> usize {
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_refused(reply, refused);
    }
    replies.iter().filter(|reply| reply.status == 200).count()
}

/// What an authenticator and its copy sign, which count from the same number.
fn both(passkey: &mut Passkey, first: &SignInStarted, second: &SignInStarted) -> (Proof, Proof) {
    let proof = passkey.sign(first);
    passkey.count -= 1;
    (proof, passkey.sign(second))
}

#[tokio::test]
async fn of_two_uses_of_a_passkey_with_one_count_at_once_one_counts() {
    let app = app().await;
    let owner = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let _: Identities = link_passkey(&owner, &mut passkey).await.ok();
    for _ in 0..4 {
        let (one, two) = (app.device(APP), app.device(APP));
        let first: SignInStarted = one.start_by(Method::Passkey {}).await.ok();
        let second: SignInStarted = two.start_by(Method::Passkey {}).await.ok();
        let (proof, copied) = both(&mut passkey, &first, &second);
        let (a, b) = tokio::join!(one.finish_by(&first, proof), two.finish_by(&second, copied));
        assert_eq!(good(&[a, b], Code::SignInRefused), 1);
    }
    // In step-up too.
    let other = app.signed_in(APP, ANNA).await;
    approve(&owner, &other).await;
    let first: SignInStarted = owner.start_by(Method::Passkey {}).await.ok();
    let second: SignInStarted = other.start_by(Method::Passkey {}).await.ok();
    let (proof, copied) = both(&mut passkey, &first, &second);
    let (a, b) = tokio::join!(
        owner.show(path::STEP_UP, &first, proof),
        other.show(path::STEP_UP, &second, copied)
    );
    assert_eq!(good(&[a, b], Code::SignInRefused), 1);
}

#[tokio::test]
async fn an_assertion_counts_once_however_often_it_is_sent_at_once() {
    let app = app().await;
    let owner = app.signed_in(APP, ANNA).await;
    let mut passkey = Passkey::new(1);
    let _: Identities = link_passkey(&owner, &mut passkey).await.ok();
    // Also of an authenticator that does not count: there the challenge alone is used up.
    for counts in [true, false] {
        passkey.counts = counts;
        let device = app.device(APP);
        let started: SignInStarted = device.start_by(Method::Passkey {}).await.ok();
        let proof = passkey.sign(&started);
        let replies = (0..4).map(|_| device.finish_by(&started, proof.clone()));
        let replies = join_all(replies).await;
        assert_eq!(good(&replies, Code::SignInRefused), 1);
        if counts {
            // From here on an authenticator that counted and does not is no longer the same.
            let started: SignInStarted = owner.start_by(Method::Passkey {}).await.ok();
            passkey.counts = false;
            let back = passkey.sign(&started);
            let reply = owner.show(path::STEP_UP, &started, back).await;
            assert_refused(&reply, Code::SignInRefused);
            passkey = Passkey::new(2);
            passkey.counts = false;
            let _: Identities = link_passkey(&owner, &mut passkey).await.ok();
        }
    }
}

async fn approve(by: &Device, device: &Device) {
    let device = device.thumbprint();
    let intent = Intent::ApproveDevice {
        id: RequestId::from_bytes(by.fresh().to_be_bytes()),
        device,
    };
    let body = ApproveDevice { device };
    let Nothing {} = by
        .send(&by.sign(path::DEVICE_APPROVE, &intent, &body))
        .await
        .ok();
}

#[tokio::test]
async fn a_code_of_an_app_and_one_on_paper_count_once_at_once() {
    let app = app().await;
    let device = app.signed_in(APP, ANNA).await;
    let (secret, codes) = enrol(&device).await;
    let other = app.signed_in(APP, ANNA).await;
    approve(&device, &other).await;
    app.world.pass(60);
    let totp = Proof::Totp {
        code: secret.code_at(app.world.now()).into(),
    };
    let paper = Proof::RecoveryCode {
        code: codes[0].clone().into(),
    };
    for (how, proof) in [(Method::Totp {}, totp), (Method::RecoveryCode {}, paper)] {
        let mut shown = Vec::new();
        // Twice from one device, and from another one of the account.
        for device in [&device, &device, &other] {
            let started: SignInStarted = device.start_by(how.clone()).await.ok();
            shown.push((device, started));
        }
        let shown = shown
            .iter()
            .map(|(device, started)| device.show(path::STEP_UP, started, proof.clone()));
        let replies = join_all(shown).await;
        assert_eq!(good(&replies, Code::SignInRefused), 1);
    }
}

/// Two accounts, and a key that is linked to the one or the other.
struct Two {
    _app: App,
    anna: Device,
    boris: Device,
}

impl Two {
    async fn new() -> Self {
        let app = app().await;
        let anna = app.signed_in(APP, ANNA).await;
        let boris = app.signed_in(APP, BORIS).await;
        Self {
            _app: app,
            anna,
            boris,
        }
    }

    async fn show(&self, device: &Device, path: &str) -> Reply {
        let started: SignInStarted = device.start_by(Method::Ethereum {}).await.ok();
        let proof = ethereum(&ethereum_key(3), &nonce(&started));
        device.show(path, &started, proof).await
    }

    async fn link(&self, device: &Device) -> Reply {
        self.show(device, path::IDENTITY_LINK).await
    }

    async fn listed(&self, device: &Device) -> Option<UnlinkIdentity> {
        let all: Identities = device
            .in_session(path::IDENTITY_LIST, Operation::ListIdentities, &Nothing {})
            .await
            .ok();
        let mut all = all.identities.into_iter();
        let found = all.find(|identity| identity.method == "ethereum");
        found.map(|identity| UnlinkIdentity { id: identity.id })
    }

    /// Links it at Anna's, then lets her link it and take it off at the same time; both go so many
    /// turns, or to their end.
    async fn race(&self, ahead: usize, turns: Option<usize>) {
        let all: Identities = self.link(&self.anna).await.ok();
        let id = all.identities.last().unwrap().id;
        let body = UnlinkIdentity { id };
        let started: SignInStarted = self.anna.start_by(Method::Ethereum {}).await.ok();
        let proof = ethereum(&ethereum_key(3), &nonce(&started));
        let both = async {
            tokio::join!(
                unlink_identity(&self.anna, &body),
                later(ahead, self.anna.show(path::IDENTITY_LINK, &started, proof)),
            )
        };
        tokio::select! {
            biased;
            _ = both => {}
            () = later(turns.unwrap_or(usize::MAX), async {}) => {}
        }
    }

    /// Ends with the identity at nobody's; returns whether the index gave it to Anna.
    async fn judge(&self, what: &str) -> bool {
        let by_boris = self.link(&self.boris).await;
        let hers = by_boris.status != 200;
        if hers {
            assert_refused(&by_boris, Code::IdentityTaken);
        }
        let step_up = self.show(&self.anna, path::STEP_UP).await;
        let owner = if hers { &self.anna } else { &self.boris };
        if !hers {
            assert_refused(&step_up, Code::SignInRefused);
            let his = self.show(&self.boris, path::STEP_UP).await;
            assert_eq!(his.status, 200, "{what}: {his:?}");
        }
        if let Some(listed) = self.listed(owner).await {
            let reply = unlink_identity(owner, &listed).await;
            assert_eq!(reply.status, 200, "{what}: {reply:?}");
        } else {
            // Claimed, and not in the record yet: linked by asking again.
            let all: Identities = self.link(owner).await.ok();
            let id = all.identities.last().unwrap().id;
            let _: Identities = unlink_identity(owner, &UnlinkIdentity { id }).await.ok();
        }
        hers
    }
}

#[tokio::test]
async fn linking_and_taking_off_at_once_leave_record_and_index_agreeing() {
    let two = Two::new().await;
    for ahead in 0..24 {
        two.race(ahead, None).await;
        let listed = two.listed(&two.anna).await.is_some();
        let hers = two.judge(&format!("{ahead} turns")).await;
        assert_eq!(listed, hers, "after {ahead} turns");
    }
}

#[tokio::test]
async fn an_identity_that_the_index_does_not_give_never_counts_wherever_an_instance_stopped() {
    let two = Two::new().await;
    for ahead in [0, 3, 6, 9] {
        for turns in (12..36).step_by(2) {
            two.race(ahead, Some(turns)).await;
            let what = format!("{ahead} turns ahead, cut off after {turns}");
            two.judge(&what).await;
        }
    }
}

#[tokio::test]
async fn an_old_password_that_is_used_during_a_reset_does_not_come_back() {
    const OLD: &str = "correct horse battery";
    const NEW: &str = "another horse entirely";
    let team = Team::with(|body| body.sign_in = settings()).await;
    let app = &team.app;
    for index in 1..=3 {
        app.world.holder(index, |h| {
            (h.mail_limit, h.attempt_limit) = (u32::MAX, u32::MAX);
        });
    }
    let mut people = Vec::new();
    for ahead in (0..60).step_by(6) {
        let (owner, email) = (app.device(TEAM), format!("p{ahead}@mail.example"));
        let _: SignedIn = set_password(&owner, &email, OLD).await.ok();
        people.push((ahead, owner, email));
    }
    // From now on they cost too little, so that a sign-in by one writes it anew.
    let command = team.command(
        1,
        settings_with(|s| {
            s.sign_in = settings();
            s.sign_in.password.as_mut().unwrap().passes += 1;
        }),
    );
    let _: ProjectChanged = team.submit(0, &command, &[0]).await.ok();
    app.world.pass(61);
    let mut together = 0;
    for (ahead, owner, email) in people {
        let started: SignInStarted = owner.start(&email).await.ok();
        let reset = Proof::EmailCode {
            code: app.world.code().into(),
            new_password: Some(NEW.to_owned().into()),
        };
        let thief = app.device(TEAM);
        let (by_old, reset) = tokio::join!(
            by_password(&thief, &email, OLD),
            later(ahead, owner.finish_by(&started, reset)),
        );
        let _: SignedIn = reset.ok();
        together += good(&[by_old], Code::SignInRefused);
        let old = by_password(&thief, &email, OLD).await;
        assert_refused(&old, Code::SignInRefused);
        let _: SignedIn = by_password(&owner, &email, NEW).await.ok();
    }
    assert!(
        (1..10).contains(&together),
        "never at the same time: {together}"
    );
}
