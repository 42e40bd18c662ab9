use super::*;

const WALLET: Address = Address::repeat_byte(0xaa);

fn first() -> ConfigState {
    ConfigState {
        context: ContextName::Keyfold,
        members: Members::new(Address::repeat_byte(1), Some(Address::repeat_byte(2))),
        checkpoint: 0,
        checkpointer: None,
    }
}

fn passkey(byte: u8) -> PasskeyPublicKey {
    PasskeyPublicKey {
        x: B256::repeat_byte(byte),
        y: B256::repeat_byte(byte),
        require_user_verification: true,
        metadata: None,
    }
}

fn session(byte: u8) -> SessionPermissions {
    SessionPermissions {
        signer: Address::repeat_byte(byte),
        chain_id: 1,
        value_limit: Default::default(),
        deadline: 2_000_000_000,
        permissions: vec![keyfold_wallet::session::Permission {
            target: Address::repeat_byte(0xcc),
            rules: Vec::new(),
        }],
    }
}

fn recovery(byte: u8, delay: u32) -> RecoveryLeaf {
    RecoveryLeaf {
        signer: Address::repeat_byte(byte),
        required_delta_seconds: delay,
        min_timestamp: 0,
    }
}

/// Each change that adds, with the one that takes it back.
fn pairs() -> Vec<(ConfigChange, ConfigChange)> {
    let (key, signer) = (Address::repeat_byte(3), Address::repeat_byte(4));
    vec![
        (
            ConfigChange::AddKey { key },
            ConfigChange::RemoveKey { key },
        ),
        (
            ConfigChange::AddPasskey {
                passkey: passkey(5),
            },
            ConfigChange::RemovePasskey {
                root: passkey(5).root(),
            },
        ),
        (
            ConfigChange::AddSession {
                session: session(4),
            },
            ConfigChange::RemoveSession { signer },
        ),
        (
            ConfigChange::AddRecovery {
                recovery: recovery(6, MIN_RECOVERY_DELAY_SECONDS),
            },
            ConfigChange::RemoveRecovery {
                signer: Address::repeat_byte(6),
            },
        ),
    ]
}

#[test]
fn what_is_added_and_removed_leaves_the_same_members_at_a_later_checkpoint() {
    for (add, remove) in pairs() {
        let with = first().after(&add).unwrap();
        assert_eq!(with.checkpoint, 1);
        assert_ne!(with.members, first().members);
        assert_eq!(with.after(&add), Err(ChangeError::There), "{add:?}");
        let without = with.after(&remove).unwrap();
        assert_eq!(
            (&without.members, without.checkpoint),
            (&first().members, 2)
        );
        assert_eq!(without.after(&remove), Err(ChangeError::NotThere));
        // A root that was once is none again: the checkpoint is in it.
        assert_ne!(
            without.config().unwrap().image_hash(),
            first().config().unwrap().image_hash()
        );
    }
}

#[test]
fn changes_round_trip_as_json_and_say_what_kind_they_are() {
    let owner = Address::repeat_byte(7);
    let rotate = ConfigChange::RotateOwner { owner };
    let all = pairs()
        .into_iter()
        .flat_map(|(a, b)| [a, b])
        .chain([rotate]);
    let mut kinds = Vec::new();
    for change in all {
        let json = serde_json::to_value(&change).unwrap();
        assert_eq!(json["kind"], change.kind().to_string());
        assert_eq!(
            serde_json::to_value(change.kind()).unwrap(),
            json["kind"],
            "the policy names it otherwise"
        );
        kinds.push(change.kind());
        assert_eq!(
            serde_json::from_value::<ConfigChange>(json).unwrap(),
            change
        );
    }
    assert_eq!(kinds.len(), ChangeKind::ALL.len());
}

#[test]
fn an_owner_that_is_rotated_signs_for_the_sessions_too() {
    let with = first()
        .after(&ConfigChange::AddSession {
            session: session(4),
        })
        .unwrap();
    let owner = Address::repeat_byte(7);
    let rotated = with.after(&ConfigChange::RotateOwner { owner }).unwrap();
    let tree = rotated.members.session_tree().unwrap().unwrap();
    assert_eq!(tree.identity_signers(), [owner]);
    assert_eq!(
        rotated.after(&ConfigChange::RotateOwner { owner }),
        Err(ChangeError::There)
    );
}

#[test]
fn what_would_be_no_good_configuration_is_refused() {
    let guard = Address::repeat_byte(2);
    let after = |change: ConfigChange| first().after(&change).unwrap_err();
    let short = recovery(6, MIN_RECOVERY_DELAY_SECONDS - 1);
    assert_eq!(
        after(ConfigChange::AddRecovery { recovery: short }),
        ChangeError::DelayTooShort
    );
    for change in [
        ConfigChange::AddKey { key: guard },
        ConfigChange::AddKey {
            key: Address::repeat_byte(1),
        },
        ConfigChange::AddKey { key: Address::ZERO },
        ConfigChange::RotateOwner { owner: guard },
        ConfigChange::AddRecovery {
            recovery: recovery(2, MIN_RECOVERY_DELAY_SECONDS),
        },
        ConfigChange::AddRecovery {
            recovery: recovery(6, 1 << 24),
        },
        ConfigChange::AddSession {
            session: session(0),
        },
    ] {
        assert!(
            matches!(after(change.clone()), ChangeError::Members(_)),
            "{change:?}"
        );
    }
    let mut large = session(4);
    large.permissions = vec![large.permissions[0].clone(); 100];
    assert_eq!(
        after(ConfigChange::AddSession { session: large }),
        ChangeError::TooLarge
    );
}

#[test]
fn leaves_point_to_the_extensions_of_the_wallets_contracts() {
    let of = |context| ConfigState { context, ..first() };
    let change = ConfigChange::AddPasskey {
        passkey: passkey(1),
    };
    let root = |context| {
        let after = of(context).after(&change).unwrap();
        after.config().unwrap().image_hash()
    };
    let (ours, theirs) = (root(ContextName::Keyfold), root(ContextName::SequenceRc5));
    assert_ne!(ours, theirs);
    assert_eq!(theirs, root(ContextName::SequenceRc5Erc4337));
    assert_eq!(
        of(ContextName::SequenceDev1).after(&change),
        Err(ChangeError::Members(MembersError::NoExtensions))
    );
    // A wallet of a new project is the same tree with any contracts.
    assert_eq!(
        of(ContextName::SequenceDev1).config(),
        of(ContextName::Keyfold).config()
    );
}

#[test]
fn contracts_that_nobody_knows_are_no_configuration() {
    let json = serde_json::to_string(&first()).unwrap();
    assert!(json.contains(r#""context":"keyfold""#), "{json}");
    assert_eq!(serde_json::from_str::<ConfigState>(&json).unwrap(), first());
    for unknown in ["", "Keyfold", "nowhere"] {
        let other = json.replace(r#""keyfold""#, &format!("{unknown:?}"));
        assert!(serde_json::from_str::<ConfigState>(&other).is_err());
    }
}

#[test]
fn there_are_only_so_many_of_a_kind() {
    let mut state = first();
    for byte in 0..MAX_OF_A_KIND {
        let byte = u8::try_from(byte).unwrap() + 0x10;
        let key = Address::repeat_byte(byte);
        state = state.after(&ConfigChange::AddKey { key }).unwrap();
    }
    let key = Address::repeat_byte(0x70);
    assert_eq!(
        state.after(&ConfigChange::AddKey { key }),
        Err(ChangeError::TooMany)
    );
}

#[test]
fn a_request_is_of_one_configuration_and_leads_to_one() {
    let key = Address::repeat_byte(3);
    let update = UpdateConfig::new(WALLET, &first(), ConfigChange::AddKey { key }).unwrap();
    let next = update.check(&first()).unwrap();
    assert_eq!(next.members.keys, [key]);
    assert_eq!(
        update.digest(),
        update_digest(&WALLET, &next.config().unwrap().image_hash())
    );
    // Stale: the configuration moved on.
    let moved = first()
        .after(&ConfigChange::AddPasskey {
            passkey: passkey(9),
        })
        .unwrap();
    assert_eq!(update.check(&moved), Err(ChangeError::OtherRoot));
    // Another change than the root that was named.
    let other = UpdateConfig {
        change: ConfigChange::AddKey {
            key: Address::repeat_byte(8),
        },
        ..update.clone()
    };
    assert_eq!(other.check(&first()), Err(ChangeError::OtherRoot));
    let later = UpdateConfig {
        version: 2,
        ..update
    };
    assert_eq!(later.check(&first()), Err(ChangeError::UnknownVersion));
}

#[test]
fn the_store_has_everything_that_a_root_stands_for() {
    let mut state = first();
    for (add, _) in pairs() {
        state = state.after(&add).unwrap();
    }
    let trees = StoredTree::all_of(&state).unwrap();
    assert_eq!(trees.len(), 4);
    let config = state.config().unwrap();
    assert_eq!(trees[0].root().unwrap(), config.image_hash());
    let written = serde_json::to_string(&config.topology).unwrap();
    for tree in &trees {
        let json = serde_json::to_string(tree).unwrap();
        assert_eq!(&serde_json::from_str::<StoredTree>(&json).unwrap(), tree);
        let root = tree.root().unwrap();
        let named = root == config.image_hash() || written.contains(&root.to_string());
        assert!(named, "{json}");
    }
}
