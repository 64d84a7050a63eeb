//! The cluster's certificates: one authority for everything in it, one for the front proxy that
//! the API server is to aggregated APIs, and the key pair that signs service-account tokens.
//!
//! Everything is made anew by every start of the lab and written, readable by the owner only,
//! below the run folder. Nothing here outlives the lab.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

/// How long a certificate is valid: longer than any lab runs.
const VALIDITY: Duration = Duration::days(365);
/// How far validity reaches back, for a clock that is set while the lab runs.
const BACKDATE: Duration = Duration::hours(1);

/// Whom a certificate names.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The subject's common name: to Kubernetes, the user.
    pub common_name: String,
    /// The subject's organization: to Kubernetes, the user's group.
    pub organization: Option<String>,
    /// Addresses and DNS names a server is reached by; empty for a client.
    pub names: Vec<String>,
}

impl Identity {
    /// A client, which is a user and may be a member of a group.
    pub fn client(user: impl Into<String>, group: Option<&str>) -> Self {
        Identity { common_name: user.into(), organization: group.map(str::to_owned), names: Vec::new() }
    }

    /// A server, reached by these names. It may dial its peers with the same certificate.
    pub fn server(common_name: &str, names: Vec<String>) -> Self {
        Identity { common_name: common_name.to_owned(), organization: None, names }
    }
}

/// A certificate and its key, as PEM text.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

/// Where a [`Credential`] was written.
#[derive(Debug, Clone)]
pub struct CredentialFiles {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

/// A certificate authority.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority with a fresh key.
    pub fn generate(common_name: &str, now: OffsetDateTime) -> Result<Self> {
        let mut params = parameters(&Identity::client(common_name, None), now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Authority { certificate, issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a certificate with a fresh key for `identity`.
    pub fn issue(&self, identity: &Identity, now: OffsetDateTime) -> Result<Credential> {
        let mut params = parameters(identity, now)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !identity.names.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Credential { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn parameters(identity: &Identity, now: OffsetDateTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(identity.names.clone())?;
    let mut subject = DistinguishedName::new();
    if let Some(organization) = &identity.organization {
        subject.push(DnType::OrganizationName, organization.as_str());
    }
    subject.push(DnType::CommonName, identity.common_name.as_str());
    params.distinguished_name = subject;
    params.not_before = now - BACKDATE;
    params.not_after = now + VALIDITY;
    Ok(params)
}

/// A folder of key material: files are created readable by the owner only.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens `folder`, which is made when it is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Store { folder: folder.to_owned() })
    }

    /// Writes one file and returns its path.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        write_private(&path, content)?;
        Ok(path)
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub fn write_credential(&self, name: &str, credential: &Credential) -> Result<CredentialFiles> {
        Ok(CredentialFiles {
            certificate: self.write(&format!("{name}.crt"), &credential.certificate)?,
            key: self.write(&format!("{name}.key"), &credential.key)?,
        })
    }
}

/// Writes a file that only its owner can read, replacing what was there.
pub fn write_private(path: &Path, content: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())
    };
    write().with_context(|| format!("write {}", path.display()))
}

/// A fresh key pair that signs service-account tokens: the private key, PKCS #8, and the public one, both PEM.
pub fn signing_keys() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn key_files_are_readable_by_the_owner_only_even_over_an_open_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        fs::write(folder.path().join("admin.key"), "old").unwrap();
        let path = store.write("admin.key", "new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_client_has_no_server_usage_and_a_server_has_its_names() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let authority = Authority::generate("test", now).unwrap();
        let client = Identity::client("system:node:a", Some("system:nodes"));
        let server = Identity::server("api", vec!["10.0.0.1".into(), "api.svc".into()]);
        for identity in [client, server] {
            let credential = authority.issue(&identity, now).unwrap();
            assert!(credential.certificate.starts_with("-----BEGIN CERTIFICATE"));
            assert!(credential.key.starts_with("-----BEGIN PRIVATE KEY"));
        }
    }
}
