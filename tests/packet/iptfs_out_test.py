#!/usr/bin/python3
"""IP-TFS, out: what leaves by an SA, read by aggfrag.py, which shares no code with the gateway: when, how large, what is
in it, and that every inner packet is in it once, whole and in order. Time is that of the packets (row A5.17)."""
import itertools
import random
import struct

from aggfrag import Receiver, pack, room
from gw import aged, far_end, from_lan, host, parse, run, same_packets, to_lan, to_wan, udp, with_tunnels
from pieces import is_fragment, jumbo, naive4
from rows import number_of
from tap import add_case, case, check, main, once, same
from tfs import SECOND, Far, Peer, lost_and_swapped, near, noise, opened, sized, tfs, ticks, timeline

MS = 1000
SIZE = 1400
ROOM = room(SIZE)
NOBODYS = udp("10.1.250.5", "203.0.113.5")  # moves the clock, and no policy takes it


def red_jumbo(config):
    config["ports"][1]["mtu"] = 9600
    return config


def at_once(t, packets, patch=None, **options):
    """All packets at one time, and later another time: opportunistic, one after the other."""
    found, done = timeline(t, [(MS, p) for p in packets], ticks(100, 10 * MS), patch=patch, **options)
    return Far(t, [p for _, p in found]), done


# Opportunistic


@case("worked example: what waits together leaves together, pieces at the ends, and the receiver has it all")
def aggregated():
    t = tfs(1, packet_size=SIZE, init_delay="5ms")
    inner = [near(1, n) for n in (750, 750, 60, 240, 3000)]
    end, done = at_once(t, inner, red_jumbo)
    same_packets(end.inner, [aged(p) for p in inner], "packets in it")
    same([len(p) for p in end.payloads[:-1]], [ROOM + 4] * 3, "octets of full payloads")
    same([h.offset for h in end.headers], [0, 1500 - ROOM, 4800 - 2 * ROOM, 4800 - 3 * ROOM], "offsets")
    same(len(end.payloads[-1]), 4 + 4800 - 3 * ROOM, "octets of the last, which has no padding")
    same(end.payloads[:3], pack([aged(p) for p in inner], [ROOM], fill=False)[:3], "payloads, as another sender makes them")
    same(done.drops, {}, "drops")


@case("init_delay: the first packet waits so long, and what came meanwhile leaves with it")
def init_delay():
    t = tfs(1, packet_size=SIZE, init_delay="2ms")
    inner = [(at, near(1, 100, seed=at)) for at in (100, 700, 1900, 2500, 5050)]
    found, done = timeline(t, inner, ticks(10, 100))
    end = Far(t, [p for _, p in found])
    same_packets(end.inner, [aged(p) for _, p in inner], "packets in it")
    same([len(blocks) for blocks in end.blocks], [3, 1, 1], "packets in each payload")
    for (mark, _), due in zip(found, (2100, 4500, 7050)):
        check(mark in (due // 100 * 100 - 100, due // 100 * 100, -(-due // 100) * 100), f"left behind the mark {mark}, due {due}")
    same(done.drops, {}, "drops")


@case("init_delay 0: each packet leaves as it comes, with no padding")
def no_delay():
    t = tfs(1, packet_size=SIZE, init_delay=0)
    inner = [(i * MS, near(1, 40 + i, seed=i)) for i in range(50)]
    found, done = timeline(t, inner, ticks(60))
    end = Far(t, [p for _, p in found])
    same_packets(end.inner, [aged(p) for _, p in inner], "packets in it")
    same([mark for mark, _ in found], [at for at, _ in inner], "when they left")
    same([len(p) for p in end.payloads], [44 + i for i in range(50)], "octets of payloads")
    same((done.drops, done.report["held"]), ({}, 0), "drops, held")


@case("a payload that is full leaves before init_delay is over; the rest of its last packet waits its time")
def full_leaves():
    t = tfs(1, packet_size=SIZE, init_delay="5ms")
    inner = [(MS + 10 * i, near(1, 500, seed=i)) for i in range(3)]
    found, _ = timeline(t, inner, ticks(20, 100))
    end = Far(t, [p for _, p in found])
    same_packets(end.inner, [aged(p) for _, p in inner], "packets in it")
    same([len(p) for p in end.payloads], [ROOM + 4, 4 + 1500 - ROOM], "octets of payloads")
    check(found[0][0] <= 1100, f"the full one left behind the mark {found[0][0]}")
    check(1900 <= found[1][0] <= 6200, f"the rest left behind the mark {found[1][0]}")


def mixed(t, count, version, seed, sizes=(20, 40, 41, 44, 60, 64, 128, 256, 576, 1300, 1342, 1343, 1500, 3000, 9000)):
    rng = random.Random(f"{t.n} {seed}")
    return [near(t.n, max(rng.choice(sizes), 20 if version == 4 else 40), version, i,
                 **({"ident": i} if version == 4 else {"flow": i})) for i in range(count)]


SUITES = [{}, {"aead": "aes-gcm-256", "icv": 12}, {"aead": "aes-gcm-128", "icv": 8}, {"aead": "aes-gcm-128", "implicit_iv": True},
          {"aead": "chacha20-poly1305"}, {"aead": "aes-ccm-256"}, {"aead": "aes-gmac-128"}, {"esn": False},
          {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}, {"cipher": "aes-ctr-256", "auth": "hmac-sha512-256"},
          {"cipher": "null", "auth": "hmac-sha1-96"}]


def kinds():
    """(what, tunnel, size of the outer packet, room in it) of each suite and outer header, and of many sizes."""
    n = itertools.count(1)
    for suite, outer, encap in itertools.product(SUITES, (4, 6), (None, (4500, 4500))):
        t = tfs(next(n), outer, more={**suite, "encap": encap}, packet_size=SIZE, init_delay="1ms")
        yield ", ".join([*map(str, suite.values()), f"IPv{outer}{' in UDP' if encap else ''}"]), t, SIZE, overhead(t, SIZE)
    for size, outer in itertools.product((576, 577, 578, 579, 1280, 1499, 1500, 4000, 9000), (4, 6)):
        t = tfs(next(n), outer, more={"path_mtu": 9000}, packet_size=size, init_delay="1ms")
        yield f"packet_size {size}, IPv{outer}", t, size, overhead(t, size)


def overhead(t, size):
    esp = t.esp["out"]
    return room(size, t.outer, bool(t.encap), esp.iv_len, esp.icv_len, esp.cipher.align)


KINDS = list(kinds())


@once
def all_kinds():
    sent = {t.n: mixed(t, 60, (4, 6)[t.n % 2], 0) for _, t, _, _ in KINDS}
    lan = [(100 * i, to_lan(p)) for i, p in enumerate(p for some in zip(*sent.values()) for p in some)]
    lan.append((SECOND, to_lan(NOBODYS)))
    return sent, run(jumbo(with_tunnels(*(t for _, t, _, _ in KINDS))), lan=lan)


def judge_kind(t, size, takes):
    sent, done = all_kinds()
    end = Far(t, done.wan)
    same_packets(end.inner, [aged(p) for p in sent[t.n]], "packets in it")
    mine = [p for p in done.wan if parse(p)["dst"] == t.remote and own(t, p)]
    check(max(map(len, mine)) <= size, f"an outer packet of {max(map(len, mine))} octets")
    largest = 4 + takes
    same(max(map(len, end.payloads)), largest, "octets of the largest payload")
    same(done.sa_drops(t.name + ".out"), {}, "drops")
    same(sum(end.pads()), 0, "padding")


def own(t, packet):
    payload = parse(packet)["payload"]
    return parse(packet)["proto"] in (17, 50) and t.spi["out"].to_bytes(4, "big") in payload[:12]


for what, tunnel, packet_size, takes in KINDS:
    add_case(f"60 packets of many sizes, {what}: all in it, full payloads as large as may be",
             lambda t=tunnel, s=packet_size, r=takes: judge_kind(t, s, r))


SMALL = (40, 41, 60, 300, 1000, 1300)
for what, keys, sizes in (("as packets come", {"init_delay": "1ms"}, ()), ("at a rate", {"rate": 40_000_000}, ()),
                          ("at a rate, whole packets alone", {"rate": 40_000_000, "dont_frag": True}, SMALL),
                          ("whole packets alone, packets of 576", {"init_delay": 0, "dont_frag": True, "packet_size": 576}, (48, 300, 490))):
    @case(f"another gateway takes it all apart again, through swaps and duplicates on the way; {what}")
    def two_gateways(keys=keys, sizes=sizes):
        tunnels = [tfs(1, reorder_window=8, **keys), tfs(2, 6, reorder_window=8, **keys)]
        sent = [p for pair in zip(*(mixed(t, 300, v, 5, *([sizes] if sizes else [])) for t, v in zip(tunnels, (4, 6)))) for p in pair]
        config = with_tunnels(*tunnels)
        config["gateway"]["idle"] = "poll"
        lan = sorted([*((500 * i, to_lan(p)) for i, p in enumerate(sent)), *((at, to_lan(NOBODYS)) for at in range(0, SECOND, 1000))],
                     key=lambda one: one[0])
        first = run(red_jumbo(config), lan=lan)
        same(set(first.drops) - {"no_policy"}, set(), "drops at the first")
        between = {t: [p for p in first.wan if own(t, p)] for t in tunnels}
        rng = random.Random(8)
        moved = [[p[0], *lost_and_swapped(rng, p[1:], 0, 0.2, 0.1, 6)] for p in between.values()]
        config = far_end(*tunnels)
        config["gateway"]["idle"] = "poll"
        second = run(red_jumbo(config), wan=[(10 * i, to_wan(p)) for i, p in enumerate(p for packets in moved for p in packets)])
        same(set(second.drops) - {"replay_dup"}, set(), "drops at the second")
        for t in tunnels:
            same_packets([p for p in second.lan if number_of(p) == t.n], [aged(p, 2) for p in sent if number_of(p) == t.n],
                         f"packets of {t.name}")


@case("an SA that ends at a number of packets: what is whole by then is delivered, all else is dropped, each packet once")
def last_number():
    t = tfs(1, packet_size=SIZE, init_delay="1ms", more={"lifetime": {"hard_packets": 10}})
    inner = [near(1, 3000, seed=i) for i in range(40)]
    found, done = timeline(t, [(MS * i, p) for i, p in enumerate(inner)], ticks(100), patch=red_jumbo)
    end = Far(t, [p for _, p in found], complete=False)
    same(len(end.numbered), 10, "outer packets")
    check(len(end.inner) >= 10 * ROOM // 3000 - 1, f"{len(end.inner)} packets in them")
    same_packets(end.inner, [aged(p) for p in inner[:len(end.inner)]], "packets in it")
    same(sum(done.drops.values()), 40 - len(end.inner), f"drops: {done.drops}")


# Outer headers


def outer_headers(outer, more):
    """The fields of the outer headers around packets of different DSCP, ECN, DF, TTL and flow."""
    t = tfs(1, outer, more=more, packet_size=SIZE, init_delay=0)
    fields = ({"tos": tos, "ttl": 10 + tos} for tos in (0, 1, 2, 3, 0xb8, 0xba, 0x28))
    packets = [(MS * i, from_lan(1, b"x" * 50 * i, **{**f, "df": i % 2} if outer == 4 else f, number=1 + i))
               for i, f in enumerate(fields, 1)]
    found, done = timeline(t, packets, ticks(20))
    end = Far(t, [p for _, p in found])
    same_packets(end.inner, [aged(p) for _, p in packets], "packets in it")
    same(done.drops, {}, "drops")
    return [parse(p) for _, p in found]


for outer in (4, 6):
    for more, tos, ttl in (({}, 0, 64), ({"outer_dscp": 46}, 46 << 2, 64), ({"outer_dscp": 0, "ttl": 7}, 0, 7)):
        @case(f"outer header, IPv{outer}, {more or 'defaults'}: nothing of the inner ones is to be seen")
        def header(outer=outer, more=more, tos=tos, ttl=ttl):
            headers = outer_headers(outer, more)
            same({h["tos"] for h in headers}, {tos}, "TOS: a DSCP for all, and not ECN-capable")
            same({h["ttl"] for h in headers}, {ttl}, "TTL")
            if outer == 4:
                same({h["df"] for h in headers}, {1}, "DF")
            else:
                same(len({h["flow"] for h in headers}), 1, "flow labels")


@case("outer header: df: clear, and then every packet has an identification of its own")
def df_clear():
    headers = outer_headers(4, {"df": "clear"})
    same({h["df"] for h in headers}, {0}, "DF")
    same(len({h["ident"] for h in headers}), len(headers), "identifications")


@case("outer header: a flow label that is said, IPv6")
def flow_label():
    same({h["flow"] for h in outer_headers(6, {"flow_label": 0x12345})}, {0x12345}, "flow labels")


# dont_frag


@case("dont_frag: every packet is whole in its payload, in order, and what does not fit any more waits for the next")
def whole():
    t = tfs(1, packet_size=SIZE, init_delay="5ms", dont_frag=True)
    inner = [near(1, size, seed=i) for i, size in enumerate((750, 750, 60, 240, 1342, 1000, 300, 42, 20, 1342, 21))]
    end, done = at_once(t, inner)
    same_packets(end.inner, [aged(p) for p in inner], "packets in it")
    same([h.offset for h in end.headers], [0] * len(end.headers), "offsets")
    check(all(b.length == len(b.octets) for blocks in end.blocks for b in blocks), "a packet in pieces")
    same([len(b) for b in end.blocks], [1, 3, 1, 3, 1, 1, 1], "packets in each payload")
    same(done.drops, {}, "drops")


def too_big(outer, version):
    """(what is told, and to whom) of a packet one octet over the room, and what leaves of one that fits."""
    t = tfs(1, outer, packet_size=1500, init_delay=0, dont_frag=True)
    takes = room(1500, outer)
    fits, over = (near(1, takes + more, version, **({"df": 1} if version == 4 else {})) for more in (0, 1))
    found, done = timeline(t, [(MS, fits), (200 * MS, over)], ticks(300, 10 * MS))
    end = Far(t, [p for _, p in found])
    same_packets(end.inner, [aged(fits)], "packets in it")
    same(done.drops, {"too_big": 1}, "drops")
    same(len(done.lan), 1, "answers")
    body = parse(done.lan[0])["payload"]
    if version == 4:
        same(body[:2] + body[6:8], b"\3\4" + struct.pack("!H", takes), "type, code and MTU")
    else:
        same(body[:2] + body[4:8], b"\2\0" + struct.pack("!I", takes), "type, code and MTU")


for outer, version in itertools.product((4, 6), (4, 6)):
    @case(f"dont_frag: a packet over the room that may not be cut is told of, with the room; IPv{version} in IPv{outer}")
    def told(outer=outer, version=version):
        too_big(outer, version)


@case("dont_frag: an IPv4 packet over the room that may be cut leaves in fragments, each whole in its payload")
def cut_before():
    t = tfs(1, packet_size=SIZE, init_delay="1ms", dont_frag=True)
    inner = [near(1, 3000, ident=7), near(1, 100, ident=8)]
    end, done = at_once(t, inner, red_jumbo)
    check(any(is_fragment(p) for p in end.inner), "no fragment")
    same_packets(sorted(naive4(end.inner)), sorted(aged(p) for p in inner), "packets, put together")
    same(done.drops, {}, "drops")


@case("without dont_frag nothing is too big: 9,000 octets with DF through outer packets of 576, no answers")
def never_too_big():
    t = tfs(1, packet_size=576, init_delay="1ms")
    inner = [near(1, 9000, df=1), near(1, 9000, 6)]
    end, done = at_once(t, inner, red_jumbo)
    same_packets(end.inner, [aged(p) for p in inner], "packets in it")
    same((done.drops, done.lan), ({}, []), "drops, answers")


# From one SA to another


def through(version, size, **keys):
    """A packet in by one SA, out by another."""
    spokes = [tfs(n, more={"local_nets": ["0.0.0.0/0", "::/0"]}, init_delay="1ms", **keys) for n in (1, 2)]
    for t in spokes:
        t.selectors = False
        t.options["remote_nets"] = t.nets(2)
    inner = [sized(host(version, 2, 1), host(version, 2, 2), s, version, s) for s in (100, size, 200)]
    sealed = Peer(spokes[0]).all(pack(inner, [room(1500)]))
    done = run(with_tunnels(*spokes), wan=[*(to_wan(p) for p in sealed), (SECOND, to_wan(NOBODYS))])
    end = Far(spokes[1], done.wan)
    same_packets(end.inner, [aged(p) for p in inner], "packets in it")
    same(set(done.drops) - {"no_policy", "policy_cleartext"}, set(), "drops")


for version, size in itertools.product((4, 6), (1500, 9000, 20000, 65535)):
    @case(f"in by one SA and out by another: an inner packet of {size} octets, IPv{version}")
    def hub(version=version, size=size):
        through(version, size)


# Lanes


def by_lane(t, packets):
    lanes = {}
    for number, payload in opened(t, packets):
        lanes.setdefault(number >> 48, []).append((number & (1 << 48) - 1, payload))
    return lanes


for workers in (1, 2):
    @case(f"lanes: a stream of its own for each, numbers and trains without gaps, flows in order; workers: {workers}")
    def lanes(workers=workers):
        t = tfs(1, more={"lanes": 4}, init_delay="1ms")
        inner = [udp(host(4, 1, 1), host(4, 2, 1), struct.pack("!I", i) + noise(1 + 131 * i % 2900, i), sport=3000 + i % 16)
                 for i in range(400)]
        lan = [(100 * i, to_lan(p)) for i, p in enumerate(inner)]
        done = run(red_jumbo(with_tunnels(t)), lan=[*lan, *((SECOND, to_lan(NOBODYS)) for _ in range(workers))],
                   workers=workers, queues=workers)
        found, ways = {}, {}
        for lane, numbered in by_lane(t, done.wan).items():
            model = Receiver(window=0, first=1)
            same([n for n, _ in numbered], list(range(1, len(numbered) + 1)), f"numbers of lane {lane}")
            for p in (p for n, payload in numbered for p in model.take(n, payload)):
                i = struct.unpack_from("!I", p, 28)[0]
                found[i] = p
                ways.setdefault(i % 16, []).append((lane, i))
            same((dict(model.drops), model.next), ({}, None), f"what is missing of lane {lane}")
        same_packets([found.get(i) for i in range(400)], [aged(p) for p in inner], "packets in it")
        for flow, way in ways.items():
            same([i for _, i in way], sorted(i for _, i in way), f"order of flow {flow}")
            same(len({lane for lane, _ in way}), 1, f"lanes of flow {flow}")
        same(set(done.drops) - {"no_policy"}, set(), "drops")


if __name__ == "__main__":
    main()
