//! Options of neighbour discovery (RFC 4861 section 4.6).

use std::net::Ipv6Addr;

use pnet_packet::icmpv6::ndp::{MutableNdpOptionPacket, NdpOptionType, NdpOptionTypes};

/// Length of a prefix information option in bytes (RFC 4861 section 4.6.2).
pub const PREFIX_LEN: usize = 4 * UNIT;
/// Length of an MTU option in bytes (RFC 4861 section 4.6.4).
pub const MTU_LEN: usize = UNIT;

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscoveryOption<'a> {
    /// What it is.
    pub kind: NdpOptionType,
    /// What follows type and length.
    pub data: &'a [u8],
}

impl DiscoveryOption<'_> {
    /// Says whether this is a prefix information option, of any length.
    #[must_use]
    pub fn is_prefix(self) -> bool {
        self.kind == NdpOptionTypes::PrefixInformation
    }

    /// The prefix, if this is a prefix information option of 64 bits.
    #[must_use]
    pub fn prefix(self) -> Option<Ipv6Addr> {
        if !self.is_prefix() || self.data.first() != Some(&64) {
            return None;
        }
        let prefix: [u8; 16] = self.data.get(14..)?.try_into().ok()?;
        Some(prefix.into())
    }

    /// The MTU in bytes, if this is an MTU option.
    #[must_use]
    pub fn mtu(self) -> Option<u32> {
        match *self.data {
            [_, _, a, b, c, d] if self.kind == NdpOptionTypes::MTU => {
                Some(u32::from_be_bytes([a, b, c, d]))
            }
            _ => None,
        }
    }
}

/// Options that were checked to their end. `pnet_packet` 0.35 cannot be asked for them: its reader takes empty options and
/// overflows at a length of 32.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// Accepts `bytes` if they are options from first to last, none of them empty.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, rest) = split(rest)?;
        }
        Some(Self(bytes))
    }

    /// The options in their order.
    pub fn iter(self) -> impl Iterator<Item = DiscoveryOption<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (option, behind) = split(rest)?;
            rest = behind;
            Some(option)
        })
    }
}

/// Writes a prefix information option of 64 bits: autonomous, not on-link, both lifetimes infinite; see [`super`].
#[must_use]
pub fn emit_prefix(out: &mut [u8], prefix: Ipv6Addr) -> Option<&mut [u8]> {
    let mut data = [0; PREFIX_LEN - 2];
    data[..2].copy_from_slice(&[64, AUTONOMOUS]);
    data[2..10].fill(0xff);
    data[14..].copy_from_slice(&prefix.octets());
    emit(out, NdpOptionTypes::PrefixInformation, &data)
}

/// Writes an MTU option; see [`super`].
#[must_use]
pub fn emit_mtu(out: &mut [u8], mtu: u32) -> Option<&mut [u8]> {
    let [a, b, c, d] = mtu.to_be_bytes();
    emit(out, NdpOptionTypes::MTU, &[0, 0, a, b, c, d])
}

/// Options are measured in units of so many bytes.
const UNIT: usize = 8;
/// Clients may make addresses from the prefix (RFC 4861 section 4.6.2, the A flag).
const AUTONOMOUS: u8 = 0x40;

/// The first option and what follows it. A length of zero is refused by name, so this always advances.
fn split(bytes: &[u8]) -> Option<(DiscoveryOption<'_>, &[u8])> {
    let (&[kind, units], _) = bytes.split_first_chunk()?;
    if units == 0 {
        return None;
    }
    let (option, rest) = bytes.split_at_checked(usize::from(units).checked_mul(UNIT)?)?;
    let data = option.get(2..)?;
    let kind = NdpOptionType(kind);
    Some((DiscoveryOption { kind, data }, rest))
}

/// Writes an option of `data`, whose length with the two bytes in front must be a whole number of units.
fn emit<'o>(out: &'o mut [u8], kind: NdpOptionType, data: &[u8]) -> Option<&'o mut [u8]> {
    let len = data.len().checked_add(2)?;
    let (option, rest) = out.split_at_mut_checked(len)?;
    let mut fields = MutableNdpOptionPacket::new(option)?;
    fields.set_option_type(kind);
    fields.set_length(u8::try_from(len / UNIT).ok()?);
    fields.set_data(data);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pnet_packet 0.35 yields these one after another and gets nowhere.
    #[test]
    fn an_empty_option_is_refused() {
        assert!(Options::parse(&[1, 0]).is_none());
        assert!(Options::parse(&[1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).is_none());
    }

    /// pnet_packet 0.35 computes this length in eight bits.
    #[test]
    fn a_long_option_is_one_option() {
        for units in [31, 32, 33, 255] {
            let mut bytes = vec![0; usize::from(units) * UNIT];
            bytes[..2].copy_from_slice(&[14, units]);
            let options: Vec<_> = Options::parse(&bytes).unwrap().iter().collect();
            assert_eq!(options.len(), 1);
            assert_eq!(options[0].data.len(), bytes.len() - 2);
            assert!(Options::parse(&bytes[..bytes.len() - 1]).is_none());
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        let prefix: Ipv6Addr = "2001:0:c000:201::".parse().unwrap();
        let mut bytes = [0xaa; PREFIX_LEN + MTU_LEN];
        let left = emit_mtu(emit_prefix(&mut bytes, prefix).unwrap(), 1280).unwrap();
        assert!(left.is_empty());
        let options: Vec<_> = Options::parse(&bytes).unwrap().iter().collect();
        assert_eq!(
            (options[0].prefix(), options[0].mtu()),
            (Some(prefix), None)
        );
        assert_eq!((options[1].prefix(), options[1].mtu()), (None, Some(1280)));
        assert!(options[0].is_prefix() && !options[1].is_prefix());
        assert!(Options::parse(&[]).unwrap().iter().next().is_none());
    }
}
