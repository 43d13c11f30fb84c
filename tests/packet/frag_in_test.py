#!/usr/bin/python3
"""Fragments addressed to the gateway: put together before ESP, whatever order, cut and family; row A4."""
import ipaddress
import random
import struct

from scapy.layers.inet import IP, fragment

from ah import AhTunnel
from fragments import cut, even
from gw import (BLACK, PEER, Tunnel, aged, far_end, from_far, from_lan, host, ip, laboratory, parse, run, same_packets, tcp,
                to_lan, to_wan, udp, with_tunnels)
from mirrored import STRANGER, Mirrored, icmp6
from tap import add_case, case, check, main, same

SECOND = 1_000_000
LATER = to_wan(ip(PEER[4], BLACK[4], 50, bytes(64)))  # a worker's time is that of the burst before


def at_once(what, tunnels, make, want, patch=None, payload=1400, n=1, **more):
    """A case of its own run: make(n sealed packets of a tunnel) gives frames; for each of the tunnels together. Each of the
    packets comes out once, whole, and the drops are those of one tunnel times as many."""
    def body():
        chosen = [TUNNELS[name](i + 1) for i, name in enumerate(tunnels)]
        inner, frames = [], []
        for t in chosen:
            mine = [from_far(t.n, bytes([i]) * (payload + i)) for i in range(n)]
            frames += make([t.seal(p, i + 1) for i, p in enumerate(mine)], 1000 * t.n)
            inner += mine
        config = with_tunnels(*chosen)
        if patch:
            patch(config)
        done = run(config, wan=[f if isinstance(f, tuple) else to_wan(f) for f in frames], **more)
        drops, merged = (want.get("drops", {}), want.get("merged"))
        same(done.drops, {why: count * len(chosen) for why, count in drops.items()}, "drops")
        same_packets(sorted(done.lan), sorted(aged(p) for p in inner), "packets on the red side")
        if merged is not None:
            same(done.report["merged"], merged * len(chosen), "merged")
    add_case(what, body)


TUNNELS = {
    "ESP over IPv4": Tunnel,
    "ESP over IPv6": lambda n: Tunnel(n, outer=6),
    "ESP in UDP over IPv4": lambda n: Tunnel(n, encap=(4500, 4500)),
    "ESP in UDP over IPv6": lambda n: Tunnel(n, outer=6, encap=(4500, 4500)),
    "CBC and HMAC over IPv4": lambda n: Tunnel(n, cipher="aes-cbc-128", auth="hmac-sha256-128"),
}
V4, V6 = ["ESP over IPv4"], ["ESP over IPv6"]
BOTH = V4 + V6


def jumbo(config):
    for port in config["ports"]:
        port["mtu"] = 9600


for sentence, kinds, make, want, more in [
    ("A4.1 two fragments, in order", TUNNELS, lambda p, i: cut(p[0], [1024], i), {"merged": 1}, {}),
    ("A4.1 two fragments, the last one first", TUNNELS, lambda p, i: cut(p[0], [1024], i)[::-1], {"merged": 1}, {}),
    ("A4.1 a first fragment of 8 octets", TUNNELS, lambda p, i: cut(p[0], [8], i), {"merged": 1}, {}),
    ("A4.1 a last one of few octets", TUNNELS, lambda p, i: cut(p[0], even(p[0], 1384), i), {"merged": 1}, {}),
    ("A4.1 all of 8 octets, shuffled", TUNNELS,
     lambda p, i: random.Random(1).sample(cut(p[0], even(p[0], 8), i), len(even(p[0], 8)) + 1), {}, {"payload": 300}),
    ("A4.1 50 datagrams of 3 fragments, all mixed up", TUNNELS,
     lambda p, i: random.Random(2).sample([f for k, x in enumerate(p) for f in cut(x, [512, 480], i + k)], 150),
     {"merged": 100}, {"n": 50}),
    ("9,600 octets in two fragments of a jumbo link", BOTH, lambda p, i: cut(p[0], [4800], i), {"merged": 1},
     {"payload": 9400, "patch": jumbo}),
    ("9,600 octets in seven fragments, backwards", BOTH, lambda p, i: cut(p[0], even(p[0], 1448), i)[::-1], {"merged": 6},
     {"payload": 9400, "patch": jumbo}),
    ("IPv6: hop-by-hop options before the fragment header go along", V6,
     lambda p, i: cut(p[0], [1024], unfragmentable=bytes([44, 0, 1, 4, 0, 0, 0, 0]), first_header=0), {"merged": 1}, {}),
    ("A4.8 an IPv6 atomic fragment is a packet by itself, whatever else has its identification (RFC 6946)", V6,
     lambda p, i: [*cut(p[0], [1024])[:1], *cut(p[1], []), *cut(p[0], [1024])[1:]], {"merged": 1}, {"n": 2}),
    ("A4.3 exact duplicates are ignored, and the datagram lives", BOTH,
     lambda p, i: [f for f in cut(p[0], [512, 512], i)[:2] for _ in range(3)] + cut(p[0], [512, 512], i)[2:],
     {"merged": 2, "drops": {"frag_duplicate": 4}}, {}),
    ("A4.6 another protocol, source or destination with the same identification is another datagram", V4,
     lambda p, i: [cut(p[0], [1024])[0], ip(PEER[4], BLACK[4], 17, bytes(1024), ident=7, mf=1),
                   ip(STRANGER[4], BLACK[4], 50, bytes(1024), ident=7, mf=1), cut(p[0], [1024])[1]],
     {"merged": 1, "drops": {"frag_timeout": 2}}, {}),
    ("A4.6 IPv6 addresses that differ in their upper or lower half alone", V6,
     lambda p, i: [cut(p[0], [1024])[0],
                   *(ip(src, BLACK[6], 44, struct.pack("!BBHI", 50, 0, 1, 7) + bytes(1024))
                     for src in ("2001:db8:fffe::1", "2001:db8:ffff::2")), cut(p[0], [1024])[1]],
     {"merged": 1, "drops": {"frag_timeout": 2}}, {}),
    ("fragments of ESP for a host behind us are left alone, and go by the policies of clear packets", V4,
     lambda p, i: [*cut(p[0], [1024]), *cut(ip(PEER[4], host(4, 1, 1), 50, bytes(1400)), [1024])],
     {"merged": 1, "drops": {"policy_cleartext": 2}}, {}),
]:
    at_once(sentence, kinds, make, want, **more)


def piece(packet, at, size, more=1, ident=7, fill=None):
    """Any octets of a packet as a fragment."""
    fields = parse(packet)
    body = fields["payload"][at:at + size] if fill is None else fill * size
    if fields["version"] == 4:
        return ip(fields["src"], fields["dst"], fields["proto"], body, ident=ident, mf=more, offset=at // 8)
    return ip(fields["src"], fields["dst"], 44, struct.pack("!BBHI", fields["proto"], 0, at | more, ident) + body)


def dropped(what, make, want, tunnels=BOTH, patch=None, **more):
    """Fragments that never become a packet, and their drops; a good datagram of another name passes beside them."""
    def all_of(packets, i):
        return [*make(packets[1]), *cut(packets[0], [1024], i)]

    def body():
        chosen = [TUNNELS[name](i + 1) for i, name in enumerate(tunnels)]
        good, frames = [from_far(t.n, b"g" * 1400) for t in chosen], []
        for t, packet in zip(chosen, good):
            frames += all_of([t.seal(packet, 2), t.seal(from_far(t.n, b"b" * 1400), 1)], 99)
        config = with_tunnels(*chosen)
        if patch:
            patch(config)
        done = run(config, wan=[f if isinstance(f, tuple) else to_wan(f) for f in frames], **more)
        same(done.drops, {why: count * len(chosen) for why, count in want.items()}, "drops")
        same_packets(done.lan, [aged(p) for p in good], "packets on the red side")
    add_case(what, body)


for sentence, places in (
        ("tail", [(0, 512), (504, 512)]), ("head", [(512, 512), (8, 512)]), ("inside", [(0, 1024), (256, 256)]),
        ("around", [(256, 256), (0, 1024)]), ("by one unit at the end", [(0, 512), (512, 512), (1016, 64)])):
    dropped(f"A4.2 overlap ({sentence}) ends the whole datagram, and all that still comes of it",
            lambda p, places=places: [*(piece(p, *at) for at in places), *cut(p, [1024])],
            {"frag_overlap": len(places) + 2})
for sentence, make, want, more in [
    ("A4.2 the same place with other octets is an overlap",
     lambda p: [piece(p, 0, 512), piece(p, 0, 512, fill=b"\1"), *cut(p, [512])], {"frag_overlap": 4}, {}),
    ("A4.2 a second last one at another offset is an overlap",
     lambda p: [piece(p, 1024, 64, more=0), piece(p, 1088, 64, more=0), piece(p, 0, 1024)], {"frag_overlap": 3}, {}),
    ("A4.2 a fragment behind the last one is an overlap",
     lambda p: [piece(p, 512, 64, more=0), piece(p, 1024, 64)], {"frag_overlap": 2}, {}),
    ("A4.4 an end past 65535 ends the datagram as frag_toolong",
     lambda p: [piece(p, 0, 1024), piece(p, 65528, 64, fill=b"\1", more=0), piece(p, 1024, 64, more=0)],
     {"frag_toolong": 3}, {}),
    ("A4.4 a sum past 65535 that only the header makes ends the datagram as frag_toolong, with IPv4",
     lambda p: [*(piece(p, at, 8184, fill=b"\1") for at in range(0, 65000, 8184)),
                piece(p, 8 * 8184, 56, fill=b"\1", more=0)], {"frag_toolong": 9}, {"patch": jumbo, "tunnels": V4}),
    ("A4.4 with IPv6, whose length does not count it, the same is a packet",
     lambda p: [*(piece(p, at, 8184, fill=b"\1") for at in range(0, 65000, 8184)),
                piece(p, 8 * 8184, 56, fill=b"\1", more=0)], {"no_sa": 1}, {"patch": jumbo, "tunnels": V6}),
    ("A4.5 one that is not the last and no multiple of 8 drops frag_malformed",
     lambda p: [piece(p, 0, 1020)], {"frag_malformed": 1}, {}),
    ("A4.5 empty fragments drop frag_malformed",
     lambda p: [piece(p, 1024, 0), piece(p, 1024, 0, more=0)], {"frag_malformed": 2}, {}),
    ("A4.5 what does not get whole in time drops frag_timeout, and its name is free again",
     lambda p: [(0, to_wan(piece(p, 0, 1024))), (3 * SECOND, LATER), (3 * SECOND, to_wan(cut(p, [1024])[1]))],
     {"frag_timeout": 2, "no_sa": 1},
     {"arguments": ["--burst", "1"], "tunnels": V4}),
    ("A4.5 the same with a timeout of 5 s: it gets whole, and ends as what it is",
     lambda p: [(0, to_wan(piece(p, 0, 1024, fill=b"\1"))), (3 * SECOND, LATER), (3 * SECOND, to_wan(cut(p, [1024])[1]))],
     {"no_sa": 2},
     {"arguments": ["--burst", "1"], "tunnels": V4, "patch": lambda c: c["gateway"].update(reassembly={"timeout": "5s"})}),
    ("A4.7 more pieces than reassembly.max_pieces drop frag_limit",
     lambda p: [piece(p, 8 * i, 8) for i in range(6)], {"frag_limit": 6},
     {"patch": lambda c: c["gateway"].update(reassembly={"max_pieces": 4})}),
    ("IPv6: a first fragment without all of its headers drops frag_malformed (RFC 7112)",
     lambda p: [ip(PEER[6], BLACK[6], 44, struct.pack("!BBHI", 6, 0, 1, 3) + bytes(16))], {"frag_malformed": 1},
     {"tunnels": V6}),
]:
    dropped(sentence, make, want, **more)


LIMITED = {
    **TUNNELS,
    "ESP by lanes over IPv4": lambda n: Tunnel(n, lanes=4),
    "AH over IPv4": AhTunnel,
    "AH over IPv6": lambda n: AhTunnel(n, outer=6),
}


def larger_than_is_taken(kind):
    """Outer packets of 1,200 octets at most: those of that size pass, whole or in pieces, larger ones end once authentic; what
    is forged ends as what it is."""
    t = LIMITED[kind](1)
    sizes = [n for n in range(1000, 1201) if len(t.seal(from_far(1, bytes(n)), 1)) <= 1200]
    fits, larger = from_far(1, bytes(sizes[-1])), from_far(1, bytes(sizes[-1] + 16))
    check(1184 < len(t.seal(fits, 1)) <= 1200 < len(t.seal(larger, 1)), "the test's own sizes")
    # AH has the identification in its ICV, so all datagrams have that of whole ones.
    forged = [p[:-1] + bytes([p[-1] ^ 1]) for p in (t.seal(larger, 7), t.seal(larger, 8))]
    frames = [t.seal(fits, 1), t.seal(larger, 2), t.seal(fits, 3), t.seal(larger, 4), forged[0],
              *cut(t.seal(fits, 5), [800], 0), *cut(t.seal(larger, 6), [800], 0), *cut(forged[1], [800], 0), t.seal(larger, 4)]
    config = with_tunnels(t)
    config["gateway"]["reassembly"] = {"emtu_r": 1200}
    done = run(config, wan=[to_wan(f) for f in frames])
    drops = {"outer_toobig": 3, "udp_checksum" if kind == "ESP in UDP over IPv6" else "icv_fail": 2, "replay_dup": 1}
    same(done.drops, drops, "drops")
    same_packets(done.lan, [aged(fits)] * 3, "packets on the red side")
    drops.pop("udp_checksum", None)
    same(done.sa_drops(f"{t.name}.in"), drops, "drops of the SA")


for name in LIMITED:
    add_case(f"gateway.reassembly.emtu_r, {name}: larger ones drop outer_toobig, whole or put together, if authentic",
             lambda kind=name: larger_than_is_taken(kind))


@case("what captures leave unfinished ends as frag_timeout, and the run ends")
def unfinished():
    t = Tunnel(1)
    done = run(with_tunnels(t), wan=[to_wan(cut(t.seal(from_far(1, bytes(1400)), 1), [1024])[0])])
    same((done.drops, done.report["held"]), ({"frag_timeout": 1}, 0), "drops, held")


NOT, ECT1, ECT0, CE = range(4)
ECNS = [((ECT0, CE), CE), ((CE, ECT1), CE), ((ECT0, ECT0), ECT0), ((ECT1, ECT1), ECT1), ((NOT, CE), None), ((CE, NOT), None),
        ((CE, CE), CE)]
for family in (4, 6):
    @case(f"RFC 3168 section 5.3: ECN of fragments becomes that of their datagram, IPv{family}")
    def ecn(family=family):
        t = Tunnel(1, outer=family)
        pieces = [cut(t.seal(from_far(1, bytes(1400), tos=ECT0, ident=n), n + 1, outer={"tos": tos}), [1024], ident=n)[i]
                  for n, (have, _) in enumerate(ECNS) for i, tos in enumerate(have)]
        done = run(with_tunnels(t), wan=[to_wan(f) for f in pieces])
        same({parse(p)["ident"]: parse(p)["tos"] & 3 for p in done.lan},
             {n: want for n, (_, want) in enumerate(ECNS) if want is not None}, "ECN of what came out")
        same(done.drops, {"frag_malformed": 4}, "drops")


@case("IKE in fragments reaches a mirror whole, whatever the policies, on 500 and 4500, IPv4 and IPv6; BGP does too")
def mirror_whole():
    whole = [udp(PEER[4], BLACK[4], b"\2" * 1800, 500, 500, ident=0), udp(PEER[6], BLACK[6], b"\3" * 1800, 500, 500),
             udp(PEER[4], BLACK[4], bytes(4) + b"\4" * 1800, 4500, 4500, ident=2),
             udp(PEER[6], BLACK[6], bytes(4) + b"\5" * 1800, 4500, 4500),
             udp(STRANGER[4], BLACK[4], b"\6" * 15000, 500, 500, ident=4),
             tcp("192.0.2.254", BLACK[4], b"\7" * 2000, 33000, 179, ident=5)]
    frames = [to_wan(f) for i, p in enumerate(whole) for f in cut(p, even(p, 1024), ident=i)]
    random.Random(3).shuffle(frames)
    discard = {"name": "none", "direction": "in", "src": PEER[4] + "/32", "dst": "0.0.0.0/0", "action": "discard"}
    done = Mirrored({**laboratory(), "policies": [discard]}, wan=frames)
    same_packets(sorted(f[14:] for f in done.host["wan"]), sorted(whole), "packets for the host")
    check(all(f[:12] == frames[0][:12] for f in done.host["wan"]), "their frames are not those of the fragments")
    same((done.drops, done.report["merged"]), ({}, len(frames) - len(whole)), "drops, merged")


@case("neighbour discovery in fragments is not believed (RFC 6980)")
def discovery():
    advert = icmp6(136, "2001:db8::fe", BLACK[6], bytes(1400))
    done = Mirrored(laboratory(), wan=[to_wan(f) for f in cut(advert, [1024])])
    same(done.report["merged"], 1, "merged")
    same(len(done.host["wan"]), 1, "frames for the host, as any other packet")


@case("two gateways, and a path between them that cuts, by scapy: all packets get there, in tunnels of each kind")
def two_gateways():
    # Fragments of IPv6 are made by its source alone: by hand, as the far gateway would.
    tunnels = [Tunnel(1), Tunnel(2, encap=(4500, 4500)), Tunnel(3, mode="tunnel", cipher="aes-cbc-256", auth="hmac-sha384-192"),
               Tunnel(4, outer=6), Tunnel(5, outer=6, encap=(4500, 4500))]
    for t in tunnels:
        t.options["df"] = "clear"
    sent = [from_lan(t.n, bytes([i]) * (900 + i), ident=i) for i in range(40) for t in tunnels]
    first = run(with_tunnels(*tunnels), lan=[to_lan(p) for p in sent])
    same((first.drops, len(first.wan)), ({}, len(sent)), "drops, and packets between the gateways")
    rng, pieces = random.Random(4), []
    for i, packet in enumerate(first.wan):
        if packet[0] >> 4 == 6:
            pieces += cut(packet, [rng.randrange(1, 60) * 8], ident=i)
        else:
            numbered = IP(packet)
            numbered.id, numbered.chksum = i, None
            pieces += [bytes(f) for f in fragment(IP(bytes(numbered)), fragsize=rng.randrange(20, 100) * 8)]
    rng.shuffle(pieces)
    second = run(far_end(*tunnels), wan=[to_wan(f) for f in pieces])
    same((second.drops, second.report["merged"]), ({}, len(pieces) - len(sent)), "drops, merged")
    same_packets(sorted(second.lan), sorted(aged(p, 2) for p in sent), "packets behind the other gateway")


@case("fragments of 300 datagrams over four queues: each is put together by one of four workers")
def four_workers():
    tunnels = [Tunnel(n, replay_window=4096) for n in (1, 2, 3)]
    inner = [from_far(t.n, bytes([i]) * 1400, ident=i) for i in range(100) for t in tunnels]
    frames = [to_wan(f) for k, p in enumerate(inner) for f in cut(tunnels[k % 3].seal(p, k // 3 + 1), [512, 480], ident=k)]
    random.Random(6).shuffle(frames)
    done = run(with_tunnels(*tunnels), wan=frames, workers=4, queues=4)
    same((done.drops, done.report["merged"]), ({}, 2 * len(inner)), "drops, merged")
    same_packets(sorted(done.lan), sorted(aged(p) for p in inner), "packets on the red side")


def flood(rng, n, src=None):
    """First and last fragments, half of each, of sources that are forged, or of one."""
    for i in range(n):
        who = src or str(ipaddress.ip_address(rng.getrandbits(31) | 1 << 24))
        if (int(ipaddress.ip_address(who)) >> 24) in (0, 10, 127) or int(ipaddress.ip_address(who)) >= 0xe0000000:
            who = "203.0.113.77"
        yield ip(who, BLACK[4], rng.choice((50, 17)), bytes(64), ident=rng.getrandbits(16), mf=i % 2, offset=0 if i % 2 else 100)


def flooded(src, patch=None):
    rng = random.Random(5)
    tunnels = [Tunnel(n) for n in range(1, 5)]
    config = with_tunnels(*tunnels)
    config["gateway"]["reassembly"] = {"max_datagrams": 256}
    if patch:
        patch(config)
    inner = [from_far(t.n, bytes([i]) * 1400) for i in range(100) for t in tunnels]
    noise = flood(rng, 20 * len(inner), src)
    frames = []
    for i, packet in enumerate(inner):
        for f in cut(tunnels[i % 4].seal(packet, i // 4 + 1), [1024], ident=0x4000 + i):
            frames += [next(noise) for _ in range(10)] + [f]
    done = run(config, wan=[to_wan(f) for f in frames])
    same(done.report["held"], 0, "held at the end")
    check(len(done.lan) >= 0.9 * len(inner), f"{len(done.lan)} of {len(inner)} datagrams of peers got through")
    check(done.drops.get("frag_limit", 0) > 0, f"the flood met no limit: {done.drops}")
    same(set(done.drops) - {"frag_limit", "frag_timeout", "frag_overlap", "frag_duplicate"}, set(), "other drops")
    return done


@case("A4.7 a flood of first and last fragments of forged sources costs peers nothing")
def flood_of_strangers():
    done = flooded(None)
    same(len(done.lan), 400, "datagrams that got through")


@case("A4.7 a flood that forges a peer's own address: at least 90 % of the peer's datagrams get through")
def flood_of_peer():
    flooded(PEER[4])


if __name__ == "__main__":
    main()
