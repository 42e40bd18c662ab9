//! The main job once, through every real process: a code by mail, a wallet, a transaction.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use keyfold_testkit::journey::travel;
use keyfold_testkit::report::{Output, Report};
use keyfold_testkit::system::{Options, System};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_code_a_wallet_and_a_transaction_on_a_real_node() {
    let options = Options::new(env!("CARGO_BIN_EXE_keyfold-test-roles")).unwrap();
    let system = System::start(options).await.unwrap();
    let folder = system.files().root().to_owned();
    let mut report = Report::new(Output::Silent);
    let journey = travel(&system, &mut report).await.unwrap();

    let wallets = journey.device.wallets(&journey.session).await.unwrap();
    assert_eq!(wallets, [journey.wallet.clone()]);
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
