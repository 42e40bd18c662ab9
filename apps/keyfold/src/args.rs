//! The command line.

mod account;
mod app_server;
mod attest;
mod config;
mod developer;
mod holders;
mod operator;
mod project;
mod user;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

pub(crate) use account::{
    IdentitiesCommand, Identity, SignIn, StepUpBy, StepUpRules, TokenNonce, TotpCommand,
};
pub(crate) use app_server::{IdToken, Introspect, ServerKey};
pub(crate) use attest::{AttestCommand, AttestShow, AttestVerify, HexBytes};
pub(crate) use config::ConfigCommand;
pub(crate) use developer::Rpc;
pub(crate) use holders::{HoldersCommand, MakeWarrant};
pub(crate) use operator::{
    GatewayCommand, GuardCommand, RealmCommand, RealmGenesis, RelayerCommand,
};
pub(crate) use project::{
    Administrators, Approve, CreateProject, ProjectCommand, Proposal, RemoveSecret, SecretCommand,
    SecretSource, SetProject, SetSecret, ShowProject, Submit,
};
pub(crate) use user::{
    DeviceRevoke, DevicesCommand, ProfileCommand, Send, SessionsCommand, SignCommand, SignMessage,
    Transaction, Wallet, WalletCommand,
};

/// Wallets that nobody but their owners can move.
#[derive(Debug, Parser)]
#[command(
    name = "keyfold",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  Sign in with a code by mail, make a wallet, and send from it:
    keyfold sign-in --email you@example.org
    keyfold wallet create
    keyfold send --to 0x0000000000000000000000000000000000000001 --value 0.01ether
  See what was verified, and who is signed in:
    keyfold status
  For programs: one JSON object on standard output, whatever happens:
    keyfold --json wallet list

Exit codes: 1 failed, 2 usage, 3 sign in again, 4 could not be verified (do not go on),
5 not available (try again), 6 refused, 7 handed over and in no block yet (ask for it with
keyfold transaction; sending it anew could pay twice)."
)]
pub struct Cli {
    /// Name of a profile in the configuration folder, or its file.
    #[arg(long, global = true, env = "KEYFOLD_PROFILE", value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Print one JSON object on standard output, and nothing else.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Sign in: with a mailed code, a password, at a provider, with a token of the app.
    #[command(after_help = account::SIGN_IN_HELP)]
    SignIn(SignIn),
    /// End the session, at the key holders too.
    #[command(after_help = "Example:\n  keyfold sign-out")]
    SignOut,
    /// Wallets: create, list, show the address.
    #[command(subcommand, after_help = user::WALLET_HELP)]
    Wallet(WalletCommand),
    /// Sign a message.
    #[command(subcommand, after_help = user::SIGN_HELP)]
    Sign(SignCommand),
    /// Send coin, tokens or a call from a wallet.
    #[command(after_help = user::SEND_HELP)]
    Send(Send),
    /// What became of a transaction.
    #[command(after_help = user::TRANSACTION_HELP)]
    Transaction(Transaction),
    /// The transactions that were sent from here.
    #[command(after_help = user::TRANSACTIONS_HELP)]
    Transactions,
    /// Devices of the account: list, approve, revoke.
    #[command(after_help = user::DEVICES_HELP)]
    Devices {
        /// What to do; lists where absent.
        #[command(subcommand)]
        command: Option<DevicesCommand>,
    },
    /// Sessions of the account: list, revoke.
    #[command(after_help = user::SESSIONS_HELP)]
    Sessions {
        /// What to do; lists where absent.
        #[command(subcommand)]
        command: Option<SessionsCommand>,
    },
    /// Prove afresh who you are, for what asks for it.
    #[command(after_help = account::STEP_UP_HELP)]
    StepUp(StepUpBy),
    /// Identities of the account: list, link, unlink.
    #[command(after_help = account::IDENTITIES_HELP)]
    Identities {
        /// What to do; lists where absent.
        #[command(subcommand)]
        command: Option<IdentitiesCommand>,
    },
    /// The second factor, an app of codes: begin, confirm, remove.
    #[command(subcommand, after_help = account::TOTP_HELP)]
    Totp(TotpCommand),
    /// What needs a fresh proof, beyond what the project asks for.
    #[command(after_help = account::STEP_UP_RULES_HELP)]
    StepUpRules(StepUpRules),
    /// A nonce for a token of the app's own issuer, which makes it this device's.
    #[command(after_help = account::TOKEN_NONCE_HELP)]
    TokenNonce(TokenNonce),
    /// An ID token for the app's own server.
    #[command(after_help = app_server::ID_TOKEN_HELP)]
    IdToken(IdToken),
    /// For an app's server: whether the session of a token still stands.
    #[command(after_help = app_server::INTROSPECT_HELP)]
    Introspect(Introspect),
    /// For an app's server: its key, drawn where there is none yet.
    #[command(after_help = app_server::SERVER_KEY_HELP)]
    ServerKey(ServerKey),
    /// What was verified, who is signed in, and which wallets there are.
    #[command(after_help = "Example:\n  keyfold --json status")]
    Status,
    /// Projects: create, show, set, administrators, secrets.
    #[command(subcommand, after_help = project::PROJECT_HELP)]
    Project(ProjectCommand),
    /// Profiles: show.
    #[command(subcommand, after_help = user::PROFILE_HELP)]
    Profile(ProfileCommand),
    /// For auditors: attestation documents of any Nitro enclave, show and verify.
    #[command(subcommand, after_help = attest::ATTEST_HELP)]
    Attest(AttestCommand),
    /// For operators: the gateway.
    #[command(subcommand, after_help = operator::GATEWAY_HELP)]
    Gateway(GatewayCommand),
    /// For operators: the guard.
    #[command(subcommand, after_help = operator::GUARD_HELP)]
    Guard(GuardCommand),
    /// For operators: the relayer.
    #[command(subcommand, after_help = operator::RELAYER_HELP)]
    Relayer(RelayerCommand),
    /// For operators: the realm.
    #[command(subcommand, after_help = operator::REALM_HELP)]
    Realm(RealmCommand),
    /// For operators: the realm's holders: list, drill, refresh their shares.
    #[command(subcommand, after_help = holders::HOLDERS_HELP)]
    Holders(HoldersCommand),
    /// For developers: make and read wallet formats for tests of contracts, over JSON-RPC.
    #[command(after_help = developer::RPC_HELP)]
    Rpc(Rpc),
    /// For developers: start everything on this machine (executes keyfold-dev).
    #[command(disable_help_flag = true)]
    Dev(PassedOn),
    /// For developers: do the whole job once on this machine (executes keyfold-dev).
    #[command(disable_help_flag = true)]
    Demo(PassedOn),
    /// For developers: measure (executes keyfold-dev).
    #[command(disable_help_flag = true)]
    Bench(PassedOn),
}

/// Arguments that another program reads.
#[derive(Debug, Args)]
pub struct PassedOn {
    /// Passed on as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_a_person_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let passed_on = ["dev", "demo", "bench"].contains(&command.get_name());
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                passed_on || help.contains("keyfold "),
                "{}",
                command.get_name()
            );
        }
    }

    #[test]
    fn commands_are_read() {
        for line in [
            "keyfold sign-in --email a@example.org",
            "keyfold sign-in --email a@example.org --code-from-stdin --json",
            "keyfold sign-in --email a@example.org --password --password-from-stdin",
            "keyfold sign-in --email a@example.org --set-password",
            "keyfold sign-in --email a@example.org --password --set-password",
            "keyfold sign-in --provider google --redirect-uri https://app.example/c",
            "keyfold sign-in --provider g --redirect-uri https://a.example --callback-from-stdin",
            "keyfold sign-in --token-file - --issuer app",
            "keyfold step-up --email a@example.org",
            "keyfold step-up --email a@example.org --password",
            "keyfold step-up --totp --code-from-stdin",
            "keyfold step-up --recovery-code",
            "keyfold identities",
            "keyfold --json identities list",
            "keyfold identities link --email b@example.org",
            "keyfold identities link --provider google --redirect-uri https://app.example/c",
            "keyfold identities unlink 2222222222222222222222222222222222222222222222222222222222222222",
            "keyfold totp begin",
            "keyfold totp confirm --code-from-stdin",
            "keyfold totp remove",
            "keyfold step-up-rules --signing second-factor --export passkey",
            "keyfold step-up-rules --as-project",
            "keyfold sign-out",
            "keyfold wallet create",
            "keyfold wallet create --label savings",
            "keyfold --json wallet list",
            "keyfold wallet address --label savings",
            "keyfold sign message hello --chain 1",
            "keyfold sign message 0x00ff --hex",
            "keyfold transaction 000102030405060708090a0b0c0d0e0f --wait 5",
            "keyfold transactions",
            "keyfold send --to 0x0000000000000000000000000000000000000001 --value 1 --id \
             000102030405060708090a0b0c0d0e0f",
            "keyfold send --to 0x0000000000000000000000000000000000000001 --value 0.1ether",
            "keyfold send --to 0x0000000000000000000000000000000000000001 --data 0x12345678",
            "keyfold send --to 0x0000000000000000000000000000000000000001 --token \
             0x0000000000000000000000000000000000000002 --amount 5",
            "keyfold id-token --nonce n-0S6_WzA2Mj",
            "keyfold introspect --key server.key --token-file - --json",
            "keyfold server-key server.key",
            "keyfold devices",
            "keyfold devices list",
            "keyfold devices revoke --all-others",
            "keyfold sessions",
            "keyfold sessions revoke 000102030405060708090a0b0c0d0e0f",
            "keyfold sign-in --email a@example.org --new-credential",
            "keyfold status --profile work",
            "keyfold profile show",
            "keyfold demo --json --anything",
            "keyfold attest show document.cbor --all",
            "keyfold --json attest show -",
            "keyfold attest verify d --nonce 00ff --measurements m.json --max-age 10m",
            "keyfold attest verify - --any-nonce --any-code --at 1665651482 --allow-debug",
            "keyfold attest verify d --root root.pem --user-data 00 --public-key key.der",
            "keyfold rpc --listen 127.0.0.1:0",
            "keyfold project create --name App --mail-host smtp.example --mail-from a@app.example",
            "keyfold project create --settings s.toml --mail-password-file p",
            "keyfold project show --toml",
            "keyfold project set --file s.toml --out c.json --days 7",
            "keyfold project admins",
            "keyfold project admins --add a.jwk --add b.jwk --threshold 2",
            "keyfold project secret set provider:google --from-file s",
            "keyfold project secret remove mail",
            "keyfold project approve c.json --look",
            "keyfold project submit c.json",
            "keyfold project key",
            "keyfold holders list --enclave s --json",
            "keyfold holders drill --enclave s",
            "keyfold holders warrant --enclave s --image 00 --days 3 --generation 5 --out w.json",
            "keyfold holders refresh --enclave s --warrant w.json",
            "keyfold dev",
            "keyfold bench sign --help",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn mail_begins_with_tls_unless_starttls_is_asked_for() {
        use keyfold_client::client_api::MailSecurity::{ImplicitTls, Starttls};
        for (flags, expected) in [
            ("", (ImplicitTls, 465)),
            ("--mail-port 2465", (ImplicitTls, 2465)),
            ("--mail-starttls", (Starttls, 587)),
            ("--mail-starttls --mail-port 25", (Starttls, 25)),
        ] {
            let line = format!(
                "keyfold project create --name A --mail-host m.example --mail-from a@m.example {flags}"
            );
            let cli = parse(line.trim()).unwrap_or_else(|error| panic!("{line}: {error}"));
            let Command::Project(ProjectCommand::Create(arguments)) = cli.command else {
                panic!("{line}");
            };
            assert_eq!(arguments.mail_security(), expected, "{line}");
        }
    }

    #[test]
    fn a_thumbprint_that_begins_with_a_hyphen_is_one() {
        for begin in ["-x", "--", "-h", "-V", "--json", "A"] {
            let thumbprint = format!("{begin}{}", "A".repeat(43 - begin.len()));
            for line in [
                format!("keyfold devices approve {thumbprint}"),
                format!("keyfold devices approve --json {thumbprint}"),
                format!("keyfold devices approve {thumbprint} --json"),
                format!("keyfold --json devices approve -- {thumbprint}"),
            ] {
                let cli = parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
                let wants_json = line.split(' ').any(|word| word == "--json");
                assert_eq!(cli.json, wants_json, "{line}");
                let Command::Devices { command } = cli.command else {
                    panic!("{line}");
                };
                assert!(
                    matches!(command, Some(DevicesCommand::Approve(which))
                        if which.device.to_string() == thumbprint),
                    "{line}"
                );
            }
        }
        assert!(parse("keyfold devices approve --help").is_err());
        let line = format!("keyfold devices revoke --all{} --json", "A".repeat(38));
        let cli = parse(&line).unwrap();
        let Command::Devices {
            command: Some(DevicesCommand::Revoke(which)),
        } = cli.command
        else {
            panic!("{line}");
        };
        assert!(which.device.is_some() && !which.all_others && cli.json);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let to = "0x0000000000000000000000000000000000000001";
        for line in [
            "keyfold".to_owned(),
            "keyfold sign-in".to_owned(),
            "keyfold sign-in --password".to_owned(),
            "keyfold sign-in --email a@example.org --password secret".to_owned(),
            "keyfold sign-in --provider google".to_owned(),
            "keyfold sign-in --email a@example.org --provider g --redirect-uri https://a.example"
                .to_owned(),
            "keyfold sign-in --email a@example.org --issuer app --token-file t".to_owned(),
            "keyfold sign-in --token-file t".to_owned(),
            "keyfold sign-in --email a@example.org --callback-from-stdin".to_owned(),
            "keyfold sign-in --totp".to_owned(),
            "keyfold step-up".to_owned(),
            "keyfold step-up --totp 123456".to_owned(),
            "keyfold step-up --totp --recovery-code".to_owned(),
            "keyfold step-up --email a@example.org --totp".to_owned(),
            "keyfold identities link".to_owned(),
            "keyfold identities unlink short".to_owned(),
            "keyfold totp".to_owned(),
            "keyfold step-up-rules".to_owned(),
            "keyfold step-up-rules --signing sometimes".to_owned(),
            "keyfold step-up-rules --signing code --as-project".to_owned(),
            "keyfold sign message".to_owned(),
            format!("keyfold send --to {to}"),
            format!("keyfold send --to {to} --value 0.5"),
            format!("keyfold send --to {to} --token {to}"),
            format!("keyfold send --to {to} --amount 5"),
            format!("keyfold send --to {to} --amount 5 --value 1"),
            format!("keyfold send --to {to} --amount 5 --data 0x00"),
            format!("keyfold send --to {to} --value 1 --id short"),
            format!("keyfold send --to {to} --token {to} --amount 5 --value 1"),
            format!("keyfold send --to {to} --token {to} --amount 5 --data 0x00"),
            format!("keyfold send --to {} --value 1", &to[..40]),
            format!("keyfold send --to {to} --value 1 --chain 0"),
            "keyfold project create --name App --mail-host smtp.example".to_owned(),
            "keyfold project create --settings s.toml --name App".to_owned(),
            "keyfold project set --file s.toml --days 8".to_owned(),
            "keyfold project secret set mail secret".to_owned(),
            "keyfold project admins --threshold 0".to_owned(),
            "keyfold devices approve short".to_owned(),
            "keyfold devices approve -x".to_owned(),
            "keyfold devices revoke".to_owned(),
            format!("keyfold devices revoke --all-others {}", "A".repeat(43)),
            "keyfold sessions revoke".to_owned(),
            "keyfold sessions revoke short".to_owned(),
            "keyfold realm genesis --enclave s --threshold 1 card".to_owned(),
            "keyfold sign message hi --chain -1".to_owned(),
            format!("keyfold id-token --nonce {}", "a".repeat(129)),
            "keyfold introspect --token-file -".to_owned(),
            "keyfold introspect --key server.key".to_owned(),
            "keyfold attest show".to_owned(),
            "keyfold attest show d --nonce 00ff".to_owned(),
            "keyfold attest verify d --nonce 00ff --any-nonce".to_owned(),
            "keyfold attest verify d --any-code --measurements m.json".to_owned(),
            "keyfold attest verify d --nonce 20".to_owned(),
            "keyfold attest verify d --at yesterday".to_owned(),
            "keyfold attest verify d --max-age 10".to_owned(),
            "keyfold attest verify d --pcr 0".to_owned(),
            "keyfold attest verify d --pcr16 00".to_owned(),
            "keyfold attest verify d --user-data text".to_owned(),
        ] {
            let error = parse(&line).map(|_| ()).expect_err(&line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn an_address_with_a_wrong_checksum_is_refused() {
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let line = |to: &str| format!("keyfold send --value 1 --to {to}");
        assert!(parse(&line(good)).is_ok());
        assert!(parse(&line(&good.to_lowercase())).is_ok());
        assert!(parse(&line(&good.replace("5aA", "5Aa"))).is_err());
        assert!(parse(&line(good.trim_start_matches("0x"))).is_err());
    }
}
