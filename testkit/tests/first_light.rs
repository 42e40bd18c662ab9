//! The main job once, through every real process: a code by mail, a wallet, a transaction.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use keyfold_client::WaitLimit;
use keyfold_client::client_api::MailSecurity;
use keyfold_testkit::journey::{payment, travel};
use keyfold_testkit::report::{Output, Report};
use keyfold_testkit::system::{CHAIN_ID, Options, Part, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_code_a_wallet_and_a_transaction_on_a_real_node() {
    let options = Options::new(env!("CARGO_BIN_EXE_keyfold-test-roles")).unwrap();
    let system = System::start(options).await.unwrap();
    let folder = system.files().root().to_owned();
    let mut report = Report::new(Output::Silent);
    let journey = travel(&system, &mut report).await.unwrap();

    let wallets = journey.device.wallets(&journey.session).await.unwrap();
    assert_eq!(wallets, std::slice::from_ref(&journey.wallet));
    let devices = journey.device.devices(&journey.session).await.unwrap();
    assert!(matches!(devices.as_slice(), [only] if only.this));
    assert!(report.steps().len() > 5);

    let pids: Vec<u32> = system
        .all_processes()
        .into_iter()
        .map(|process| process.pid().unwrap())
        .collect();
    assert_eq!(pids.len(), 9);
    system.shutdown().await;
    for pid in pids {
        let gone = !std::path::Path::new("/proc").join(pid.to_string()).exists();
        assert!(gone, "process {pid} outlived the system");
    }
    assert!(!folder.exists(), "the temporary folder is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_arrives_by_a_mail_server_that_requires_starttls() {
    let mut options = Options::new(env!("CARGO_BIN_EXE_keyfold-test-roles")).unwrap();
    options.mail_security = MailSecurity::Starttls;
    let system = System::start(options).await.unwrap();
    travel(&system, &mut Report::new(Output::Silent))
        .await
        .unwrap();
    system.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_is_killed_and_goes_on_where_it_was() {
    let mut options = Options::new(env!("CARGO_BIN_EXE_keyfold-test-roles")).unwrap();
    options.record_traffic = true;
    let system = System::start(options).await.unwrap();
    let journey = travel(&system, &mut Report::new(Output::Silent))
        .await
        .unwrap();
    let parts = [
        Part::Holder(0),
        Part::Holder(1),
        Part::Holder(2),
        Part::Enclave,
        Part::Gateway,
        Part::Guard,
        Part::Relayer,
        Part::Mail,
    ];
    for part in parts {
        system.process(part).kill().await;
        assert!(!system.process(part).is_running().await);
        system
            .start_again(part)
            .await
            .unwrap_or_else(|error| panic!("{part:?}: {error}"));
        let (device, session, wallet) = (&journey.device, &journey.session, &journey.wallet);
        let sent = device
            .send(
                session,
                wallet,
                CHAIN_ID,
                vec![payment()],
                WaitLimit::default(),
            )
            .await;
        sent.unwrap_or_else(|error| panic!("after {part:?} was killed: {error}"));
    }
    // The node keeps its chain where it is asked to end.
    system.process(Part::Node).stop().await;
    system.start_again(Part::Node).await.unwrap();
    let known = system.chain().balance(journey.wallet.address()).await;
    assert!(known.is_ok_and(|coins| !coins.is_zero()));

    for pipe in ["inbound", "outbound"] {
        let tape = std::fs::metadata(system.files().traffic().join(pipe)).unwrap();
        assert!(tape.len() > 10_000, "{pipe} was not recorded");
    }
    system.shutdown().await;
}
