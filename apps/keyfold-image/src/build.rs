//! What goes where in the enclave's image.

use keyfold_eif::{Archive, ArchiveError, Image};
use serde_json::json;

/// What a runner may take where nobody says otherwise. Passwords that are checked at once may take half of it.
const MEMORY: u64 = 512 * 1024 * 1024;
const PROCESSORS: u64 = 2;

/// The parts of the enclave's image.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) kernel: Vec<u8>,
    pub(crate) kernel_version: String,
    pub(crate) command_line: Vec<u8>,
    pub(crate) init: Vec<u8>,
    pub(crate) service: Vec<u8>,
}

/// Puts the parts together: the first program into the boot ramdisk, the application into another, so
/// that PCR2 is the application's own.
pub(crate) fn image(parts: &Parts) -> Result<Image, ArchiveError> {
    let mut boot = Archive::new();
    for folder in ["dev", "proc"] {
        boot.directory(folder, 0o755)?;
    }
    // Before anything is mounted the kernel itself opens it for the first program.
    boot.device("dev/console", 0o600, 5, 1)?;
    boot.file("init", 0o500, &parts.init)?;
    let mut application = Archive::new();
    application.file("keyfold-enclave", 0o555, &parts.service)?;
    Ok(Image {
        kernel: parts.kernel.clone(),
        command_line: parts.command_line.trim_ascii_end().to_vec(),
        metadata: metadata(&parts.kernel_version),
        boot_ramdisk: boot.into_gzip()?,
        application_ramdisks: vec![application.into_gzip()?],
        default_memory: MEMORY,
        default_processors: PROCESSORS,
    })
}

/// What `nitro-cli describe-eif` shows. Not measured; says nothing of who built it, or when.
fn metadata(kernel_version: &str) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "ImageName": "keyfold-enclave",
        "ImageVersion": version,
        "BuildMetadata": {
            "BuildTime": "1970-01-01T00:00:00Z",
            "BuildTool": env!("CARGO_PKG_NAME"),
            "BuildToolVersion": version,
            "OperatingSystem": "Linux",
            "KernelVersion": kernel_version,
        },
        "DockerInfo": {},
        "CustomMetadata": {},
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        Parts {
            kernel: b"kernel".to_vec(),
            kernel_version: "6.12".to_owned(),
            command_line: b"console=ttyS0\n".to_vec(),
            init: b"init".to_vec(),
            service: b"service".to_vec(),
        }
    }

    #[test]
    fn a_register_changes_with_what_it_measures_and_with_nothing_else() {
        let before = image(&parts()).unwrap().measure();
        let changed = |change: fn(&mut Parts)| {
            let mut parts = parts();
            change(&mut parts);
            let after = image(&parts).unwrap().measure();
            [
                after.pcr0 != before.pcr0,
                after.pcr1 != before.pcr1,
                after.pcr2 != before.pcr2,
            ]
        };
        assert_eq!(changed(|it| it.kernel.push(b'!')), [true, true, false]);
        assert_eq!(changed(|it| it.init.push(b'!')), [true, true, false]);
        assert_eq!(changed(|it| it.service.push(b'!')), [true, false, true]);
        let line = changed(|it| it.command_line = b"console=ttyS1".to_vec());
        assert_eq!(line, [true, true, false]);
        let names = changed(|it| it.kernel_version = "6.13".to_owned());
        assert_eq!(names, [false; 3]);
        assert_eq!(changed(|it| it.command_line.push(b'\n')), [false; 3]);
    }
}
