//! The run's own certificate authority, for the mail server.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::system::SystemError;

/// A server's certificate under a root made for it.
pub(crate) struct ServerCertificate {
    pub(crate) root_pem: String,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
}

/// Makes a root, and under it a certificate for one name. The root's key is dropped.
pub(crate) fn certificate_for(name: &str) -> Result<ServerCertificate, SystemError> {
    make(name).map_err(SystemError::step("make the run's certificate authority"))
}

fn make(name: &str) -> Result<ServerCertificate, rcgen::Error> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.distinguished_name
        .push(DnType::CommonName, "Keyfold run authority");
    let root_key = KeyPair::generate()?;
    let root_pem = root.self_signed(&root_key)?.pem();
    let issuer = Issuer::new(root, root_key);

    let mut server = CertificateParams::new(vec![name.to_owned()])?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;
    Ok(ServerCertificate {
        root_pem,
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    })
}
