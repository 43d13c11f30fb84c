#!/usr/bin/python3
"""IPComp: Python's zlib is the peer, in the window of Linux (2 KiB) and in any other; rows A6 of bad input."""
import random
import struct
import zlib

from gw import (Tunnel, aged, far_end, from_far, from_lan, host, ip, laboratory, parse, run, same_packets, tcp, to_lan,
                to_wan, udp, with_tunnels)
from rows import Row, add_rows
from tap import add_case, case, check, main, same

CPI_OUT, CPI_IN = 0x1234, 0x5678
TEXT = b"It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
NOISE = random.Random(1)


def ipcomp(**into):
    """The tunnel's own part, made anew each time: YAML would write what two share as an alias."""
    return {"out": {"ipcomp": {"cpi": CPI_OUT}}, "into": {"ipcomp": {"cpi": CPI_IN, **into}}}


def noise(size):
    return NOISE.randbytes(size)


def text(size):
    return (TEXT * (size // len(TEXT) + 1))[:size]


def deflate(octets, level=1, bits=-11, strategy=zlib.Z_DEFAULT_STRATEGY, flush=zlib.Z_FINISH):
    codec = zlib.compressobj(level, zlib.DEFLATED, bits, 8, strategy)
    return codec.compress(octets) + codec.flush(flush)


def stored(octets):
    """One block that is not compressed, the last one."""
    return struct.pack("<BHH", 1, len(octets), len(octets) ^ 0xffff) + octets


def wrap(stream, next_header=4, cpi=CPI_IN, flags=0):
    return struct.pack("!BBH", next_header, flags, cpi) + stream


def unwrap(octets, cpi=CPI_OUT):
    """What an IPComp header and its stream hold; the stream ends with the packet, its window is 2 KiB."""
    next_header, flags, have = struct.unpack("!BBH", octets[:4])
    same((flags, have), (0, cpi), "flags and CPI")
    codec = zlib.decompressobj(-11)
    out = codec.decompress(octets[4:])
    check(codec.eof and not codec.unused_data, "the stream does not end where its packet does")
    return out, next_header


def opened(tunnel, packet):
    """The inner packet of what the gateway sent, and whether it was compressed."""
    inner, next_header = tunnel.open(packet)[:2]
    if next_header != 108:
        return inner, False
    inside, kind = unwrap(inner)
    same(kind, 4 if inside[0] >> 4 == 4 else 41, "next header of IPComp")
    check(len(inner) < len(inside), f"{len(inside)} octets became {len(inner)}")
    return inside, True


def tunnels_out(outer, inner):
    t = Tunnel(1, outer=outer, **ipcomp())
    sizes = (200, 400, 1300)
    packets = [from_lan(1, text(n), version=inner) for n in sizes]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in packets])
    same(done.drops, {}, "drops")
    have = [opened(t, p) for p in done.wan]
    same_packets([p for p, _ in have], [aged(p) for p in packets], "packets to the peer")
    check(all(compressed for _, compressed in have), "text is not compressed")
    same(done.sa("t1.out")["bytes"], sum(len(p) for p in packets), "octets counted: as they came")


def tunnels_in(outer, inner):
    t = Tunnel(1, outer=outer, **ipcomp())
    packets = [from_far(1, text(n), version=inner) for n in (0, 1, 90, 400, 1400)]
    kind = 4 if inner == 4 else 41
    frames = [t.seal(wrap(deflate(p), kind), i, 108) for i, p in enumerate(packets, 1)]
    frames.append(t.seal(packets[2], 6))
    done = run(with_tunnels(t), wan=[to_wan(f) for f in frames])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(p) for p in [*packets, packets[2]]], "packets from the peer")
    same(done.sa("t1.in")["bytes"], sum(len(p) for p in packets) + len(packets[2]), "octets counted: as they are")


for outer in (4, 6):
    for inner in (4, 6):
        add_case(f"tunnel mode, IPv{inner} in IPv{outer}: text goes out compressed, and is what it was",
                 lambda o=outer, i=inner: tunnels_out(o, i))
        add_case(f"tunnel mode, IPv{inner} in IPv{outer}: what a peer compressed comes in, between plain packets",
                 lambda o=outer, i=inner: tunnels_in(o, i))


@case("every kind of block and window is read: stored, fixed, dynamic, several, 32 KiB")
def kinds():
    t = Tunnel(1, **ipcomp())
    inner = from_far(1, text(700) + bytes(range(256)) + text(300))
    half = len(inner) // 2
    several = zlib.compressobj(6, zlib.DEFLATED, -15)
    streams = [stored(inner), deflate(inner, strategy=zlib.Z_FIXED), deflate(inner, 9, -15), deflate(inner, 0),
               deflate(inner, strategy=zlib.Z_HUFFMAN_ONLY), deflate(inner, strategy=zlib.Z_RLE),
               several.compress(inner[:half]) + several.flush(zlib.Z_FULL_FLUSH) + several.compress(inner[half:])
               + several.flush()]
    done = run(with_tunnels(t), wan=[to_wan(t.seal(wrap(s), i, 108)) for i, s in enumerate(streams, 1)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(inner)] * len(streams), "packets from the peer")


@case("what is small, random, a fragment, encrypted or compressed already goes as it is")
def not_worth_it():
    t = Tunnel(1, **ipcomp())
    a, b = host(4, 1, 1), host(4, 2, 1)
    packets = [from_lan(1, text(127 - 28)), udp(a, b, noise(1000)), udp(a, b, text(500), dport=443),
               udp(a, b, text(500), dport=4500), tcp(a, b, text(500), dport=22), tcp(a, b, text(500), sport=993),
               ip(a, b, 50, text(500)), ip(a, b, 51, text(500)), ip(a, b, 108, text(500)),
               ip(a, b, 17, text(504), mf=1, ident=9), ip(a, b, 17, text(500), offset=63, ident=9)]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in packets])
    same(done.drops, {}, "drops")
    have = [opened(t, p) for p in done.wan]
    same_packets([p for p, _ in have], [aged(p) for p in packets], "packets to the peer")
    check(not any(compressed for _, compressed in have), f"compressed: {[c for _, c in have]}")


@case("the threshold is exact, and what would not get smaller never does get larger")
def boundary():
    t = Tunnel(1, out={"ipcomp": {"cpi": CPI_OUT, "threshold": 90}}, into={"ipcomp": {"cpi": CPI_IN}})
    packets = [from_lan(1, text(n - 28)) for n in (89, 90, 91)]
    # Ever more text between noise: first it pays not, then it does.
    mixed = [from_lan(1, noise(200 - n) + b"a" * n, number=20 + n) for n in range(0, 60)]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in [*packets, *mixed]])
    have = [opened(t, p) for p in done.wan]
    same_packets([p for p, _ in have], [aged(p) for p in [*packets, *mixed]], "packets to the peer")
    same([c for _, c in have][0], False, "89 octets under a threshold of 90")
    check(not have[3][1] and have[-1][1], "neither edge of the boundary was met")


def hosts(version, suite=None, **comp):
    """Transport mode between a host behind the gateway and the peer: (tunnel, configuration, our host)."""
    own = {"out": {"ipcomp": {"cpi": CPI_OUT, **comp}}, "into": {"ipcomp": {"cpi": CPI_IN, **comp}}}
    t = Tunnel(1, outer=version, mode="transport", selectors=False, **(suite or {}), **own)
    near = host(version, 1, 1)
    config = {**laboratory(), "sas": t.sas(), "policies": [
        {"name": "o", "direction": "out", "src": near, "dst": t.remote, "action": "protect", "sa": "t1.out"},
        {"name": "i", "direction": "in", "src": t.remote, "dst": near, "action": "protect", "sa": "t1.in"}]}
    for sa in config["sas"]:
        sa["dst" if sa["direction"] == "in" else "src"] = near
    return t, config, near


def between_hosts(version, comp, pack, unpack):
    """A datagram each way; pack and unpack are what the peer does with what follows the IP header."""
    t, config, near = hosts(version, **comp)
    here, there = udp(near, t.remote, text(600)), udp(t.remote, near, text(700))
    head = 20 if version == 4 else 40
    sealed = ip(t.remote, near, 50, t.esp["in"].seal(1, pack(there[head:]), 108))
    done = run(config, lan=[to_lan(here)], wan=[to_wan(sealed)])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(there)], "packets from the peer")
    payload, kind = t.esp["out"].open(parse(done.wan[0])["payload"])[:2]
    same(kind, 108, "next header of ESP")
    same(unpack(payload), aged(here)[head:], "the upper layer")


@case("transport mode: what is not compressed is judged with its IP options, of a flow that rests, too")
def options_count():
    for options in (b"", b"\1" * 4, b"\1" * 8, b"\1" * 12):
        t, config, near = hosts(4, {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"})
        config["ports"][1]["mtu"] = 2000
        sent = [ip(near, t.remote, 17, struct.pack("!HHHH", 1000, 2000, size - 20 - len(options), 0)
                   + noise(size - 28 - len(options)), options=options, df=1) for size in range(1400, 1500)]
        done = run(config, lan=[to_lan(p) for p in sent])
        check(1500 - 16 < max(len(p) for p in done.wan) <= 1500, "the largest of what the link takes")
        same(len(done.wan) + done.drops["too_big"], len(sent), "packets")


def xt_pack(octets):
    return wrap(octets[:4] + deflate(octets[4:]), 17, flags=1)


def xt_unpack(octets):
    same(octets[:4], struct.pack("!BBH", 17, 1, CPI_OUT), "the header says that the ports follow")
    codec = zlib.decompressobj(-11)
    return octets[4:8] + codec.decompress(octets[8:])


for family in (4, 6):
    add_case(f"transport mode, IPv{family}: the upper layer is compressed behind its IP header, both ways",
             lambda v=family: between_hosts(v, {}, lambda o: wrap(deflate(o), 17), lambda o: unwrap(o)[0]))
    add_case(f"transport mode, IPv{family}: with xt the ports stay readable, both ways",
             lambda v=family: between_hosts(v, {"xt": True}, xt_pack, xt_unpack))


@case("with stored, what does not shrink has a header too, and what is small or a fragment has none")
def stored_flow():
    t = Tunnel(1, out={"ipcomp": {"cpi": CPI_OUT, "stored": True}}, into={"ipcomp": {"cpi": CPI_IN, "stored": True}})
    packets = [from_lan(1, noise(600)), from_lan(1, text(600)), from_lan(1, b"small"),
               ip(host(4, 1, 1), host(4, 2, 1), 17, noise(504), mf=1, ident=9)]
    there = from_far(1, noise(700))
    done = run(with_tunnels(t), lan=[to_lan(p) for p in packets],
               wan=[to_wan(t.seal(wrap(there, cpi=0xf001), 1, 108))])
    same(done.drops, {}, "drops")
    same_packets(done.lan, [aged(there)], "packets from the peer")
    have = [t.open(p)[:2] for p in done.wan]
    same_packets([have[0][0], *(p for p, _ in have[2:])],
                 [wrap(aged(packets[0]), cpi=0xf001), *(aged(p) for p in packets[2:])], "packets to the peer")
    same([kind for _, kind in have], [108, 108, 4, 4], "next headers of ESP")
    same(unwrap(have[1][0])[0], aged(packets[1]), "what shrank")


@case("two gateways with IPComp between them: everything arrives as it was")
def both():
    t = Tunnel(1, **ipcomp())
    packets = [from_lan(1, make(n), version=v) for n in (0, 60, 100, 500, 1200, 1370) for v in (4, 6)
               for make in (text, noise, bytes)]
    one = run(with_tunnels(t), lan=[to_lan(p) for p in packets])
    other = run(far_end(t), wan=[to_wan(p) for p in one.wan])
    same((one.drops, other.drops), ({}, {}), "drops")
    same_packets(other.lan, [aged(p, 2) for p in packets], "packets at the far end")


@case("an SA of another worker compresses and judges sizes likewise")
def handed_over():
    tunnels = [Tunnel(n, **ipcomp()) for n in (1, 2, 3, 4)]
    packets = [from_lan(t.n, text(700)) for t in tunnels]
    large = [from_lan(t.n, noise(1440), df=1) for t in tunnels]
    done = run(with_tunnels(*tunnels), lan=[to_lan(p) for p in [*packets, *large]], workers=2)
    same(done.drops, {"too_big": 4}, "drops")
    # Of two workers one may be before the other.
    by_spi = {struct.unpack("!I", t.strip(p)[:4])[0]: p for t in tunnels[:1] for p in done.wan}
    have = [opened(t, by_spi[t.spi["out"]]) for t in tunnels]
    same(have, [(aged(p), True) for p in packets], "packets to the peer, compressed")


@case("a packet that fits only when it is compressed goes; one that does not fit then either is told")
def sizes():
    t = Tunnel(1, **ipcomp())
    fits, not_so = from_lan(1, text(1440), df=1), from_lan(1, noise(1440), df=1)
    done = run(with_tunnels(t), lan=[to_lan(fits), to_lan(not_so)])
    same(done.drops, {"too_big": 1}, "drops")
    same_packets([opened(t, p)[0] for p in done.wan], [aged(fits)], "packets to the peer")
    same((parse(done.lan[0])["proto"], parse(done.lan[0])["payload"][:2]), (1, b"\3\4"), "the answer")


def bad(make, *, kind=108):
    def build(t):
        good = from_far(t.n, text(300))
        return [t.seal(make(from_far(t.n, text(400))), 1, kind), t.seal(wrap(deflate(good)), 2, 108)], [aged(good)]
    return build


def cut(octets):
    """Cut short, without the end of the stream."""
    return wrap(deflate(octets)[:-4])


def zeros(size):
    return lambda inner: wrap(deflate(bytes(size)))


def nested(inner):
    return wrap(deflate(wrap(deflate(inner))), 108)


def row(what, make, why, **into):
    return Row(f"{what} drops {why}", bad(make), {why: 1}, **{**ipcomp(**into)})


add_rows("A6", [
    *[row(f"A6.1 a header of {n} octets", lambda inner, n=n: wrap(deflate(inner))[:n], "ipcomp_short")
      for n in (0, 1, 3, 4)],
    *[row(f"A6.1 CPI {cpi:#x}", lambda inner, cpi=cpi: wrap(deflate(inner), cpi=cpi), "ipcomp_cpi")
      for cpi in (0, 2, CPI_OUT, 0x7856, 0xf001)],
    Row("A6.1 flags are ignored", lambda t: ([t.seal(wrap(deflate(from_far(t.n, text(300))), flags=0xff), 1, 108)],
                                             [aged(from_far(t.n, text(300)))]), **ipcomp()),
    *[row(f"A6.2 {size} octets of zeros", zeros(size), "ipcomp_bomb") for size in (65536, 1 << 20, 1400 << 10)],
    row("A6.2 one octet more than max_output", lambda inner: wrap(deflate(from_far(1, text(973)))), "ipcomp_bomb",
        max_output=1000),
    Row("A6.2 max_output itself is fine", lambda t: ([t.seal(wrap(deflate(from_far(t.n, text(972)))), 1, 108)],
                                                     [aged(from_far(t.n, text(972)))]),
        **ipcomp(max_output=1000)),
    *[row(f"flags {flags:#x} where the extension is spoken", lambda inner, f=flags: wrap(deflate(inner), flags=f), why,
          stored=True) for flags, why in ((1, "ipcomp_flags"), (0x80, "ipcomp_flags"))],
    row("stored with a flag", lambda inner: wrap(inner, cpi=0xf001, flags=1), "ipcomp_flags", stored=True),
    row("stored, and nothing behind", lambda inner: wrap(b"", cpi=0xf001), "ipcomp_short", stored=True),
    row("A6.3 a block of no type", lambda inner: wrap(b"\x07" + bytes(20)), "ipcomp_corrupt"),
    row("A6.3 a distance before the beginning", lambda inner: wrap(b"\x63\x00\x12\x00" + bytes(9)), "ipcomp_corrupt"),
    row("A6.3 a stored block whose lengths contradict", lambda inner: wrap(stored(inner)[:3] + b"\0\0" + inner),
        "ipcomp_corrupt"),
    row("A6.3 a stream without its end", cut, "ipcomp_corrupt"),
    row("A6.3 a stream without a final block", lambda inner: wrap(deflate(inner, flush=zlib.Z_SYNC_FLUSH)),
        "ipcomp_corrupt"),
    row("A6.3 octets behind the end", lambda inner: wrap(deflate(inner) + b"\0"), "ipcomp_trailing"),
    row("A6.4 IPComp in IPComp", nested, "ipcomp_nested"),
    *[row(f"A6.4 next header {n} in IPComp", lambda inner, n=n: wrap(deflate(inner), n), "next_header")
      for n in (6, 17, 50, 51, 59)],
    row("A6.6 an inner total length of more than there is", lambda inner: wrap(deflate(inner[:-1])), "inner_malformed"),
    row("A6.6 octets behind the inner packet", lambda inner: wrap(deflate(inner + b"\0")), "inner_malformed"),
    row("A6.6 version 4 under next header 41", lambda inner: wrap(deflate(inner), 41), "inner_malformed"),
    row("A6.6 a wrong inner checksum", lambda inner: wrap(deflate(inner[:10] + b"\1\2" + inner[12:])),
        "inner_checksum"),
    row("A6.6 an inner source outside the SA's networks",
        lambda inner: wrap(deflate(udp("10.9.0.1", "10.1.1.1", text(200)))), "policy_selector"),
])

if __name__ == "__main__":
    main()
