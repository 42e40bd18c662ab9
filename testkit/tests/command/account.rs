//! Who somebody is, at the command line: passwords, second factors, step-up, identities. Secrets go
//! in by standard input alone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use keyfold_crypto::{SecretBytes, b64};
use keyfold_gateway_service::EgressTarget;
use keyfold_holder_service::IssuerConfig;
use keyfold_identity::totp::{TotpAlgorithm, TotpSecret};
use keyfold_protocol::project::{
    ClientAuth, IdTokenSettings, IssuerKeys, IssuerSettings, PasswordSettings, ProviderKind,
    ProviderSettings,
};
use keyfold_testkit::counterparts::{Authority, OpenIdProvider, Shape, WebServer};
use keyfold_testkit::system::{PROJECT, Part, System};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use serde_json::{Value, json};

use super::common::{Cases, start};
use super::{Done, PROGRAM, run, run_in, run_with, text};

const FIRST: &str = "first@mail.example";
const SECOND: &str = "second@mail.example";
const PASSWORD: &str = " correct horse, battery ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_kept_at_the_command_line() {
    let system = start(|options| {
        options.projects[0].sign_in.password = Some(PasswordSettings::default());
    })
    .await;
    let mut cases = Cases::default();
    run_cases!(
        cases,
        &system,
        [
            a_password_is_set_by_a_code_and_signs_in,
            what_needs_a_second_factor_says_so_and_is_done_after_it,
            a_second_address_is_linked_signs_in_and_is_taken_off,
            nothing_begins_that_cannot_be_asked_for,
        ]
    );
    cases.end(system).await;
}

const PROVIDER: &str = "https://idp.example.test";
const REDIRECT: &str = "https://app.example.test/callback";
const ISSUER: &str = "https://issuer.example.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_and_an_apps_token_sign_in_at_the_command_line() {
    let authority = Authority::new().unwrap();
    let clients = [json!({
        "client_id": "app", "redirect_uris": [REDIRECT], "response_types": ["code"],
        "grant_types": ["authorization_code"], "token_endpoint_auth_method": "none",
    })];
    let started = OpenIdProvider::start(&authority, PROVIDER, Shape::OpenId, &clients, None);
    let idp = started.await.unwrap();
    idp.person(json!({"sub": "248289761001"})).await.unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let provider = ProviderSettings {
        kind: ProviderKind::OpenId {
            issuer: PROVIDER.to_owned(),
        },
        client_id: "app".to_owned(),
        redirect_uris: vec![REDIRECT.to_owned()],
        client_auth: ClientAuth::Public,
        roots_pem: Some(authority.root_pem()),
    };
    let issuer = IssuerSettings {
        issuer: ISSUER.to_owned(),
        audience: PROJECT.to_owned(),
        keys: IssuerKeys::Pem {
            pem: key.public_key_pem(),
        },
        algorithms: vec!["EdDSA".to_owned()],
        max_token_age_seconds: 300,
    };
    let system = start(|options| {
        options.egress.push(EgressTarget {
            target: "idp.example.test:443".parse().unwrap(),
            at: Some(format!("127.0.0.1:{}", idp.port()).parse().unwrap()),
        });
        let sign_in = &mut options.projects[0].sign_in;
        sign_in.providers.insert("idp".to_owned(), provider);
        sign_in.issuers.insert("own".to_owned(), issuer);
    })
    .await;
    let sign_in = ["sign-in", "--provider", "idp", "--redirect-uri", REDIRECT];
    let signed_in = at_provider(&system, &idp, &sign_in).await.ok();
    let stepped_up = ["step-up", "--provider", "idp", "--redirect-uri", REDIRECT];
    at_provider(&system, &idp, &stepped_up).await.ok();

    // The token's identity is linked to the account, and signs in to it from then on.
    let file = system.files().root().join("token.jwt");
    let own = ["--token-file", file.to_str().unwrap(), "--issuer", "own"];
    std::fs::write(&file, format!("{}\n", token(&key, "1"))).unwrap();
    let link = [&["identities", "link"], &own[..]].concat();
    let linked = run(&system, &link).await.ok();
    assert_eq!(linked["identities"].as_array().map(Vec::len), Some(2));
    let again = run(&system, &[&["sign-in"], &own[..]].concat()).await;
    // What was shown once is nobody's any more.
    again.failed(5, "rate_limited");
    std::fs::write(&file, token(&key, "2")).unwrap();
    let by_token = run(&system, &[&["sign-in"], &own[..]].concat()).await.ok();
    assert_eq!(by_token["account"], signed_in["account"]);
    system.shutdown().await;
    idp.stop().await;
}

const OWN_HOST: &str = "issuer.example.test";
const OWN_JWKS: &str = "https://issuer.example.test/jwks";
/// Where the app's server verifies ID tokens of ours.
const REALM_ISSUER: &str = "https://realm.example.test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apps_token_lets_a_second_device_in_and_the_apps_server_asks_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server_key = folder.path().join("server.key");
    let server = made(&["server-key", server_key.to_str().unwrap()]).ok();
    let again = made(&["server-key", server_key.to_str().unwrap()]).ok();
    assert_eq!(server, again, "a key that is there is kept");
    let authority = Authority::new().unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "own",
        "x": b64::encode(key.public_key_raw()),
    });
    let keys = json!({ "keys": [jwk] });
    let own = WebServer::showing(&authority, OWN_HOST, &keys).await;
    let own = own.unwrap();
    let here = format!("127.0.0.1:{}", own.port());
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, authority.root_pem()).unwrap();
    let issuer = IssuerSettings {
        issuer: ISSUER.to_owned(),
        audience: PROJECT.to_owned(),
        keys: IssuerKeys::Jwks {
            url: OWN_JWKS.to_owned(),
            roots_pem: Some(authority.root_pem()),
        },
        algorithms: vec!["EdDSA".to_owned()],
        max_token_age_seconds: 300,
    };
    let system = start(|options| {
        options.egress.push(EgressTarget {
            target: format!("{OWN_HOST}:443").parse().unwrap(),
            at: Some(here.parse().unwrap()),
        });
        let sign_in = &mut options.projects[0].sign_in;
        sign_in.issuers.insert("own".to_owned(), issuer);
        sign_in.servers = vec![serde_json::from_value(server["server"].clone()).unwrap()];
        sign_in.id_tokens = Some(IdTokenSettings {
            issuer: REALM_ISSUER.to_owned(),
            seconds: 300,
        });
        let mut trusted = IssuerConfig::new(ISSUER, OWN_JWKS);
        trusted.algorithms = vec!["EdDSA".to_owned()];
        trusted.roots_pem = Some(roots);
        trusted.connect_to = Some(here);
        options.tune_holder = Some(Arc::new(move |_, config| {
            config.issuers = vec![trusted.clone()];
        }));
    })
    .await;
    let mut cases = Cases::default();
    let world = Own {
        system,
        key,
        server_key,
    };
    run_cases!(
        cases,
        &world,
        [
            a_token_with_a_devices_nonce_lets_that_device_in_and_no_other,
            an_id_token_is_issued_and_introspected_until_the_session_ends,
        ]
    );
    cases.end(world.system).await;
}

/// A system with an issuer of the app's own, which all holders trust.
struct Own {
    system: System,
    key: KeyPair,
    server_key: PathBuf,
}

impl Own {
    /// The profile of another device of the same app.
    fn profile(&self, name: &str) -> PathBuf {
        let first = self.system.files().profile(&self.system.project().id);
        let other = first.with_file_name(name);
        std::fs::copy(&first, &other).unwrap();
        other
    }

    /// A token for the nonce that a device draws: where it is, and the nonce's salt.
    async fn token_for(&self, profile: &Path, name: &str) -> (PathBuf, String) {
        let drawn = run_with(&self.system, profile, "token-nonce").await.ok();
        let file = self.system.files().root().join(name);
        let token = token_with(&self.key, name, Some(text(&drawn, "nonce")));
        std::fs::write(&file, token).unwrap();
        (file, text(&drawn, "salt").to_owned())
    }

    async fn sign_in(&self, profile: &Path, file: &Path, salt: Option<&str>) -> Done {
        let mut arguments = format!("sign-in --issuer own --token-file '{}'", file.display());
        if let Some(salt) = salt {
            arguments.push_str(&format!(" --token-salt {salt}"));
        }
        run_with(&self.system, profile, &arguments).await
    }
}

async fn a_token_with_a_devices_nonce_lets_that_device_in_and_no_other(world: &Own) {
    let system = &world.system;
    let first = system.files().profile(&system.project().id);
    with_code(system, FIRST, "", &["sign-in", "--email", FIRST])
        .await
        .ok();
    let (file, salt) = world.token_for(&first, "first.jwt").await;
    let file = file.to_str().unwrap().to_owned();
    let link = [
        "identities",
        "link",
        "--issuer",
        "own",
        "--token-file",
        &file,
        "--token-salt",
        &salt,
    ];
    let linked = run(system, &link).await.ok();
    assert_eq!(linked["identities"].as_array().map(Vec::len), Some(2));

    let (second, third) = (world.profile("second.toml"), world.profile("third.toml"));
    let (file, salt) = world.token_for(&second, "second.jwt").await;
    // Another device's salt makes another nonce of it, whoever shows it first.
    let stolen = world.sign_in(&third, &file, Some(&salt)).await;
    stolen.failed(3, "sign_in_refused");
    let taken = world.sign_in(&second, &file, Some(&salt)).await;
    taken.failed(5, "rate_limited");

    let (file, salt) = world.token_for(&second, "again.jwt").await;
    let let_in = world.sign_in(&second, &file, Some(&salt)).await.ok();
    assert_eq!(let_in["device"]["state"], "active", "{let_in}");
    // By the lists of the holders, each of which looked for itself, and for what a device may do.
    let listed = run(system, &["devices"]).await.ok();
    let mut listed = listed["devices"].as_array().unwrap().iter();
    let mine = text(&let_in["device"], "thumbprint");
    let second_is = listed.find(|device| text(device, "device") == mine);
    assert_eq!(second_is.unwrap()["state"]["state"], "active");
    run_with(system, &second, "wallet create").await.ok();

    // The same token again: while it is remembered nobody can begin with it, and afterwards it is
    // not the third device's, which waits if it says nothing of the nonce.
    let again = world.sign_in(&third, &file, Some(&salt)).await;
    again.failed(5, "rate_limited");
    system.process(Part::Enclave).kill().await;
    system.start_again(Part::Enclave).await.unwrap();
    let again = world.sign_in(&third, &file, Some(&salt)).await;
    again.failed(3, "sign_in_refused");
    let (file, _) = world.token_for(&third, "third.jwt").await;
    let waits = world.sign_in(&third, &file, None).await.ok();
    assert_eq!(text(&waits, "account"), text(&let_in, "account"));
    assert!(
        waits["device"]["state"]["pending_until"].is_u64(),
        "{waits}"
    );
}

async fn an_id_token_is_issued_and_introspected_until_the_session_ends(world: &Own) {
    let system = &world.system;
    let issued = run(system, &["id-token", "--nonce", "n-0S6_WzA2Mj"]).await;
    let issued = issued.ok();
    let id_token = text(&issued, "id_token").to_owned();
    let claims = id_token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&b64::decode(claims, 4_096).unwrap()).unwrap();
    let status = run(system, &["status"]).await.ok();
    assert_eq!(text(&claims, "iss"), REALM_ISSUER);
    assert_eq!(text(&claims, "aud"), PROJECT);
    assert_eq!(text(&claims, "nonce"), "n-0S6_WzA2Mj");
    assert_eq!(
        text(&claims, "sub"),
        text(&status["session"], "account"),
        "{status}"
    );
    let key = world.server_key.to_str().unwrap();
    let introspect = ["introspect", "--key", key, "--token-file", "-"];
    let ask = async |token: &str| run_in(system, "", &introspect, token).await;
    let told = ask(&format!("{id_token}\n")).await.ok();
    let told = &told["introspection"];
    assert_eq!(told["active"], true, "{told}");
    assert_eq!(told["sub"], claims["sub"]);
    assert_eq!(told["aud"], PROJECT);
    let inactive = json!({ "active": false });
    assert_eq!(ask("a.b.c").await.ok()["introspection"], inactive);
    let altered = id_token.replacen(&claims_of(&id_token), &b64::encode(b"{}"), 1);
    assert_eq!(ask(&altered).await.ok()["introspection"], inactive);
    // A server that the project does not list is told nothing.
    let other = world.server_key.with_file_name("other.key");
    made(&["server-key", other.to_str().unwrap()]).ok();
    let other = other.to_str().unwrap();
    let stranger = ["introspect", "--key", other, "--token-file", "-"];
    run_in(system, "", &stranger, &id_token)
        .await
        .failed(6, "server_unknown");
    run(system, &["sign-out"]).await.ok();
    assert_eq!(ask(&id_token).await.ok()["introspection"], inactive);
    run(system, &["id-token"]).await.failed(3, "not_signed_in");
}

fn claims_of(token: &str) -> String {
    token.split('.').nth(1).unwrap().to_owned()
}

/// Runs what needs no system.
fn made(arguments: &[&str]) -> Done {
    let mut command = Command::new(PROGRAM);
    Done::of(&command.arg("--json").args(arguments).output().unwrap())
}

/// Runs what prints a provider's address, and gives it the one that a browser comes back to.
async fn at_provider(system: &System, idp: &OpenIdProvider, arguments: &[&str]) -> Done {
    let profile = system.files().profile(&system.project().id);
    let mut child = Command::new(PROGRAM)
        .args(["--json", "--profile"])
        .arg(profile)
        .args(arguments)
        .arg("--callback-from-stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = told.find_map(|line| line.ok().filter(|line| line.starts_with(PROVIDER)));
    let came_back = idp.browse(&url.expect("an address is printed")).await;
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", came_back.unwrap().url).unwrap();
    drop(input);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    Done::of(&output.await.unwrap())
}

fn token(key: &KeyPair, id: &str) -> String {
    token_with(key, id, None)
}

fn token_with(key: &KeyPair, id: &str, nonce: Option<&str>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let mut claims = json!({
        "iss": ISSUER, "aud": PROJECT, "sub": "person", "jti": id, "iat": now, "exp": now + 300,
    });
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    let part = |value: Value| b64::encode(value.to_string().as_bytes());
    let header = json!({ "alg": "EdDSA", "typ": "JWT" });
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", b64::encode(&signature))
}

/// Runs what waits for a mailed code; `before` are the lines before it.
async fn with_code(system: &System, address: &str, before: &str, arguments: &[&str]) -> Done {
    let profile = system.files().profile(&system.project().id);
    let mut command = Command::new(PROGRAM);
    command
        .args(["--json", "--profile"])
        .arg(profile)
        .args(arguments)
        .arg("--code-from-stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let seen = system.mailbox().codes(address).unwrap().len();
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(before.as_bytes()).unwrap();
    let mail = system.mailbox().wait(address, seen).await.unwrap();
    writeln!(input, "{}", mail.code().unwrap()).unwrap();
    drop(input);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    Done::of(&output.await.unwrap())
}

async fn typed(system: &System, input: &str, arguments: &[&str]) -> Done {
    run_in(system, "", arguments, &format!("{input}\n")).await
}

async fn a_password_is_set_by_a_code_and_signs_in(system: &System) {
    let set = [
        "sign-in",
        "--email",
        FIRST,
        "--set-password",
        "--password-from-stdin",
    ];
    let signed_in = with_code(system, FIRST, &format!("{PASSWORD}\n"), &set).await;
    let account = text(&signed_in.ok(), "account").to_owned();
    let mails = system.mailbox().codes(FIRST).unwrap().len();
    let by_password = [
        "sign-in",
        "--email",
        FIRST,
        "--password",
        "--password-from-stdin",
    ];
    let again = typed(system, PASSWORD, &by_password).await.ok();
    assert_eq!(text(&again, "account"), account);
    let wrong = typed(system, PASSWORD.trim(), &by_password).await;
    let error = wrong.failed(3, "sign_in_refused");
    assert!(text(&error, "what_to_do").contains("--set-password"));
    assert_eq!(system.mailbox().codes(FIRST).unwrap().len(), mails);
    // Changed by who knows it, and back.
    let change = [&by_password[..], &["--set-password"]].concat();
    let other = "another horse entirely";
    let two = |old: &str, new: &str| format!("{old}\n{new}");
    typed(system, &two("wrong horse battery", other), &change)
        .await
        .failed(3, "sign_in_refused");
    typed(system, &two(PASSWORD, other), &change).await.ok();
    typed(system, PASSWORD, &by_password)
        .await
        .failed(3, "sign_in_refused");
    typed(system, &two(other, PASSWORD), &change).await.ok();
    // What will not do is refused without being told anywhere.
    let short = [&set[..], &["--code-from-stdin"]].concat();
    let nothing = typed(system, "", &short).await;
    nothing.failed(2, "usage");
    assert_eq!(system.mailbox().codes(FIRST).unwrap().len(), mails);
}

/// The secret as an app of codes reads it from the address that is shown to it.
fn app_of(uri: &str) -> TotpSecret {
    let query = uri.strip_prefix("otpauth://totp/").unwrap();
    let query = query.split_once('?').unwrap().1.split('&');
    let digits = query
        .filter_map(|part| part.strip_prefix("secret="))
        .next()
        .unwrap();
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            other => panic!("{other} is no digit of base 32"),
        };
        bits = (bits << 5) | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap());
        }
    }
    TotpSecret::new(SecretBytes::from_vec(bytes), TotpAlgorithm::Sha1).unwrap()
}

async fn what_needs_a_second_factor_says_so_and_is_done_after_it(system: &System) {
    run(system, &["wallet", "create"]).await.ok();
    let begun = run(system, &["totp", "begin"]).await.ok();
    let app = app_of(text(&begun, "uri"));
    let by_stdin = ["totp", "confirm", "--code-from-stdin"];
    typed(system, "12345", &by_stdin)
        .await
        .failed(3, "sign_in_refused");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = now.as_secs();
    let confirmed = typed(system, &app.code_at(now), &by_stdin).await.ok();
    let codes = confirmed["recovery_codes"].as_array().unwrap().clone();
    let all = run(system, &["identities"]).await.ok();
    assert_eq!(
        (&all["totp"], &all["recovery_codes"]),
        (&json!(true), &json!(codes.len()))
    );

    let rules = ["step-up-rules", "--signing", "second-factor"];
    let hold = run(system, &rules).await.ok();
    assert_eq!(hold["rules"]["signing"], "second-factor", "{hold}");
    let sign = ["sign", "message", "hello"];
    let error = run(system, &sign).await.failed(6, "step_up_needed");
    assert!(text(&error, "what_to_do").contains("keyfold step-up"));
    run(system, &["totp", "remove"])
        .await
        .failed(6, "step_up_needed");
    // A proof of an identity is not enough, and a code works once.
    let by_password = [
        "step-up",
        "--email",
        FIRST,
        "--password",
        "--password-from-stdin",
    ];
    typed(system, PASSWORD, &by_password).await.ok();
    run(system, &sign).await.failed(6, "step_up_needed");
    let by_app = ["step-up", "--totp", "--code-from-stdin"];
    let used = typed(system, &app.code_at(now), &by_app).await;
    let error = used.failed(3, "sign_in_refused");
    assert!(text(&error, "what_to_do").contains("next code"));
    let next = typed(system, &app.code_at(now + 30), &by_app).await.ok();
    assert!(next["until"].as_u64() > Some(now), "{next}");
    run(system, &sign).await.ok();

    let on_paper = ["step-up", "--recovery-code", "--code-from-stdin"];
    let code = codes[0].as_str().unwrap();
    typed(system, code, &on_paper).await.ok();
    let error = typed(system, code, &on_paper).await;
    error.failed(3, "sign_in_refused");
    let left = run(system, &["identities", "list"]).await.ok();
    assert_eq!(left["recovery_codes"], json!(codes.len() - 1));
    let rules = run(system, &["step-up-rules", "--as-project"]).await.ok();
    assert_eq!(rules["rules"]["signing"], "none", "{rules}");
    run(system, &["totp", "remove"]).await.ok();
    let left = run(system, &["identities"]).await.ok();
    assert_eq!(
        (&left["totp"], &left["recovery_codes"]),
        (&json!(false), &json!(0))
    );
}

async fn a_second_address_is_linked_signs_in_and_is_taken_off(system: &System) {
    // Of an identity that the account has, by the mailed code.
    with_code(system, FIRST, "", &["step-up", "--email", FIRST])
        .await
        .ok();
    let before = text(&run(system, &["status"]).await.ok()["session"], "account").to_owned();
    let link = ["identities", "link", "--email", SECOND];
    let linked = with_code(system, SECOND, "", &link).await.ok();
    let id = |all: &Value, label: &str| {
        let mut all = all["identities"].as_array().unwrap().iter();
        let found = all.find(|identity| text(identity, "label") == label);
        found.map(|identity| text(identity, "id").to_owned())
    };
    let (first, second) = (id(&linked, FIRST).unwrap(), id(&linked, SECOND).unwrap());
    let sign_in = ["sign-in", "--email", SECOND];
    let signed_in = with_code(system, SECOND, "", &sign_in).await.ok();
    assert_eq!(text(&signed_in, "account"), before);

    let left = run(system, &["identities", "unlink", &second]).await.ok();
    assert_eq!(id(&left, SECOND), None);
    run(system, &["identities", "unlink", &second])
        .await
        .failed(6, "identity_unknown");
    run(system, &["identities", "unlink", &first])
        .await
        .failed(6, "last_identity");
}

async fn nothing_begins_that_cannot_be_asked_for(system: &System) {
    let mails = system.mailbox().codes(FIRST).unwrap().len();
    let provider = ["--provider", "none", "--redirect-uri", "https://a.example"];
    for (arguments, option) in [
        (&["sign-in", "--email", FIRST][..], "--code-from-stdin"),
        (
            &[
                "sign-in",
                "--email",
                FIRST,
                "--set-password",
                "--code-from-stdin",
            ],
            "--password-from-stdin",
        ),
        (
            &["step-up", "--email", FIRST, "--password"],
            "--password-from-stdin",
        ),
        (&["step-up", "--totp"], "--code-from-stdin"),
        (&["totp", "confirm"], "--code-from-stdin"),
        (
            &[&["identities", "link"], &provider[..]].concat(),
            "--callback-from-stdin",
        ),
    ] {
        let error = run(system, arguments).await.failed(2, "usage");
        assert!(text(&error, "what_to_do").contains(option), "{error}");
    }
    assert_eq!(system.mailbox().codes(FIRST).unwrap().len(), mails);
}
