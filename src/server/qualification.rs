//! Which solicitations prove where they come from, and how the answer does (RFC 4380 sections 5.2.2 and 5.3.2).

use crate::qualification::{ClientKey, Credentials, Qualification};
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
    credentials: Credentials,
    confirmation: u8,
}

impl Clients {
    pub(super) fn new(qualification: &Qualification) -> Self {
        let mut clients: Vec<Client> = qualification.keys.iter().filter_map(Client::new).collect();
        clients.sort_unstable_by(|a, b| a.identifier().cmp(b.identifier()));
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
            .binary_search_by(|client| client.identifier().cmp(identifier));
        match found.ok().and_then(|index| self.clients.get(index)) {
            None => Err(Reason::UnknownIdentifier),
            client => Ok(client),
        }
    }
}

impl Client {
    fn identifier(&self) -> &[u8] {
        self.credentials.identifier()
    }

    fn new(key: &ClientKey) -> Option<Self> {
        Some(Self {
            credentials: Credentials::new(key)?,
            confirmation: key.retired.into(),
        })
    }

    /// The authentication header of an answer to this client, but for its nonce and its value, which [`Client::sign`] fills in.
    pub(super) fn header(&self) -> Authentication<'_> {
        Authentication {
            confirmation: self.confirmation,
            ..self.credentials.header()
        }
    }

    /// Whether the solicitation is this client's.
    pub(super) fn verify(&self, datagram: &Datagram<'_>) -> Result<(), Reason> {
        match self.credentials.verify(datagram) {
            true => Ok(()),
            false => Err(Reason::AuthenticationValue),
        }
    }

    /// Fills in the value of an answer that begins with [`Client::header`].
    pub(super) fn sign(&self, answer: &mut [u8]) -> Result<(), Reason> {
        // There is one: the header was written.
        let signed = self.credentials.sign(answer);
        signed.ok_or(Reason::AuthenticationValue)
    }
}
