//! RADIUS's uses of MD5. Comparisons take the same time whatever differs.

use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// MD5 over the parts, one after the other.
pub fn md5(parts: &[&[u8]]) -> [u8; 16] {
    parts.iter().fold(Md5::new(), |digest, part| digest.chain_update(part)).finalize().into()
}

/// HMAC-MD5 over the parts (RFC 2869 §5.14).
pub fn hmac_md5(secret: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    // HMAC takes keys of any length: this cannot fail.
    let Ok(mac) = Hmac::<Md5>::new_from_slice(secret) else { return [0; 16] };
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

/// Equal?
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Hides a User-Password (RFC 2865 §5.2): padded to 16 octets, xored block by block with MD5 of the secret and the block before.
pub fn hide_password(password: &[u8], secret: &[u8], authenticator: &[u8; 16]) -> Vec<u8> {
    let mut hidden = password.to_vec();
    hidden.resize(password.len().max(1).next_multiple_of(16), 0);
    let mut previous = *authenticator;
    for block in hidden.chunks_exact_mut(16) {
        let pad = md5(&[secret, &previous]);
        block.iter_mut().zip(pad).for_each(|(octet, pad)| *octet ^= pad);
        previous.copy_from_slice(block);
    }
    hidden
}
