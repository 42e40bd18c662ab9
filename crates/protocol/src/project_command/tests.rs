use keyfold_crypto::testing::SeededRng;

use super::*;

const NOW: u64 = 1_800_000_000;

struct Team {
    keys: Vec<DeviceSigningKey>,
    public: Vec<PublicJwk>,
    project: ProjectId,
}

impl Team {
    fn new(count: usize) -> Self {
        let mut rng = SeededRng::new(7);
        let keys: Vec<_> = (0..count)
            .map(|at| match at % 2 {
                0 => DeviceSigningKey::generate_p256(&mut rng),
                _ => DeviceSigningKey::generate_ed25519(&mut rng),
            })
            .collect();
        Self {
            public: keys.iter().map(DeviceSigningKey::public_jwk).collect(),
            keys,
            project: "app.example".parse().unwrap(),
        }
    }

    fn command(&self, change: ProjectChange) -> ProjectCommand {
        ProjectCommand {
            realm: RealmId::from_bytes([1; 32]),
            project: self.project.clone(),
            follows: 3,
            expires: NOW + 600,
            change,
        }
    }

    fn signed(&self, command: ProjectCommand, by: &[usize]) -> SignedCommand {
        SignedCommand {
            approvals: by
                .iter()
                .map(|at| command.approve(&self.keys[*at]))
                .collect(),
            command,
        }
    }

    /// 2 of them.
    fn standing(&self) -> Standing<'_> {
        Standing {
            realm: RealmId::from_bytes([1; 32]),
            project: &self.project,
            version: 3,
            administrators: &self.public,
            threshold: 2,
            now_unix_seconds: NOW,
        }
    }
}

fn settings() -> ProjectChange {
    ProjectChange::Settings {
        settings: r#"{"display_name":"App","mail":{"host":"smtp.example","port":465,"from":"a@app.example"}}"#
            .to_owned(),
    }
}

fn too_few(good: usize) -> Option<CommandError> {
    Some(CommandError::TooFew { good, needed: 2 })
}

#[test]
fn enough_current_administrators_and_nobody_else_count() {
    let team = Team::new(3);
    let command = team.command(settings());
    let refusal = |signed: &SignedCommand| signed.verify(&team.standing()).err();
    for by in [&[0, 1][..], &[2, 1], &[0, 1, 2], &[0, 0, 1]] {
        assert_eq!(refusal(&team.signed(command.clone(), by)), None, "{by:?}");
    }
    for by in [&[][..], &[0], &[1, 1], &[2, 2, 2]] {
        let count = by.len().min(1);
        assert_eq!(refusal(&team.signed(command.clone(), by)), too_few(count));
    }
    // Somebody else's signature, and one under somebody else's name.
    let stranger = DeviceSigningKey::generate_p256(&mut SeededRng::new(99));
    let mut signed = team.signed(command.clone(), &[0]);
    signed.approvals.push(command.approve(&stranger));
    assert_eq!(refusal(&signed), too_few(1));
    signed.approvals[1].key = team.public[1].thumbprint();
    assert_eq!(refusal(&signed), too_few(1));
    // One who was removed.
    let signed = team.signed(command, &[0, 1]);
    let left = Standing {
        administrators: &team.public[1..],
        ..team.standing()
    };
    assert_eq!(signed.verify(&left).err(), too_few(1));
}

#[test]
fn a_record_that_asks_for_nobody_still_asks_for_one() {
    let team = Team::new(1);
    let none = Standing {
        threshold: 0,
        ..team.standing()
    };
    let refused = team.signed(team.command(settings()), &[]).verify(&none);
    let needed = CommandError::TooFew { good: 0, needed: 1 };
    assert_eq!(refused.err(), Some(needed));
}

#[test]
fn a_command_is_for_one_realm_project_version_and_week() {
    let team = Team::new(2);
    let refusal = |change: &dyn Fn(&mut ProjectCommand)| {
        let mut command = team.command(settings());
        change(&mut command);
        let signed = team.signed(command, &[0, 1]);
        signed.verify(&team.standing()).err()
    };
    assert_eq!(refusal(&|_| ()), None);
    assert_eq!(
        refusal(&|c| c.realm = RealmId::from_bytes([2; 32])),
        Some(CommandError::WrongRealm)
    );
    assert_eq!(
        refusal(&|c| c.project = "other.example".parse().unwrap()),
        Some(CommandError::WrongProject)
    );
    for follows in [0, 2, 4, u64::MAX] {
        let stale = CommandError::Stale {
            follows,
            version: 3,
        };
        assert_eq!(refusal(&|c| c.follows = follows), Some(stale));
    }
    for expires in [0, NOW - 1, NOW] {
        assert_eq!(
            refusal(&|c| c.expires = expires),
            Some(CommandError::Expired)
        );
    }
    assert_eq!(refusal(&|c| c.expires = NOW + MAX_COMMAND_SECONDS), None);
    for expires in [NOW + MAX_COMMAND_SECONDS + 1, u64::MAX] {
        let long = CommandError::LastsTooLong;
        assert_eq!(refusal(&|c| c.expires = expires), Some(long));
    }
}

#[test]
fn every_part_is_signed() {
    let team = Team::new(2);
    let keys = team.public.clone();
    let changes = [
        settings(),
        ProjectChange::Secret {
            name: "mail".to_owned(),
            commitment: Digest32::from_bytes([5; 32]),
        },
        ProjectChange::RemoveSecret {
            name: "mail".to_owned(),
        },
        ProjectChange::Administrators { keys, threshold: 2 },
    ];
    for change in &changes {
        let signed = team.signed(team.command(change.clone()), &[0, 1]);
        signed.verify(&team.standing()).unwrap();
        let altered = |alter: &dyn Fn(&mut ProjectCommand)| {
            let mut signed = signed.clone();
            alter(&mut signed.command);
            signed.verify(&team.standing()).err()
        };
        assert_eq!(altered(&|c| c.expires += 1), too_few(0));
        for other in changes.iter().filter(|other| *other != change) {
            assert_eq!(altered(&|c| c.change = other.clone()), too_few(0));
        }
        assert_eq!(
            altered(&|c| match &mut c.change {
                // The same settings to whoever reads them, in other bytes.
                ProjectChange::Settings { settings } => settings.push(' '),
                ProjectChange::Secret { commitment, .. } => {
                    *commitment = Digest32::from_bytes([6; 32]);
                }
                ProjectChange::RemoveSecret { name } => name.push('2'),
                ProjectChange::Administrators { threshold, .. } => *threshold = 1,
            }),
            too_few(0)
        );
    }
}

#[test]
fn a_command_is_the_same_after_it_travelled() {
    let team = Team::new(2);
    let signed = team.signed(team.command(settings()), &[0, 1]);
    let text = serde_json::to_string(&signed).unwrap();
    let read: SignedCommand = serde_json::from_str(&text).unwrap();
    assert_eq!(read, signed);
    let approved = read.verify(&team.standing()).unwrap();
    assert_eq!(approved.digest(), signed.command.digest());
    assert!(matches!(approved.change(), ReadChange::Settings(_)));
}

#[test]
fn changes_are_bounded_and_of_their_form() {
    let team = Team::new(3);
    let administrators = |keys: &[PublicJwk], threshold| ProjectChange::Administrators {
        keys: keys.to_vec(),
        threshold,
    };
    let (a, b) = (team.public[0], team.public[1]);
    let many: Vec<_> = Team::new(17).public;
    let text = |settings: &str| ProjectChange::Settings {
        settings: settings.to_owned(),
    };
    let ProjectChange::Settings { settings: good } = settings() else {
        unreachable!()
    };
    let with = |member: &str| text(&good.replacen('{', &format!("{{{member},"), 1));
    for refused in [
        administrators(&[], 1),
        administrators(&[a, b], 0),
        administrators(&[a, b], 3),
        administrators(&[a, b, a], 2),
        administrators(&many, 1),
        ProjectChange::RemoveSecret {
            name: "two words".to_owned(),
        },
        ProjectChange::RemoveSecret {
            name: "x".repeat(MAX_SECRET_NAME_LEN + 1),
        },
        text("{}"),
        text(&format!("{good}{}", " ".repeat(MAX_SETTINGS_LEN))),
        with(r#""unknown":1"#),
        with(r#""display_name":"Another""#),
        with(r#""sign_in":{"providers":{"a":1}}"#),
        text(&good.replace("465", r#"465,"username":"u","password":"p""#)),
    ] {
        let read = refused.read();
        assert!(
            matches!(read, Err(CommandError::Malformed(_))),
            "{refused:?}"
        );
    }
    assert!(administrators(&many[..16], 16).read().is_ok());
    assert!(with(r#""sign_in":{"email_code":false}"#).read().is_ok());
}

#[test]
fn settings_that_name_something_twice_are_refused() {
    let solana = r#"{"chains":[1,2],"nodes":{"1":{"url":"https://a"},"1":{"url":"https://b"}}}"#;
    let text = format!(r#"{{"ethereum":{solana}}}"#);
    let read = serde_json::from_str::<crate::project::SignInSettings>(&text);
    assert!(read.unwrap_err().to_string().contains("twice"));
    let once = text.replace(r#","1":{"url":"https://b"}"#, "");
    assert!(serde_json::from_str::<crate::project::SignInSettings>(&once).is_ok());
}

#[test]
fn a_commitment_opens_to_its_value_in_its_place_only() {
    let project: ProjectId = "app.example".parse().unwrap();
    let reveal = |value: &str, salt| SecretReveal {
        value: value.to_owned().into(),
        salt: Digest32::from_bytes([salt; 32]),
    };
    let commitment = reveal("horse", 1).commitment(&project, "mail");
    let opens = |reveal: &SecretReveal| reveal.opens(&project, "mail", &commitment);
    assert!(opens(&reveal("horse", 1)));
    assert!(!opens(&reveal("horsf", 1)));
    assert!(!opens(&reveal("horse", 2)));
    assert!(!reveal("horse", 1).opens(&project, "webhook", &commitment));
    let other = "other.example".parse().unwrap();
    assert!(!reveal("horse", 1).opens(&other, "mail", &commitment));
    for bad in [String::new(), "x".repeat(MAX_SECRET_LEN + 1)] {
        let reveal = reveal(&bad, 1);
        let commitment = reveal.commitment(&project, "mail");
        assert!(!reveal.opens(&project, "mail", &commitment));
    }
    let printed = format!("{:?}", reveal("horse", 1));
    assert!(!printed.contains("horse"), "{printed}");
}
