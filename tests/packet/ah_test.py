#!/usr/bin/python3
"""AH, tunnel and transport mode, both families: ah.py is the peer, and scapy where it can be."""
import ipaddress
import struct

from ah import ICVS, AhTunnel
from gw import (Tunnel, aged, checksum, far_end, from_far, from_lan, host, ip, parse, run, same_packets, tcp, to_lan, to_wan, udp,
                with_tunnels)
from scapy_peer import scapy_ah
from tap import add_case, case, check, main, same

SIZES = (0, 1, 2, 3, 5, 64, 100, 1300)


def tunnel_mode(outer, inner, **more):
    t = AhTunnel(1, outer=outer, **more)
    here = [from_lan(1, bytes(n), version=inner, tos=4 * (n % 7), ttl=9) for n in SIZES]
    there = [from_far(1, bytes(n), version=inner) for n in SIZES]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here], wan=[to_wan(t.seal(p, i)) for i, p in enumerate(there, 1)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(p) for p in there], "packets from the peer")
    opened = [t.open(p) for p in done.wan]
    same_packets([payload for payload, _, _ in opened], [aged(p) for p in here], "packets to the peer")
    same({(number, seq - i) for i, (_, number, seq) in enumerate(opened)}, {(4 if inner == 4 else 41, 1)},
         "next header, and the numbers from 1 on")


for family in (4, 6):
    for inside in (4, 6):
        add_case(f"tunnel mode, IPv{inside} in IPv{family}, both ways", lambda o=family, i=inside: tunnel_mode(o, i))
    for name in ICVS:
        for esn in (True, False):
            add_case(f"tunnel mode over IPv{family}, {name}, {'ESN' if esn else '32-bit numbers'}",
                     lambda o=family, a=name, e=esn: tunnel_mode(o, 4, auth=a, esn=e))


def transport(version, **more):
    """An SA for one host behind the gateway."""
    local, remote = host(version, 1, 1), host(version, 2, 1)
    return AhTunnel(1, outer=version, mode="transport", selectors=False, local=local, remote=remote, **more)


def transport_mode(version, **more):
    t = transport(version, **more)
    here = [make(t.local, t.remote, bytes(n), tos=0xb9, ttl=7) for make in (udp, tcp) for n in SIZES]
    there = [make(t.remote, t.local, bytes(n)) for make in (udp, tcp) for n in SIZES]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here],
               wan=[to_wan(t.protect(p, i)) for i, p in enumerate(there, 1)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(p) for p in there], "packets from the peer")
    same_packets([t.bared(p) for p in done.wan], [aged(p) for p in here], "packets to the peer")


for family in (4, 6):
    for name in ("hmac-sha1-96", "hmac-sha256-128", "hmac-sha512-256", "aes-cmac-96", "aes-gmac-256"):
        add_case(f"transport mode, IPv{family}, {name}", lambda v=family, a=name: transport_mode(v, auth=a))


def by_scapy(version, mode, auth):
    """scapy knows no ESN with AH."""
    t = AhTunnel(1, outer=version, auth=auth, esn=False) if mode == "tunnel" else transport(version, auth=auth, esn=False)
    src, dst = (host(4, 1, 1), host(4, 2, 1)) if mode == "tunnel" else (t.local, t.remote)
    here = [udp(src, dst, b"to scapy"), tcp(src, dst, b"to scapy")]
    there = [udp(dst, src, b"from scapy"), tcp(dst, src, b"from scapy")]
    ends = {"out": (t.local, t.remote), "in": (t.remote, t.local)}
    peer = {way: scapy_ah(t.spi[way], auth, t.keys[way], *ends[way], tunnel=mode == "tunnel") for way in ends}
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here],
               wan=[to_wan(peer["in"].seal(p, i)) for i, p in enumerate(there, 1)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(p) for p in there], "packets from scapy")
    same_packets([peer["out"].open(p) for p in done.wan], [aged(p) for p in here], "packets to scapy")


for family in (4, 6):
    for kind in ("tunnel", "transport"):
        for name in ("hmac-sha1-96", "hmac-sha256-128", "aes-cmac-96"):
            add_case(f"{kind} mode, IPv{family}, {name}: scapy and the gateway read each other",
                     lambda v=family, m=kind, a=name: by_scapy(v, m, a))


def outer_df(choice, want):
    t = AhTunnel(1, df=choice)
    done = run(with_tunnels(t), lan=[to_lan(p) for p in (from_lan(1), from_lan(1, df=1), from_lan(1, version=6))])
    same([parse(p)["df"] for p in done.wan], want, "outer DF for inner DF 0, DF 1, IPv6")


for how, bits in (("copy", [0, 1, 1]), ("set", [1, 1, 1]), ("clear", [0, 0, 0])):
    add_case(f"df: {how}", lambda h=how, b=bits: outer_df(h, b))

# Options of IPv4 in transport mode: RFC 4302 appendix A1.
OPTIONS = [
    ("router alert, which stays", "94040000"),
    ("NOPs and the end of the list, which stay", "010101000000ffff"[:16]),
    ("a security label, which stays", "8206abcd0102" "0000"),
    ("a record of the route", "0707040a000001" "00"),
    ("a timestamp", "440c0500" "00000001" "00000002"),
    ("an option that nobody knows", "de04abcd"),
    ("a loose source route that is not used up", "830704" "0a020109" "00"),
    ("a strict source route that is used up", "890708" "0a010101" "00"),
    ("a loose source route of two hosts, one of them done", "830b08" "0a0a0a0a" "0a020109" "00"),
    ("several", "94040000" "0707040a000001" "01" "8206abcd0102" "0101"),
]


def options(text):
    t = transport(4)
    octets = bytes.fromhex(text)
    here = udp(t.local, t.remote, b"options", options=octets, ttl=9, ident=5)
    there = udp(t.remote, t.local, b"options", options=octets, tos=3)
    done = run(with_tunnels(t), lan=[to_lan(here)], wan=[to_wan(t.protect(there, 1))])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(there)], "packet from the peer")
    same_packets([t.bared(p) for p in done.wan], [aged(here)], "packet to the peer")


for what, text in OPTIONS:
    add_case(f"IPv4 with {what}", lambda o=text: options(o))

BAD_OPTIONS = [("a length of 0", "07000000"), ("a length of 1", "07010000"), ("a length beyond the header", "07090400" "00000000"),
               ("a length cut off", "01010107"), ("a source route without a pointer", "83020000"),
               ("a source route with half an address", "8305040a" "00000000"), ("a source route's pointer of 3", "83070301020304" "00")]


def bad_options(text):
    t = transport(4)
    octets, good = bytes.fromhex(text), udp(t.remote, t.local, b"the next one")
    here = udp(t.local, t.remote, b"options", options=octets)
    there = udp(t.remote, t.local, b"options", options=octets)
    size = t.ah["in"].size(4)
    forged = ip(t.remote, t.local, 51, struct.pack("!BBHII", 17, size // 4 - 2, 0, t.spi["in"], 1) + bytes(size - 12)
                + there[28:], options=octets)
    done = run(with_tunnels(t), lan=[to_lan(here)], wan=[to_wan(forged), to_wan(t.protect(good, 1))])
    same((done.drops, done.wan, done.lan), ({"ah_options": 2}, [], [aged(good)]), "drops and packets")


for what, text in BAD_OPTIONS:
    add_case(f"IPv4 options with {what}: ah_options", lambda o=text: bad_options(o))

# Extension headers: their kind, and what they hold behind the next header and the length.
A, B = ipaddress.ip_address("fd02::a").packed, ipaddress.ip_address("fd02::b").packed
HEADERS = [
    ("hop-by-hop options that stay", [(0, bytes.fromhex("05020000" "0100"))]),
    ("hop-by-hop options that change", [(0, bytes.fromhex("3e04abcdef01"))]),
    ("hop-by-hop options of both kinds, and pads", [(0, bytes.fromhex("00" "3e02abcd" "00" "1e04deadbeef" "0100"))]),
    ("destination options before a routing header", [(60, bytes.fromhex("3e04abcdef01")), (43, b"\0\0" + bytes(4))]),
    ("a routing header of type 0 used up", [(43, b"\0\0" + bytes(4) + A + B)]),
    ("an atomic fragment header", [(44, bytes.fromhex("0000" "00000007"))]),
]
LEFT = [
    ("a routing header of type 0 with one of two left", [(43, b"\0\1" + bytes(4) + A + B)]),
    ("a routing header of type 0 with both left", [(43, b"\0\2" + bytes(4) + A + B)]),
    ("a routing header of type 2", [(43, b"\2\1" + bytes(4) + A)]),
]


def chain(headers, last):
    octets, following = b"", last
    for kind, body in reversed(headers):
        octets = bytes([following, 0 if kind == 44 else (len(body) + 2) // 8 - 1]) + body + octets
        following = kind
    return following, octets


def with_chain(packet, headers):
    first, octets = chain(headers, packet[6])
    return packet[:4] + struct.pack("!H", len(packet) - 40 + len(octets)) + bytes([first]) + packet[7:40] + octets + packet[40:]


def extension(headers, inbound=True):
    t = transport(6)
    here = with_chain(udp(t.local, t.remote, b"behind headers", tos=0x2e, flow=77), headers)
    there = with_chain(udp(t.remote, t.local, b"behind headers", tos=0x2e, flow=77), headers)
    _, octets = chain(headers, 17)
    wan = [to_wan(t.protect(there, 1, split=40 + len(octets)))] if inbound else []
    done = run(with_tunnels(t), lan=[to_lan(here)], wan=wan)
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(there)] if inbound else [], "packet from the peer")
    same_packets([t.bared(p) for p in done.wan], [aged(here)], "packet to the peer")


for what, headers in HEADERS:
    add_case(f"IPv6 with {what}", lambda h=headers: extension(h))
for what, headers in LEFT:
    add_case(f"IPv6 out with {what}: the ICV is that of the last host", lambda h=headers: extension(h, False))

BAD_HEADERS = [
    ("an option longer than its header", [(0, bytes.fromhex("0509" "00000000"))]),
    ("an option without its length", [(0, bytes.fromhex("0102000005"[:10]) + b"\x05")]),
    ("a routing header with more left than it has", [(43, b"\0\3" + bytes(4) + A + B)]),
    ("a routing header of an unknown type with some left", [(43, b"\4\1" + bytes(4) + A)]),
    ("a routing header with half an address", [(43, b"\0\1" + bytes(4) + A[:8])]),
]


def bad_headers(headers):
    t = transport(6)
    here = with_chain(udp(t.local, t.remote, b"behind headers"), headers)
    done = run(with_tunnels(t), lan=[to_lan(here)])
    same((done.drops, done.wan), ({"ah_options": 1}, []), "drops and packets")


for what, headers in BAD_HEADERS:
    add_case(f"IPv6 with {what}: ah_options", lambda h=headers: bad_headers(h))


@case("what changes on the way may: TOS, TTL, flags and options of IPv4; class, label and hop limit of IPv6")
def on_the_way():
    for version in (4, 6):
        t = AhTunnel(1, outer=version)
        inner = from_far(1, b"changes on the way")
        if version == 4:
            sealed = t.seal(inner, 1, outer={"tos": 0x10, "ttl": 60, "options": bytes.fromhex("07070400000000" "00")})
            changed = sealed[:1] + b"\x40" + sealed[2:6] + b"\x40\0\x09" + sealed[9:22] + b"\x08\x0a\0\0\1" + sealed[27:]
            changed = changed[:10] + b"\0\0" + changed[12:]
            changed = changed[:10] + struct.pack("!H", checksum(changed[:28])) + changed[12:]
        else:
            sealed = t.seal(inner, 1, outer={"flow": 7})
            changed = b"\x62\x81\x23\x45" + sealed[4:7] + b"\x09" + sealed[8:]
        done = run(with_tunnels(t), wan=[to_wan(changed)])
        same((done.drops, done.lan), ({}, [aged(inner)]), f"drops and packets, IPv{version}")


@case("a flipped bit anywhere that is covered: icv_fail, and nothing else happens")
def flipped():
    for version in (4, 6):
        t = AhTunnel(1, outer=version, auth="hmac-sha1-96")
        inner = from_far(1, b"x" * 8)
        sealed = t.seal(inner, 1)
        head = 20 if version == 4 else 40
        # Not the length, the SPI, what follows the chain of headers, or the version.
        covered = [*range(head, head + 1), *range(head + 2, head + 4), *range(head + 8, len(sealed))]
        covered += [4, 5, 12, 15] if version == 4 else [8, 23]
        frames = []
        for at in covered:
            packet = bytearray(sealed)
            packet[at] ^= 0x40
            if version == 4:
                packet[10:12] = b"\0\0"
                packet[10:12] = struct.pack("!H", checksum(bytes(packet[:20])))
            frames.append(to_wan(bytes(packet)))
        done = run(with_tunnels(t), wan=[*frames, to_wan(sealed)])
        same((done.drops, done.lan), ({"icv_fail": len(covered)}, [aged(inner)]), f"drops and packets, IPv{version}")


@case("twice is once: replay_dup; zero: replay_zero; left of the window: replay_old; a forged number moves nothing")
def replays():
    t = AhTunnel(1, into={"replay_window": 64})
    inner = from_far(1, b"again")
    numbers = (1, 1, 100, 36, 37, 100)
    forged = bytearray(t.seal(inner, 5000))
    forged[-1] ^= 1
    frames = [to_wan(t.seal(inner, n)) for n in numbers] + [to_wan(bytes(forged)), to_wan(t.seal(inner, 0)), to_wan(t.seal(inner, 101))]
    done = run(with_tunnels(t), wan=frames)
    same(done.drops, {"replay_dup": 2, "replay_old": 1, "icv_fail": 1, "replay_zero": 1}, "drops")
    same(len(done.lan), 4, "packets")


@case("ESN: the high half is in the ICV, and turns over")
def esn_turn():
    start = (3 << 32) - 3
    t = AhTunnel(1, out={"oseq": start}, into={"replay_top": start})
    inner = from_far(1)
    done = run(with_tunnels(t), lan=[to_lan(from_lan(1))] * 6, wan=[to_wan(t.seal(inner, start + i)) for i in range(1, 7)])
    same((done.drops, len(done.lan)), ({}, 6), "drops and packets in")
    for i, packet in enumerate(done.wan, 1):
        t.ah["out"].open(packet, (start + i) >> 32)


@case("lengths: too short is ah_short, another payload length ah_length, 8 octets of alignment over IPv4 are fine")
def lengths():
    t = AhTunnel(1)
    inner = from_far(1, b"lengths")
    sealed = t.seal(inner, 1)
    cut = [ip(t.remote, t.local, 51, sealed[20:20 + n]) for n in (0, 4, 11, 12, 27)]
    wrong = [t.seal(inner, 1, words=n) for n in (0, 1, 4, 7, 255)]
    beyond = ip(t.remote, t.local, 51, t.seal(inner, 1, size=32)[20:20 + 29])
    other = t.seal(inner, 2, size=32, padding=b"\xaa\xbb\xcc\xdd")
    done = run(with_tunnels(t), wan=[to_wan(p) for p in (*cut, *wrong, beyond, sealed, other)])
    same((done.drops, done.lan), ({"ah_short": 6, "ah_length": 5}, [aged(inner)] * 2), "drops and packets")


@case("over IPv6 AH is a multiple of 8 octets, and nothing else")
def lengths6():
    t = AhTunnel(1, outer=6)
    inner = from_far(1, b"lengths")
    done = run(with_tunnels(t), wan=[to_wan(t.seal(inner, 1, size=28)), to_wan(t.seal(inner, 2))])
    same((done.drops, done.lan), ({"ah_length": 1}, [aged(inner)]), "drops and packets")


@case("an SA of ESP does not take AH, nor the reverse; both may have one SPI")
def spis():
    ah, esp = AhTunnel(1), Tunnel(2)
    ah.spi = esp.spi
    ah.ah["in"].spi, ah.ah["out"].spi = esp.spi["in"], esp.spi["out"]
    there = from_far(1, b"by AH"), from_far(2, b"by ESP")
    done = run(with_tunnels(ah, esp), lan=[to_lan(from_lan(1)), to_lan(from_lan(2))],
               wan=[to_wan(ah.seal(there[0], 1)), to_wan(esp.seal(there[1], 1))])
    same((done.drops, sorted(done.lan)), ({}, sorted(aged(p) for p in there)), "drops and packets")
    same(sorted(parse(p)["proto"] for p in done.wan), [50, 51], "protocols")
    alone = run(with_tunnels(AhTunnel(1)), wan=[to_wan(Tunnel(1).seal(there[0], 1))])
    same(alone.drops, {"no_sa": 1}, "ESP with the SPI of AH")
    other = run(with_tunnels(Tunnel(1)), wan=[to_wan(AhTunnel(1).seal(there[0], 1))])
    same(other.drops, {"no_sa": 1}, "AH with the SPI of ESP")


@case("what comes out of a tunnel is judged like ESP's: selectors, next header, inner header, ECN")
def inner_checks():
    t = AhTunnel(1)
    good = from_far(1, b"fine")
    marked = from_far(1, b"marked", tos=2)
    ce = from_far(1, b"marked", tos=3)
    wan = [t.seal(from_far(2, b"of another net"), 1), t.seal(good, 2, next_header=17), t.seal(good[:10], 3),
           t.seal(good, 4, next_header=41), t.seal(good, 5), t.seal(marked, 6, outer={"tos": 3}), t.seal(b"", 7, next_header=4)]
    done = run(with_tunnels(t), wan=[to_wan(p) for p in wan])
    same(done.drops, {"policy_selector": 1, "next_header": 1, "inner_malformed": 3}, "drops")
    same_packets(done.lan, [aged(good), aged(ce)], "packets")


@case("fragments are not for AH: frag_transport out, frag_to_esp in")
def fragments():
    t = transport(4)
    piece = udp(t.local, t.remote, bytes(16), mf=1)
    tunnel = AhTunnel(2)
    sealed = tunnel.seal(from_far(2, bytes(64)), 1)
    done = run(with_tunnels(t), lan=[to_lan(piece), to_lan(udp(t.local, t.remote, bytes(16), offset=3))])
    same((done.drops, done.wan), ({"frag_transport": 2}, []), "drops and packets")
    check(len(sealed) > 100, "something to cut")


def mtu(outer, mode):
    t = AhTunnel(1, outer=outer) if mode == "tunnel" else transport(outer)
    src, dst = (host(4, 1, 1), host(4, 2, 1)) if mode == "tunnel" else (t.local, t.remote)
    version = 6 if ":" in src else 4
    head = 48 if version == 6 else 28
    most = 1500 - t.ah["out"].size(outer) - ((40 if outer == 6 else 20) if mode == "tunnel" else 0)
    fits, too_long = (udp(src, dst, bytes(size - head), df=1) for size in (most, most + 1))
    done = run(with_tunnels(t), lan=[to_lan(fits), to_lan(too_long)])
    same((done.drops, [len(p) for p in done.wan]), ({"too_big": 1}, [1500]), "drops and packets")
    same(struct.unpack("!H", parse(done.lan[0])["payload"][6:8])[0], most, "the MTU that ICMP tells")


for family in (4, 6):
    for kind in ("tunnel", "transport"):
        add_case(f"the MTU of {kind} mode over IPv{family}", lambda o=family, k=kind: mtu(o, k))


@case("through two gateways, each algorithm: what comes out is what went in, two hops older")
def two_gateways():
    for auth in ICVS:
        t = AhTunnel(1, auth=auth, outer=6)
        here = [from_lan(1, bytes(n), ttl=20) for n in SIZES]
        first = run(with_tunnels(t), lan=[to_lan(p) for p in here])
        second = run(far_end(t), wan=[to_wan(p) for p in first.wan])
        same((first.drops, second.drops), ({}, {}), f"drops with {auth}")
        same_packets(second.lan, [aged(p, 2) for p in here], f"packets with {auth}")


@case("both engines make the same of it")
def engines():
    for auth in ICVS:
        for engine in ("openssl", "ipsec_mb"):
            t = AhTunnel(1, auth=auth)
            config = with_tunnels(t)
            config["gateway"]["crypto"] = [engine]
            there = [from_far(1, bytes(n)) for n in SIZES]
            done = run(config, lan=[to_lan(from_lan(1, bytes(n))) for n in SIZES],
                       wan=[to_wan(t.seal(p, i)) for i, p in enumerate(there, 1)])
            same((done.drops, done.lan), ({}, [aged(p) for p in there]), f"drops and packets, {auth} by {engine}")
            same([len(t.open(p)[0]) for p in done.wan], [n + 28 for n in SIZES], f"sizes, {auth} by {engine}")


@case("hard limits hold, and drops are counted on the SA")
def limits():
    t = AhTunnel(1, lifetime={"hard_packets": 3})
    inner = from_far(1)
    done = run(with_tunnels(t), lan=[to_lan(from_lan(1))] * 5, wan=[to_wan(t.seal(inner, i)) for i in range(1, 6)])
    same((len(done.wan), len(done.lan), done.drops), (3, 3, {"expired": 4}), "packets and drops")
    same(done.sa_drops("t1.out"), {"expired": 2}, "drops of the SA out")


if __name__ == "__main__":
    main()
