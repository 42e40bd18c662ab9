//! Projects: shown to their administrators, changed by enough of them, and by nobody else.

use std::sync::Arc;

use keyfold_crypto::jwk::PublicJwk;
use keyfold_protocol::client_api::{CreateProject, MailSettings, ProjectInfo, SignedIn, path};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api;
use keyfold_protocol::ids::{Digest32, RealmId};
use keyfold_protocol::intent::Operation;
use keyfold_protocol::project::ProjectSettings;
use keyfold_protocol::project_command::{
    ChangeProject, ProjectChange, ProjectChanged, ProjectCommand, ProjectShown, SecretReveal,
    ShowProject, SignedCommand,
};
use keyfold_protocol::sign_in::SignInStarted;

use crate::app::{ANNA, APP, App, OTHER, assert_refused, project_of};
use crate::device::{Device, Reply};
use crate::world::settle;

pub(crate) const TEAM: &str = "team.example";

/// A project that its maker, `admins[0]`, administers alone, and two who may join.
pub(crate) struct Team {
    pub(crate) app: App,
    pub(crate) admins: Vec<Device>,
}

impl Team {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// With other settings than [`project_of`] has.
    pub(crate) async fn with(change: impl Fn(&mut CreateProject)) -> Self {
        let app = App::new().await;
        let admins: Vec<_> = (0..3).map(|_| app.device(TEAM)).collect();
        let mut body = project_of(&admins[0], TEAM, None);
        change(&mut body);
        let made = admins[0].before_session(path::PROJECT_CREATE, Operation::CreateProject, &body);
        let _: ProjectInfo = made.await.ok();
        Self { app, admins }
    }

    /// Administered by all three, two of which must sign.
    async fn of_three() -> Self {
        let team = Self::new().await;
        let command = team.command(1, team.administrators(&[0, 1, 2], 2));
        let changed: ProjectChanged = team.submit(0, &command, &[0]).await.ok();
        assert_eq!(changed.version, 2);
        team
    }

    fn keys(&self, who: &[usize]) -> Vec<PublicJwk> {
        who.iter().map(|at| self.admins[*at].jwk()).collect()
    }

    fn administrators(&self, who: &[usize], threshold: u8) -> ProjectChange {
        ProjectChange::Administrators {
            keys: self.keys(who),
            threshold,
        }
    }

    pub(crate) fn command(&self, follows: u64, change: ProjectChange) -> ProjectCommand {
        ProjectCommand {
            realm: self.admins[0].realm(),
            project: TEAM.parse().unwrap(),
            follows,
            expires: self.app.world.now() + 600,
            change,
        }
    }

    fn signed(&self, command: &ProjectCommand, by: &[usize]) -> SignedCommand {
        SignedCommand {
            command: command.clone(),
            approvals: by
                .iter()
                .map(|at| command.approve(&self.admins[*at].key))
                .collect(),
        }
    }

    pub(crate) async fn submit(&self, who: usize, command: &ProjectCommand, by: &[usize]) -> Reply {
        submit(&self.admins[who], self.signed(command, by), None).await
    }

    async fn shown(&self, who: usize) -> ProjectShown {
        show(&self.admins[who]).await.ok()
    }

    /// Entries about this project in the log of a holder.
    fn logged(&self, holder: usize) -> Vec<(u64, Digest32)> {
        self.app.world.holder(holder, |h| {
            let mut of = h.notices.iter().filter(|n| n.project.as_str() == TEAM);
            of.by_ref().map(|n| (n.version, n.command)).collect()
        })
    }
}

async fn submit(by: &Device, signed: SignedCommand, secret: Option<SecretReveal>) -> Reply {
    let body = ChangeProject {
        administrator: by.jwk(),
        signed,
        secret,
    };
    by.before_session(path::PROJECT_CHANGE, Operation::ChangeProject, &body)
        .await
}

async fn show(by: &Device) -> Reply {
    let body = ShowProject {
        administrator: by.jwk(),
    };
    by.before_session(path::PROJECT_SHOW, Operation::ShowProject, &body)
        .await
}

pub(crate) fn settings(change: impl Fn(&mut ProjectSettings)) -> ProjectChange {
    let mut settings = ProjectSettings {
        display_name: "Demo".to_owned(),
        mail: MailSettings {
            host: "smtp.example".to_owned(),
            port: 465,
            security: Default::default(),
            from: "noreply@app.example".to_owned(),
            username: None,
            password: None,
            roots_pem: None,
        },
        sign_in: Default::default(),
    };
    change(&mut settings);
    ProjectChange::Settings {
        settings: serde_json::to_string(&settings).unwrap(),
    }
}

fn named(name: &str) -> ProjectChange {
    settings(|s| s.display_name = name.to_owned())
}

fn secret(name: &str, value: &str) -> (ProjectChange, SecretReveal) {
    let reveal = SecretReveal {
        value: value.to_owned().into(),
        salt: Digest32::from_bytes([4; 32]),
    };
    let commitment = reveal.commitment(&TEAM.parse().unwrap(), name);
    let name = name.to_owned();
    (ProjectChange::Secret { name, commitment }, reveal)
}

#[tokio::test]
async fn two_of_three_change_settings_and_each_change_is_in_the_log_first() {
    let team = Team::of_three().await;
    let command = team.command(2, named("Renamed"));
    assert_refused(
        &team.submit(0, &command, &[0]).await,
        Code::NotAdministrator,
    );
    let twice = team.submit(0, &command, &[0, 0]).await;
    assert_refused(&twice, Code::NotAdministrator);
    assert!(
        twice.detail().contains("1 of the administrators"),
        "{twice:?}"
    );
    assert_eq!(team.logged(1).len(), 1);

    let changed: ProjectChanged = team.submit(2, &command, &[2, 1]).await.ok();
    assert_eq!(changed.version, 3);
    settle().await;
    for holder in 1..=3 {
        assert_eq!(team.logged(holder).last(), Some(&(3, command.digest())));
    }
    let shown = team.shown(1).await;
    assert_eq!((shown.version, shown.threshold), (3, 2));
    assert_eq!(shown.settings.display_name, "Renamed");
    assert_eq!(shown.administrators, team.keys(&[0, 1, 2]));
    // Asking again, because the answer was lost, changes nothing and logs nothing.
    let again: ProjectChanged = team.submit(2, &command, &[2, 1]).await.ok();
    assert_eq!(again.version, 3);
    assert_eq!(team.logged(1).len(), 2);
    // What shows is what can be set.
    let text = serde_json::to_string(&shown.settings).unwrap();
    let same = team.command(3, ProjectChange::Settings { settings: text });
    let _: ProjectChanged = team.submit(0, &same, &[0, 1]).await.ok();
    assert_eq!(team.shown(0).await.settings, shown.settings);
}

#[tokio::test]
async fn what_too_few_holders_log_is_not_done() {
    let team = Team::new().await;
    for holder in 1..=2 {
        team.app.world.holder(holder, |h| {
            h.silent_at = Some(holder_api::path::PROJECT_CHANGED);
        });
    }
    let command = team.command(1, named("Renamed"));
    assert_refused(
        &team.submit(0, &command, &[0]).await,
        Code::HoldersUnavailable,
    );
    assert_eq!(team.shown(0).await.version, 1);
    team.app.world.holder(1, |h| h.silent_at = None);
    let changed: ProjectChanged = team.submit(0, &command, &[0]).await.ok();
    assert_eq!(changed.version, 2);
}

#[tokio::test]
async fn an_older_command_is_refused_after_a_newer_one() {
    let team = Team::of_three().await;
    let (old, new) = (team.command(2, named("Old")), team.command(2, named("New")));
    let _: ProjectChanged = team.submit(0, &old, &[0, 1]).await.ok();
    assert_refused(&team.submit(0, &new, &[0, 1]).await, Code::ProjectStale);
    let new = team.command(3, named("New"));
    let _: ProjectChanged = team.submit(0, &new, &[0, 1]).await.ok();
    // The very one that was taken before.
    let replayed = team.submit(0, &old, &[0, 1]).await;
    assert_refused(&replayed, Code::ProjectStale);
    assert_eq!(team.shown(0).await.settings.display_name, "New");
}

#[tokio::test]
async fn commands_of_elsewhere_expired_or_altered_are_refused() {
    let team = Team::new().await;
    let now = team.app.world.now();
    let of = |change: &dyn Fn(&mut ProjectCommand)| {
        let mut command = team.command(1, named("Renamed"));
        change(&mut command);
        command
    };
    for (command, code) in [
        (
            of(&|c| c.realm = RealmId::from_bytes([7; 32])),
            Code::WrongRealm,
        ),
        (
            of(&|c| c.project = APP.parse().unwrap()),
            Code::ProjectInvalid,
        ),
        (of(&|c| c.expires = now - 1), Code::ProjectInvalid),
        (of(&|c| c.expires = now + 8 * 86_400), Code::ProjectInvalid),
        (
            of(&|c| c.change = settings(|s| s.sign_in.session_seconds = 1)),
            Code::ProjectInvalid,
        ),
    ] {
        assert_refused(&team.submit(0, &command, &[0]).await, code);
    }
    let mut altered = team.signed(&of(&|_| ()), &[0]);
    let ProjectChange::Settings { settings } = &mut altered.command.change else {
        unreachable!()
    };
    *settings = settings.replace("Renamed", "Renaned");
    assert_refused(
        &submit(&team.admins[0], altered, None).await,
        Code::NotAdministrator,
    );
    let invalid = of(&|c| c.change = self::settings(|s| s.sign_in.limits.devices = 99));
    let detail = team.submit(0, &invalid, &[0]).await.detail();
    assert_eq!(detail, "sign_in.limits.devices: 1 to 32 are taken");
    for inside in [
        "localhost",
        "mail.localhost",
        "127.0.0.1",
        "10.0.0.7",
        "0x7f.1",
        "2130706433",
        "smtp",
        "smtp.example.",
        "SMTP.example",
        "a..example",
        "",
    ] {
        let invalid = of(&|c| c.change = self::settings(|s| s.mail.host = inside.to_owned()));
        let detail = team.submit(0, &invalid, &[0]).await.detail();
        assert!(detail.starts_with("mail.host: "), "{inside}: {detail}");
    }
    assert_eq!(team.shown(0).await.version, 1);
    assert!(team.logged(1).is_empty());
}

#[tokio::test]
async fn the_threshold_is_lowered_by_a_quorum_and_no_fewer() {
    let team = Team::of_three().await;
    for change in [
        team.administrators(&[0, 1, 2], 1),
        team.administrators(&[0], 1),
    ] {
        let command = team.command(2, change);
        assert_refused(
            &team.submit(0, &command, &[0]).await,
            Code::NotAdministrator,
        );
    }
    assert_eq!(team.logged(1).len(), 1);
    let command = team.command(2, team.administrators(&[0, 1], 1));
    let _: ProjectChanged = team.submit(0, &command, &[0, 1]).await.ok();
    assert_eq!(team.logged(1).len(), 2);
    let alone = team.command(3, named("Alone"));
    let _: ProjectChanged = team.submit(1, &alone, &[1]).await.ok();
}

#[tokio::test]
async fn who_was_removed_counts_no_more_whatever_another_instance_remembers() {
    let team = Team::of_three().await;
    // The first instance has the project in its memory.
    let user = team.app.device(TEAM);
    let _: SignInStarted = user.start(ANNA).await.ok();
    let signed_before = team.command(3, named("By the removed"));
    let mut elsewhere = team.app.device(TEAM);
    elsewhere.key = clone_key(&team.admins[0]);
    elsewhere.enclave = team.app.world.instance().await;
    let remove = team.command(2, team.administrators(&[0, 1], 2));
    let _: ProjectChanged = submit(&elsewhere, team.signed(&remove, &[0, 2]), None)
        .await
        .ok();

    assert_refused(&show(&team.admins[2]).await, Code::ProjectUnknown);
    assert_refused(
        &team.submit(0, &signed_before, &[0, 2]).await,
        Code::NotAdministrator,
    );
    assert_refused(
        &team.submit(2, &signed_before, &[0, 1]).await,
        Code::ProjectUnknown,
    );
    let _: ProjectChanged = team.submit(0, &signed_before, &[0, 1]).await.ok();
}

fn clone_key(device: &Device) -> keyfold_crypto::jwk::DeviceSigningKey {
    device
        .key
        .to_secret_bytes()
        .expose(keyfold_crypto::jwk::DeviceSigningKey::from_secret_bytes)
        .unwrap()
}

#[tokio::test]
async fn another_tenants_project_is_as_one_that_does_not_exist() {
    let team = Team::new().await;
    // Who administers a project, and asks of others.
    let mut stranger = team.app.device(OTHER);
    stranger.key = clone_key(&team.admins[0]);
    let mut nowhere = team.app.device("nowhere.example");
    nowhere.key = clone_key(&team.admins[0]);
    let there = show(&stranger).await;
    let not_there = show(&nowhere).await;
    assert_refused(&there, Code::ProjectUnknown);
    assert_eq!(there.body, not_there.body);
    // A command that would be good for one's own.
    let command = team.command(1, named("Renamed"));
    let there = submit(&stranger, team.signed(&command, &[0]), None).await;
    let not_there = submit(&nowhere, team.signed(&command, &[0]), None).await;
    assert_refused(&there, Code::ProjectUnknown);
    assert_eq!(there.body, not_there.body);
    // Somebody who administers nothing, with everything an administrator signed.
    let passer = team.app.device(TEAM);
    let brought = submit(&passer, team.signed(&command, &[0]), None).await;
    assert_refused(&brought, Code::ProjectUnknown);
    assert_eq!(team.shown(0).await.version, 1);
}

#[tokio::test]
async fn a_secret_is_the_one_that_was_committed_to_and_is_never_shown() {
    let team = Team::new().await;
    let with_login = settings(|s| {
        s.mail.username = Some("codes".to_owned());
    });
    let _: ProjectChanged = team
        .submit(0, &team.command(1, with_login), &[0])
        .await
        .ok();
    assert_eq!(team.shown(0).await.wanting, ["mail"]);

    let (change, reveal) = secret("mail", "correct horse battery");
    let command = team.command(2, change);
    let signed = team.signed(&command, &[0]);
    let admin = &team.admins[0];
    let other = SecretReveal {
        value: "another".to_owned().into(),
        ..reveal.clone()
    };
    for wrong in [None, Some(other)] {
        assert_refused(
            &submit(admin, signed.clone(), wrong).await,
            Code::ProjectInvalid,
        );
    }
    let changed: ProjectChanged = submit(admin, signed, Some(reveal)).await.ok();
    assert_eq!(changed.version, 3);
    let shown = show(admin).await;
    assert!(!shown.body.contains("horse"), "{shown:?}");
    let shown: ProjectShown = shown.ok();
    assert_eq!(
        (shown.secrets, shown.wanting),
        (vec!["mail".to_owned()], vec![])
    );
    settle().await;
    let host = team.app.world.host.lock().unwrap().everything();
    assert!(!host.windows(5).any(|w| w == b"horse"));
    // It is what mail is sent with, here at once.
    let _: SignInStarted = team.app.device(TEAM).start(ANNA).await.ok();
    let by = team.app.world.mailed_by.lock().unwrap().clone().unwrap();
    assert_eq!(by.username.as_deref(), Some("codes"));
    assert_eq!(by.password.as_deref(), Some("correct horse battery"));

    let remove = ProjectChange::RemoveSecret {
        name: "mail".to_owned(),
    };
    let _: ProjectChanged = team
        .submit(0, &team.command(3, remove.clone()), &[0])
        .await
        .ok();
    assert_eq!(team.shown(0).await.wanting, ["mail"]);
    let gone = team.submit(0, &team.command(4, remove), &[0]).await;
    assert_refused(&gone, Code::ProjectInvalid);
    for (name, value) in [("other", "x"), ("webhook", "x"), ("provider:A", "x")] {
        let (change, reveal) = secret(name, value);
        let signed = team.signed(&team.command(4, change), &[0]);
        let refused = submit(admin, signed, Some(reveal)).await;
        assert_refused(&refused, Code::ProjectInvalid);
    }
}

#[tokio::test]
async fn a_password_given_when_the_project_was_made_is_a_secret_like_others() {
    let app = App::new().await;
    let maker = app.device(TEAM);
    let mut body = project_of(&maker, TEAM, None);
    body.mail.username = Some("codes".to_owned());
    body.mail.password = Some("correct horse battery".to_owned().into());
    for _ in 0..2 {
        let _: ProjectInfo = maker
            .before_session(path::PROJECT_CREATE, Operation::CreateProject, &body)
            .await
            .ok();
    }
    let shown: ProjectShown = show(&maker).await.ok();
    assert_eq!(shown.secrets, ["mail"]);
    assert_eq!(shown.settings.mail.password, None);
    let _: SignInStarted = app.device(TEAM).start(ANNA).await.ok();
    let by = app.world.mailed_by.lock().unwrap().clone().unwrap();
    assert_eq!(by.password.as_deref(), Some("correct horse battery"));
}

#[tokio::test]
async fn yesterdays_project_is_refused() {
    let team = Team::of_three().await;
    settle().await;
    let yesterday = team.app.world.host.lock().unwrap().clone();
    let command = team.command(2, team.administrators(&[0, 1], 2));
    let _: ProjectChanged = team.submit(0, &command, &[0, 1]).await.ok();
    settle().await;
    *team.app.world.host.lock().unwrap() = yesterday;
    let back = team.command(2, named("By the removed"));
    assert_refused(
        &team.submit(2, &back, &[1, 2]).await,
        Code::RecordRolledBack,
    );
    assert_refused(&show(&team.admins[2]).await, Code::RecordRolledBack);
    // Nor does an instance without it in memory sign anybody in by it.
    let mut user = team.app.device(TEAM);
    user.enclave = team.app.world.instance().await;
    assert_refused(&user.start(ANNA).await, Code::RecordRolledBack);
}

#[tokio::test]
async fn new_settings_hold_here_at_once_and_elsewhere_within_a_minute() {
    let team = Team::new().await;
    let second = team.app.world.instance().await;
    let here = team.app.device(TEAM);
    let mut there = team.app.device(TEAM);
    there.enclave = Arc::clone(&second);
    let _: SignInStarted = here.start(ANNA).await.ok();
    let _: SignInStarted = there.start(ANNA).await.ok();
    let off = settings(|s| s.sign_in.email_code = false);
    let _: ProjectChanged = team.submit(0, &team.command(1, off), &[0]).await.ok();
    assert_refused(&here.start(ANNA).await, Code::MethodOff);
    team.app.world.pass(61);
    assert_refused(&there.start(ANNA).await, Code::MethodOff);
}

#[tokio::test]
async fn a_projects_limits_and_words_are_used() {
    let team = Team::new().await;
    let change = settings(|s| {
        s.sign_in.limits.devices = 1;
        s.sign_in.limits.wallets = 1;
        s.sign_in.mail_texts.subject = Some("{project}: dein Code".to_owned());
        s.sign_in.session_seconds = 3_600;
    });
    let _: ProjectChanged = team.submit(0, &team.command(1, change), &[0]).await.ok();
    let mut device = team.app.device(TEAM);
    let signed_in: SignedIn = device.sign_in(ANNA).await;
    assert_eq!(signed_in.session_ends, team.app.world.now() + 3_600);
    let mails = team.app.world.mails.lock().unwrap().clone();
    assert!(mails.last().unwrap().contains("Subject: Demo: dein Code"));
    assert_eq!(device.create_wallet("main").await.code(), None);
    assert_refused(&device.create_wallet("more").await, Code::WalletLimit);
    // The one device was let in, so it makes no room.
    let second = team.app.device(TEAM);
    let started: SignInStarted = second.start(ANNA).await.ok();
    let refused = second.finish(&started, &team.app.world.code()).await;
    assert_refused(&refused, Code::DeviceLimit);
}
