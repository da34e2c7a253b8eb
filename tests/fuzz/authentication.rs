//! What holds of every advertisement of a server with secure qualification, by HMAC-SHA1 and the layout of RFC 4380 section 5.1.1.

use hmac::{Hmac, KeyInit, Mac};
use miredo_server::server::Settings;
use sha1::Sha1;

/// Panics if an answer was given without proof where that is required, or in the name of another client, or without proof of the
/// server's own.
pub(crate) fn check(settings: &Settings, asked: &[u8], sent: &[u8]) {
    let named = |bytes| header(bytes).filter(|header| !header.identifier.is_empty());
    let Some(qualification) = &settings.policy.qualification else {
        assert_eq!(named(sent), None);
        return;
    };
    let (asked, sent) = match (named(asked), named(sent)) {
        (Some(asked), Some(sent)) => (asked, sent),
        (None, None) => {
            assert!(!qualification.required, "an answer without proof");
            return;
        }
        pair => panic!("one has an identifier: {pair:02x?}"),
    };
    assert_eq!(asked.identifier, sent.identifier);
    let mut keys = qualification.keys.iter();
    let Some(key) = keys.find(|key| key.identifier.as_bytes() == sent.identifier) else {
        panic!("an answer to a client without a key")
    };
    for header in [&asked, &sent] {
        let value = hmac(key.secret.as_bytes(), header.covered);
        assert_eq!(header.value, value, "authentication value");
    }
    assert_eq!(sent.covered.get(8), Some(&u8::from(key.retired)));
}

fn hmac(secret: &[u8], text: &[u8]) -> Vec<u8> {
    match Hmac::<Sha1>::new_from_slice(secret) {
        Ok(mac) => mac.chain_update(text).finalize().into_bytes().to_vec(),
        Err(error) => panic!("{error}"),
    }
}

/// An authentication header, and what its value covers.
#[derive(Debug, PartialEq)]
struct Header<'a> {
    identifier: &'a [u8],
    value: &'a [u8],
    covered: &'a [u8],
}

fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let [0, 1, identifier, value, ref rest @ ..] = *bytes else {
        return None;
    };
    let (identifier, rest) = rest.split_at_checked(identifier.into())?;
    let (value, rest) = rest.split_at_checked(value.into())?;
    // Nonce and confirmation, perhaps an origin indication, then the packet, as long as its header says.
    let packet = match rest.get(9..11)? {
        [0, 0] => 17,
        _ => 9,
    };
    let length = rest.get(packet + 4..packet + 6)?;
    let length = u16::from_be_bytes(length.try_into().ok()?);
    let covered = rest.get(..packet + 40 + usize::from(length))?;
    Some(Header {
        identifier,
        value,
        covered,
    })
}
