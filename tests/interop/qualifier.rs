//! The qualification procedure of RFC 4380 section 5.2.1, a packet at a time.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use crate::internet::INSIDE_PORT;
use crate::lab::{DEADLINE, Namespace};

/// A Teredo client that has no address yet.
pub(crate) struct Qualifier(UdpSocket);

/// What a client learns from a Router Advertisement.
pub(crate) struct Advertisement {
    /// The server address that it came from.
    pub(crate) from: Ipv4Addr,
    /// The address and port in its origin indication.
    pub(crate) mapped: SocketAddrV4,
}

const NONCE: [u8; 8] = *b"a nonce!";

impl Qualifier {
    /// A client on `host`, at the port that its NAT maps.
    pub(crate) fn new(host: &Namespace) -> Self {
        let local = (Ipv4Addr::UNSPECIFIED, INSIDE_PORT);
        let socket = host.within(|| UdpSocket::bind(local)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    /// Sends a Router Solicitation, from fe80::8000:ffff:ffff:ffff if the client takes its NAT
    /// for a cone NAT, else from fe80::ffff:ffff:ffff, to ff02::2.
    pub(crate) fn solicit(&self, server: Ipv4Addr, cone: bool) {
        let (flags, checksum) = if cone {
            (0x80, [0xfd, 0x36])
        } else {
            (0, [0x7d, 0x37])
        };
        let mut datagram = vec![0, 1, 0, 0];
        datagram.extend(NONCE);
        datagram.push(0);
        datagram.extend([0x60, 0, 0, 0, 0, 8, 58, 255]);
        datagram.extend([
            0xfe, 0x80, 0, 0, 0, 0, 0, 0, flags, 0, 255, 255, 255, 255, 255, 255,
        ]);
        datagram.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        datagram.extend([133, 0, checksum[0], checksum[1], 0, 0, 0, 0]);
        self.0.send_to(&datagram, (server, 3544)).unwrap();
    }

    /// Waits for the answer to the solicitation sent last.
    #[track_caller]
    pub(crate) fn advertisement(&self) -> Advertisement {
        let mut datagram = [0; 1500];
        let (length, from) = self.0.recv_from(&mut datagram).expect("an advertisement");
        let SocketAddr::V4(from) = from else {
            panic!("{from} on an IPv4 socket");
        };
        assert_eq!((length, from.port()), (117, 3544));
        assert_eq!(datagram[..4], [0, 1, 0, 0], "authentication header");
        assert_eq!(datagram[4..12], NONCE);
        let [0, 0, p, q, a, b, c, d] = *datagram[13..21].first_chunk().unwrap() else {
            panic!("no origin indication");
        };
        let port = u16::from_be_bytes([!p, !q]);
        Advertisement {
            from: *from.ip(),
            mapped: SocketAddrV4::new(Ipv4Addr::new(!a, !b, !c, !d), port),
        }
    }
}
