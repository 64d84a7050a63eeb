//! Why received octets were refused.

/// Why received octets were refused. The variants are the values of a counter's label: see [`Drop::label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Drop {
    /// Shorter than an Ethernet header, an IPv4 header, a UDP header or what their length fields say.
    #[error("the frame is truncated")]
    Truncated,
    /// Not IPv4, or with a VLAN tag.
    #[error("the frame is not IPv4")]
    NotIpv4,
    /// Version, header length or total length of the IPv4 header is impossible.
    #[error("the IPv4 header is malformed")]
    Ipv4Malformed,
    /// The IPv4 header's checksum is wrong.
    #[error("the IPv4 header's checksum is wrong")]
    Ipv4Checksum,
    /// More fragments, or an offset.
    #[error("the packet is a fragment")]
    Fragment,
    /// Not UDP.
    #[error("the packet is not UDP")]
    NotUdp,
    /// The UDP length is impossible.
    #[error("the UDP header is malformed")]
    UdpMalformed,
    /// The UDP checksum is wrong.
    #[error("the UDP checksum is wrong")]
    UdpChecksum,
    /// Shorter than the fixed part of a BOOTP message and the magic cookie (240 octets).
    #[error("the DHCP message is truncated")]
    DhcpTruncated,
    /// The magic cookie (RFC 2131 §3) is not there: BOOTP or noise.
    #[error("the message is not DHCP")]
    DhcpNoCookie,
    /// op, htype or hlen is not that of a DHCP client or server on Ethernet.
    #[error("op, htype or hlen is not DHCP on Ethernet")]
    DhcpHeader,
    /// An option runs past its field's end.
    #[error("an option runs past its field's end")]
    DhcpOption,
    /// Option 52 is there twice, or neither 1, 2 nor 3.
    #[error("option 52 is there twice, or neither 1, 2 nor 3")]
    DhcpOverload,
    /// Option 53 is missing, not of one octet, or not a known type.
    #[error("the DHCP message type is missing or unknown")]
    DhcpType,
    /// A sub-option of option 82 runs past the option's end.
    #[error("option 82 is malformed")]
    Option82Malformed,
    /// A RADIUS packet's or attribute's length is impossible.
    #[error("the RADIUS packet is malformed")]
    RadiusMalformed,
    /// Not a code that is expected here, or another identifier than the request's.
    #[error("the RADIUS packet answers something else")]
    RadiusUnexpected,
    /// Response or Request Authenticator is wrong: forged, or another secret.
    #[error("the RADIUS authenticator is wrong")]
    RadiusAuthenticator,
    /// Message-Authenticator is wrong, or there twice.
    #[error("the RADIUS Message-Authenticator is wrong")]
    RadiusMessageAuthenticator,
    /// Message-Authenticator is required and missing (CVE-2024-3596).
    #[error("the RADIUS Message-Authenticator is missing")]
    RadiusNoMessageAuthenticator,
}

impl Drop {
    /// A stable name in snake case, for a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::NotIpv4 => "not_ipv4",
            Self::Ipv4Malformed => "ipv4_malformed",
            Self::Ipv4Checksum => "ipv4_checksum",
            Self::Fragment => "fragment",
            Self::NotUdp => "not_udp",
            Self::UdpMalformed => "udp_malformed",
            Self::UdpChecksum => "udp_checksum",
            Self::DhcpTruncated => "dhcp_truncated",
            Self::DhcpNoCookie => "dhcp_no_cookie",
            Self::DhcpHeader => "dhcp_header",
            Self::DhcpOption => "dhcp_option",
            Self::DhcpOverload => "dhcp_overload",
            Self::DhcpType => "dhcp_type",
            Self::Option82Malformed => "option82_malformed",
            Self::RadiusMalformed => "radius_malformed",
            Self::RadiusUnexpected => "radius_unexpected",
            Self::RadiusAuthenticator => "radius_authenticator",
            Self::RadiusMessageAuthenticator => "radius_message_authenticator",
            Self::RadiusNoMessageAuthenticator => "radius_no_message_authenticator",
        }
    }
}
