#!/usr/bin/python3
"""IP-TFS at a constant rate: what leaves, and when, whatever comes (A5.17); queues; and the traffic analysis: loads that
could not differ more, and outer packets that do not differ at all. Time is that of the packets, marks tell it."""
import collections
import itertools
import random

from aggfrag import head, room
from gw import aged, parse, same_packets, total
from tap import case, check, main, same
from tfs import SECOND, Far, near, stamp, tfs, ticks, timeline

MS = 1000
SIZE = 1400
ROOM = room(SIZE)
RATE = SIZE * 8 * 1000  # a packet of SIZE octets each millisecond
NOT, ECT1, ECT0, CE = range(4)


def red_jumbo(config):
    config["ports"][1]["mtu"] = 9600


def even(found, marks, every, what="outer packets"):
    """From the first outer packet on there is one after each `every` marks, to the last mark."""
    order = {at: i for i, (at, _) in enumerate(marks)}
    places = [order[mark] for mark, _ in found]
    check(places and places[0] <= every, f"{what}: the first left behind mark {places[:1]}")
    same(places, list(range(places[0], len(marks), every)), f"{what}: the marks that they left behind")


@case("A5.17 no input: a packet each millisecond, each of exactly packet_size, all of padding alone")
def idle():
    t = tfs(1, rate=RATE, packet_size=SIZE)
    marks = ticks(500, 100)
    found, done = timeline(t, [], marks)
    even(found, marks, 10)
    same({len(p) for _, p in found}, {SIZE}, "sizes")
    end = Far(t, [p for _, p in found])
    same({bytes(p) for p in end.payloads}, {head(0) + bytes(ROOM)}, "payloads")
    same(done.report["generated_by"].get("all_pad"), len(found), "generated: all_pad")
    same(done.drops, {}, "drops")


RATES = [
    ("12345678 bit/s", 12345678, "l3", SIZE), ("1 Mbit/s, a packet each 11.2 ms", 1_000_000, "l3", SIZE),
    ("at Ethernet's layer, 38 octets more", RATE, "l2", SIZE), ("packets of 576 octets", 10_000_000, "l3", 576),
    ("packets of 1,500 octets", 7_654_321, "l3", 1500), ("50 Mbit/s", 50_000_000, "l3", SIZE),
]
for what, rate, layer, size in RATES:
    @case(f"A5.17 over 3 seconds as many packets as the rate says, to one: {what}")
    def exact(rate=rate, layer=layer, size=size):
        t = tfs(1, rate=rate, layer=layer, packet_size=size)
        marks = ticks(3000, 500)
        found, done = timeline(t, [(i * 7 * MS, near(1, 100 + i)) for i in range(400)], marks)
        period = 8 * (size + (38 if layer == "l2" else 0)) / rate * SECOND
        want = 3 * SECOND / period
        check(abs(len(found) - want) <= 1, f"{len(found)} packets, {want:.2f} wanted")
        same({len(p) for _, p in found}, {size // 4 * 4}, "sizes")
        first = found[0][0]
        for i, (mark, _) in enumerate(found):
            check(abs(mark - first - i * period) <= 1000, f"packet {i} left behind {mark}, due {first + i * period:.0f}")
        same(done.drops, {}, "drops")


for outer, encap, version in itertools.product((4, 6), (None, (4500, 4500)), (4, 6)):
    @case(f"A5.17 load: same rate, same sizes, all packets whole and in order; IPv{version} in IPv{outer}{' in UDP' if encap else ''}")
    def load(outer=outer, encap=encap, version=version):
        t = tfs(1, outer, more={"encap": encap}, rate=RATE, packet_size=SIZE)
        rng = random.Random(outer + version)
        inner = [(2 * MS * i + rng.randrange(1000), near(1, rng.choice((48, 60, 100, 1400, 1500, 3000, 9000)[:7 if i % 12 == 0 else 3]),
                                                         version, i)) for i in range(300)]
        marks = ticks(1000)
        found, done = timeline(t, inner, marks, patch=red_jumbo)
        end = Far(t, [p for _, p in found])
        same_packets(end.inner, [aged(p) for _, p in inner], "packets in it")
        check(abs(len(found) - 1000) <= 1, f"{len(found)} packets in 1,000 ms")
        same(len({len(p) for _, p in found}), 1, "sizes")
        same(done.drops, {}, "drops")
        same(total(done.report["held"]), 0, "held")
        same(done.report["generated_by"]["all_pad"], end.all_pads, "generated: all_pad")


@case("A5.17 overload: same rate, same sizes, the queue is bounded, what finds no room drops aggfrag_queue")
def overload():
    t = tfs(1, rate=RATE, packet_size=SIZE, max_queue=30000)
    inner = [(500 * i, near(1, 1300, seed=i, ident=i)) for i in range(1000)]  # twice the rate, for 500 ms
    marks = ticks(600, 250)
    found, done = timeline(t, inner, marks)
    even(found, marks, 4)
    same({len(p) for _, p in found}, {SIZE}, "sizes")
    end = Far(t, [p for _, p in found])
    idents = [parse(p)["ident"] for p in end.inner]
    check(idents == sorted(set(idents)), "packets twice, or out of order")
    same_packets(end.inner, [aged(inner[i][1]) for i in idents], "packets in it")
    same(done.drops, {"aggfrag_queue": 1000 - len(end.inner)}, "drops")
    check(480 <= len(end.inner) <= 560, f"{len(end.inner)} packets got through at a rate for 516, and 23 in the queue")
    # What came last waits for all that is before it.
    last = max(mark for (mark, _), blocks in zip(found, end.blocks) if any(b.kind != "pad" for b in blocks))
    check(500_000 <= last <= 530_000, f"the queue was empty at {last}")


@case("a queue of 10 packets of 1,300 octets takes 10 at once; one of 1,500 octets takes one of them")
def queue_limit():
    for limit, takes in ((13000, 10), (13001, 10), (12999, 9), (1500, 1)):
        t = tfs(1, rate=100_000, packet_size=SIZE, max_queue=limit)
        found, done = timeline(t, [(MS, near(1, 1300, seed=i)) for i in range(15)], ticks(3000, 10 * MS))
        end = Far(t, [p for _, p in found])
        # The first may be on its way, or in part, when the others come.
        check(len(end.inner) in (takes, takes + 1), f"{limit} octets: {len(end.inner)} packets got through")
        same(done.drops, {"aggfrag_queue": 15 - len(end.inner)}, f"drops at {limit} octets")


@case("packets that find the queue nearly full are marked CE if they may be, before any is dropped; their checksums are right")
def marks_ce():
    t = tfs(1, rate=1_000_000, packet_size=SIZE, max_queue=100_000)
    inner = [(3 * MS * i, near(1, 1000, (4, 6)[i % 2], i, tos=(0xb8, 0xb9, 0xba, 0xbb)[i // 2 % 4])) for i in range(300)]
    found, done = timeline(t, inner, ticks(2000))
    end = Far(t, [p for _, p in found])
    # parse() has looked at the checksums.
    came = {(p[:1], parse(p)["payload"]): parse(p)["tos"] for _, p in inner}
    pairs = [(came[p[:1], parse(p)["payload"]], parse(p)["tos"]) for p in end.inner]
    same({pair for pair in pairs if pair[0] != pair[1]}, {(0xb9, 0xbb), (0xba, 0xbb)}, "TOS as it came, as it left")
    changed = [i for i, (a, b) in enumerate(pairs) if a != b]
    check(changed[0] >= 140, f"packet {changed[0]} is marked, and it takes 156 to fill the queue")
    check(all(a != b for a, b in pairs[changed[0]:] if a & 3 in (1, 2)), "one behind it that is not")
    check(done.drops.get("aggfrag_queue", 0) > 0, "none is dropped")


@case("max_aggregation: what would wait longer drops aggfrag_aged, and what leaves has not")
def aged_out():
    t = tfs(1, rate=RATE, packet_size=SIZE, max_aggregation="10ms")
    inner = [(10 * MS, near(1, 1300, seed=i)) for i in range(50)]
    found, done = timeline(t, inner, ticks(100))
    end = Far(t, [p for _, p in found])
    check(9 <= len(end.inner) <= 12, f"{len(end.inner)} packets got through")
    same(done.drops, {"aggfrag_aged": 50 - len(end.inner)}, "drops")
    last = max(mark for (mark, _), blocks in zip(found, end.blocks) if any(b.kind != "pad" for b in blocks))
    check(last <= 22 * MS, f"data left at {last}")


@case("A5.17 the clock steps: no burst beyond a few, and then the rate as before")
def step():
    t = tfs(1, rate=RATE, packet_size=SIZE)
    before, behind = ticks(100), [stamp(10 * SECOND + i * MS) for i in range(100)]
    found, done = timeline(t, [], before + behind)
    places = collections.Counter(at for at, _ in found)
    check(abs(sum(places[at] for at, _ in before[:-1]) - 100) <= 1, "packets before the step")
    at_step = places[before[-1][0]] + places[behind[0][0]]
    check(at_step <= 66, f"{at_step} packets at the step")
    same([places[at] for at, _ in behind[1:-1]], [1] * 98, "packets in each millisecond behind it")
    same({len(p) for _, p in found}, {SIZE}, "sizes")
    same(done.drops, {}, "drops")


@case("lanes: the rate is divided, and what leaves in all is as even as one stream")
def lanes():
    t = tfs(1, more={"lanes": 4}, rate=RATE, packet_size=SIZE)
    marks = ticks(400, 50)
    found, done = timeline(t, [], marks)
    check(abs(len(found) - 400) <= 4, f"{len(found)} packets in 400 ms")
    by_lane = collections.Counter(t.open(p)[2] >> 48 for _, p in found)
    same(sorted(by_lane), [0, 1, 2, 3], "lanes")
    check(max(by_lane.values()) - min(by_lane.values()) <= 1, f"packets by lane: {by_lane}")
    at = [mark for mark, _ in found[4:]]
    gaps = {b - a for a, b in zip(at, at[1:])}
    check(gaps <= {950, 1000, 1050}, f"gaps between packets: {sorted(gaps)} us")
    same({len(p) for _, p in found}, {SIZE}, "sizes")
    same(done.drops, {}, "drops")


# Traffic analysis


def bulk(rng):
    """As much as the tunnel takes and more, in trains."""
    return [(at, near(1, rng.choice((1400, 1500, 9000)), seed=i)) for i, at in enumerate(range(0, 600 * MS, 500))]


def trains(rng):
    """Silence, and then a hundred packets at once."""
    return [(at, near(1, 60, seed=i)) for at in range(50 * MS, 600 * MS, 150 * MS) for i in range(100)]


def speech(rng):
    """A small packet every 20 ms."""
    return [(at, near(1, 200, seed=at)) for at in range(0, 600 * MS, 20 * MS)]


def chatter(rng):
    """Packets of any size at any time, of both families."""
    return [(rng.randrange(600) * MS, near(1, rng.randrange(48, 1500), rng.choice((4, 6)), i)) for i in range(700)]


LOADS = {"nothing at all": lambda rng: [], "bulk": bulk, "trains": trains, "speech": speech, "chatter": chatter}
WAYS = {"a rate": {}, "a rate, whole packets alone": {"dont_frag": True}, "a rate, over IPv6": {"outer": 6},
        "a rate, 4 lanes": {"more": {"lanes": 4}}}


def outside(load, keys, marks):
    """What an observer of the outer packets has: when, how large, and every octet in clear that does not count on."""
    t = tfs(1, rate=RATE, packet_size=SIZE, **keys)
    found, done = timeline(t, load(random.Random(4)), marks, patch=red_jumbo)
    same(set(done.drops) - {"aggfrag_queue", "too_big"}, set(), "drops")
    sight = []
    for mark, packet in found:
        if mark == marks[-1][0]:
            break  # what was begun is finished when the captures end
        header = parse(packet)
        header.pop("payload")
        header.pop("ident", None)
        sight.append((mark, len(packet), tuple(header.items())))
    return sight, done


for way, options in WAYS.items():
    @case(f"traffic analysis, {way}: five loads that could not differ more, and the outer packets do not differ in size, time or header")
    def analysis(options=options):
        marks = ticks(600, 100)
        sights = {name: outside(load, options, marks) for name, load in LOADS.items()}
        first, _ = sights["nothing at all"]
        check(abs(len(first) - 600) <= 4, f"{len(first)} packets in 600 ms")
        for name, (sight, _) in sights.items():
            differ = next((i for i, (a, b) in enumerate(itertools.zip_longest(first, sight)) if a != b), None)
            check(differ is None, f"with {name} packet {differ} differs: {sight[differ:differ + 1] if differ is not None else ''}")
        inner = {name: done.report["merged"] for name, (_, done) in sights.items()}
        check(len(set(inner.values())) == len(LOADS), f"inner packets sent, by load: {inner}")


@case("traffic analysis: the gaps between outer packets have one distribution, whatever the load, to 10 us")
def gaps():
    marks = ticks(100, 10)
    seen = {}
    for name in ("nothing at all", "trains", "chatter"):
        # Loads come at any time here: one may make the clock move between marks.
        load = [(at + 3, p) for at, p in LOADS[name](random.Random(4)) if at < 100 * MS]
        sight, _ = outside(lambda rng, load=load: load, {}, marks)
        at = [mark for mark, _, _ in sight]
        seen[name] = [b - a for a, b in zip(at, at[1:])]
        check(all(abs(gap - MS) <= 10 for gap in seen[name]), f"{name}: gaps {sorted(set(seen[name]))} us")
        check(abs(sum(seen[name]) / len(seen[name]) - MS) < 1, f"{name}: {sum(seen[name]) / len(seen[name]):.2f} us on average")


if __name__ == "__main__":
    main()
