# shellcheck shell=sh
# Sourced by ci/system-service.sh. Adds three IPv4 addresses to the loopback interface, and creates a wire to 2001:db8::/64 at whose
# end tcpdump(1) listens, by the means of each system. Nobody answers there, so the neighbour 2001:db8::2 is entered by hand.
# Sources: epair(4), ndp(8), tcpdump(1) of FreeBSD; pair(4) of OpenBSD; vether(4) of NetBSD, whose sys/net/if_vether.c,
# vether_start, shows each frame to bpf(4) and drops it; feth of XNU, bsd/net/if_fake.c, has no manual page.

case $(uname -s) in
    FreeBSD) near=epair54a far=epair54b loopback=lo0 ;;
    OpenBSD) near=pair54 far=pair55 loopback=lo0 ;;
    NetBSD) near=vether54 far=vether54 loopback=lo0 ;;
    Darwin) near=feth54 far=feth55 loopback=lo0 ;;
    Linux) near=wire54 far=wire55 loopback=lo ;;
    *) fail "no wire known for $(uname -s)" ;;
esac
neighbour=02:00:5e:00:53:02

# addresses_up ADDRESS...
addresses_up() {
    for address; do
        case $(uname -s) in
            Linux) ip address add "$address/32" dev "$loopback" ;;
            *) ifconfig "$loopback" inet "$address" netmask 255.255.255.255 alias ;;
        esac
    done
    [ "$loopback" != lo ] || ip link set lo up
}

addresses_down() {
    for address; do
        case $(uname -s) in
            Linux) ip address del "$address/32" dev "$loopback" ;;
            *) ifconfig "$loopback" inet "$address" -alias ;;
        esac
    done
}

wire_up() {
    case $(uname -s) in
        FreeBSD)
            ifconfig "${near%a}" create
            ifconfig "$near" inet6 -ifdisabled no_dad
            ;;
        OpenBSD)
            ifconfig "$far" create
            ifconfig "$near" create
            ifconfig "$near" patch "$far"
            ;;
        NetBSD) ifconfig "$near" create ;;
        Darwin)
            ifconfig "$far" create
            ifconfig "$near" create
            ifconfig "$near" peer "$far"
            ;;
        Linux)
            ip link add "$near" type veth peer name "$far"
            ip link set "$far" up
            ip link set "$near" up
            ip address add 2001:db8::1/64 dev "$near" nodad
            ip neighbour add 2001:db8::2 lladdr "$neighbour" dev "$near"
            return
            ;;
    esac
    ifconfig "$far" up
    ifconfig "$near" inet6 2001:db8::1 prefixlen 64
    ifconfig "$near" up
    ndp -s 2001:db8::2 "$neighbour"
}

wire_down() {
    case $(uname -s) in
        FreeBSD | NetBSD) ifconfig "$near" destroy ;;
        OpenBSD | Darwin)
            ifconfig "$near" destroy
            ifconfig "$far" destroy
            ;;
        Linux) ip link del "$near" ;;
    esac
}

# On systems where the server writes its packets to a tunnel device, the kernel must forward them.
forwarding() {
    case $(uname -s) in
        NetBSD | Darwin) sysctl -n net.inet6.ip6.forwarding ;;
    esac
}

set_forwarding() {
    case $(uname -s) in
        NetBSD | Darwin) sysctl -w "net.inet6.ip6.forwarding=$1" ;;
    esac
}
