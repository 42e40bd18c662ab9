//! A development node of one test, gone when the test ends.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

pub(crate) struct Anvil {
    child: Child,
    pub(crate) port: u16,
}

impl Anvil {
    pub(crate) fn start(chain: u64) -> Self {
        let program = program();
        let mut child = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", "0", "--chain-id"])
            .arg(chain.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let address = line.strip_prefix("Listening on ")?;
                address.rsplit(':').next()?.parse().ok()
            })
            .expect("anvil did not say where it listens");
        // It writes on; a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let tools = variable("KEYFOLD_TOOLS").unwrap_or_else(|| {
        let cache = variable("KEYFOLD_CACHE")
            .unwrap_or_else(|| variable("HOME").unwrap_or_default().join(".cache/keyfold"));
        cache.join("npm/node_modules")
    });
    let program = tools.join(".bin/anvil");
    assert!(
        program.is_file(),
        "anvil is not at {}: run `make setup`, which installs it",
        program.display()
    );
    program
}
