//! `bench`: what to measure. `bench sign` is here, `bench sign-in` in [`sign_in`].
//!
//! `bench sign`: a signature through every real process, against the sum of its primitives, in one
//! run on one machine.
//!
//! The sum is: the client's signature, Oblivious HTTP on both sides, each verification at the
//! enclave and t holders, HPKE of t shares, recombination, the wallet key's signature, and one
//! durable append of a holder. Everything else, and all of the guard's, is what a signature costs
//! beyond it.

mod load;
mod primitives;
mod sign_in;

use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::bench::load::{Load, Measured, measure};
use crate::bench::primitives::{Inputs, Primitive};
use crate::demo::runtime;
use crate::report::{Output, Report};
use crate::roles::Outcome;
use crate::system::{Options, ProjectOptions, System, SystemError, open_policy};

/// A project whose wallets have no guard: what the sum of primitives is about.
const UNGUARDED: &str = "unguarded.example";
const GUARDED: &str = "guarded.example";
const WARM_UP: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure a signature of an enclave wallet, 2 of 3 holders, over loopback.
    #[command(after_help = "\
Example (release build):
  keyfold-dev bench sign --seconds 10 --concurrency 16 --json | tail -n 1")]
    Sign(SignArguments),
    /// Measure the second step of a sign-in, by each method, 2 of 3 holders, over loopback.
    #[command(after_help = "\
Example (release build):
  keyfold-dev bench sign-in --count 100 --json | tail -n 1")]
    SignIn(sign_in::SignInArguments),
}

/// How to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct SignArguments {
    /// Seconds for each measurement with real processes; there are three.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Signatures under way at once, where throughput is measured.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Keep everything in this new folder; otherwise a temporary one is removed at the end.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Everything that was measured.
#[derive(Debug)]
struct Numbers {
    primitives: Vec<Primitive>,
    one: Measured,
    guarded: Measured,
    many: Measured,
}

impl Numbers {
    /// The sum of the primitives that count, in microseconds.
    fn sum(&self) -> f64 {
        let counted = self.primitives.iter().filter(|primitive| primitive.counts);
        counted.map(Primitive::total).sum()
    }

    fn ratio(&self) -> f64 {
        self.one.p50 / self.sum()
    }

    /// Throughput against what the cores could do if there were nothing but primitives.
    fn efficiency(&self) -> f64 {
        self.many.per_second() * self.sum() / 1e6 / cores()
    }
}

/// Runs a benchmark.
pub(crate) fn run(command: &BenchCommand, json: bool) -> Outcome {
    let output = if json {
        Output::Scripts
    } else {
        Output::People
    };
    let mut report = Report::new(output);
    let object = match command {
        BenchCommand::Sign(arguments) => {
            let numbers = runtime()?.block_on(sign(arguments, &mut report))?;
            table(&numbers, &report);
            object(&numbers)
        }
        BenchCommand::SignIn(arguments) => {
            let numbers = runtime()?.block_on(sign_in::measure(arguments, &mut report))?;
            sign_in::table(&numbers, &report);
            sign_in::object(&numbers)
        }
    };
    if json {
        writeln!(std::io::stdout(), "{object}")?;
    }
    Ok(())
}

async fn sign(arguments: &SignArguments, report: &mut Report) -> Result<Numbers, SystemError> {
    let program = std::env::current_exe().map_err(SystemError::io("find this program"))?;
    let mut options = Options::new(program)?;
    options.folder.clone_from(&arguments.data);
    options.log = "warn".to_owned();
    options.projects = vec![
        ProjectOptions::new(UNGUARDED, None),
        ProjectOptions::new(GUARDED, Some(open_policy())),
    ];
    // A person signs a few times in a minute; this one does not rest.
    options.tune_holder = Some(Arc::new(|_, config| {
        config.releases_per_key_per_minute = u32::MAX;
    }));
    if cfg!(debug_assertions) {
        report
            .line("This is a debug build: our own code is not optimised, the ratio means little.");
    }
    let system = report
        .step(
            "everything runs, and the realm is made",
            System::start(options),
        )
        .await?;
    let measured = everything(&system, arguments, report).await;
    if measured.is_err() {
        system.files().keep();
        report.line(&format!("Logs: {}", system.files().logs().display()));
    }
    system.shutdown().await;
    measured
}

async fn everything(
    system: &System,
    arguments: &SignArguments,
    report: &mut Report,
) -> Result<Numbers, SystemError> {
    let [plain, guarded] = system.projects() else {
        return Err(SystemError::Step {
            what: "measure".to_owned(),
            problem: "there are not two projects".to_owned(),
        });
    };
    let plain = Load::prepare(system, plain, "one@mail.example").await?;
    let guarded = Load::prepare(system, guarded, "two@mail.example").await?;
    let inputs = Inputs::new(plain.attestation()?, plain.request_body()?)?;
    let folder = system.files().root().to_owned();
    let primitives = report
        .step("primitives are measured", primitives::all(inputs, &folder))
        .await?;
    let time = Duration::from_secs(arguments.seconds);
    measure(&plain, NonZeroU32::MIN, WARM_UP).await?;
    let one = report
        .step(
            "one signature after the other",
            measure(&plain, NonZeroU32::MIN, time),
        )
        .await?;
    measure(&guarded, NonZeroU32::MIN, WARM_UP).await?;
    let with_guard = report
        .step(
            "the same with a guard",
            measure(&guarded, NonZeroU32::MIN, time),
        )
        .await?;
    let at_once = NonZeroU32::new(arguments.concurrency.into()).unwrap_or(NonZeroU32::MIN);
    let many = report
        .step(
            &format!("{at_once} signatures at once"),
            measure(&plain, at_once, time),
        )
        .await?;
    Ok(Numbers {
        primitives,
        one,
        guarded: with_guard,
        many,
    })
}

fn cores() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    f64::from(u32::try_from(cores).unwrap_or(1))
}

fn table(numbers: &Numbers, report: &Report) {
    report.line("\nPrimitive                                       us   times       us");
    for primitive in &numbers.primitives {
        report.line(&format!(
            "{:<42} {:>7.1}  x {:<3} {:>9.1}{}",
            primitive.name,
            primitive.microseconds,
            primitive.times,
            primitive.total(),
            if primitive.counts {
                ""
            } else {
                "  (not in the sum)"
            }
        ));
    }
    let Numbers {
        one, guarded, many, ..
    } = numbers;
    report.line(&format!(
        "{:<42} {:>24.1}",
        "sum of primitives",
        numbers.sum()
    ));
    report.line("\nEnd to end, all processes real, loopback");
    for (name, measured) in [
        ("one at a time".to_owned(), one),
        ("one at a time, with guard".to_owned(), guarded),
        (format!("{} at once", many.at_once), many),
    ] {
        report.line(&format!(
            "{name:<28} p50 {:>9.1} us   p99 {:>9.1} us   {:>7.1}/s   ({} signatures)",
            measured.p50,
            measured.p99,
            measured.per_second(),
            measured.count
        ));
    }
    report.line(&format!(
        "\nratio: {:.2} (p50 to primitives, one at a time);  efficiency: {:.2} (throughput to {} cores / primitives)",
        numbers.ratio(),
        numbers.efficiency(),
        cores()
    ));
}

fn object(numbers: &Numbers) -> serde_json::Value {
    let primitives: Vec<_> = numbers
        .primitives
        .iter()
        .map(|primitive| {
            json!({
                "name": primitive.name,
                "microseconds": primitive.microseconds,
                "times": primitive.times,
                "in_sum": primitive.counts,
            })
        })
        .collect();
    let end = |measured: &Measured| {
        json!({
            "at_once": measured.at_once,
            "signatures": measured.count,
            "p50_microseconds": measured.p50,
            "p99_microseconds": measured.p99,
            "per_second": measured.per_second(),
        })
    };
    json!({
        "ok": true,
        "optimised": !cfg!(debug_assertions),
        "cores": cores(),
        "primitives": primitives,
        "primitives_microseconds": numbers.sum(),
        "p50_microseconds": numbers.one.p50,
        "p99_microseconds": numbers.one.p99,
        "ratio": numbers.ratio(),
        "with_guard": end(&numbers.guarded),
        "one": end(&numbers.one),
        "saturated": end(&numbers.many),
        "efficiency": numbers.efficiency(),
    })
}
