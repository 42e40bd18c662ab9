//! The trusted application as a process on the development platform.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use keyfold_attest::Measurements;
use keyfold_enclave::Enclave;
use keyfold_enclave_runtime::{Machine, serve};
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_platform_dev::module::DevModule;
use tokio::net::{UnixListener, UnixStream};

use super::{EnclaveArguments, Outcome, announce, measure, read};

pub(super) async fn run(arguments: EnclaveArguments) -> Outcome {
    let issuer = DevIssuer::from_pem(&String::from_utf8(read(&arguments.issuer)?)?)?;
    let measured: Measurements = match &arguments.measurements {
        Some(path) => serde_json::from_slice(&read(path)?)?,
        None => measure(&std::env::current_exe()?)?,
    };
    let shutdown = arguments.parent.shutdown()?;
    let module = DevModule::new(issuer, arguments.id, &measured);
    let machine = Machine::new(module, arguments.outbound);
    let enclave = tokio::select! {
        started = Enclave::start(machine) => started?,
        () = shutdown.wait() => return Ok(()),
    };
    let listener = bind(&arguments.inbound).await?;
    announce(&serde_json::json!({ "event": "listening", "socket": arguments.inbound }));
    serve(enclave, listener, shutdown).await;
    // The next start copes with a socket that is left.
    let _ = std::fs::remove_file(&arguments.inbound);
    Ok(())
}

/// Binds the socket, in place of one that a killed process left.
async fn bind(path: &Path) -> std::io::Result<UnixListener> {
    if path.exists() {
        if UnixStream::connect(path).await.is_ok() {
            return Err(std::io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
