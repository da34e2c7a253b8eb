//! Which solicitations prove where they come from, and how the answer does (RFC 4380 sections 5.2.2 and 5.3.2).

use crate::qualification::{Authenticator, ClientKey, Qualification, VALUE_LEN};
use crate::verdict::Reason;
use crate::wire::encapsulation::{Authentication, Datagram};

/// The clients that a server shares a secret with.
#[derive(Debug)]
pub(super) struct Clients {
    required: bool,
    /// By identifier, in order.
    clients: Box<[Client]>,
}

/// A client, and its secret ready for use.
#[derive(Debug)]
pub(super) struct Client {
    identifier: Box<[u8]>,
    key: Authenticator,
    confirmation: u8,
}

impl Clients {
    pub(super) fn new(qualification: &Qualification) -> Self {
        let mut clients: Vec<Client> = qualification.keys.iter().filter_map(Client::new).collect();
        clients.sort_unstable_by(|a, b| a.identifier.cmp(&b.identifier));
        Self {
            required: qualification.required,
            clients: clients.into(),
        }
    }

    /// Whom a solicitation names, which it need not where this is optional. It has proved nothing yet.
    pub(super) fn named(&self, datagram: &Datagram<'_>) -> Result<Option<&Client>, Reason> {
        let identifier = datagram
            .authentication
            .map(|header| header.identifier)
            .unwrap_or_default();
        if identifier.is_empty() {
            return match self.required {
                true => Err(Reason::NoIdentifier),
                false => Ok(None),
            };
        }
        let found = self
            .clients
            .binary_search_by(|client| (*client.identifier).cmp(identifier));
        match found.ok().and_then(|index| self.clients.get(index)) {
            None => Err(Reason::UnknownIdentifier),
            client => Ok(client),
        }
    }
}

impl Client {
    fn new(key: &ClientKey) -> Option<Self> {
        Some(Self {
            identifier: key.identifier.as_bytes().into(),
            key: Authenticator::new(&key.secret)?,
            confirmation: key.retired.into(),
        })
    }

    /// The authentication header of an answer to this client, but for its nonce and its value, which [`Client::sign`] fills in.
    pub(super) fn header(&self) -> Authentication<'_> {
        Authentication {
            identifier: &self.identifier,
            value: &[0; VALUE_LEN],
            confirmation: self.confirmation,
            ..Authentication::default()
        }
    }

    /// Whether the solicitation is this client's.
    pub(super) fn verify(&self, datagram: &Datagram<'_>) -> Result<(), Reason> {
        let value = datagram.authentication.map(|header| header.value);
        match self
            .key
            .verifies(datagram.clear_text(), value.unwrap_or_default())
        {
            true => Ok(()),
            false => Err(Reason::AuthenticationValue),
        }
    }

    /// Fills the value of an answer in that begins with [`Client::header`].
    pub(super) fn sign(&self, answer: &mut [u8]) -> Option<()> {
        let (header, clear_text) = answer.split_at_mut_checked(self.header().nonce_at())?;
        *header.last_chunk_mut()? = self.key.value(clear_text);
        Some(())
    }
}
