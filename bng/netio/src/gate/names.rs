//! What things are called in nftables.

use std::net::Ipv4Addr;

use lastmile_types::BngId;

/// Subscribers who are confined to a walled garden.
pub const CONFINED: &str = "confined";
/// Address and MAC of each subscriber on the link.
pub const BOUND: &str = "bound";
/// Addresses that are shut out and watched.
pub const DORMANT: &str = "dormant";
/// An access router's MAC to its chain.
pub const ROUTERS: &str = "routers";
/// Of frames that come from no known router, or from nobody on the link.
pub const UNKNOWN: &str = "unknown";

const TABLE: &str = "lastmile_";
const GARDEN: &str = "garden_";
const ROUTER: &str = "router_";
const SPOOFED: &str = "spoofed_";

/// `lastmile_<namespace>_<name>`: Kubernetes names hold no underscore, so no two gateways share a table.
pub fn table(bng_id: &BngId) -> String {
    named(TABLE, &bng_id.to_string())
}

/// Whether a table may be a gateway's.
pub fn is_table(table: &str) -> bool {
    table.starts_with(TABLE)
}

/// A garden's set and its chain.
pub fn garden(name: &str) -> String {
    named(GARDEN, name)
}

/// The chain that sends a garden's web requests to the portal.
pub fn redirect(name: &str) -> String {
    named("redirect_", name)
}

/// Whether a set is a garden's.
pub fn is_garden(set: &str) -> bool {
    set.starts_with(GARDEN)
}

/// A router's chain.
pub fn router(next_hop: Ipv4Addr) -> String {
    format!("{ROUTER}{next_hop}")
}

/// The router whose chain this is.
pub fn router_of(chain: &str) -> Option<Ipv4Addr> {
    chain.strip_prefix(ROUTER)?.parse().ok()
}

/// The counter of what came with a wrong source; by router, or [`UNKNOWN`].
pub fn spoofed(by: &str) -> String {
    format!("{SPOOFED}{by}")
}

/// By whom, if this is such a counter.
pub fn spoofed_by(counter: &str) -> Option<&str> {
    counter.strip_prefix(SPOOFED)
}

/// What is not a Kubernetes name, or too long, is told apart by a hash.
fn named(prefix: &str, id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let name: String = id.bytes().map(|byte| if plain(byte) { char::from(byte) } else { '_' }).collect();
    let kubernetes = id.bytes().all(|byte| plain(byte) || byte == b'/');
    if kubernetes && name.len() <= 200 {
        return format!("{prefix}{name}");
    }
    // FNV-1a, 64 bits: stable across versions of this program.
    let hash =
        id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{prefix}{}_{hash:016x}", &name[..name.len().min(200)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_different_gateways_differ_and_fit() {
        let name = |id: &str| table(&id.parse().unwrap());
        assert_eq!(name("edge/bng-01"), "lastmile_edge_bng-01");
        assert_ne!(name("a/b_c"), name("a_b/c"));
        let long = format!("edge/{}", "x".repeat(250));
        assert!(name(&long).len() < 250 && name(&long) != name(&format!("{long}y")));
    }

    #[test]
    fn routers_are_read_back() {
        let next_hop = Ipv4Addr::new(10, 231, 11, 2);
        assert_eq!(router_of(&router(next_hop)), Some(next_hop));
        assert_eq!(router_of("genuine"), None);
        assert_eq!(spoofed_by(&spoofed(UNKNOWN)), Some(UNKNOWN));
    }
}
