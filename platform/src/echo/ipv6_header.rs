//! The IPv6 header in front of an ICMPv6 message, for systems that let a program write it.

use std::io;

use crate::contract::Icmp6;

/// Length of an IPv6 header (RFC 8200 section 3), in bytes.
pub(crate) const HEADER_LEN: usize = 40;

const ICMPV6: u8 = 58;

/// The header of `message`: traffic class and flow label zero.
///
/// # Errors
/// A message longer than the 65535 bytes that a payload length can tell.
pub(crate) fn header(message: &Icmp6<'_>) -> io::Result<[u8; HEADER_LEN]> {
    let length = u16::try_from(message.message.len())
        .map_err(|_| io::Error::from(nix::errno::Errno::EMSGSIZE))?;
    let mut header = [0; HEADER_LEN];
    let (fixed, addresses) = header.split_at_mut(8);
    let (source, destination) = addresses.split_at_mut(16);
    let [high, low] = length.to_be_bytes();
    fixed.copy_from_slice(&[0x60, 0, 0, 0, high, low, ICMPV6, message.hop_limit]);
    source.copy_from_slice(&message.source.octets());
    destination.copy_from_slice(&message.destination.octets());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_laid_out_as_in_rfc_8200() {
        let message = Icmp6 {
            source: "2001:0:c000:201::1".parse().unwrap(),
            destination: "2001:db8::2".parse().unwrap(),
            hop_limit: 63,
            message: &[0; 258],
        };
        let header = header(&message).unwrap();
        assert_eq!(header[..8], [0x60, 0, 0, 0, 1, 2, 58, 63]);
        assert_eq!(header[8..24], message.source.octets());
        assert_eq!(header[24..], message.destination.octets());
    }

    #[test]
    fn too_long_a_message_is_an_error() {
        let message = Icmp6 {
            source: std::net::Ipv6Addr::UNSPECIFIED,
            destination: std::net::Ipv6Addr::UNSPECIFIED,
            hop_limit: 0,
            message: &[0; 65536],
        };
        assert!(header(&message).is_err());
    }
}
