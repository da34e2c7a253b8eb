//! Secure qualification: what a client and its server share, and how each proves to the other that it has it (RFC 4380
//! section 5.2.2).

use std::fmt::{self, Write};

use hmac::{Hmac, KeyInit, Mac};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::wire::encapsulation::{Authentication, Datagram};

/// Length of an authentication value in bytes: all of a SHA-1 (RFC 2104 section 5 would allow less, RFC 4380 does not speak of it).
pub const VALUE_LEN: usize = 20;

/// Longest identifier of a client in bytes (RFC 4380 section 5.1.1).
pub const IDENTIFIER_MAX: usize = u8::MAX as usize;

/// What a server asks of the clients that solicit it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qualification {
    /// Solicitations without an identifier are dropped.
    pub required: bool,
    /// What it shares with each client. No identifier is there twice.
    pub keys: Vec<ClientKey>,
}

/// What a server and one client share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientKey {
    /// The client's name; from 1 to [`IDENTIFIER_MAX`] bytes.
    pub identifier: Octets,
    /// The key of HMAC-SHA1.
    pub secret: Octets,
    /// The client is told to obtain another key.
    pub retired: bool,
}

/// Octets that are overwritten when they are dropped, and that `Debug` does not show. As a message, in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Octets(Zeroizing<Vec<u8>>);

impl Octets {
    /// Takes them over.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// Reads them from hexadecimal digits, two for each.
    ///
    /// # Errors
    /// The position of the first character that is no such digit; or the number of characters, if that is odd.
    pub fn from_hex(digits: &str) -> Result<Self, usize> {
        let value = |digit: char| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        if let Some(wrong) = digits.chars().position(|digit| value(digit).is_none()) {
            return Err(wrong);
        }
        // A vector that grew would leave what it held before.
        let mut octets = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
        let mut values = digits.chars().filter_map(value);
        while let Some(high) = values.next() {
            octets.push(high << 4 | values.next().ok_or(digits.len())?);
        }
        Ok(Self(octets))
    }

    /// The octets themselves.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

/// In hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| {
            let digits = [octet >> 4, octet & 0xf];
            let mut digits = digits
                .into_iter()
                .filter_map(|value| char::from_digit(value.into(), 16));
            digits.try_for_each(|digit| f.write_char(digit))
        })
    }
}

impl Serialize for Octets {
    /// Digit by digit: no text of the whole is made.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HexVisitor)
    }
}

/// Takes the digits where they are: the text of a message has no escape in them, so nothing copies them.
struct HexVisitor;

impl Visitor<'_> for HexVisitor {
    type Value = Octets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("octets in hexadecimal")
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<Octets, E> {
        Octets::from_hex(digits).map_err(|_| E::custom("not octets in hexadecimal"))
    }
}

/// A secret, ready for use: the states of HMAC-SHA1 after the key, which do not tell it. Overwritten when it is dropped.
#[derive(Clone, Debug)]
pub struct Authenticator(Hmac<Sha1>);

impl Authenticator {
    /// Prepares a secret.
    #[must_use]
    pub fn new(secret: &Octets) -> Option<Self> {
        // It takes keys of any length (RFC 2104 section 3): there is always one.
        Hmac::new_from_slice(secret.as_bytes()).ok().map(Self)
    }

    /// The authentication value of a text: nonce, confirmation byte, origin indication if there is one, IPv6 packet. They are
    /// beside each other in a datagram. Nothing is allocated.
    #[must_use]
    pub fn value(&self, clear_text: &[u8]) -> [u8; VALUE_LEN] {
        self.mac(clear_text).finalize().into_bytes().into()
    }

    /// Whether this is the authentication value of the text. The time that this takes does not depend on where they differ.
    #[must_use]
    pub fn verifies(&self, clear_text: &[u8], value: &[u8]) -> bool {
        self.mac(clear_text).verify_slice(value).is_ok()
    }

    fn mac(&self, clear_text: &[u8]) -> Hmac<Sha1> {
        self.0.clone().chain_update(clear_text)
    }
}

/// A client that proves who it is, or that a server proves itself to: its name, and its secret ready for use.
#[derive(Clone, Debug)]
pub struct Credentials {
    identifier: Box<[u8]>,
    key: Authenticator,
}

impl Credentials {
    /// Prepares what a file of keys says of a client.
    #[must_use]
    pub fn new(key: &ClientKey) -> Option<Self> {
        Some(Self {
            identifier: key.identifier.as_bytes().into(),
            key: Authenticator::new(&key.secret)?,
        })
    }

    /// The client's name.
    #[must_use]
    pub fn identifier(&self) -> &[u8] {
        &self.identifier
    }

    /// The authentication header of a datagram, but for its nonce, its confirmation byte, and its value, which [`Self::sign`]
    /// fills in.
    #[must_use]
    pub fn header(&self) -> Authentication<'_> {
        Authentication {
            identifier: &self.identifier,
            value: &[0; VALUE_LEN],
            ..Authentication::default()
        }
    }

    /// Fills in the value of a datagram that begins with [`Self::header`], and ends with its packet.
    #[must_use]
    pub fn sign(&self, datagram: &mut [u8]) -> Option<()> {
        let (header, clear_text) = datagram.split_at_mut_checked(self.header().nonce_at())?;
        *header.last_chunk_mut()? = self.key.value(clear_text);
        Some(())
    }

    /// Whether the value of a datagram is right.
    #[must_use]
    pub fn verify(&self, datagram: &Datagram<'_>) -> bool {
        let value = datagram.authentication.map(|header| header.value);
        self.key
            .verifies(datagram.clear_text(), value.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 section 3: keys shorter and longer than a block.
    #[test]
    fn test_cases_of_hmac_sha1() {
        for (secret, text, expected) in [
            (
                vec![0x0b; 20],
                &b"Hi There"[..],
                "b617318655057264e28bc0b6fb378c8ef146be00",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?",
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                vec![0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "aa4ae5e15272d00e95705637ce8a3b55ed402112",
            ),
        ] {
            let key = Authenticator::new(&Octets::new(secret)).unwrap();
            let value = key.value(text);
            assert_eq!(Hex(&value).to_string(), expected);
            assert!(key.verifies(text, &value));
            assert!(!key.verifies(b"", &value));
            for wrong in [&value[..19], &[], &[&value[..], &[0]].concat()] {
                assert!(!key.verifies(text, wrong), "{wrong:02x?}");
            }
        }
    }

    #[test]
    fn octets_are_read_from_hexadecimal_and_written_so() {
        for (digits, octets) in [
            ("", Ok(&b""[..])),
            ("00fF7a", Ok(b"\x00\xff\x7a")),
            ("abc", Err(3)),
            ("0x00", Err(1)),
            ("é0", Err(0)),
        ] {
            let read = Octets::from_hex(digits);
            assert_eq!(
                read.as_ref().map(Octets::as_bytes),
                octets.as_ref().copied(),
                "{digits}"
            );
        }
        let octets = Octets::new(vec![0, 0xff, 0x7a]);
        let message = serde_json::to_string(&octets).unwrap();
        assert_eq!(message, "\"00ff7a\"");
        assert_eq!(serde_json::from_str::<Octets>(&message).unwrap(), octets);
        for wrong in ["\"0\"", "\"xx\"", "[0]"] {
            assert!(serde_json::from_str::<Octets>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{octets:?}"), "3 octets");
    }
}
