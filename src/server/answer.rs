//! What the server answers itself.

use platform::{REPLY_MAX, Via};

use super::qualification::Client;
use super::{Arrival, Server, invalid, reply};
use crate::verdict::{Kind, Reason, Reply, Route};
use crate::wire::address::has_cone_bit;
use crate::wire::discovery::{RouterAdvertisement, RouterSolicitation};
use crate::wire::encapsulation::{Authentication, Datagram, OriginIndication};
use crate::wire::icmp6::Echo;

/// Hop limit of the server's own echo replies, the value that IANA recommends for hosts.
const HOP_LIMIT: u8 = 64;

impl Server {
    /// Answers a valid Router Solicitation with an advertisement to the mapped address (RFC 4380 section 5.3.2).
    pub(super) fn advertise(
        &self,
        datagram: &Datagram<'_>,
        client: Option<&Client>,
        arrival: &Arrival<'_>,
        out: &mut [u8; REPLY_MAX],
    ) -> Result<Reply, Reason> {
        let via = self.answering_address(datagram, arrival.via)?;
        let solicitation = RouterSolicitation::parse(&datagram.packet).map_err(invalid)?;
        let to = solicitation.source;
        let advertisement = RouterAdvertisement::of_server(self.primary, self.prefix, self.mtu, to);
        let left = emit_advertisement(
            authentication(datagram, client),
            &OriginIndication(arrival.from),
            &advertisement,
            out,
        );
        reply(
            Kind::Advertisement,
            Route::Udp {
                via,
                to: arrival.from,
            },
            left,
        )
    }

    /// The other address for a client that says it is behind a cone NAT, which the answer then proves; the same for others.
    fn answering_address(&self, datagram: &Datagram<'_>, via: Via) -> Result<Via, Reason> {
        match (
            has_cone_bit(datagram.packet.header().source),
            self.has_secondary,
        ) {
            (false, _) => Ok(via),
            (true, true) => Ok(via.other()),
            (true, false) => Err(Reason::ConeSolicitation),
        }
    }

    /// Answers an echo request to the server's link-local address (RFC 4380 section 5.3.1, RFC 4443 section 4.2), from the address
    /// that it came to, as a NAT expects.
    pub(super) fn answer_echo(
        &self,
        datagram: &Datagram<'_>,
        arrival: &Arrival<'_>,
        out: &mut [u8; REPLY_MAX],
    ) -> Result<Reply, Reason> {
        if datagram.packet.payload().len() > Kind::ECHO_MAX {
            return Err(Reason::EchoLength);
        }
        let request = Echo::parse(&datagram.packet).map_err(invalid)?;
        let client = datagram.packet.header().source;
        let left = request
            .to_reply()
            .emit(out, self.link_local, client, HOP_LIMIT);
        reply(
            Kind::EchoReply,
            Route::Udp {
                via: arrival.via,
                to: arrival.from,
            },
            left,
        )
    }
}

/// The nonce goes back to the client that sent it, and to nobody else: no authentication header without one in the solicitation
/// (RFC 4380 section 5.2.2). Identifier and value stay empty without secure qualification.
fn authentication<'a>(
    datagram: &Datagram<'_>,
    client: Option<&'a Client>,
) -> Option<Authentication<'a>> {
    let Authentication { nonce, .. } = datagram.authentication?;
    let header = client.map(Client::header).unwrap_or_default();
    Some(Authentication { nonce, ..header })
}

fn emit_advertisement<'o>(
    authentication: Option<Authentication<'_>>,
    origin: &OriginIndication,
    advertisement: &RouterAdvertisement,
    mut out: &'o mut [u8],
) -> Option<&'o mut [u8]> {
    if let Some(authentication) = authentication {
        out = authentication.emit(out)?;
    }
    advertisement.emit(origin.emit(out)?)
}
