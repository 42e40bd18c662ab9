//! The enclave image that is released, in QEMU's machine `nitro-enclave`: it boots, attests by the real
//! `/dev/nsm` interface, and signs for a wallet with every other party real.
//!
//! Run by `tools/enclave/test.sh`, which builds the image and finds QEMU. Nothing here is in the image:
//! what is of tests is a notary outside it, for QEMU's security module signs nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use keyfold_attest::{
    Expectations, MeasurementPolicy, Measurements, Nonce, TrustRoot, VerifyError, danger, verify,
};
use keyfold_client::WaitLimit;
use keyfold_eif::Image;
use keyfold_net::HttpClient;
use keyfold_net::client::ClientLimits;
use keyfold_net::pipe::HybridConnector;
use keyfold_protocol::gateway_api::{AttestationRequest, host_path};
use keyfold_protocol::ids::Digest32;
use keyfold_protocol::registration::{AttestedBinding, realm_pcr16};
use keyfold_testkit::journey::{payment, travel};
use keyfold_testkit::report::{Output, Report};
use keyfold_testkit::system::{CHAIN_ID, EnclaveImage, Options, Part, System};

/// The inbound port of an enclave.
const INBOUND: u32 = 5000;
const NONCE: [u8; 32] = [0x4b; 32];

/// What tools/enclave/test.sh hands over.
struct Given {
    image: EnclaveImage,
    /// What the build printed.
    printed: Measurements,
}

fn given() -> Given {
    let path = |name: &str| {
        let set = std::env::var_os(name).map(PathBuf::from);
        set.unwrap_or_else(|| panic!("{name} is not set; run tools/enclave/test.sh"))
    };
    let image = path("KEYFOLD_EIF");
    let printed = std::fs::read(image.with_file_name("measurements.json")).unwrap();
    Given {
        printed: serde_json::from_slice(&printed).unwrap(),
        image: EnclaveImage {
            qemu: path("KEYFOLD_QEMU"),
            image,
        },
    }
}

/// Asks the machine itself for a document, past the notary.
async fn document_of(system: &System) -> AttestedBinding {
    let pipe = HybridConnector::new(system.files().machine(), INBOUND);
    let request = AttestationRequest {
        nonce: Digest32::from_bytes(NONCE),
    };
    let request = http::Request::post(format!("http://enclave{}", host_path::ATTESTATION))
        .header("content-type", "application/json")
        .body(Bytes::from(serde_json::to_vec(&request).unwrap()))
        .unwrap();
    let client = HttpClient::new(pipe, ClientLimits::default());
    let answer = client.send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "NOT RUN without the enclave image and QEMU: tools/enclave/test.sh"]
async fn the_image_boots_attests_and_signs_for_a_wallet() {
    let Given { image, printed } = given();
    let bytes = std::fs::read(&image.image).unwrap();
    assert_eq!(Image::parse(&bytes).unwrap().measure(), printed);

    let mut options = Options::new(env!("CARGO_BIN_EXE_keyfold-test-roles")).unwrap();
    options.image = Some(image);
    let system = System::start(options)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    for (step, took) in system.timings() {
        eprintln!("{step}: {} ms", took.as_millis());
    }

    let attested = document_of(&system).await;
    what_qemu_measured_is_what_the_build_printed(&attested, &printed, &system);
    the_production_verifier_refuses(&attested, &printed, &system);

    let journey = travel(&system, &mut Report::new(Output::Scripts))
        .await
        .unwrap_or_else(|error| panic!("{error}"));

    // A power cut; the next boot finds its realm, and its holders.
    let enclave = system.process(Part::Enclave);
    enclave.kill().await;
    let begun = Instant::now();
    system
        .start_again(Part::Enclave)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let (device, session, wallet) = (&journey.device, &journey.session, &journey.wallet);
    let booted = begun.elapsed();
    let signed = device
        .sign_message(session, wallet, CHAIN_ID, b"after a power cut")
        .await;
    signed.unwrap_or_else(|error| panic!("after the machine was killed: {error}"));
    eprintln!(
        "from start to serving: {} ms, to the first signature: {} ms",
        booted.as_millis(),
        begun.elapsed().as_millis()
    );
    device
        .send(
            session,
            wallet,
            CHAIN_ID,
            vec![payment()],
            WaitLimit::default(),
        )
        .await
        .unwrap_or_else(|error| panic!("after the machine was killed: {error}"));
    system.shutdown().await;
}

/// QEMU's measuring is independent of ours: it reads the file by its own code.
fn what_qemu_measured_is_what_the_build_printed(
    attested: &AttestedBinding,
    printed: &Measurements,
    system: &System,
) {
    let shown = danger::inspect(&attested.document).unwrap();
    let pcr = |index| shown.pcrs().get(&index).copied();
    assert_eq!(
        [pcr(0), pcr(1), pcr(2)],
        [printed.pcr0, printed.pcr1, printed.pcr2].map(Some)
    );
    assert_eq!(pcr(16), Some(realm_pcr16(Some(system.pin().realm))));
    assert_eq!(attested.binding.realm, Some(system.pin().realm));
    assert_eq!(shown.nonce(), Some(&NONCE[..]));
    assert_eq!(shown.user_data(), Some(&attested.binding.user_data()[..]));
    assert_eq!(shown.public_key().map(<[u8]>::len), Some(32));
    let age = now().abs_diff(Duration::from_millis(shown.timestamp_ms()));
    assert!(
        age < Duration::from_secs(60),
        "the document's time: {age:?}"
    );
}

/// Although image and nonce are right: nobody signed it.
fn the_production_verifier_refuses(
    attested: &AttestedBinding,
    printed: &Measurements,
    system: &System,
) {
    let nonce = Nonce::new(&NONCE).unwrap();
    let policy = MeasurementPolicy::new(vec![printed.clone()]);
    let now_ms = u64::try_from(now().as_millis()).unwrap();
    let expect = Expectations::new(&nonce, now_ms, &policy);
    for root in [TrustRoot::aws_nitro(), system.pin().root.clone()] {
        let verdict = verify(&attested.document, &root, &expect);
        assert_eq!(verdict.err(), Some(VerifyError::Algorithm));
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
}
