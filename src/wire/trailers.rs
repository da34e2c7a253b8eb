//! Trailers behind the IPv6 packet (RFC 6081 section 4).

/// One trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer<'a> {
    /// What it is; types that RFC 6081 does not define are the receiver's to judge.
    pub kind: u8,
    /// Its value, at most 62 bytes.
    pub value: &'a [u8],
}

/// Nonce trailer (RFC 6081 section 4.2).
pub const NONCE: u8 = 0x01;
/// Alternate addresses trailer (RFC 6081 section 4.3).
pub const ALTERNATE_ADDRESSES: u8 = 0x03;
/// Neighbour discovery option trailer (RFC 6081 section 4.4).
pub const DISCOVERY_OPTION: u8 = 0x04;
/// Random port trailer (RFC 6081 section 4.5).
pub const RANDOM_PORT: u8 = 0x05;

/// A chain of trailers that was checked to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trailers<'a>(&'a [u8]);

impl<'a> Trailers<'a> {
    /// Longest chain in bytes that is carried along. All the trailers that RFC 6081 defines take 44 together.
    pub const MAX_LEN: usize = 64;

    /// Accepts `bytes` if they are trailers from first to last, of the lengths that RFC 6081 gives to the types it
    /// defines, and at most [`Self::MAX_LEN`] in all. An empty chain is a chain.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > Self::MAX_LEN {
            return None;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (trailer, behind) = split(rest)?;
            if !has_length_of_its_kind(trailer) {
                return None;
            }
            rest = behind;
        }
        Some(Self(bytes))
    }

    /// The bytes, unchanged.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The trailers in their order.
    pub fn iter(self) -> impl Iterator<Item = Trailer<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (trailer, behind) = split(rest)?;
            rest = behind;
            Some(trailer)
        })
    }
}

/// The first trailer and what follows it. Advances by two bytes at least.
fn split(bytes: &[u8]) -> Option<(Trailer<'_>, &[u8])> {
    let (&[kind, len], rest) = bytes.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(len.into())?;
    Some((Trailer { kind, value }, rest))
}

fn has_length_of_its_kind(trailer: Trailer<'_>) -> bool {
    match trailer.kind {
        NONCE | DISCOVERY_OPTION => trailer.value.len() == 4,
        // Two reserved bytes, then one to four addresses with port, six bytes each.
        ALTERNATE_ADDRESSES => matches!(trailer.value.len(), 8 | 14 | 20 | 26),
        RANDOM_PORT => trailer.value.len() == 2,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_must_end_where_the_datagram_ends() {
        let chain = [1, 4, 9, 9, 9, 9, 5, 2, 0, 1, 0x7f, 0];
        let trailers = Trailers::parse(&chain).unwrap();
        assert_eq!(trailers.bytes(), chain);
        let kinds: Vec<u8> = trailers.iter().map(|trailer| trailer.kind).collect();
        assert_eq!(kinds, [NONCE, RANDOM_PORT, 0x7f]);
        for end in [1, 2, 5, 7, 9, 11] {
            assert_eq!(Trailers::parse(&chain[..end]), None, "cut at {end}");
        }
        assert_eq!(Trailers::parse(&[]), Some(Trailers(&[])));
    }

    #[test]
    fn defined_types_have_defined_lengths() {
        for (kind, lengths) in [
            (NONCE, &[4][..]),
            (ALTERNATE_ADDRESSES, &[8, 14, 20, 26]),
            (DISCOVERY_OPTION, &[4]),
            (RANDOM_PORT, &[2]),
        ] {
            for len in 0..40 {
                let mut bytes = vec![kind, len];
                bytes.resize(2 + usize::from(len), 0);
                assert_eq!(
                    Trailers::parse(&bytes).is_some(),
                    lengths.contains(&len),
                    "type {kind} length {len}"
                );
            }
        }
    }

    #[test]
    fn longest_chain() {
        let mut bytes = [0; 65];
        bytes[..2].copy_from_slice(&[0x40, 62]);
        assert!(Trailers::parse(&bytes[..64]).is_some());
        bytes[1] = 63;
        assert!(Trailers::parse(&bytes).is_none());
    }
}
