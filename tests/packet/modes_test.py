#!/usr/bin/python3
"""Tunnel mode in all four pairs of families, transport mode, NAT traversal; scapy is the peer wherever it can be."""
import struct

from gw import (Tunnel, aged, from_far, from_lan, host, ip, parse, run, same_packets, tcp, to_lan, to_wan, udp,
                upper_sum, with_tunnels)
from scapy_peer import scapy_sa
from tap import add_case, case, main, same


def scapy_of(t, way, **more):
    src, dst = (t.local, t.remote) if way == "out" else (t.remote, t.local)
    name = t.suite.get("aead") or t.suite["cipher"]
    return scapy_sa(t.spi[way], name, t.keys[way][0], t.suite.get("auth"), t.keys[way][1], src, dst,
                    t.choices["esn"], nat_t=t.encap if way == "out" else t.encap and t.encap[::-1], **more)


def family_pair(outer, inner):
    t = Tunnel(1, outer=outer)
    here, there = from_lan(1, b"to scapy", version=inner), from_far(1, b"from scapy", version=inner)
    done = run(with_tunnels(t), lan=[to_lan(here)], wan=[to_wan(scapy_of(t, "in").seal(there, 1))])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(there)], "packets from scapy")
    same_packets([scapy_of(t, "out").open(p) for p in done.wan], [aged(here)], "packets to scapy")


for outer in (4, 6):
    for inner in (4, 6):
        add_case(f"tunnel mode, IPv{inner} in IPv{outer}: scapy and the gateway read each other",
                 lambda o=outer, i=inner: family_pair(o, i))


def nat_tunnel(outer, ports):
    t = Tunnel(1, outer=outer, encap=ports)
    here = [from_lan(1, bytes(n)) for n in range(10)]
    there = [from_far(1, bytes(n)) for n in range(10)]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here], wan=[to_wan(t.seal(p, i)) for i, p in enumerate(there, 1)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(p) for p in there], "packets from the peer")
    same_packets([t.open(p)[0] for p in done.wan], [aged(p) for p in here], "packets to the peer")


for outer in (4, 6):
    for ports in ((4500, 4500), (4500, 61234)):
        add_case(f"UDP encapsulation over IPv{outer}, ports {ports[0]} and {ports[1]}, both ways",
                 lambda o=outer, p=ports: nat_tunnel(o, p))


@case("UDP encapsulation over IPv4: scapy and the gateway read each other")
def scapy_nat():
    t = Tunnel(1, encap=(4500, 4500), esn=False)
    here, there = from_lan(1, b"to scapy"), from_far(1, b"from scapy")
    done = run(with_tunnels(t), lan=[to_lan(here)], wan=[to_wan(scapy_of(t, "in").seal(there, 1))])
    same((done.drops, done.lan), ({}, [aged(there)]), "drops and packets from scapy")
    same_packets([scapy_of(t, "out").open(p) for p in done.wan], [aged(here)], "packets to scapy")


@case("an inbound SA with peer's port 0 takes UDP encapsulation from any port")
def any_port():
    t = Tunnel(1, encap=(4500, 4500), into={"encap": {"udp": [0, 4500]}})
    inner = from_far(1)
    packets = []
    for seq, port in enumerate((4500, 1024, 65000), 1):
        t.encap = (4500, port)
        packets.append(to_wan(t.seal(inner, seq)))
    done = run(with_tunnels(Tunnel(1, encap=(4500, 4500), into={"encap": {"udp": [0, 4500]}})), wan=packets)
    same((done.drops, done.lan), ({}, [aged(inner)] * 3), "drops and packets on the red side")


def transport(version, **more):
    """A transport-mode SA for one host behind the gateway: its packets keep their own IP header."""
    t = Tunnel(1, mode="transport", selectors=False, **more)
    t.local, t.remote = host(version, 1, 1), host(version, 2, 1)
    t.outer = version
    bits = 32 if version == 4 else 128
    t.options.update(local_nets=[f"{t.local}/{bits}"], remote_nets=[f"{t.remote}/{bits}"])
    return t


def transport_scapy(version, suite):
    t = transport(version, **suite)
    here = [udp(t.local, t.remote, b"to scapy"), tcp(t.local, t.remote, b"to scapy")]
    there = [udp(t.remote, t.local, b"from scapy"), tcp(t.remote, t.local, b"from scapy")]
    peer = scapy_of(t, "in", tunnel=False)
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here],
               wan=[to_wan(peer.seal(p, i)) for i, p in enumerate(there, 1)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(p) for p in there], "packets from scapy")
    reader = scapy_of(t, "out", tunnel=False)
    same_packets([reader.open(p) for p in done.wan], [aged(p) for p in here], "packets to scapy")


for version in (4, 6):
    for name, suite in (("AES-GCM", {}), ("AES-CBC and HMAC-SHA256", {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128",
                                                                   "esn": False})):
        add_case(f"transport mode, IPv{version}, {name}: scapy and the gateway read each other",
                 lambda v=version, s=suite: transport_scapy(v, s))


def options(next_header, octets=6):
    size = (octets + 2 + 7) // 8 * 8
    return bytes([next_header, size // 8 - 1, 1, size - 4]) + bytes(size - 4)


def routing(next_header):
    return bytes([next_header, 0, 253, 0, 0, 0, 0, 0])  # an experimental type with no segment left


def atomic(next_header):
    return struct.pack("!BBHI", next_header, 0, 0, 77)


HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
# The headers in clear, and those inside ESP: RFC 4303 section 3.1.1.
CHAINS = [
    ("hop-by-hop options stay in front", [HOP], []),
    ("a routing header stays in front", [ROUTING], []),
    ("an atomic fragment header stays in front", [FRAGMENT], []),
    ("destination options of the end go inside", [], [DESTINATION]),
    ("destination options of the way stay in front", [DESTINATION, ROUTING], []),
    ("all of them together", [HOP, DESTINATION, ROUTING, FRAGMENT], [DESTINATION]),
]


def chain(kinds, last):
    """(first next header, octets) of extension headers in that order, the last one naming `last`."""
    made, following = b"", last
    for kind in reversed(kinds):
        make = {HOP: options, DESTINATION: options, ROUTING: routing, FRAGMENT: atomic}[kind]
        made, following = make(following) + made, kind
    return following, made


def v6_chain(front, inside):
    t = transport(6)
    segment = udp(t.local, t.remote, b"behind headers")[40:]
    back = udp(t.remote, t.local, b"back behind headers")[40:]
    inner_first, inner_octets = chain(inside, 17)
    whole_first, whole = chain(front + inside, 17)
    first, octets = chain(front, 50)
    here = ip(t.local, t.remote, whole_first, whole + segment)
    there = ip(t.remote, t.local, whole_first, whole + back)
    sealed = ip(t.remote, t.local, first, octets + t.esp["in"].seal(1, inner_octets + back, inner_first))
    done = run(with_tunnels(t), lan=[to_lan(here)], wan=[to_wan(sealed)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(there)], "packet from the peer")
    sent = parse(done.wan[0])
    same((sent["proto"], sent["payload"][:len(octets)]), (first, octets), "headers in front of ESP")
    payload, next_header, _, _ = t.esp["out"].open(sent["payload"][len(octets):])
    same((next_header, payload), (inner_first, inner_octets + segment), "what ESP carries")


for what, front, inside in CHAINS:
    add_case(f"transport mode, IPv6: {what}", lambda f=front, i=inside: v6_chain(f, i))


@case("transport mode, IPv4: options stay in the header, before ESP")
def v4_options():
    t = transport(4)
    segment = udp(t.local, t.remote, b"options")[20:]
    here = ip(t.local, t.remote, 17, segment, options=b"\x94\4\0\0")
    done = run(with_tunnels(t), lan=[to_lan(here)])
    same(done.drops, {}, "drops")
    sent = done.wan[0]
    same((sent[0], sent[20:24]), (0x46, b"\x94\4\0\0"), "header length and options")
    same(t.esp["out"].open(sent[24:])[:2], (segment, 17), "what ESP carries")


def fragments_refused(version):
    t = transport(version)
    if version == 4:
        pieces = [ip(t.local, t.remote, 17, bytes(16), mf=1, ident=9), ip(t.local, t.remote, 17, bytes(16), offset=2, ident=9)]
    else:
        pieces = [ip(t.local, t.remote, 44, struct.pack("!BBHI", 17, 0, bits, 9) + bytes(16)) for bits in (1, 16)]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in pieces])
    same((done.drops, done.wan), ({"frag_transport": 2}, []), "drops and packets sent")
    same(done.sa(f"{t.name}.out")["drops"], {"frag_transport": 2}, "drops of the SA")


for version in (4, 6):
    add_case(f"transport mode, IPv{version}: it takes whole datagrams, a fragment drops frag_transport",
             lambda v=version: fragments_refused(v))


def nat_transport(version, make, proto):
    """The peer computed the checksum with the address it has behind its NAT; the receiver must not mind."""
    t = transport(version, encap=(4500, 4500))
    behind = "192.168.7.7" if version == 4 else "fd77::7"
    segment = make(behind, t.local, b"through a NAT")[20 if version == 4 else 40:]
    sealed = t.carry(t.esp["in"].seal(1, segment, proto))
    done = run(with_tunnels(t), wan=[to_wan(sealed)])
    same((done.drops, len(done.lan)), ({}, 1), "drops and packets on the red side")
    got = parse(done.lan[0])
    field = 6 if proto == 17 else 16
    same((got["src"], got["dst"], got["proto"]), (t.remote, t.local, proto), "addresses and protocol")
    if proto == 17 and version == 4 and got["payload"][6:8] == b"\0\0":
        return
    same(upper_sum(got["src"], got["dst"], proto, got["payload"]), 0, "checksum, summed")
    same(got["payload"][:field] + got["payload"][field + 2:], segment[:field] + segment[field + 2:], "the rest of it")


for version in (4, 6):
    for name, make, proto in (("UDP", udp, 17), ("TCP", tcp, 6)):
        add_case(f"transport mode behind a NAT, IPv{version}: the {name} checksum is made right",
                 lambda v=version, m=make, p=proto: nat_transport(v, m, p))


@case("transport mode carries next header 4 and 41 as any other protocol")
def ip_in_ip():
    t = transport(4)
    inside = from_far(9, b"inside")
    sealed = t.carry(t.esp["in"].seal(1, inside, 4))
    done = run(with_tunnels(t), wan=[to_wan(sealed)])
    same((done.drops, done.lan), ({}, [aged(ip(t.remote, t.local, 4, inside))]), "drops and packets on the red side")


if __name__ == "__main__":
    main()
