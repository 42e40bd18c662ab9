//! From arguments to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::{Cli, Command, ProfileCommand};
use crate::code::CliCode;
use crate::commands;
use crate::development::{DEVELOPMENT_PROGRAM, Next, become_development_program, next};
use crate::error::{CliError, Exit};
use crate::output::{Output, Report};
use crate::profile::Profile;
use crate::roots::Roots;
use crate::state::StateDir;

/// Runs the program with the process's arguments.
pub fn main(roots: Roots) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(&error, &arguments),
    };
    let output = Output::new(cli.json);
    if next(&cli, &roots, profile_of(&cli).as_ref()) == Next::Development {
        let error = become_development_program(&arguments);
        return finish(output, &Err(error));
    }
    // Asked before the process is confined: the answer stands in files.
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if let Err(error) = commands::operator::prepare(&cli.command) {
        return finish(output, &Err(error));
    }
    match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(run(cli, roots)),
        Err(error) => finish(
            output,
            &Err(CliError::new(
                CliCode::NoRuntime,
                error,
                "Free some memory and try again.",
            )),
        ),
    }
}

/// Runs a command, prints its outcome, and returns the exit code.
///
/// For the development program: it executes nothing but the command.
pub async fn run(cli: Cli, roots: Roots) -> ExitCode {
    let output = Output::new(cli.json);
    finish(output, &execute(cli, roots).await)
}

/// Runs a command and returns its outcome; prints at most questions and progress.
///
/// # Errors
///
/// [`CliError`].
pub async fn execute(cli: Cli, roots: Roots) -> Result<Report, CliError> {
    let output = Output::new(cli.json);
    let profile = || -> Result<Profile, CliError> {
        Ok(Profile::load(&Profile::find(cli.profile.as_deref())?)?)
    };
    let user = || commands::User::new(profile()?, &roots, output);
    match cli.command {
        Command::SignIn(arguments) => {
            if arguments.new_credential {
                StateDir::new(profile()?.state).set_device_key_aside()?;
            }
            commands::sign_in::sign_in(user()?, arguments).await
        }
        Command::SignOut => commands::sign_in::sign_out(user()?).await,
        Command::Wallet(command) => commands::wallet::run(user()?, command).await,
        Command::Sign(command) => commands::sign::run(user()?, command).await,
        Command::Send(arguments) => commands::send::run(user()?, arguments).await,
        Command::Transaction(arguments) => commands::transaction::one(user()?, arguments).await,
        Command::Transactions => commands::transaction::all(&user()?),
        Command::Devices { command } => commands::devices::run(user()?, command).await,
        Command::Sessions { command } => commands::sessions::run(user()?, command).await,
        Command::StepUp(arguments) => commands::account::step_up(user()?, arguments).await,
        Command::Identities { command } => commands::account::identities(user()?, command).await,
        Command::Totp(command) => commands::account::totp(user()?, command).await,
        Command::StepUpRules(arguments) => commands::account::rules(user()?, &arguments).await,
        Command::TokenNonce(arguments) => commands::proof::token_nonce(&user()?, arguments),
        Command::IdToken(arguments) => commands::app_server::id_token(user()?, arguments).await,
        Command::Introspect(arguments) => {
            commands::app_server::introspect(profile()?, &roots, output, arguments).await
        }
        Command::ServerKey(arguments) => commands::app_server::server_key(&arguments),
        Command::Status => commands::status::run(user()?).await,
        Command::Project(command) => commands::project::run(user()?, command).await,
        Command::Profile(ProfileCommand::Show) => commands::profile::show(&profile()?),
        Command::Attest(command) => commands::attest::run(command),
        Command::Gateway(command) => commands::operator::gateway(command, output).await,
        Command::Guard(command) => commands::operator::guard(command, output).await,
        Command::Relayer(command) => commands::operator::relayer(command, output).await,
        Command::Realm(command) => commands::operator::realm(command, output).await,
        Command::Holders(command) => commands::holders::run(command, output).await,
        Command::Rpc(arguments) => commands::rpc::run(arguments, output).await,
        Command::Dev(_) | Command::Demo(_) | Command::Bench(_) => Err(CliError::usage(
            format!("this is done by {DEVELOPMENT_PROGRAM}"),
            format!("Run {DEVELOPMENT_PROGRAM} with the same arguments."),
        )),
    }
}

/// The profile of a command that uses one, where it can be read. Why it cannot is told later.
fn profile_of(cli: &Cli) -> Option<Profile> {
    let uses_profile = match &cli.command {
        Command::SignIn(_)
        | Command::SignOut
        | Command::Wallet(_)
        | Command::Sign(_)
        | Command::Send(_)
        | Command::Transaction(_)
        | Command::Transactions
        | Command::Devices { .. }
        | Command::Sessions { .. }
        | Command::StepUp(_)
        | Command::Identities { .. }
        | Command::Totp(_)
        | Command::StepUpRules(_)
        | Command::TokenNonce(_)
        | Command::IdToken(_)
        | Command::Introspect(_)
        | Command::Status
        | Command::Project(_) => true,
        // To show a profile nobody has to be believed.
        Command::Profile(_)
        | Command::Attest(_)
        | Command::Gateway(_)
        | Command::Guard(_)
        | Command::Relayer(_)
        | Command::Realm(_)
        | Command::Holders(_)
        | Command::Rpc(_)
        | Command::ServerKey(_)
        | Command::Dev(_)
        | Command::Demo(_)
        | Command::Bench(_) => false,
    };
    let path = uses_profile
        .then(|| Profile::find(cli.profile.as_deref()).ok())
        .flatten()?;
    Profile::load(&path).ok()
}

fn finish(output: Output, outcome: &Result<Report, CliError>) -> ExitCode {
    output.finish(outcome);
    match outcome {
        Ok(report) => report
            .bad_news
            .map_or(ExitCode::SUCCESS, |exit| ExitCode::from(exit as u8)),
        Err(error) => ExitCode::from(error.exit as u8),
    }
}

/// Prints help, or what is wrong with the arguments, in the form that was asked for.
///
/// For the development program, too.
pub fn refuse_arguments(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !asked && arguments.iter().any(|argument| argument == "--json") {
        let refused = CliError::usage(in_one_line(error), "keyfold --help shows what there is.");
        return finish(Output::new(true), &Err(refused));
    }
    // Nobody is left to tell where the streams are gone.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8))
}

/// What is wrong, with the argument's name; without usage and hints.
fn in_one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command or an argument is missing".to_owned();
    }
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = first.split_whitespace().collect();
    let words = words.join(" ");
    words.strip_prefix("error: ").unwrap_or(&words).to_owned()
}
