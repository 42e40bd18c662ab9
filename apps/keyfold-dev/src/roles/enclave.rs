//! The trusted application as a process on the development platform.

use keyfold_attest::Measurements;
use keyfold_enclave::Enclave;
use keyfold_enclave_runtime::{Machine, serve};
use keyfold_net::Confinement;
use keyfold_net::client::UnixConnector;
use keyfold_net::pipe::bind_private;
use keyfold_platform_dev::issuer::DevIssuer;
use keyfold_platform_dev::module::DevModule;

use super::{EnclaveArguments, Outcome, announce, measure, read};

impl EnclaveArguments {
    /// What the enclave's process needs to touch. It resolves no names: its host does.
    pub(super) fn confinement(&self) -> std::io::Result<Confinement> {
        let own = Confinement::new()
            .socket(&self.inbound)
            .socket(&self.outbound)
            .reads(&self.issuer);
        Ok(match &self.measurements {
            Some(path) => own.reads(path),
            None => own.reads(std::env::current_exe()?),
        })
    }
}

pub(super) async fn run(arguments: EnclaveArguments) -> Outcome {
    let issuer = DevIssuer::from_pem(&String::from_utf8(read(&arguments.issuer)?)?)?;
    let measured: Measurements = match &arguments.measurements {
        Some(path) => serde_json::from_slice(&read(path)?)?,
        None => measure(&std::env::current_exe()?)?,
    };
    let shutdown = arguments.parent.shutdown()?;
    let module = DevModule::new(issuer, arguments.id, &measured);
    let machine = Machine::new(module, UnixConnector::new(arguments.outbound));
    let enclave = tokio::select! {
        started = Enclave::start(machine) => started?,
        () = shutdown.wait() => return Ok(()),
    };
    let (listener, _file) = bind_private(&arguments.inbound).await?;
    announce(&serde_json::json!({ "event": "listening", "socket": arguments.inbound }));
    serve(enclave, listener, shutdown).await;
    Ok(())
}
