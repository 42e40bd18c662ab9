use serde_json::{Value, json};

use super::methods::{ProviderSource, ethereum, farcaster, issuer, passkeys, provider, solana};
use super::*;

const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

/// Everything on.
fn whole() -> Value {
    let node = json!({"url": "https://node.example/rpc"});
    json!({
        "email_code": true,
        "password": {},
        "providers": {
            "google": {
                "kind": {"name": "google"},
                "client_id": "1234.apps.example",
                "redirect_uris": ["https://app.example/cb", "com.example.app:/cb"],
                "client_auth": {"how": "secret-post"},
            },
            "apple": {
                "kind": {"name": "apple"},
                "client_id": "com.example.app",
                "redirect_uris": ["https://app.example/cb"],
                "client_auth": {"how": "apple", "team_id": "T", "key_id": "K"},
            },
            "company": {
                "kind": {"name": "open-id", "issuer": "https://login.example/tenant"},
                "client_id": "app",
                "redirect_uris": ["https://app.example/cb"],
                "client_auth": {"how": "private-key-jwt", "kid": "1"},
                "roots_pem": "-----BEGIN CERTIFICATE-----\n",
            },
        },
        "issuers": {
            "own": {
                "issuer": "https://auth.app.example",
                "audience": "app",
                "keys": {"from": "pem", "pem": P256_PEM},
                "algorithms": ["ES256"],
                "max_token_age_seconds": 600,
            },
            "remote": {
                "issuer": "https://auth.app.example",
                "audience": "app",
                "keys": {"from": "jwks", "url": "https://auth.app.example/jwks"},
                "algorithms": ["RS256", "EdDSA"],
                "max_token_age_seconds": 3600,
            },
        },
        "ethereum": {"chains": [1, 8453], "nodes": {"8453": node}},
        "solana": {"cluster": "mainnet"},
        "farcaster": {"node": node, "auth_addresses": true},
        "passkeys": {
            "relying_party": "app.example",
            "user_verification": true,
            "apps": [format!("android:apk-key-hash:{}", "A".repeat(43))],
            "top_origins": ["https://frame.example"],
        },
        "origins": ["https://app.example", "https://login.app.example"],
        "webhook": {"url": "https://hooks.app.example/keyfold"},
        "id_tokens": {"issuer": "https://gateway.example", "seconds": 300},
        "mail_texts": {"subject": "{project}: code"},
        "limits": {"devices": 3, "sessions": 4, "wallets": 5},
        "step_up": {"signing": "passkey", "export": "none"},
    })
}

fn settings(of: &Value) -> SignInSettings {
    serde_json::from_value(of.clone()).unwrap()
}

/// What is said of the whole with one member exchanged; `null` takes it out.
fn refusal(pointer: &str, value: Value) -> String {
    let mut changed = whole();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[last.parse::<usize>().unwrap()] = value,
        Value::Object(members) if value.is_null() => assert!(members.remove(last).is_some()),
        other => other[last] = value,
    }
    match check(&settings(&changed)) {
        Ok(()) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_whole_turns_into_what_verifies() {
    let settings = settings(&whole());
    check(&settings).unwrap();
    let google = provider(&settings, "google").unwrap().unwrap();
    assert!(matches!(google.source, ProviderSource::Known(_)));
    assert!(google.client("com.example.app:/cb").is_some());
    assert!(google.client("https://app.example/cb/").is_none());
    let company = provider(&settings, "company").unwrap().unwrap();
    assert!(matches!(company.source, ProviderSource::Discovery(_)));
    assert!(company.roots_pem.is_some());
    assert!(provider(&settings, "other").unwrap().is_none());
    assert!(issuer(&settings, "own").unwrap().is_some());
    assert!(issuer(&settings, "google").unwrap().is_none());
    let ethereum = ethereum(&settings).unwrap().unwrap();
    assert!(ethereum.policy.contracts && ethereum.nodes.contains_key(&8453));
    assert_eq!(solana(&settings).unwrap().unwrap().origins.len(), 2);
    assert!(farcaster(&settings).unwrap().unwrap().policy.auth_addresses);
    let passkeys = passkeys(&settings).unwrap().unwrap();
    assert_eq!(passkeys.party.id(), "app.example");
    assert!(password(&settings).unwrap().is_some());
    assert!(webhook(&settings).unwrap().is_some());
    // And the other way round: what is not there is off.
    let bare = SignInSettings::default();
    check(&bare).unwrap();
    assert!(methods::ethereum(&bare).unwrap().is_none());
    assert!(methods::passkeys(&bare).unwrap().is_none());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let long = "x".repeat(33);
    let many: Value = (0..17)
        .map(|n| json!(format!("https://a{n}.example")))
        .collect();
    let ended = (0..65).map(|n| (format!("{n:032x}"), json!(1)));
    let ended: serde_json::Map<_, _> = ended.collect();
    for (pointer, value, begins) in [
        ("/origins/0", json!("https://app.example/"), "origins:"),
        (
            "/origins/1",
            json!("https://app.example"),
            "origins: one is there twice",
        ),
        ("/origins", many, "origins: 0 to 16"),
        (
            "/origins",
            json!(["https://evil.example"]),
            "passkeys.relying_party:",
        ),
        ("/password/memory_kib", json!(1024), "password:"),
        ("/password/memory_kib", json!(1 << 24), "password:"),
        ("/session_seconds", json!(299), "session_seconds: 300 to"),
        (
            "/session_seconds",
            json!(30 * 86_400 + 1),
            "session_seconds:",
        ),
        ("/attestation_seconds", json!(3_601), "attestation_seconds:"),
        ("/idle_seconds", json!(59), "idle_seconds: 60 to"),
        ("/idle_seconds", json!(30 * 86_400 + 1), "idle_seconds:"),
        (
            "/ended",
            json!({"accounts": ended}),
            "ended.accounts: 0 to 64",
        ),
        ("/limits/devices", json!(0), "limits.devices: 1 to 32"),
        ("/limits/devices", json!(33), "limits.devices:"),
        ("/limits/sessions", json!(65), "limits.sessions:"),
        ("/limits/wallets", json!(17), "limits.wallets:"),
        (
            "/webhook/url",
            json!("http://hooks.example"),
            "webhook.url:",
        ),
        (
            "/webhook/url",
            json!("https://169.254.169.254/"),
            "webhook.url:",
        ),
        (
            "/webhook/roots_pem",
            json!("x".repeat(10)),
            "webhook.roots_pem:",
        ),
        (
            "/webhook/roots_pem",
            json!(format!(
                "-----BEGIN CERTIFICATE-----{}",
                "A".repeat(32 * 1024)
            )),
            "webhook.roots_pem:",
        ),
        ("/id_tokens/seconds", json!(601), "id_tokens.seconds:"),
        ("/id_tokens/issuer", json!("gateway"), "id_tokens.issuer:"),
        (
            "/mail_texts/subject",
            json!("see evil.example"),
            "mail_texts:",
        ),
        ("/passkeys", Value::Null, "step_up.signing:"),
        (
            "/passkeys/relying_party",
            json!("example"),
            "passkeys.relying_party:",
        ),
        (
            "/passkeys/apps/0",
            json!("https://app.example"),
            "passkeys.apps:",
        ),
        (
            "/passkeys/top_origins/0",
            json!("*"),
            "passkeys.top_origins:",
        ),
        ("/solana/cluster", json!("localnet"), "solana.cluster:"),
        (
            "/farcaster/node/url",
            json!("https://localhost/"),
            "farcaster.node.url:",
        ),
        ("/ethereum/chains", json!([]), "ethereum.chains: 1 to 16"),
        (
            "/ethereum/chains",
            json!([8453, 8453]),
            "ethereum.chains: one is there twice",
        ),
        ("/ethereum/chains", json!([1]), "ethereum.nodes.8453:"),
        (
            "/ethereum/nodes/8453/url",
            json!("ws://node"),
            "ethereum.nodes.8453.url:",
        ),
        (
            "/providers/google/client_id",
            json!(""),
            "providers.google:",
        ),
        (
            "/providers/google/redirect_uris",
            json!([]),
            "providers.google.redirect_uris: 1 to 8",
        ),
        (
            "/providers/google/redirect_uris/0",
            json!("http://app.example/cb"),
            "providers.google:",
        ),
        (
            "/providers/google/client_auth",
            json!({"how": "apple", "team_id": "T", "key_id": "K"}),
            "providers.google.client_auth:",
        ),
        (
            "/providers/apple/client_auth/team_id",
            json!(""),
            "providers.apple.client_auth:",
        ),
        (
            "/providers/company/client_auth/kid",
            json!("a b"),
            "providers.company.client_auth:",
        ),
        (
            "/providers/company/kind/issuer",
            json!("https://login.example/?a=b"),
            "providers.company.kind.issuer:",
        ),
        (
            "/providers/company/roots_pem",
            json!(""),
            "providers.company.roots_pem:",
        ),
        (
            "/providers/Google",
            whole()["providers"]["google"].clone(),
            "providers: a name",
        ),
        (
            &format!("/issuers/{long}"),
            whole()["issuers"]["own"].clone(),
            "issuers: a name",
        ),
        ("/issuers/own/keys/pem", json!("x"), "issuers.own.keys.pem:"),
        (
            "/issuers/remote/keys/url",
            json!("https://a"),
            "issuers.remote.keys.url:",
        ),
        (
            "/issuers/own/algorithms",
            json!(["HS256"]),
            "issuers.own.algorithms:",
        ),
        (
            "/issuers/own/algorithms",
            json!([]),
            "issuers.own.algorithms:",
        ),
        (
            "/issuers/own/max_token_age_seconds",
            json!(3_601),
            "issuers.own:",
        ),
    ] {
        let said = refusal(pointer, value);
        assert!(said.starts_with(begins), "{pointer}: {said}");
    }
}

#[test]
fn too_many_providers_are_too_many() {
    let mut many = whole();
    for n in 0..14 {
        many["providers"][format!("p{n}")] = whole()["providers"]["google"].clone();
    }
    let error = check(&settings(&many)).unwrap_err();
    assert_eq!(error.to_string(), "providers: at most 16 are taken");
}

#[test]
fn signed_messages_need_a_page_to_be_for() {
    for method in ["ethereum", "solana", "farcaster"] {
        let only = json!({method: whole()[method].clone()});
        let error = check(&settings(&only)).unwrap_err();
        assert!(error.to_string().starts_with(method), "{error}");
    }
}

#[test]
fn secrets_have_names_and_forms() {
    let pem = |kind: &str| format!("-----BEGIN {kind}-----\nMAA=\n-----END {kind}-----\n");
    for (name, value, good) in [
        ("mail", "correct horse".to_owned(), true),
        ("mail", "two\nlines".to_owned(), false),
        ("mail", String::new(), false),
        ("webhook", format!("whsec_{}", "A".repeat(32)), true),
        ("webhook", format!("whsec_{}", "A".repeat(28)), false),
        ("webhook", "A".repeat(32), false),
        ("webhook", format!("whsec_{}", "A".repeat(1 << 20)), false),
        ("provider:google", "GOCSPX-abc".to_owned(), true),
        ("provider:google", "a b".to_owned(), false),
        ("provider:google", pem("PRIVATE KEY"), false),
    ] {
        let name = SecretName::parse(name).unwrap();
        assert_eq!(
            name.check(&value.clone().into()).is_ok(),
            good,
            "{name} {value:.40}"
        );
    }
    for name in [
        "",
        "Mail",
        "provider:",
        "provider:A",
        "provider:a:b",
        "x",
        "mail ",
    ] {
        assert_eq!(SecretName::parse(name), None, "{name}");
    }
}
