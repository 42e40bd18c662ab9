//! QEMU and its vsock daemon, as processes that end with this one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// The machine's own number; each daemon has numbers of its own.
const CID: u32 = 4;
/// What the daemon takes the host for, so that the machine must as well.
const HOST_CID: u32 = 2;
const MEMORY: &str = "512M";
const SOCKET_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Where the machine's vsock ends on this host.
#[derive(Debug)]
pub(super) struct Vsock {
    folder: PathBuf,
}

impl Vsock {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Where the host connects to the machine.
    pub(super) fn of_machine(&self) -> PathBuf {
        self.folder.join("vm")
    }

    /// Where the host listens on one of its own ports.
    pub(super) fn of_host(&self, port: u32) -> PathBuf {
        self.folder.join(format!("vm_{port}"))
    }

    /// Between daemon and QEMU.
    fn of_daemon(&self) -> PathBuf {
        self.folder.join("vmd")
    }
}

/// A running machine. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Machine {
    qemu: Child,
    daemon: Child,
    console: PathBuf,
}

/// Starts a program that the system ends with this one.
fn tied(program: &Path) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["role", "tied", "--"]).arg(program);
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

pub(super) async fn start(
    home: &Path,
    image: &Path,
    vsock: &Vsock,
    console: &Path,
) -> Result<Machine, Box<dyn std::error::Error>> {
    // Left over from a machine that was killed.
    for left in [vsock.of_daemon(), vsock.of_machine()] {
        match std::fs::remove_file(&left) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let daemon = tied(&home.join("vhost-device-vsock"))?
        .arg("--vm")
        .arg(format!(
            "guest-cid={CID},socket={},uds-path={}",
            vsock.of_daemon().display(),
            vsock.of_machine().display()
        ))
        .stdout(Stdio::null())
        .spawn()?;
    let there = async {
        while !vsock.of_daemon().exists() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(SOCKET_WITHIN, there)
        .await
        .map_err(|_| "the vsock daemon does not listen")?;
    let qemu = tied(&home.join("qemu-system-x86_64"))?
        .args(["-M", "nitro-enclave,vsock=c,id=keyfold,accel=tcg"])
        .args(["-m", MEMORY, "-smp", "1", "-nographic", "-nodefaults"])
        .args(["-no-reboot", "-monitor", "none"])
        .arg("-L")
        .arg(home.join("rom"))
        .arg("-kernel")
        .arg(image)
        // Not measured: the image is the released one.
        .args(["-append", &format!("enclave.parent_cid={HOST_CID}")])
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-chardev")
        .arg(format!("socket,id=c,path={}", vsock.of_daemon().display()))
        .stdout(Stdio::null())
        .spawn()?;
    Ok(Machine {
        qemu,
        daemon,
        console: console.to_owned(),
    })
}

impl Machine {
    /// Waits until QEMU or its daemon is gone.
    pub(super) async fn ended(&mut self) {
        tokio::select! {
            _ = self.qemu.wait() => {}
            _ = self.daemon.wait() => {}
        }
    }

    /// Ends it.
    pub(super) async fn stop(mut self) {
        let _ = self.qemu.kill().await;
        let _ = self.daemon.kill().await;
    }

    /// Says what went wrong, with the machine's last words.
    pub(super) fn failure(&self, what: &str) -> String {
        let console = std::fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console).into_owned();
        let mut last: Vec<&str> = console.lines().rev().take(15).collect();
        last.reverse();
        format!("the machine {what}; its console:\n{}", last.join("\n"))
    }
}
