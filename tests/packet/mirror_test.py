#!/usr/bin/python3
"""Mirrors as captures: what our own host is given and what becomes of what it sends, frame by frame."""
import struct

from gw import (BLACK, LAN_MAC, LAN_NEXT, PEER, RED, WAN_MAC, WAN_NEXT, Tunnel, frame, host, ip, laboratory, mac, parse,
                same_packets, tcp, to_lan, to_wan, udp, with_tunnels)
from mirrored import STRANGER, Mirrored, echo, group_mac, icmp6, pack
from tap import add_case, case, check, main, once, same

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "02:00:00:00:00:00"
SOURCE_BURST = {"ike": 500}  # of lib/punt


def arp(src_mac, src, dst):
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac(src_mac) + pack(src) + bytes(6) + pack(dst)


def fragments(packet, size=1000, ident=77):
    """An IPv4 packet cut in two."""
    header, body = packet[:20], packet[20:]
    src, dst = parse(packet)["src"], parse(packet)["dst"]
    return [ip(src, dst, header[9], body[:size], ident=ident, mf=1),
            ip(src, dst, header[9], body[size:], ident=ident, offset=size // 8)]


MARKER = bytes(4)
NEAR = {4: "192.0.2.254", 6: "2001:db8::fe"}
IKE = udp(PEER[4], BLACK[4], b"\1" * 28, 500, 500)
IKE4500 = udp(PEER[4], BLACK[4], MARKER + b"\1" * 28, 4500, 4500)

# What the wan side gives our own host: (sentence, frame).
WAN_TO_HOST = [
    ("IKE", to_wan(IKE)),
    ("IKE over IPv6", to_wan(udp(PEER[6], BLACK[6], b"\1" * 28, 500, 500))),
    ("IKE on 4500", to_wan(IKE4500)),
    ("IKE on 4500 over IPv6", to_wan(udp(PEER[6], BLACK[6], MARKER + b"\1" * 28, 4500, 4500))),
    ("an ARP request", frame(arp(WAN_NEXT, NEAR[4], BLACK[4]), BROADCAST, WAN_NEXT, 0x0806)),
    ("an ARP reply", frame(arp(WAN_NEXT, NEAR[4], BLACK[4]), WAN_MAC, WAN_NEXT, 0x0806)),
    ("a neighbour solicitation", frame(icmp6(135, NEAR[6], "ff02::1:ff00:1"), group_mac("ff02::1:ff00:1"), WAN_NEXT)),
    ("a neighbour solicitation of who has no address yet",
     frame(icmp6(135, "::", "ff02::1:ff00:1"), group_mac("ff02::1:ff00:1"), WAN_NEXT)),
    ("a neighbour advertisement", to_wan(icmp6(136, "fe80::fe", BLACK[6]))),
    ("that our address is another's", frame(icmp6(136, BLACK[6], "ff02::1"), group_mac("ff02::1"), WAN_NEXT)),
    ("a router advertisement", frame(icmp6(134, "fe80::fe", "ff02::1"), group_mac("ff02::1"), WAN_NEXT)),
    ("an MLD query", frame(icmp6(130, "fe80::fe", "ff02::1", hops=1), group_mac("ff02::1"), WAN_NEXT)),
    ("an IGMP query with an IP option",
     frame(ip(NEAR[4], "224.0.0.1", 2, bytes(8), ttl=1, options=b"\x94\4\0\0"), group_mac("224.0.0.1"), WAN_NEXT)),
    ("OSPF", frame(ip(NEAR[4], "224.0.0.5", 89, bytes(44), ttl=1), group_mac("224.0.0.5"), WAN_NEXT)),
    ("OSPF over IPv6", frame(ip("fe80::fe", "ff02::5", 89, bytes(36), ttl=1), group_mac("ff02::5"), WAN_NEXT)),
    ("VRRP", frame(ip(NEAR[4], "224.0.0.18", 112, bytes(20), ttl=255), group_mac("224.0.0.18"), WAN_NEXT)),
    ("BGP", to_wan(tcp(NEAR[4], BLACK[4], b"open", 33000, 179, ttl=1))),
    ("BFD", to_wan(udp(NEAR[4], BLACK[4], bytes(24), 49152, 3784, ttl=255))),
    ("RIP", frame(udp(NEAR[4], "224.0.0.9", bytes(24), 520, 520, ttl=1), group_mac("224.0.0.9"), WAN_NEXT)),
    ("a DHCP offer to everybody", frame(udp(NEAR[4], "255.255.255.255", bytes(240), 67, 68), BROADCAST, WAN_NEXT)),
    ("IS-IS", mac("01:80:c2:00:00:14") + mac(WAN_NEXT) + struct.pack("!H", 40) + b"\xfe\xfe\x03" + bytes(43)),
    ("IEEE 802.1X", frame(bytes(46), "01:80:c2:00:00:03", WAN_NEXT, 0x888e)),
    ("an echo request", to_wan(echo(STRANGER[4], BLACK[4]))),
    ("an echo request over IPv6", to_wan(echo(STRANGER[6], BLACK[6]))),
    ("an echo request that has used up its TTL", to_wan(ip(STRANGER[4], BLACK[4], 1, bytes(8), ttl=1))),
    ("ssh to the other side's address", to_wan(tcp(STRANGER[4], RED[4], b"", 999, 22))),
]
# (sentence, frame, drop with mirrors)
WAN_NOT = [
    ("LLDP", frame(bytes(46), "01:80:c2:00:00:0e", WAN_NEXT, 0x88cc), "not_ip"),
    ("IPX", frame(bytes(46), WAN_MAC, WAN_NEXT, 0x8137), "not_ip"),
    ("LLC that is no IS-IS", mac(BROADCAST) + mac(WAN_NEXT) + struct.pack("!H", 40) + b"\xaa\xaa\x03" + bytes(43), "not_ip"),
    ("a VLAN's ARP", mac(BROADCAST) + mac(WAN_NEXT) + b"\x81\0\0\7\x08\6" + bytes(46), "vlan"),
    ("a VLAN's IKE", mac(WAN_MAC) + mac(WAN_NEXT) + b"\x81\0\0\7\x08\0" + IKE, "vlan"),
    ("a frame for another station", frame(IKE, "02:00:00:00:0a:0a", WAN_NEXT), "not_ours"),
    ("a source that is loopback", to_wan(echo("127.0.0.1", BLACK[4])), "policy_cleartext"),
    ("a source that is ours", to_wan(echo(RED[4], BLACK[4])), "policy_cleartext"),
    ("a source that is nobody's", to_wan(echo("0.0.0.0", BLACK[4])), "policy_cleartext"),
    ("a source that is a group", to_wan(echo("224.0.0.1", BLACK[4])), "policy_cleartext"),
    ("a fragment of ESP", to_wan(ip(PEER[4], BLACK[4], 50, bytes(64), mf=1)), "frag_timeout"),
    ("a first fragment of ESP in UDP", to_wan(fragments(udp(PEER[4], BLACK[4], b"\1" * 1800, 4500, 4500))[0]), "frag_timeout"),
    ("a fragment of something", to_wan(ip(STRANGER[4], BLACK[4], 1, bytes(64), mf=1)), "frag_timeout"),
    ("an unknown SPI", to_wan(ip(PEER[4], BLACK[4], 50, b"\0\1\2\3" + bytes(60))), "no_sa"),
    ("a NAT keepalive", to_wan(udp(PEER[4], BLACK[4], b"\xff", 4500, 4500)), None),
    ("an address that is not ours", to_wan(echo(STRANGER[4], host(4, 1, 1))), "policy_cleartext"),
]


@once
def from_wan():
    frames = [f for _, f in WAN_TO_HOST] + [f for _, f, _ in WAN_NOT]
    return Mirrored(laboratory(), wan=frames)


def is_given(octets, name="wan", done=from_wan):
    same(done().host[name].count(octets), 1, "how often the host got that very frame")


for sentence, octets in WAN_TO_HOST:
    add_case(f"our host is given: {sentence}", lambda f=octets: is_given(f))


@case("our host is given nothing else, and each other frame has its drop")
def wan_rest():
    same(len(from_wan().host["wan"]), len(WAN_TO_HOST), "frames for the host")
    same(from_wan().host["lan"], [], "frames by the other mirror")
    want = {}
    for _, _, why in WAN_NOT:
        if why:
            want[why] = want.get(why, 0) + 1
    same(from_wan().drops, want, "drops")


LAN_TO_HOST = [
    ("an ARP request", frame(arp(LAN_NEXT, "10.254.0.2", RED[4]), BROADCAST, LAN_NEXT, 0x0806)),
    ("a neighbour solicitation", frame(icmp6(135, "fd00::2", "ff02::1:ff00:1"), group_mac("ff02::1:ff00:1"), LAN_NEXT)),
    ("OSPF", frame(ip("10.254.0.2", "224.0.0.5", 89, bytes(44), ttl=1), group_mac("224.0.0.5"), LAN_NEXT)),
    ("ssh", to_lan(tcp("10.1.1.5", RED[4], b"", 999, 22))),
    ("an echo request to the other side's address", to_lan(echo("10.1.1.5", BLACK[4]))),
    ("a DHCP request of who has no address",
     frame(udp("0.0.0.0", "255.255.255.255", bytes(240), 68, 67), BROADCAST, LAN_NEXT)),
]


@once
def from_lan_side():
    return Mirrored(laboratory(), lan=[f for _, f in LAN_TO_HOST])


for sentence, octets in LAN_TO_HOST:
    add_case(f"our host is given, from red: {sentence}", lambda f=octets: is_given(f, "lan", from_lan_side))


@case("from red nothing is dropped of that")
def lan_rest():
    same(from_lan_side().drops, {}, "drops")


@case("a port without a mirror is as before, beside one with")
def one_mirror():
    done = Mirrored(laboratory(), wan=[f for _, f in WAN_TO_HOST[:8]], lan=[f for _, f in LAN_TO_HOST], mirrored=("lan",))
    same(len(done.host["lan"]), len(LAN_TO_HOST), "frames for the host")
    same(done.drops, {"no_listener": 4, "policy_cleartext": 2, "not_ip": 2}, "drops of wan")


@case("one source that floods is limited, and IKE of the others comes through")
def flood():
    garbage = [(0, to_wan(udp("198.51.100.66", BLACK[4], bytes(28), 500, 500)))] * 20_000
    others = [(1, to_wan(udp(f"198.51.100.{i}", BLACK[4], bytes([i]) * 28, 500, 500))) for i in range(100, 110)]
    done = Mirrored(laboratory(), wan=garbage[:19_000] + others[:5] + garbage[19_000:] + others[5:])
    burst = SOURCE_BURST["ike"]
    check(done.drops.get("punt_full", 0) == 0, f"{done.drops}")
    # Two sources may share a bucket of one row, not of both.
    same(done.drops, {"punt_limit": 20_000 - burst}, "drops")
    for octets in others:
        same(done.host["wan"].count(octets[1]), 1, "frames of another source")


@case("a flood from everywhere is bounded, and no class takes another's place")
def flood_from_everywhere():
    spread = [(0, to_wan(tcp(f"100.{64 + i // 65536}.{i // 256 % 256}.{i % 256}", BLACK[4], b"", 1, 22))) for i in range(20_000)]
    done = Mirrored(laboratory(), wan=spread + [(1, to_wan(IKE)), (1, WAN_TO_HOST[4][1])])
    same(done.host["wan"].count(to_wan(IKE)), 1, "IKE")
    same(done.host["wan"].count(WAN_TO_HOST[4][1]), 1, "ARP")
    same(set(done.drops) - {"punt_full", "punt_limit"}, set(), "drops")


def policy(name, **selectors):
    return {"name": name, "src": "0.0.0.0/0", "dst": "0.0.0.0/0", **selectors}


T1 = Tunnel(1)
IN_POLICIES = [
    policy("no-telnet", direction="in", protocol="tcp", dst_port=23, action="discard"),
    policy("peer", direction="in", src=PEER[4] + "/32", dst=BLACK[4] + "/32", action="protect", sa="t1.in"),
    policy("ssh", direction="in", protocol="tcp", dst_port=22, action="bypass"),
    policy("six", direction="in", src="::/0", dst="::/0", action="discard"),
]
JUDGED = [  # (sentence, frame, what becomes of it: a drop, or None: our host gets it)
    ("no policy matches", to_wan(echo(STRANGER[4], BLACK[4])), None),
    ("a bypass matches", to_wan(tcp(STRANGER[4], BLACK[4], b"", 999, 22)), None),
    ("a bypass matches, at its last hop", to_wan(tcp(STRANGER[4], BLACK[4], b"", 998, 22, ttl=1)), None),
    ("a discard matches", to_wan(tcp(STRANGER[4], BLACK[4], b"", 999, 23)), "policy_discard"),
    ("a protect matches", to_wan(echo(PEER[4], BLACK[4])), "policy_cleartext"),
    ("a protect matches, but it is IKE", to_wan(IKE), None),
    ("a protect matches, but it is IKE on 4500", to_wan(IKE4500), None),
    ("a discard matches, but it is a neighbour solicitation", WAN_TO_HOST[6][1], None),
    ("a discard matches a neighbour solicitation from afar", to_wan(icmp6(135, STRANGER[6], BLACK[6], hops=254)),
     "policy_discard"),
    ("a discard matches multicast", WAN_TO_HOST[14][1], "policy_discard"),
]


@once
def judged():
    return Mirrored({**laboratory(), "sas": T1.sas(), "policies": IN_POLICIES}, wan=[f for _, f, _ in JUDGED])


for sentence, octets, why in JUDGED:
    add_case(f"in clear for us, {sentence}: {why or 'our host gets it'}",
             lambda f=octets, w=why: same(judged().host["wan"].count(f), 0 if w else 1, "frames for the host"))


@case("in clear for us, the drops are those of the rows above")
def judged_drops():
    same(judged().drops, {"policy_discard": 3, "policy_cleartext": 1}, "drops")


def own_nets(tunnel, *more):
    entry = tunnel.yaml()
    entry["local_nets"] = entry["local_nets"] + list(more)
    return entry


@once
def decrypted():
    t = Tunnel(2)
    nets = [RED[4] + "/32", BLACK[4] + "/32", RED[6] + "/128"]
    inner = [
        ("lan", echo(host(4, 2, 2), RED[4])),
        ("lan", ip(host(4, 2, 2), RED[4], 6, bytes(20), ttl=1)),
        ("lan", tcp(host(6, 2, 2), RED[6], b"", 999, 22)),
        ("wan", udp(host(4, 2, 2), BLACK[4], bytes(28), 500, 500)),
        (None, echo(RED[4], RED[4])),
        (None, echo("127.0.0.1", RED[4])),
    ]
    done = Mirrored({**laboratory(), "tunnels": [own_nets(t, *nets)]},
                    wan=[to_wan(t.seal(packet, i + 1)) for i, (_, packet) in enumerate(inner)])
    return done, inner


@case("decrypted for us: the mirror of the port that has the address, a header of its own, the TTL as it came")
def decrypted_given():
    done, inner = decrypted()
    for name, address in (("lan", LAN_MAC), ("wan", WAN_MAC)):
        want = [frame(packet, address, NOBODY) for port, packet in inner if port == name]
        same_packets(sorted(done.host[name]), sorted(want), f"frames for the host by {name}")


@case("decrypted for us: an inner source that is ours, or loopback, drops")
def decrypted_forged():
    same(decrypted()[0].drops, {"policy_selector": 2}, "drops")


@case("decrypted for a tunnel's end that no port has: the mirror of the port it came in by")
def decrypted_for_tunnel_end():
    t, end = Tunnel(3), "192.0.2.77"
    entry = own_nets(t, end + "/32")
    entry["local"] = t.local = end
    packet = echo(host(4, 2, 3), end)
    done = Mirrored({**laboratory(), "tunnels": [entry]}, wan=[to_wan(t.seal(packet, 1))])
    same_packets(done.host["wan"], [frame(packet, WAN_MAC, NOBODY)], "frames for the host")


# What our own host sends by the wan mirror: (sentence, frame, verdict); verdict "as it is", 1 (tunnel), or a drop.
def sent(packet, dst=WAN_NEXT):
    return frame(packet, dst, WAN_MAC)


OWN_IKE = fragments(udp(BLACK[4], PEER[4], b"\3" * 1800, 500, 500), ident=99)
OUT_POLICIES = [
    policy("secret", direction="out", src=BLACK[4] + "/32", dst=PEER[4] + "/32", action="protect", sa="t1.out"),
    policy("no-telnet", direction="out", protocol="tcp", dst_port=23, action="discard"),
    policy("web", direction="out", protocol="tcp", dst_port=80, action="bypass"),
]
OWN = [
    ("ARP", frame(arp(WAN_MAC, BLACK[4], NEAR[4]), BROADCAST, WAN_MAC, 0x0806), "as it is"),
    ("a probe by ARP", frame(arp(WAN_MAC, "0.0.0.0", BLACK[4]), BROADCAST, WAN_MAC, 0x0806), "as it is"),
    ("a neighbour solicitation", frame(icmp6(135, BLACK[6], "ff02::1:ff00:fe"), group_mac("ff02::1:ff00:fe"), WAN_MAC), "as it is"),
    ("duplicate address detection", frame(icmp6(135, "::", "ff02::1:ff00:1"), group_mac("ff02::1:ff00:1"), WAN_MAC), "as it is"),
    ("a router solicitation", frame(icmp6(133, "fe80::1", "ff02::2"), group_mac("ff02::2"), WAN_MAC), "as it is"),
    ("an MLD report", frame(icmp6(143, "::", "ff02::16", hops=1), group_mac("ff02::16"), WAN_MAC), "as it is"),
    ("IS-IS", mac("01:80:c2:00:00:14") + mac(WAN_MAC) + struct.pack("!H", 40) + b"\xfe\xfe\x03" + bytes(43), "as it is"),
    ("IKE to a peer with a protect policy", sent(udp(BLACK[4], PEER[4], bytes(28), 500, 500)), "as it is"),
    ("IKE on 4500", sent(udp(BLACK[4], PEER[4], MARKER + bytes(28), 4500, 4500)), "as it is"),
    ("IKE on 4500 to a peer behind NAT", sent(udp(BLACK[4], PEER[4], MARKER + bytes(28), 4500, 61234)), "as it is"),
    ("a NAT keepalive", sent(udp(BLACK[4], PEER[4], b"\xff", 4500, 4500)), "as it is"),
    ("IKE, its first fragment", sent(OWN_IKE[0]), "as it is"),
    ("IKE, its second fragment", sent(OWN_IKE[1]), "as it is"),
    ("DNS to a peer with a protect policy", sent(udp(BLACK[4], PEER[4], b"who is it", 4321, 53)), 1),
    ("the same at its last hop", sent(udp(BLACK[4], PEER[4], b"who is it, ttl 1", 4321, 53, ttl=1)), 1),
    ("another datagram's second fragment", sent(ip(BLACK[4], PEER[4], 17, bytes(64), ident=98, offset=100)), 1),
    ("TCP that no policy names", sent(tcp(BLACK[4], STRANGER[4], b"hello", 4321, 443)), "as it is"),
    ("TCP that no policy names, at its last hop", sent(tcp(BLACK[4], STRANGER[4], b"trace", 4321, 443, ttl=1)), "as it is"),
    ("TCP over IPv6 that no policy names", sent(tcp(BLACK[6], STRANGER[6], b"hello", 4321, 443)), "as it is"),
    ("from the other side's address", sent(tcp(RED[4], STRANGER[4], b"hello", 4321, 443)), "as it is"),
    ("TCP that a bypass names", sent(tcp(BLACK[4], STRANGER[4], b"hello", 4321, 80)), "as it is"),
    ("OSPF", frame(ip(BLACK[4], "224.0.0.5", 89, bytes(44), ttl=1), group_mac("224.0.0.5"), WAN_MAC), "as it is"),
    ("a DHCP request", frame(udp("0.0.0.0", "255.255.255.255", bytes(240), 68, 67), BROADCAST, WAN_MAC), "as it is"),
    ("TCP that a discard names", sent(tcp(BLACK[4], STRANGER[4], b"hello", 4321, 23)), "policy_discard"),
    ("from an address that is not ours", sent(tcp(STRANGER[4], "203.0.113.7", b"hello")), "mirror_source"),
    ("over IPv6 from an address that is not ours", sent(tcp(STRANGER[6], "2001:db8:9::7", b"hello")), "mirror_source"),
    ("IKE from an address that is not ours", sent(udp(STRANGER[4], PEER[4], bytes(28), 500, 500)), "mirror_source"),
    ("from loopback", sent(tcp("127.0.0.1", STRANGER[4], b"hello")), "mirror_source"),
    ("from no address to a station", sent(udp("0.0.0.0", STRANGER[4], b"hello")), "mirror_source"),
    ("what the host forwards from a tunnel", sent(tcp(host(4, 2, 1), host(4, 1, 1), b"hello")), "mirror_source"),
    ("a VLAN", mac(BROADCAST) + mac(WAN_MAC) + b"\x81\0\0\7\x08\0" + OWN_IKE[0], "vlan"),
    ("PPPoE", frame(bytes(46), WAN_NEXT, WAN_MAC, 0x8864), "not_ip"),
    ("an IP packet cut short", sent(tcp(BLACK[4], STRANGER[4], b"hello")[:30]), "outer_malformed"),
    ("a wrong checksum", sent(ip(BLACK[4], STRANGER[4], 6, bytes(20), wrong_sum=True)), "outer_malformed"),
    ("a frame of nothing", mac(WAN_NEXT) + mac(WAN_MAC) + b"\x08\0", "outer_malformed"),
]


@once
def own_sent():
    done = Mirrored({**laboratory(), "sas": T1.sas(), "policies": OUT_POLICIES}, own={"wan": [f for _, f, _ in OWN]})
    plain = [f for f in done.done.frames["wan"] if f[12:14] != b"\x08\0" or f[23] != 50]
    inner = [T1.open(f[14:])[0] for f in done.done.frames["wan"] if f[12:14] == b"\x08\0" and f[23] == 50]
    return done, plain, inner


def own_verdict(octets, want):
    _, plain, inner = own_sent()
    same((plain.count(octets), inner.count(octets[14:])), (int(want == "as it is"), int(want == 1)),
         "how often it left as it is, and by the tunnel")


for sentence, octets, want in OWN:
    add_case(f"our host sends {sentence}: {'by the tunnel' if want == 1 else want}", lambda f=octets, w=want: own_verdict(f, w))


@case("our host sends: the drops are those of the rows above, and order holds")
def own_rest():
    done, plain, inner = own_sent()
    want = {}
    for _, _, verdict in OWN:
        if verdict not in ("as it is", 1):
            want[verdict] = want.get(verdict, 0) + 1
    same(done.drops, want, "drops")
    same((len(plain), len(inner)), (sum(w == "as it is" for _, _, w in OWN), sum(w == 1 for _, _, w in OWN)), "frames sent")
    to_peer = [f[14:] for _, f, w in OWN if w == 1]
    same_packets(inner, to_peer, "packets in the tunnel")
    same(done.done.lan, [], "frames out of the other port")


@case("our host sends what is too large for its tunnel: it is told, by its mirror, from where it wrote to")
def own_too_big():
    big = udp(BLACK[4], PEER[4], b"\4" * 1460, 4321, 53, df=1)
    done = Mirrored({**laboratory(), "sas": T1.sas(), "policies": OUT_POLICIES}, own={"wan": [sent(big)]})
    same(done.drops, {"too_big": 1}, "drops")
    same(len(done.host["wan"]), 1, "frames for the host")
    told = done.host["wan"][0]
    same(told[:14], mac(WAN_MAC) + mac(NOBODY) + b"\x08\0", "its header")
    fields = parse(told[14:])
    same((fields["src"], fields["dst"], fields["proto"]), (PEER[4], BLACK[4], 1), "its addresses")
    kind, code, _, _, mtu = struct.unpack("!BBHHH", fields["payload"][:8])
    same((kind, code), (3, 4), "its type and code")
    check(1300 < mtu < 1488, f"its MTU {mtu}")
    same_packets([fields["payload"][8:8 + 100]], [big[:100]], "what it quotes")


@case("both mirrors at once: each host frame leaves by its own port")
def both():
    wan = [sent(tcp(BLACK[4], STRANGER[4], bytes([i]) * 10)) for i in range(50)]
    lan = [frame(tcp(RED[4], "10.254.0.2", bytes([i]) * 10), LAN_NEXT, LAN_MAC) for i in range(50)]
    done = Mirrored(laboratory(), own={"wan": wan, "lan": lan})
    same_packets(done.done.frames["wan"], wan, "frames out of wan")
    same_packets(done.done.frames["lan"], lan, "frames out of lan")


@case("a tunnel beside mirrors carries what it carried")
def tunnel_beside():
    t = Tunnel(5)
    out = [udp(host(v, 1, 5), host(v, 2, 5), bytes([i])) for i in range(40) for v in (4, 6)]
    back = [udp(host(4, 2, 5), host(4, 1, 5), bytes([i])) for i in range(40)]
    done = Mirrored(with_tunnels(t), lan=[to_lan(p) for p in out], wan=[to_wan(t.seal(p, i + 1)) for i, p in enumerate(back)])
    same((len(done.done.wan), len(done.done.lan)), (len(out), len(back)), "packets out of wan and lan")
    same(done.drops, {}, "drops")


if __name__ == "__main__":
    main()
