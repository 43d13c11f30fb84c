#!/usr/bin/python3
"""Sizes: inner size x outer MTU x families x mode x encapsulation x DF x policy x IPComp, out of one gateway and into
another; the modes are tunnel, transport and BEET, and with AH tunnel and transport.

Each packet is delivered octet for octet, in pieces where it may be, or its sender is told what fits; none is lost
without a word. The outer fragments are put together by the second gateway, and in another run by scapy on the way, those
of inner packets by a naive receiver.
"""
import collections
import itertools
import random
import struct

from ah import AhTunnel
from gw import PEER, Tunnel, aged, far_end, host, ip, parse, run, same_packets, to_lan, to_wan, udp, with_tunnels
from pieces import LINK, is_fragment, is_last, jumbo, naive4, put_together
from tap import add_case, case, check, main, once, same

UDP_ENCAP = (4500, 4500)
STEP_US = 110_000  # so far apart that no rate limit holds an answer back
SUITES = ({"aead": "aes-gcm-128"}, {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"})
IV_ICV_ALIGN = ((8, 16, 4), (16, 16, 16))


def transport(n, version, **more):
    """Transport mode for one pair of hosts."""
    t = Tunnel(n, mode="transport", selectors=False, outer=version, **more)
    t.local, t.remote = host(version, 1, n), host(version, 2, n)
    bits = 32 if version == 4 else 128
    t.options.update(local_nets=[f"{t.local}/{bits}"], remote_nets=[f"{t.remote}/{bits}"])
    return t


def beet(n, outer, inner, **more):
    ends = {"src": host(inner, 1, n), "dst": host(inner, 2, n)}
    return Tunnel(n, mode="beet", selectors=False, outer=outer, inner=ends, **more)


def ah(n, mode, version, **more):
    if mode == "tunnel":
        return AhTunnel(n, outer=version, **more)
    ends, bits = [host(version, side, n) for side in (1, 2)], 32 if version == 4 else 128
    return AhTunnel(n, mode=mode, outer=version, selectors=False, local=ends[0], remote=ends[1],
                    local_nets=[f"{ends[0]}/{bits}"], remote_nets=[f"{ends[1]}/{bits}"], **more)


def beet_and_ah(n):
    """Likewise, of these modes."""
    for outer, inner, encap, frag in itertools.product((4, 6), (4, 6), (None, UDP_ENCAP), ("pre", "none")):
        for path in ((576, 1280, 1500) if outer == 4 else (1280, 1500)) if encap is None else (1500,):
            room = path - (20 if outer == 4 else 40) - (8 if encap else 0) - 8 - 8 - 16
            t = beet(next(n), outer, inner, encap=encap, frag=frag, path_mtu=path)
            yield t, room // 4 * 4 - 2 + (20 if inner == 4 else 40), path
    for mode, outer, frag, path in itertools.product(("tunnel", "transport"), (4, 6), ("pre", "post", "none"), (1280, 1500)):
        t = ah(next(n), mode, outer, frag=frag, path_mtu=path)
        # 12 octets and a tag of 16, padded to 8 octets with IPv6 (RFC 4302 section 3.3.3.2.1).
        size = 28 if outer == 4 else 32
        yield t, path - size - ((20 if outer == 4 else 40) if mode == "tunnel" else 0), path


def tunnels():
    """(tunnel, the octets of a clear packet that it takes): the whole matrix, each policy and path."""
    n = itertools.count(1)
    for mode, outer, encap, frag, suite in itertools.product(("tunnel", "transport"), (4, 6), (None, UDP_ENCAP),
                                                             ("pre", "post", "none"), (0, 1)):
        for path in (576, 1280, 1500, 9000) if outer == 4 else (1280, 1500, 9000):
            if suite == 1 and path != 1500:
                continue
            more = {"outer": outer} if mode == "tunnel" else {"version": outer}
            t = (Tunnel if mode == "tunnel" else transport)(next(n), encap=encap, frag=frag, path_mtu=path,
                                                            **SUITES[suite], **more)
            iv, icv, align = IV_ICV_ALIGN[suite]
            head = 20 if outer == 4 else 40
            room = path - head - (8 if encap else 0) - 8 - iv - icv
            yield t, room // align * align - 2 + (head if mode == "transport" else 0), path
    for outer, frag, path in itertools.product((4, 6), ("pre", "post", "none"), (1280, 1500, 9000)):
        t = Tunnel(next(n), outer=outer, frag=frag, path_mtu=path, ipcomp={"cpi": 0x2345})
        yield t, path - (20 if outer == 4 else 40) - 34, path
    yield from beet_and_ah(n)


TUNNELS = list(tunnels())
Sent = collections.namedtuple("Sent", "t takes path version df packet verdict")


def verdict(t, takes, version, df, size, text):
    """What has to become of a packet: whole, inner (cut before ESP), outer (cut behind), or the MTU that is told."""
    if size <= takes:
        return "whole"
    if text and "ipcomp" in t.options:
        return "shrunk"
    if version == 6:
        return "outer" if size <= 1280 else max(takes, 1280)
    policy = t.options["frag"]
    if df or policy == "none":
        return takes
    return "inner" if policy == "pre" and t.mode == "tunnel" else "outer"


def filling(i, text, size):
    """Text, which IPComp makes small enough for every path here, or noise, which it leaves as it is."""
    if text:
        return b"".join(b"row %d of packet %d: all is well, and nothing is lost\n" % (k, i) for k in range(size // 30 + 1))[:size]
    return random.Random(i).randbytes(size)


def carried(t):
    """The families that it takes."""
    if t.mode == "beet":
        return (6,) if ":" in t.options["inner"]["src"] else (4,)
    return (t.outer,) if t.mode == "transport" else (4, 6)


def arrived(s):
    """What a packet is behind both gateways."""
    want = aged(s.packet, 2)
    if s.t.mode == "transport" and encap_of(s.t) and s.version == 4:
        return want[:26] + b"\0\0" + want[28:]  # RFC 3948 section 3.1.2: the checksum is not to be looked at
    if s.t.mode == "beet" and s.version == 4 and s.t.outer == 6:
        h = parse(want)  # IPv6 has no words for identification and DF
        return ip(h["src"], h["dst"], h["proto"], h["payload"], tos=h["tos"], ttl=h["ttl"], ident=0, df=1)
    return want


def encap_of(t):
    return getattr(t, "encap", None)


def packets():
    """Every packet of the matrix."""
    number = itertools.count()
    for choose in (lambda takes, path: takes - 1, lambda takes, path: takes, lambda takes, path: takes + 1,
                   lambda takes, path: takes + 9, lambda takes, path: path, lambda takes, path: 1280,
                   lambda takes, path: 1281, lambda takes, path: 2 * takes, lambda takes, path: 60,
                   lambda takes, path: LINK):
        for t, takes, path in TUNNELS:
            for version, df in ((4, 0), (4, 1), (6, 0)):
                if version not in carried(t):
                    continue
                i = next(number)
                size, text = min(choose(takes, path), LINK), i % 2
                payload = struct.pack("!I", i) + filling(i, text, size - (32 if version == 4 else 52))
                # BEET's outer packets take it over, and no other of ours may have it.
                ident = 0xffff - i if t.mode == "beet" else i
                fields = {"ident": ident, "df": df} if version == 4 else {}
                packet = udp(host(version, 1, t.n), host(version, 2, t.n), payload, **fields)
                same(len(packet), size, "the test's own packet")
                yield Sent(t, takes, path, version, df, packet, verdict(t, takes, version, df, size, text))


@once
def sent():
    return list(packets())


@once
def first():
    """Out of the first gateway."""
    return run(jumbo(with_tunnels(*(t for t, _, _ in TUNNELS))),
               lan=[(1000 + i * STEP_US, to_lan(s.packet)) for i, s in enumerate(sent())])


def is_keepalive(packet):
    return packet[-1:] == b"\xff" and len(packet) in (29, 49)


@once
def outer():
    """The packets of the first gateway's SAs."""
    return [p for p in first().wan if not is_keepalive(p)]


@once
def by_scapy():
    """Into the other gateway, the outer fragments made whole."""
    return run(jumbo(far_end(*(t for t, _, _ in TUNNELS))), wan=[to_wan(p) for p in put_together(outer())])


@once
def by_itself():
    """Into the other gateway, as they come, but for what is addressed to hosts behind it: it puts together its own."""
    own = [p for p in outer() if parse(p)["dst"] in PEER.values()]
    others = put_together([p for p in outer() if parse(p)["dst"] not in PEER.values()])
    return run(jumbo(far_end(*(t for t, _, _ in TUNNELS))), wan=[to_wan(p) for p in own + others])


def number_of(packet):
    return struct.unpack("!I", parse(packet)["payload"][8:12])[0]


def label(s):
    return (f"IPv{s.version}{' DF' if s.df else ''} of {len(s.packet)} octets, {s.t.mode}"
            f"{' of AH' if isinstance(s.t, AhTunnel) else ''} over IPv{s.t.outer}{' and UDP' if encap_of(s.t) else ''}, path {s.path}, frag {s.t.options['frag']}{', IPComp' if 'ipcomp' in s.t.options else ''}, takes {s.takes}: {s.verdict}")


def delivered(second):
    wanted = {i: s for i, s in enumerate(sent()) if isinstance(s.verdict, str)}
    came = {}
    for p in naive4(second.lan):
        check(number_of(p) not in came, f"twice: {p.hex()}")
        came[number_of(p)] = p
    for i, s in wanted.items():
        check(i in came, f"lost: {label(s)}")
        same_packets([came[i]], [arrived(s)], label(s))
    same(sorted(came), sorted(wanted), "the packets that came through")
    same(second.drops, {}, "drops of the second gateway")


@case("every packet is delivered octet for octet, or answered; none is silently lost")
def delivered_by_itself():
    delivered(by_itself())
    own = sum(is_fragment(p) and parse(p)["dst"] in PEER.values() for p in outer())
    ends = sum(is_last(p) and parse(p)["dst"] in PEER.values() for p in outer())
    same(by_itself().report["merged"], own - ends, "pieces made and put together")


@case("likewise with scapy between the gateways, who puts the outer fragments together")
def delivered_by_scapy():
    delivered(by_scapy())


@case("who sends too much is told the number that fits, IPv6 hosts never less than 1280")
def told():
    wanted = {i: s for i, s in enumerate(sent()) if not isinstance(s.verdict, str)}
    came = {}
    for p in first().lan:
        h = parse(p)
        body = h["payload"]
        same(body[:2], b"\3\4" if h["version"] == 4 else b"\2\0", "type and code")
        mtu = struct.unpack("!I", body[4:8])[0]
        came[struct.unpack("!I", body[8 + (28 if h["version"] == 4 else 48):][:4])[0]] = mtu
    for i, s in wanted.items():
        check(i in came, f"not told: {label(s)}")
        same(came[i], s.verdict, f"the MTU told: {label(s)}")
    same(sorted(came), sorted(wanted), "the packets that were answered")
    same(first().drops, {"too_big": len(wanted)}, "drops of the first gateway")


@case("no outer packet is larger than its path, and a packet that fits is in one piece")
def sizes():
    paths = {(t.local, t.remote, t.spi["out"]): path for t, _, path in TUNNELS}
    by_ends = collections.defaultdict(set)
    for (local, remote, _), path in paths.items():
        by_ends[local, remote].add(path)
    for p in outer():
        h = parse(p)
        check(len(p) <= max(by_ends[h["src"], h["dst"]]), f"{len(p)} octets to {h['dst']}")
        if is_fragment(p) or h["proto"] == 44:
            check(h["version"] == 6 or h["df"] == 0, "a fragment with DF")
            continue
        esp = h["payload"][8:] if h["proto"] == 17 else h["payload"]
        spi = struct.unpack("!I", esp[4:8] if h["proto"] == 51 else esp[:4])[0]
        check(len(p) <= paths[h["src"], h["dst"], spi], f"{len(p)} octets on SPI {spi:x}")
    plain = sum(s.verdict in ("whole", "inner", "shrunk") for s in sent())
    check(sum(not is_fragment(p) for p in outer()) >= plain, "too few whole outer packets")
    same(first().report["split"] > 0, True, "something was cut")


@case("pieces are full, in order and of one identification; identifications of one worker repeat late")
def identifications():
    seen = collections.Counter()
    runs = [list(group) for key, group in itertools.groupby(
        (p for p in outer() if is_fragment(p)), key=lambda p: (p[12:20], p[4:6]) if p[0] >> 4 == 4 else p[44:48])]
    for group in runs:
        offsets = [struct.unpack("!H", p[6:8] if p[0] >> 4 == 4 else p[42:44])[0] for p in group]
        starts = [(o & 0x1fff) * 8 if group[0][0] >> 4 == 4 else o & 0xfff8 for o in offsets]
        more = [o & (0x2000 if group[0][0] >> 4 == 4 else 1) for o in offsets]
        same(starts, sorted(starts), "offsets in order")
        same([bool(m) for m in more], [True] * (len(group) - 1) + [False], "all but the last have more to come")
        same(len({len(p) for p in group[:-1]}), 1, "sizes of all but the last")
        seen[group[0][4:6] if group[0][0] >> 4 == 4 and parse(group[0])["src"] == "192.0.2.1" else group[0][44:48]] += 1
    check(runs, "nothing was cut")
    same(max(seen.values()), 1, "datagrams of one identification")


if __name__ == "__main__":
    main()
