#!/usr/bin/python3
"""BEET: a tunnel between two hosts whose inner header is not sent. The peer is esp.py, which shares no code with the
gateway; what the outer header has to say, and the pseudo header of IPv4 options, is written down here once more."""
import random
import struct

from fragments import cut, even
from gw import (Tunnel, aged, far_end, from_far, from_lan, host, ip, laboratory, parse, run, same_packets, tcp, to_lan,
                to_wan, udp, with_tunnels)
from pieces import jumbo, put_together
from tap import add_case, case, check, main, same

OPTIONS = 94
ROUTER_ALERT = bytes.fromhex("94040000")
# (options, the pseudo header that carries them before UDP): RFC 7402 appendix B.
VECTORS = [
    ("94040000", "11000000" "94040000"),
    ("9404000001010100", "11010400" "01010101" "9404000001010100"),
    ("0727040000000000" + "00" * 32, "11050400" "01010101" "0727040000000000" + "00" * 32),
]


def beet(inner=4, n=1, **more):
    return Tunnel(n, mode="beet", selectors=False,
                  inner={"src": host(inner, 1, n), "dst": host(inner, 2, n)}, **more)


def pseudo_header(packet):
    """(next header, what ESP carries) of an IPv4 or IPv6 packet."""
    if packet[0] >> 4 == 6:
        return packet[6], packet[40:]
    size = (packet[0] & 15) * 4
    options = packet[20:size]
    if not options:
        return packet[9], packet[20:]
    padding = b"" if len(options) % 8 == 4 else b"\1" * 4
    return OPTIONS, bytes([packet[9], len(options) // 8, len(padding), 0]) + padding + options + packet[size:]


def seal(t, packet, seq, **outer):
    """What the peer sends for that packet."""
    said = parse(packet)
    fields = {"tos": said["tos"], "ttl": said["ttl"]}
    if t.outer == 6:
        fields["flow"] = said.get("flow", 0)
    else:
        fields.update(ident=said.get("ident", 0), df=said.get("df", 1))
    fields.update(outer)
    number, payload = pseudo_header(packet)
    return t.carry(t.esp["in"].seal(seq, payload, number), **fields)


def restored(t, packet):
    """What the peer makes of a packet of the gateway's: the inner header from the outer one and the SA."""
    outer, inner = parse(packet), t.options["inner"]
    payload, number, _, _ = t.open(packet)
    fields, options = {"tos": outer["tos"], "ttl": outer["ttl"]}, b""
    if number == OPTIONS:
        number, size, padding, _ = payload[:4]
        options, payload = payload[4 + padding:8 * (size + 1)], payload[8 * (size + 1):]
    if ":" in inner["src"]:
        fields["flow"] = outer.get("flow", 0)
    else:
        fields.update(ident=outer.get("ident", 0), df=outer.get("df", 1), options=options)
    return ip(inner["src"], inner["dst"], number, payload, **fields)


def samples(make, version, options=False):
    """Packets of all kinds that BEET carries."""
    more = [{}, {"tos": 0xb9, "ttl": 3}, {"flow": 0x12345} if version == 6 else {"ident": 0xbeef, "df": 1}]
    if options:
        more += [{"options": bytes.fromhex(o), "ident": 7, "df": 1} for o, _ in VECTORS]
    return [make(1, bytes(size), version=version, **fields) for fields in more for size in (0, 1, 2, 3, 100, 1300)]


def without(packet, fields):
    """Between two families some of the header gets lost: IPv4's id is 0 and DF 1, a flow label 0 or hashed."""
    said = parse(packet)
    return {name: value for name, value in said.items() if name not in fields}


def both_ways(outer, inner, **more):
    t = beet(inner, outer=outer, **more)
    here, there = samples(from_lan, inner, inner == 4), samples(from_far, inner, inner == 4)
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here], wan=[to_wan(seal(t, p, i)) for i, p in enumerate(there, 1)])
    same(done.drops, {}, "drops")
    sent = [restored(t, p) for p in done.wan]
    if inner == outer:
        same_packets(sent, [aged(p) for p in here], "packets to the peer")
        same_packets(done.lan, [aged(p) for p in there], "packets from the peer")
        return
    lost = ("ident", "df", "flow")
    same([without(p, lost) for p in sent], [without(aged(p), lost) for p in here], "packets to the peer")
    same([without(p, lost) for p in done.lan], [without(aged(p), lost) for p in there], "packets from the peer")
    same({(parse(p).get("ident", 0), parse(p).get("df", 1), parse(p).get("flow", 0)) for p in done.lan}, {(0, 1, 0)},
         "what the outer header could not say")
    if outer == 4:
        same({parse(p)["df"] for p in done.wan}, {1}, "DF of IPv4 around IPv6")


for family in (4, 6):
    for inside in (4, 6):
        add_case(f"BEET, IPv{inside} between hosts behind IPv{family}: both ways, all of the header that can be kept",
                 lambda o=family, i=inside: both_ways(o, i))
    add_case(f"BEET in UDP over IPv{family}, both ways",
             lambda o=family: both_ways(o, 4, encap=(4500, 4500)))
for suite in ({"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}, {"aead": "chacha20-poly1305", "implicit_iv": True},
              {"cipher": "null", "auth": "hmac-sha1-96"}, {"lanes": 4}):
    add_case(f"BEET with {suite}: IPv6 between hosts behind IPv4, both ways",
             lambda s=suite: both_ways_lanes(s) if "lanes" in s else both_ways(4, 6, **s))


def both_ways_lanes(suite):
    t = beet(6, **suite)
    here = samples(from_lan, 6)
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here])
    same((done.drops, len(done.wan)), ({}, len(here)), "drops and packets")
    lost = ("flow",)
    same([without(restored(t, p), lost) for p in done.wan], [without(aged(p), lost) for p in here], "packets to the peer")


@case("options travel in a pseudo header: the vectors")
def vectors():
    t = beet()
    here = [from_lan(1, b"with options", options=bytes.fromhex(o)) for o, _ in VECTORS]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here])
    same(done.drops, {}, "drops")
    for (options, wanted), packet, sent in zip(VECTORS, here, done.wan):
        payload, number, _, _ = t.open(sent)
        same((number, payload.hex()), (OPTIONS, wanted + packet[20 + len(options) // 2:].hex()), f"options {options}")


def header_of(next_header=17, size=0, padding=0, reserved=0, rest=ROUTER_ALERT):
    return bytes([next_header, size, padding, reserved]) + rest


SEGMENT = from_far(1, b"behind options")[20:]
BAD_PSEUDO = [
    ("a pad length of 1", header_of(padding=1, rest=b"\1" + ROUTER_ALERT) + SEGMENT),
    ("a pad length of 2", header_of(padding=2) + SEGMENT),
    ("a pad length of 8", header_of(size=1, padding=8, rest=b"\1" * 12) + SEGMENT),
    ("no options at all", header_of(padding=4, rest=b"\1" * 4) + SEGMENT),
    ("more octets of options than a header has room for", header_of(size=5, rest=bytes(44)) + bytes(40)),
    ("a length that is more than there is", header_of(size=4, padding=4) + SEGMENT[:10]),
    ("a length of 255", header_of(size=255) + SEGMENT),
    ("cut off", header_of()[:7]),
    ("nothing but its number", b""),
]


def bad_pseudo(payload):
    t = beet()
    packet = t.carry(t.esp["in"].seal(1, payload, OPTIONS))
    good = from_far(1, b"the next one")
    done = run(with_tunnels(t), wan=[to_wan(packet), to_wan(seal(t, good, 2))])
    same((done.drops, done.lan), ({"beet_header": 1}, [aged(good)]), "drops, and the packet behind it")


for what, octets in BAD_PSEUDO:
    add_case(f"a pseudo header with {what}: beet_header", lambda o=octets: bad_pseudo(o))


@case("a pseudo header whose reserved octet is not 0 is taken; one before IPv6 is not")
def reserved():
    t, six = beet(), beet(6, n=2)
    packet = t.carry(t.esp["in"].seal(1, header_of(reserved=9) + SEGMENT, OPTIONS), ttl=9)
    other = six.carry(six.esp["in"].seal(1, header_of() + SEGMENT, OPTIONS))
    done = run(with_tunnels(t, six), wan=[to_wan(packet), to_wan(other)])
    want = ip(host(4, 2, 1), host(4, 1, 1), 17, SEGMENT, ttl=8, options=ROUTER_ALERT)
    same(done.drops, {"beet_header": 1}, "drops")
    same_packets(done.lan, [want], "the packet")


@case("an inner packet of protocol 94 itself does not pass for a pseudo header: beet_header; with options it goes")
def protocol_94():
    t = beet()
    bare = ip(host(4, 1, 1), host(4, 2, 1), OPTIONS, bytes(16))
    fine = ip(host(4, 1, 1), host(4, 2, 1), OPTIONS, bytes(16), options=ROUTER_ALERT)
    done = run(with_tunnels(t), lan=[to_lan(bare), to_lan(fine)])
    same(done.drops, {"beet_header": 1}, "drops")
    same_packets([restored(t, p) for p in done.wan], [aged(fine)], "packets to the peer")


def extension(next_header, kind):
    return {44: struct.pack("!BBHI", next_header, 0, 0, 7)}.get(kind, bytes([next_header, 0, 1, 4, 0, 0, 0, 0]))


def refused(what, outbound, inbound, why):
    """Packets that one sends are not sent, and not believed of a peer that does."""
    version = outbound[0] >> 4
    t = beet(version)
    good = from_far(1, b"the next one", version=version)
    done = run(with_tunnels(t), lan=[to_lan(outbound)], wan=[to_wan(inbound(t)), to_wan(seal(t, good, 2))])
    same((done.drops, len(done.wan), done.lan), ({why: 2}, 0, [aged(good)]), what)


def six(kind, back=False):
    src, dst = (host(6, 2, 1), host(6, 1, 1)) if back else (host(6, 1, 1), host(6, 2, 1))
    return ip(src, dst, kind, extension(17, kind) + udp(src, dst)[40:])


for kind, name, why in ((0, "hop-by-hop options", "beet_exthdr"), (43, "a routing header", "beet_exthdr"),
                        (44, "a fragment header", "beet_frag")):
    add_case(f"IPv6 with {name}: {why}, both ways",
             lambda k=kind, w=why, n=name: refused(n, six(k), lambda t: seal(t, six(k, True), 1), w))


@case("IPv6 with destination options travels whole")
def destination_options():
    t = beet(6)
    done = run(with_tunnels(t), lan=[to_lan(six(60))], wan=[to_wan(seal(t, six(60, True), 1))])
    same(done.drops, {}, "drops")
    same([without(restored(t, p), ("flow",)) for p in done.wan], [without(aged(six(60)), ("flow",))], "to the peer")
    same_packets(done.lan, [aged(six(60, True))], "packets from the peer")


@case("fragments of the inner packet are not sent: beet_frag")
def fragments():
    t = beet()
    done = run(with_tunnels(t), lan=[to_lan(from_lan(1, bytes(16), mf=1)), to_lan(from_lan(1, bytes(16), offset=2))])
    same((done.drops, done.wan), ({"beet_frag": 2}, []), "drops and packets")


WHOLE = {"beet_reassemble": True}
NAME = 7  # the identification of what is cut below


def big(version, size, n=1, **fields):
    if version == 4:
        fields.setdefault("ident", NAME)
    return from_lan(n, bytes(i % 251 for i in range(size)), version=version, **fields)


ORDERS = {"in order": lambda p: p, "the last one first": lambda p: p[::-1],
          "mixed up": lambda p: random.Random(len(p)).sample(p, len(p))}


def put_together_first(outer, inner, order, **more):
    """Datagrams of all sizes that come in pieces leave whole, cut behind ESP where the path wants it, and arrive so."""
    t = beet(inner, outer=outer, **WHOLE, **more)
    # BEET takes the identification over: outer fragments are of one datagram by it.
    here = [big(inner, size, tos=0x48, **({"ident": size} if inner == 4 else {})) for size in (40, 1000, 1400, 1473, 3000, 9000)]
    pieces = [ORDERS[order](cut(p, even(p, size), number)) for p, size, number in
              zip(here, (16, 504, 1200, 1480, 1448, 1400), (40, 1000, 1400, 1473, 3000, 9000))]
    first = run(with_tunnels(t), lan=[to_lan(p) for group in pieces for p in group])
    same(first.drops, {}, "drops")
    same(first.report["merged"], sum(len(group) - 1 for group in pieces), "fragments put together")
    check(all(len(p) <= 1500 for p in first.wan), "no outer packet is larger than its path")
    whole = put_together(first.wan)
    lost = ("ident", "df", "flow") if inner != outer else ("flow",)
    same([without(restored(t, p), lost) for p in sorted(whole, key=len)], [without(aged(p), lost) for p in here], "to the peer")
    second = run(jumbo(far_end(t)), wan=[to_wan(p) for p in first.wan])
    same(second.drops, {}, "drops of the other gateway")
    same([without(p, lost) for p in second.lan], [without(aged(p, 2), lost) for p in here], "packets out of the other gateway")


for family in (4, 6):
    for inside in (4, 6):
        for order in ORDERS:
            add_case(f"beet_reassemble, IPv{inside} in BEET over IPv{family}: fragments {order} are put together, and sent whole",
                     lambda o=family, i=inside, k=order: put_together_first(o, i, k))
add_case("beet_reassemble in UDP over IPv4", lambda: put_together_first(4, 4, "in order", encap=(4500, 4500)))
add_case("beet_reassemble with lanes", lambda: put_together_first(4, 4, "in order", lanes=4))


@case("beet_reassemble: overlaps, duplicates, fragments that are missing or too many end as any others do")
def not_whole():
    t = beet(**WHOLE)
    good, other = cut(big(4, 3000), [1480, 1480], 1), cut(big(4, 3000), [1480, 1480], 2)
    crossed = cut(big(4, 3000), [1472, 1480], 2)
    many = cut(big(4, 600), [8] * 70, 3)
    config = with_tunnels(t)
    done = run(config, lan=[to_lan(p) for p in (*good[:2], good[1], other[0], crossed[1], good[2], *many[:65], *cut(big(4, 3000), [1480], 4)[1:])])
    same(done.drops, {"frag_duplicate": 1, "frag_overlap": 2, "frag_limit": 65, "frag_timeout": 1}, "drops")
    same([parse(restored(t, p))["payload"] for p in put_together(done.wan)], [parse(big(4, 3000))["payload"]], "the good one")


@case("beet_reassemble: fragments of other hosts are none of the SA's: beet_addr; those for other SAs go as they came")
def not_of_the_pair():
    t, plain = beet(**WHOLE), Tunnel(2)
    pieces = cut(big(4, 2000, 2), [1200], NAME)
    config = with_tunnels(t, plain)
    done = run(config, lan=[to_lan(p) for p in pieces])
    same((done.drops, done.report["merged"]), ({}, 0), "drops, and what was put together")
    same_packets([plain.open(p)[0] for p in done.wan], [aged(p) for p in pieces], "fragments to the peer")


@case("beet_reassemble: an IPv6 packet with the fragment header of a whole one goes without it")
def atomic():
    t = beet(6, outer=6, **WHOLE)
    done = run(with_tunnels(t), lan=[to_lan(p) for p in cut(big(6, 100), [], NAME)])
    same(done.drops, {}, "drops")
    same_packets([restored(t, p) for p in done.wan], [aged(big(6, 100))], "packets to the peer")


@case("beet_reassemble: a policy's ports are asked of the pieces, and of the whole")
def whole_by_ports():
    t = beet(**WHOLE)
    config = laboratory()
    config["sas"] = t.sas()
    for sa in config["sas"]:
        if sa["direction"] == "in":
            sa["inner"] = {"src": host(4, 2, 1), "dst": host(4, 1, 1)}
    config["policies"] = [{"name": "out", "direction": "out", "src": host(4, 1, 1), "dst": host(4, 2, 1), "protocol": "udp",
                           "dst_port": 53, "action": "protect", "sa": "t1.out"}]
    asks = [udp(host(4, 1, 1), host(4, 2, 1), bytes(2000), dport=port, ident=port) for port in (53, 54)]
    pieces = [cut(p, [1200], port) for p, port in zip(asks, (53, 54))]
    done = run(config, lan=[to_lan(p) for group in zip(*pieces) for p in reversed(group)])
    same(done.drops, {"no_policy": 2}, "drops")
    same([parse(restored(t, p))["payload"] for p in put_together(done.wan)], [parse(asks[0])["payload"]], "packets to the peer")


@case("the inner addresses are the SA's whatever comes, and protocol 4 inside is a payload like others")
def payload_of_any_kind():
    t = beet()
    packets = [t.carry(t.esp["in"].seal(i, from_far(7, b"of another net"), number), ttl=9)
               for i, number in enumerate((4, 41, 17), 1)]
    done = run(with_tunnels(t), wan=[to_wan(p) for p in packets])
    same({(parse(p)["src"], parse(p)["dst"]) for p in done.lan}, {(host(4, 2, 1), host(4, 1, 1))}, "inner addresses")
    same([parse(p)["proto"] for p in done.lan], [4, 41, 17], "protocols")


@case("a policy's ports are asked of what came in")
def selectors():
    t = beet()
    config = laboratory()
    config["sas"] = t.sas()
    config["sas"][1]["inner"] = {"src": host(4, 2, 1), "dst": host(4, 1, 1)}
    config["policies"] = [{"name": "in", "direction": "in", "src": host(4, 2, 1), "dst": host(4, 1, 1), "protocol": "udp",
                           "dst_port": 2000, "action": "protect", "sa": "t1.in"}]
    fits, not_so = from_far(1), from_far(1, dport=2001)
    stream = tcp(host(4, 2, 1), host(4, 1, 1))
    done = run(config, wan=[to_wan(seal(t, p, i)) for i, p in enumerate((fits, not_so, stream), 1)])
    same((done.drops, done.lan), ({"policy_selector": 2}, [aged(fits)]), "drops and packets")


def largest(outer, inner, **more):
    """The largest packet for an outer one of 1500 octets, counted by hand: outer header, UDP, ESP with its tag."""
    room = 1500 - (40 if outer == 6 else 20) - (8 if more.get("encap") else 0) - 8 - 8 - 16
    return room // 4 * 4 - 2 + (40 if inner == 6 else 20)


def mtu(outer, inner, **more):
    t, most = beet(inner, outer=outer, **more), largest(outer, inner, **more)
    head = 48 if inner == 6 else 28
    fits, too_long = (from_lan(1, bytes(size - head), version=inner, df=1) for size in (most, most + 1))
    done = run(with_tunnels(t), lan=[to_lan(fits), to_lan(too_long)])
    same((done.drops, len(done.wan)), ({"too_big": 1}, 1), "drops and packets")
    check(1500 - 4 < len(done.wan[0]) <= 1500, f"the largest one is {len(done.wan[0])} octets outside")
    answer = parse(done.lan[0])["payload"]
    same(struct.unpack("!H", answer[6:8])[0], most, "the MTU that ICMP tells")


for family in (4, 6):
    for inside in (4, 6):
        add_case(f"the MTU of IPv{inside} in BEET over IPv{family}", lambda o=family, i=inside: mtu(o, i))
add_case("the MTU of BEET in UDP", lambda: mtu(4, 4, encap=(4500, 4500)))


@case("with options the pseudo header counts: what fits without them is told to be smaller")
def mtu_with_options():
    t, most = beet(), largest(4, 4)
    sizes = (most - 8, most - 7, most)
    here = [from_lan(1, bytes(size - 28 - 8), df=1, options=bytes.fromhex("9404000001010100")) for size in sizes]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here])
    same((done.drops, len(done.wan)), ({"too_big": 2}, 1), "drops and packets")
    check(len(done.wan[0]) <= 1500, f"{len(done.wan[0])} octets outside")
    told = [struct.unpack("!H", parse(p)["payload"][6:8])[0] for p in done.lan]
    check(all(n < size for n, size in zip(told, sizes[1:])), f"the MTU that ICMP tells, {told}, is smaller")


@case("with options and DF clear it goes all the same, cut behind ESP")
def cut_with_options():
    t, most = beet(), largest(4, 4)
    here = [from_lan(1, bytes(size - 28 - 8), options=bytes.fromhex("9404000001010100"), ident=77) for size in (most, most + 100)]
    first = run(with_tunnels(t), lan=[to_lan(p) for p in here])
    same((first.drops, len(first.wan)), ({}, 4), "drops and fragments")
    same([parse(p)["mf"] for p in first.wan], [1, 0] * 2, "more fragments")


def any_packet(dice, version):
    """A packet of one of the inner hosts, of any size and content."""
    src, dst = host(version, 1, 1), host(version, 2, 1)
    fields = {"tos": dice.randrange(256) & ~3 | dice.choice((0, 1, 2)), "ttl": dice.randrange(3, 256)}
    if version == 4:
        fields.update(ident=dice.randrange(65536), df=dice.randrange(2),
                      options=bytes.fromhex(dice.choice(["", *(o for o, _ in VECTORS)])))
    else:
        fields["flow"] = dice.randrange(1 << 20)
    # Protocol 59 means a dummy to who receives it, and an extension header would have to be one.
    proto = dice.choice([n for n in range(256) if n not in (0, 43, 44, 59, 60, OPTIONS, 135, 139, 140, 144)])
    return ip(src, dst, proto, dice.randbytes(dice.randrange(1200)), **fields)


def there_and_back(outer, inner, **more):
    """Any packet through one gateway, its frames through the other, comes out with two hops less and no other change."""
    dice = random.Random(f"{outer} {inner} {more}")
    t = beet(inner, outer=outer, **more)
    here = [any_packet(dice, inner) for _ in range(200)]
    first = run(with_tunnels(t), lan=[to_lan(p) for p in here])
    second = run(far_end(t), wan=[to_wan(p) for p in first.wan])
    same((first.drops, second.drops), ({}, {}), "drops on either side")
    want, have = [aged(p, 2) for p in here], second.lan
    if outer == inner:
        same_packets(have, want, "packets")
        return
    lost = ("ident", "df", "flow")
    same([without(p, lost) for p in have], [without(p, lost) for p in want], "packets")


for family in (4, 6):
    for inside in (4, 6):
        add_case(f"any packet, IPv{inside} in BEET over IPv{family}, through two gateways",
                 lambda o=family, i=inside: there_and_back(o, i))

if __name__ == "__main__":
    main()
