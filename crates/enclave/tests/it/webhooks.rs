//! What an app's server is told of what people do.

use keyfold_enclave::PeerRequest;
use keyfold_protocol::client_api::*;
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::intent::{Intent, Operation};
use keyfold_protocol::project::WebhookSettings;
use keyfold_protocol::project_command::{
    ChangeProject, ProjectChange, ProjectChanged, ProjectCommand, SecretReveal, SignedCommand,
};
use keyfold_protocol::webhook::{Happened, WebhookBody, WebhookSecret};

use crate::app::{ANNA, App, project_of};
use crate::world::settle;

const TOLD: &str = "told.example";
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A project whose server is told.
async fn told() -> App {
    let app = App::new().await;
    let admin = app.device(TOLD);
    let mut body = project_of(&admin, TOLD, None);
    body.sign_in.webhook = Some(WebhookSettings {
        url: "https://hooks.app.example/keyfold".to_owned(),
        roots_pem: None,
    });
    let _: ProjectInfo = admin
        .before_session(path::PROJECT_CREATE, Operation::CreateProject, &body)
        .await
        .ok();
    let reveal = SecretReveal {
        value: KEY.to_owned().into(),
        salt: Digest32::from_bytes([4; 32]),
    };
    let commitment = reveal.commitment(&body.project, "webhook");
    let command = ProjectCommand {
        realm: admin.realm(),
        project: body.project,
        follows: 1,
        expires: app.world.now() + 600,
        change: ProjectChange::Secret {
            name: "webhook".to_owned(),
            commitment,
        },
    };
    let body = ChangeProject {
        administrator: admin.jwk(),
        signed: SignedCommand {
            approvals: vec![command.approve(&admin.key)],
            command,
        },
        secret: Some(reveal),
    };
    let _: ProjectChanged = admin
        .before_session(path::PROJECT_CHANGE, Operation::ChangeProject, &body)
        .await
        .ok();
    app
}

/// What arrived since, each verified with the project's key.
async fn arrived(app: &App) -> Vec<Happened> {
    settle().await;
    let requests = core::mem::take(&mut *app.world.hooks.lock().unwrap());
    requests.iter().map(verified).collect()
}

fn verified(request: &PeerRequest) -> Happened {
    let header = |name: &str| {
        let found = request.headers.iter().find(|(known, _)| known == name);
        found.unwrap().1.clone()
    };
    let at = header("webhook-timestamp").parse().unwrap();
    let key = WebhookSecret::parse(KEY).unwrap();
    let signature = key.sign(&header("webhook-id"), at, &request.body);
    assert_eq!(header("webhook-signature"), signature);
    let text = String::from_utf8(request.body.clone()).unwrap();
    assert!(!text.contains(ANNA) && !text.contains("eyJ"), "{text}");
    let body: WebhookBody = serde_json::from_str(&text).unwrap();
    body.happened
}

#[tokio::test]
async fn sign_ins_devices_and_their_ends_are_told_to_the_projects_server() {
    let app = told().await;
    let mut first = app.device(TOLD);
    let signed_in = first.sign_in(ANNA).await;
    let (account, device, session) = (signed_in.account, first.thumbprint(), signed_in.session);
    let state = signed_in.device;
    let completed = Happened::SignInCompleted {
        account,
        device,
        session,
        method: "email".to_owned(),
        state,
    };
    let added = Happened::DeviceAdded {
        account,
        device,
        state,
    };
    let mut told = arrived(&app).await;
    told.sort_by_key(|happened| matches!(happened, Happened::SignInCompleted { .. }));
    assert_eq!(told, [added, completed]);

    // The same device again is not new, and the session that it had is over.
    app.world.pass(60);
    let again = first.sign_in(ANNA).await;
    let ended = |session| Happened::SessionRevoked {
        account,
        device,
        session,
    };
    let mut told = arrived(&app).await;
    told.sort_by_key(|happened| matches!(happened, Happened::SignInCompleted { .. }));
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], ended(session));
    assert!(
        matches!(told[1], Happened::SignInCompleted { .. }),
        "{told:?}"
    );

    let mut second = app.device(TOLD);
    second.sign_in(ANNA).await;
    arrived(&app).await;
    let gone = second.thumbprint();
    let intent = Intent::RevokeDevice {
        id: RequestId::from_bytes([9; 16]),
        device: gone,
    };
    let order = first.sign(path::DEVICE_REVOKE, &intent, &RevokeDevice { device: gone });
    let _: Revoked = first.send(&order).await.ok();
    let revoked = Happened::DeviceRevoked {
        account,
        device: gone,
    };
    assert_eq!(arrived(&app).await, [revoked]);

    let session = again.session;
    let intent = Intent::RevokeSession {
        id: RequestId::from_bytes([8; 16]),
        session,
    };
    let order = first.sign(path::SESSION_REVOKE, &intent, &RevokeSession { session });
    let _: Revoked = first.send(&order).await.ok();
    assert_eq!(arrived(&app).await, [ended(session)]);
    let again = first.sign_in(ANNA).await;
    arrived(&app).await;
    let _: SignedOut = first
        .in_session(path::SIGN_OUT, Operation::SignOut, &Nothing {})
        .await
        .ok();
    assert_eq!(arrived(&app).await, [ended(again.session)]);
}

#[tokio::test]
async fn a_server_that_never_answers_keeps_nobody_from_signing_in() {
    let app = told().await;
    app.world
        .hooks_hang
        .store(true, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..5 {
        app.signed_in(TOLD, ANNA).await;
        settle().await;
    }
    assert_eq!(app.world.hooks.lock().unwrap().len(), 2);
}
