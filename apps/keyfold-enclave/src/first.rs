//! What the first process does, in order.

use std::error::Error;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use keyfold_platform_nitro::{DEVICE, NitroModule, Parent};
use rustix::fs::{Gid, Mode, Uid};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, setrlimit, wait};
use rustix::system::{RebootCommand, reboot};
use rustix::time::{ClockId, Timespec, clock_settime};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SERVICE: &str = "/keyfold-enclave";
/// The user that the application runs as: nobody's, with no file but the security module.
const USER: u32 = 1000;

pub(crate) fn main() -> ExitCode {
    // To run it by mistake elsewhere changes nothing there.
    if rustix::process::getpid() != Pid::INIT {
        say("is the first process of an enclave, and nothing else");
        return ExitCode::FAILURE;
    }
    match run() {
        Ok(status) => say(&format!("the application ended: {status}")),
        Err(error) => say(&format!("cannot go on: {error}")),
    }
    // The only way for an enclave to end. A first process that returned would end it too, as a panic.
    let _ = reboot(RebootCommand::Restart);
    ExitCode::FAILURE
}

fn run() -> Outcome<String> {
    let hardened = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("dev", "/dev", "devtmpfs", hardened, None)?;
    let hardened = hardened | MountFlags::NODEV;
    mount("proc", "/proc", "proc", hardened, None)?;
    let parent = Parent::from_command_line(&std::fs::read_to_string("/proc/cmdline")?);
    std::thread::spawn(move || {
        if let Err(error) = parent.heartbeat() {
            say(&format!("nobody hears the heartbeat: {error}"));
        }
    });
    set_clock()?;
    hand_over_module()?;
    // The application keeps keys out of swap, of which there is none; it may lock as much as it has.
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    setrlimit(Resource::Memlock, unlimited)?;
    let child = Command::new(SERVICE)
        .env_clear()
        .env("KEYFOLD_LOG", "info")
        .uid(USER)
        .gid(USER)
        .stdin(Stdio::null())
        .spawn()?;
    until_ended(child.id())
}

/// The machine's own clock says what the host likes, or 1970; certificates of the web are judged by it.
fn set_clock() -> Outcome<()> {
    let unix_ms = NitroModule::open()?.unix_ms()?;
    let time = Timespec {
        tv_sec: i64::try_from(unix_ms / 1000)?,
        tv_nsec: i64::try_from(unix_ms % 1000)? * 1_000_000,
    };
    Ok(clock_settime(ClockId::Realtime, time)?)
}

fn hand_over_module() -> Outcome<()> {
    let user = (Uid::from_raw(USER), Gid::from_raw(USER));
    rustix::fs::chown(DEVICE, Some(user.0), Some(user.1))?;
    Ok(rustix::fs::chmod(DEVICE, Mode::RUSR | Mode::WUSR)?)
}

/// Waits for the application, and for everything else that was left to the first process.
fn until_ended(child: u32) -> Outcome<String> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_nonzero().get())? == child => {
                return Ok(match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => format!("status {code}"),
                    (None, Some(signal)) => format!("signal {signal}"),
                    (None, None) => "no status".to_owned(),
                });
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The console is seen in debug mode and in QEMU only.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "keyfold-enclave-init: {text}");
}
