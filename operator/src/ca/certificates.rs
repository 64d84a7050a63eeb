//! Certificates, made and judged. No I/O.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use sha2::{Digest, Sha256};

use super::{NOT_AFTER, SIGNED_BY, text};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Clocks of two machines differ a little.
const BACKDATE: SignedDuration = SignedDuration::from_mins(10);
const AUTHORITY_DAYS: i32 = 3_650;
const LEAF_DAYS: i32 = 365;
/// A certificate with less than this left is replaced.
const RENEW_DAYS: i32 = 120;

/// What a certificate is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// Somebody who asks; the common name says who.
    Client {
        /// The common name.
        name: String,
    },
    /// Somebody who answers under these names.
    Server {
        /// DNS names; the first is the common name too.
        names: Vec<String>,
    },
}

/// The certificate authority.
#[derive(Clone)]
pub struct Authority {
    issuer: Arc<Issuer<'static, KeyPair>>,
    certificate: String,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// Until when it is good.
    pub not_after: Timestamp,
}

impl Authority {
    /// A new one.
    pub fn generate(now: Timestamp) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = params("lastmile-ca", now, AUTHORITY_DAYS, vec![])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Arc::new(Issuer::new(params, key)), certificate })
    }

    /// The stored one.
    pub fn load(certificate: &str, key: &str) -> Result<Self, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)?;
        Ok(Self { issuer: Arc::new(issuer), certificate: certificate.to_owned() })
    }

    /// The authority's certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key, PEM.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Signs a new key for `purpose`.
    pub fn issue(&self, purpose: &Purpose, now: Timestamp) -> Result<Material, rcgen::Error> {
        let (common_name, names, usage) = match purpose {
            Purpose::Client { name } => (name.clone(), vec![name.clone()], ExtendedKeyUsagePurpose::ClientAuth),
            Purpose::Server { names } => (
                // RFC 5280 allows 64 characters here; who checks, checks the alternative names.
                names.first().map(|name| name.chars().take(64).collect()).unwrap_or_default(),
                names.clone(),
                ExtendedKeyUsagePurpose::ServerAuth,
            ),
        };
        let mut params = params(&common_name, now, LEAF_DAYS, names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Material { certificate, key: key.serialize_pem(), not_after: now + DAY * LEAF_DAYS })
    }

    fn fingerprint(&self) -> String {
        Sha256::digest(self.certificate.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Material {
    /// The certificate in a Secret, if this authority signed it and enough of its time is left.
    pub fn of(secret: &Secret, authority: &Authority, now: Timestamp) -> Option<Self> {
        let annotations = secret.metadata.annotations.as_ref()?;
        let not_after: Timestamp = annotations.get(NOT_AFTER)?.parse().ok()?;
        let ours = annotations.get(SIGNED_BY) == Some(&authority.fingerprint());
        if !ours || not_after < now + DAY * RENEW_DAYS {
            return None;
        }
        Some(Self { certificate: text(secret, "tls.crt")?, key: text(secret, "tls.key")?, not_after })
    }

    /// What `of` needs to know later.
    pub fn annotations(&self, authority: &Authority) -> BTreeMap<String, String> {
        BTreeMap::from([
            (NOT_AFTER.to_owned(), self.not_after.to_string()),
            (SIGNED_BY.to_owned(), authority.fingerprint()),
        ])
    }
}

fn params(common_name: &str, now: Timestamp, days: i32, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "lastmile");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date(now - BACKDATE);
    params.not_after = date(now + DAY * days);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn date(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

    fn stored(authority: &Authority, material: &Material) -> Secret {
        let mut secret = super::super::secret(
            "x",
            material.annotations(authority),
            [("tls.crt", material.certificate.clone()), ("tls.key", material.key.clone())],
        );
        secret.metadata.namespace = Some("x".into());
        secret
    }

    #[test]
    fn a_certificate_is_kept_until_a_third_of_its_time_is_left() {
        let authority = Authority::generate(NOW).unwrap();
        let material = authority.issue(&Purpose::Client { name: "api".into() }, NOW).unwrap();
        let secret = stored(&authority, &material);
        assert_eq!(Material::of(&secret, &authority, NOW + DAY * 200), Some(material));
        assert_eq!(Material::of(&secret, &authority, NOW + DAY * 250), None);
        assert_eq!(Material::of(&secret, &Authority::generate(NOW).unwrap(), NOW), None);
    }

    #[test]
    fn a_stored_authority_signs_as_before() {
        let authority = Authority::generate(NOW).unwrap();
        let loaded = Authority::load(authority.certificate(), &authority.key()).unwrap();
        assert_eq!(loaded.certificate(), authority.certificate());
        loaded.issue(&Purpose::Server { names: vec!["bng-01.edge.bng.lastmile.io".into()] }, NOW).unwrap();
    }
}
