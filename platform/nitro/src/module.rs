//! The security module, by the messages of its device.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver::nsm_process_request;
use keyfold_attest::extend;
use keyfold_enclave::{AttestRequest, PlatformError};
use keyfold_enclave_runtime::SecurityModule;
use zeroize::Zeroizing;

use crate::random::{CHUNK, mix};

/// The security module's device.
pub const DEVICE: &str = "/dev/nsm";

const PCR16: u16 = 16;
/// Registers that the machine fills at boot, and nobody may extend later: 0 to 15.
const BOOT_REGISTERS: u16 = 16;
/// Of any length: the answer is read for its time alone.
const NONCE_FOR_TIME: [u8; 32] = [0; 32];

/// Why the security module cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// There is no device, or it is somebody else's.
    #[error("cannot open {DEVICE}")]
    Open(#[source] io::Error),
    /// A register that only the boot writes could still be written.
    #[error("register {0} of the security module is not locked")]
    Unlocked(u16),
    /// It answers something else than was asked.
    #[error("the security module does not answer")]
    Silent,
}

/// The security module of this machine.
///
/// # Security
///
/// What it says is the hypervisor's word, or QEMU's, which sign nothing alike: only a verified document
/// tells which.
#[derive(Debug)]
pub struct NitroModule {
    device: File,
}

impl NitroModule {
    /// Opens the device, and makes sure that what the boot measured stands.
    ///
    /// # Errors
    ///
    /// [`ModuleError`].
    pub fn open() -> Result<Self, ModuleError> {
        let device = File::options().read(true).write(true).open(DEVICE);
        let module = Self {
            device: device.map_err(ModuleError::Open)?,
        };
        for index in 0..BOOT_REGISTERS {
            match module.ask(Request::DescribePCR { index }) {
                Response::DescribePCR { lock: true, .. } => {}
                Response::DescribePCR { lock: false, .. } => {
                    return Err(ModuleError::Unlocked(index));
                }
                _ => return Err(ModuleError::Silent),
            }
        }
        Ok(module)
    }

    /// Asks what time it is, in milliseconds since 1970, by a document of its own.
    ///
    /// # Errors
    ///
    /// [`ModuleError::Silent`].
    pub fn unix_ms(&self) -> Result<u64, ModuleError> {
        let request = AttestRequest {
            nonce: &NONCE_FOR_TIME,
            user_data: &[],
            public_key: &[],
        };
        let document = self.attest(request).map_err(|_| ModuleError::Silent)?;
        // The document comes from the own security module and is only asked for the time.
        keyfold_attest::danger::inspect(&document)
            .map(|document| document.timestamp_ms())
            .map_err(|_| ModuleError::Silent)
    }

    fn ask(&self, request: Request) -> Response {
        nsm_process_request(self.device.as_raw_fd(), request)
    }

    fn draw(&self) -> Result<Zeroizing<Vec<u8>>, PlatformError> {
        match self.ask(Request::GetRandom) {
            Response::GetRandom { random } if random.len() >= CHUNK => Ok(Zeroizing::new(random)),
            _ => Err(PlatformError::Random),
        }
    }
}

/// Absent in the document, where it is empty: the module refuses an empty key.
fn given(bytes: &[u8]) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then(|| bytes.to_vec())
}

impl SecurityModule for NitroModule {
    fn random(&self, out: &mut [u8]) -> Result<(), PlatformError> {
        for chunk in out.chunks_mut(CHUNK) {
            let module = self.draw()?;
            let mut kernel = Zeroizing::new([0; CHUNK]);
            getrandom::fill(&mut *kernel).map_err(|_| PlatformError::Random)?;
            let mixed = Zeroizing::new(mix(&module, &kernel));
            for (to, from) in chunk.iter_mut().zip(mixed.iter()) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn attest(&self, request: AttestRequest<'_>) -> Result<Vec<u8>, PlatformError> {
        let request = Request::Attestation {
            nonce: given(request.nonce).map(Into::into),
            user_data: given(request.user_data).map(Into::into),
            public_key: given(request.public_key).map(Into::into),
        };
        match self.ask(request) {
            Response::Attestation { document } => Ok(document),
            _ => Err(PlatformError::Attest),
        }
    }

    /// Extends the register once: where it was not empty, another process of this boot was here
    /// before, and the machine has to start anew.
    fn extend_pcr16_and_lock(&self, data: &[u8]) -> Result<(), PlatformError> {
        let expected = extend([0; 48], data);
        let index = PCR16;
        match self.ask(Request::ExtendPCR {
            index,
            data: data.to_vec(),
        }) {
            Response::ExtendPCR { data } if data == expected => {}
            _ => return Err(PlatformError::Pcr),
        }
        match self.ask(Request::LockPCR { index }) {
            Response::LockPCR => {}
            _ => return Err(PlatformError::Pcr),
        }
        match self.ask(Request::DescribePCR { index }) {
            Response::DescribePCR { lock: true, data } if data == expected => Ok(()),
            _ => Err(PlatformError::Pcr),
        }
    }
}
