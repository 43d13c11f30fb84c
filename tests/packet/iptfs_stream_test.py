#!/usr/bin/python3
"""IP-TFS, in: sequences of payloads with losses, swaps and duplicates against aggfrag.py's naive receiver; what is waited
for, by the packets' own time; large packets; lanes; what else lives beside payloads (rows A5)."""
import random
import struct

from aggfrag import AllPad, Feedback, Receiver, head, pack, room
from esp import xsn
from gw import Tunnel, aged, from_far, parse, run, same_packets, to_wan, with_tunnels
from pieces import jumbo, naive4
from rows import number_of
from tap import case, check, main, once, same
from tfs import Peer, far, lost_and_swapped, noise, tfs

MS = 1000
ROOM = room(1400)


def red_jumbo(config):
    config["ports"][1]["mtu"] = 9600
    return config


def of(tunnel, packets):
    return [p for p in packets if number_of(p) == tunnel.n]


class Stream:
    """A tunnel's random packets, in random payloads, over a bad path, and what a naive receiver has of them."""

    def __init__(self, n, seed, window=3, sub_type=0, payloads=120, loss=0.0, swap=0.0, twice=0.0, reach=3, pads=0.1):
        rng = random.Random(seed)
        self.t = tfs(n, outer=rng.choice((4, 6)), reorder_window=window, congestion_control=False)
        self.window, version = window, rng.choice((4, 6))
        self.inner = []
        while sum(map(len, self.inner)) < payloads * 600:
            size = rng.choice((40, 41, 64, 90, 576, 1200, 1342, 1500, 4000, 9000))
            i = len(self.inner)  # told apart even where there is a header alone
            self.inner.append(far(n, size, version, i, **({"ident": i} if version == 4 else {"flow": i})))
        rooms = [AllPad(rng.randrange(1, 60)) if rng.random() < pads else rng.choice((1, 3, 5, 30, 600, ROOM, ROOM, ROOM))
                 for _ in range(payloads)] + [ROOM]
        feedback = Feedback(loss=9, tval=5) if sub_type else None
        made = pack(self.inner, rooms, feedback, least=rng.choice((1, 6)), fill=rng.random() < 0.5)
        self.inner += [far(n, 100, version, 1000 + i) for i in range(window + 2)]
        tail = [head(0, feedback) + p for p in self.inner[-window - 2:]]
        peer = Peer(self.t)
        sealed = list(enumerate(peer.all(made + tail), 1))
        # The first says where the stream begins; with the last ones nothing waits when the captures end.
        self.into = sealed[:1] + lost_and_swapped(rng, sealed[1:len(made)], loss, swap, twice, reach) + sealed[len(made):]
        self.expect(dict(enumerate(made + tail, 1)))
        self.lossless = not (loss or reach > window)

    def expect(self, payloads):
        model, seen, self.out = Receiver(self.window), set(), []
        for number, _ in self.into:
            if number in seen:
                model.drops["replay_dup"] += 1
            else:
                seen.add(number)
                self.out += model.take(number, payloads[number])
        self.drops = dict(model.drops)

    def judge(self, done):
        have = of(self.t, done.lan)
        places = {aged(p): i for i, p in enumerate(self.inner)}
        strange = [p for p in have if p not in places]
        check(not strange, f"{len(strange)} packets that nobody sent, the first {strange[:1]}")
        order = [places[p] for p in have]
        check(order == sorted(set(order)), f"packets twice, or out of order: {order}")
        if self.lossless:
            same_packets(have, [aged(p) for p in self.inner], "packets, when nothing is lost")
        same_packets(have, [aged(p) for p in self.out], "packets that a naive receiver has")
        same(done.sa_drops(self.t.name + ".in"), self.drops, "drops")


KINDS = {
    "nothing lost": {}, "nothing lost, sub-type 1": {"sub_type": 1}, "swaps inside the window": {"swap": 0.3, "reach": 2},
    "duplicates": {"twice": 0.2}, "swaps and duplicates, a window of 8": {"swap": 0.4, "twice": 0.1, "reach": 7, "window": 8},
    "losses": {"loss": 0.05}, "many losses": {"loss": 0.3}, "losses, a window of 0": {"loss": 0.1, "window": 0},
    "swaps beyond a window of 1": {"swap": 0.3, "reach": 4, "window": 1}, "many all-pads": {"pads": 0.6, "loss": 0.02},
    "swaps with a window of 0": {"swap": 0.2, "reach": 2, "window": 0},
    "all of it": {"loss": 0.08, "swap": 0.3, "twice": 0.1, "reach": 5},
    "all of it, sub-type 1, a window of 16": {"loss": 0.08, "swap": 0.3, "twice": 0.1, "reach": 12, "window": 16, "sub_type": 1},
}
SEEDS = 3


@once
def streams():
    """All kinds in one run, mixed."""
    made = [Stream(n, f"{n} {seed} {what}", **options) for n, (what, options, seed) in enumerate(
        ((what, options, seed) for what, options in KINDS.items() for seed in range(SEEDS)), 1)]
    queues = [[packet for _, packet in s.into] for s in made]
    rng, frames = random.Random(7), []
    while any(queues):
        queue = rng.choice([q for q in queues if q])
        frames += [to_wan(queue.pop(0)) for _ in range(min(len(queue), rng.randint(1, 40)))]
    stamped = [(10 * i, frame) for i, frame in enumerate(frames)]
    return made, run(red_jumbo(with_tunnels(*(s.t for s in made))), wan=stamped)


for number, name in enumerate(KINDS):
    @case(f"random payloads against a naive receiver: {name}")
    def judge_kind(number=number):
        made, done = streams()
        for stream in made[SEEDS * number:SEEDS * (number + 1)]:
            stream.judge(done)


def timed(t, frames, more=(), patch=None, marks=range(0, 3000, 10), **options):
    """Runs with marks every 10 ms of time, packets of a plain tunnel. Gives the packets of t with the mark before each."""
    plain = Tunnel(200)
    marked = [(at * MS, plain.seal(from_far(200, struct.pack("!I", at)), i)) for i, at in enumerate(marks, 1)]
    both = sorted([*frames, *marked], key=lambda one: one[0])
    config = with_tunnels(t, plain, *more)
    if patch:
        patch(config)
    done = run(config, wan=[(at, to_wan(p)) for at, p in both], arguments=["--burst", "1"], workers=1, **options)
    mark, found = None, []
    for packet in done.lan:
        if number_of(packet) == 200:
            mark = struct.unpack("!I", parse(packet)["payload"][8:12])[0]
        else:
            found.append((mark, packet))
    return found, done


def near_mark(have, ms, what):
    """What was due at that time left before the mark that follows it, or right behind it: nothing runs between marks."""
    check(have in (ms // 10 * 10, -(-ms // 10) * 10), f"{what}: left behind the mark at {have} ms, and was due at {ms} ms")


for drop_time in (50, 1000):
    @case(f"what waits for a missing payload is delivered after drop_time, {drop_time} ms")
    def waits(drop_time=drop_time):
        t = tfs(1, drop_time=f"{drop_time}ms")
        peer, inner = Peer(t), [far(1, 100, seed=i) for i in range(4)]
        sealed = peer.all([head(0) + p for p in inner])
        found, done = timed(t, [(MS, sealed[0]), (3 * MS, sealed[2]), (5 * MS, sealed[3])])
        same_packets([p for _, p in found], [aged(inner[i]) for i in (0, 2, 3)], "packets")
        same(found[0][0], 0, "the mark before the first")
        near_mark(found[1][0], 3 + drop_time, "the first that waited")
        check(found[2][0] in (found[1][0], found[1][0] + 10), f"the second that waited left at {found[2][0]}")
        same(done.drops, {}, "drops")


@case("the missing one comes in time: nothing waits any longer, and nothing is given up")
def comes_in_time():
    t = tfs(1, drop_time="50ms")
    inner = [far(1, 100, seed=i) for i in range(3)]
    sealed = Peer(t).all([head(0) + p for p in inner])
    found, done = timed(t, [(MS, sealed[0]), (3 * MS, sealed[2]), (43 * MS, sealed[1])])
    same_packets([p for _, p in found], [aged(p) for p in inner], "packets")
    same([mark for mark, _ in found], [0, 40, 40], "marks before them")
    same(done.drops, {}, "drops")


@case("it comes after drop_time: aggfrag_late")
def comes_late():
    t = tfs(1, drop_time="50ms")
    inner = [far(1, 100, seed=i) for i in range(3)]
    sealed = Peer(t).all([head(0) + p for p in inner])
    found, done = timed(t, [(MS, sealed[0]), (3 * MS, sealed[2]), (75 * MS, sealed[1])])
    same_packets([p for _, p in found], [aged(inner[i]) for i in (0, 2)], "packets")
    same(done.drops, {"aggfrag_late": 1}, "drops")


@case("two gaps, each with a time of its own")
def two_gaps():
    t = tfs(1, drop_time="100ms", reorder_window=10)
    inner = [far(1, 100, seed=i) for i in range(6)]
    sealed = Peer(t).all([head(0) + p for p in inner])
    found, done = timed(t, [(MS, sealed[0]), (3 * MS, sealed[2]), (63 * MS, sealed[4]), (64 * MS, sealed[5])])
    same_packets([p for _, p in found], [aged(inner[i]) for i in (0, 2, 4, 5)], "packets")
    near_mark(found[1][0], 103, "behind the first gap")
    near_mark(found[2][0], 163, "behind the second gap")
    same(done.drops, {}, "drops")


@case("A5.12 a packet of 65535 octets of which one payload comes is given up after drop_time, aggfrag_timeout; so is one half")
def never_whole():
    t, u = tfs(1, drop_time="50ms"), tfs(2, drop_time="50ms")
    one, two = Peer(t), Peer(u)
    first = one.send(head(0) + struct.pack("!BBH", 0x45, 0, 65535) + noise(1338))
    halves = two.all(pack([far(2, 9000)], [ROOM])[:4])
    late = [one.send(head(64193) + noise(ROOM)), one.send(head(0) + far(1, 100)), two.send(head(0) + far(2, 100))]
    found, done = timed(t, [(MS, first), *((MS, p) for p in halves), *((200 * MS, p) for p in late)], more=[u])
    same_packets(sorted(p for _, p in found), sorted([aged(far(1, 100)), aged(far(2, 100))]), "packets")
    same(done.drops, {"aggfrag_timeout": 2, "aggfrag_orphan": 1}, "drops")
    same(done.report["held"], 0, "held")


@case("A5.12 200 SAs that announce 65535 octets and bring some, again and again: nothing is kept, and others live")
def flood_of_announcements():
    tunnels = [tfs(n, drop_time="20ms") for n in range(1, 200)]
    frames, good = [], []
    for k in range(5):
        for t in tunnels:
            number = 4 * k + 1
            announced = struct.pack("!BBH", 0x45, 0, 65535)
            frames += [(100 * k * MS, t.seal(head(0) + announced + noise(1300), number, 144)),
                       (100 * k * MS, t.seal(head(64231) + noise(1300), number + 1, 144)),
                       (100 * k * MS + 50 * MS, t.seal(head(0) + far(t.n, 60), number + 2, 144)),
                       (100 * k * MS + 50 * MS, t.seal(head(0) + far(t.n, 70), number + 3, 144))]
            good += [aged(far(t.n, 60)), aged(far(t.n, 70))]
    found, done = timed(tunnels[0], frames, more=tunnels[1:], marks=range(0, 1000, 10))
    same_packets(sorted(p for _, p in found), sorted(good), "packets")
    same(done.drops, {"aggfrag_timeout": 5 * len(tunnels)}, "drops")
    same(done.report["held"], 0, "held")


@case("A5.12 packets of 65535 octets that lack their last piece, on 60 SAs at once: buffers are bounded, the oldest gives up")
def many_partial():
    tunnels, good = [tfs(n) for n in range(1, 61)], tfs(61)
    made = {t: pack([far(t.n, 65535)], [ROOM])[:-1] for t in tunnels}
    wanted, frames = [far(61, 1000, seed=i) for i in range(48)], []
    for i, payload in enumerate(pack(wanted, [ROOM // 2])):
        frames += [t.seal(made[t][i], i + 1, 144) for t in tunnels if i < len(made[t])]
        frames.append(good.seal(payload, i + 1, 144))
    config = with_tunnels(*tunnels, good)
    config["gateway"]["mbufs"] = 4096
    done = run(config, wan=[(10 * i, to_wan(p)) for i, p in enumerate(frames)])
    # It is among the oldest now and then.
    same_packets(done.lan, [p for p in (aged(p) for p in wanted) if p in set(done.lan)], "packets of the one whose packets are whole")
    check(len(done.lan) >= 0.9 * len(wanted), f"{len(done.lan)} of its {len(wanted)} packets got through")
    drops = dict(done.drops)
    check(drops.pop("aggfrag_queue", 0) > 0, f"no bound was met: {done.drops}")
    same(set(drops) - {"aggfrag_orphan", "aggfrag_timeout", "aggfrag_ended", "stopped"}, set(), "other drops")
    same(done.report["held"], 0, "held")


@case("a window of 4096 with a hole, on 20 SAs at once: buffers are bounded, the oldest waits no longer, and nothing is lost")
def many_holes():
    tunnels, good = [tfs(n, reorder_window=4096, drop_time="10s") for n in range(1, 21)], tfs(21)
    frames, wanted = [], []
    for number in [1, *range(3, 500)]:
        wanted += [far(t.n, 60, seed=number) for t in tunnels] + [far(21, 1000, seed=number)]
        frames += [t.seal(head(0) + far(t.n, 60, seed=number), number, 144) for t in tunnels]
        frames.append(good.seal(head(0) + far(21, 1000, seed=number), number - (number > 1), 144))
    # The hole is behind us: nothing waits when the captures end.
    frames += [t.seal(head(0) + far(t.n, 70), 5000, 144) for t in tunnels]
    frames += [t.seal(head(0) + far(t.n, 70), 10000, 144) for t in tunnels]
    wanted += [far(t.n, 70) for t in tunnels]
    config = with_tunnels(*tunnels, good)
    config["gateway"]["mbufs"] = 4096
    done = run(config, wan=[(10 * i, to_wan(p)) for i, p in enumerate(frames)])
    have = [p for p in done.lan if len(p) != 70]
    same(set(done.drops) - {"stopped", "aggfrag_ended"}, set(), "drops")
    for t in (*tunnels, good):
        same_packets(of(t, have), [aged(p) for p in wanted if number_of(p) == t.n and len(p) != 70], f"packets of {t.name}")


@case("what captures leave unfinished does not keep the run from ending, and none of it is lost without a name")
def unfinished():
    t = tfs(1)
    peer = Peer(t)
    sealed = peer.all([head(0) + far(1, 100), *pack([far(1, 3000)], [ROOM])[:1]])
    peer.number += 1
    sealed.append(peer.send(head(0) + far(1, 200)))
    done = run(with_tunnels(t), wan=[to_wan(p) for p in sealed])
    check(done.lan[:1] == [aged(far(1, 100))], "the packet that is whole")
    same(done.report["held"], 0, "held")
    check(sum(done.drops.values()) + len(done.lan) in (3, 4), f"{len(done.lan)} packets, drops {done.drops}")


for outer in (4, 6):
    @case(f"an inner packet of 65535 octets, over IPv{outer}, comes out in pieces of IPv4")
    def largest(outer=outer):
        t = tfs(1, outer=outer)
        inner = [far(1, 200), far(1, 65535, ident=9), far(1, 300)]
        sealed = Peer(t).all(pack(inner, [ROOM]))
        done = run(red_jumbo(with_tunnels(t)), wan=[to_wan(p) for p in sealed])
        same(done.drops, {}, "drops")
        same_packets(sorted(naive4(done.lan)), sorted(aged(p) for p in inner), "packets, put together")


@case("60 jumbo payloads of 447 packets that are a header alone: all delivered (A5.13)")
def storm():
    t = tfs(1)
    inner = [far(1, 20, seed=i, ident=i) for i in range(60)]
    payload_of = [head(0) + p * 447 for p in inner]
    config = jumbo(with_tunnels(t))
    config["gateway"].update(mbufs=12288, burst=32)
    done = run(config, wan=[to_wan(p) for p in Peer(t).all(payload_of)])
    same(done.drops, {}, "drops; a capture is never full")
    same_packets(done.lan, [aged(p) for p in inner for _ in range(447)], "packets")


@case("jumbo payloads of 8,942 octets: packets of many sizes")
def jumbo_payloads():
    t, u = tfs(1), tfs(2, outer=6)
    sizes = [random.Random(3).choice((20, 60, 300, 1500, 4000, 9000)) for _ in range(300)]
    inner = {x: [far(x.n, max(size, 40), 4 if x is t else 6, i) for i, size in enumerate(sizes)] for x in (t, u)}
    frames = [to_wan(p) for x in (t, u) for p in Peer(x).all(pack(inner[x], [room(9000, x.outer)]))]
    config = jumbo(with_tunnels(t, u))
    done = run(config, wan=frames)
    same(done.drops, {}, "drops")
    for x in (t, u):
        same_packets(of(x, done.lan), [aged(p) for p in inner[x]], f"packets over IPv{x.outer}")


@case("send_immediately: whole packets do not wait for a missing payload, and those in pieces come whole, each once")
def immediately():
    t = tfs(1, send_immediately=True, reorder_window=8)
    inner = [far(1, 100, seed=i) for i in range(10)]
    sealed = Peer(t).all([head(0) + p for p in inner])
    found, done = timed(t, [(10 * MS * i + MS, sealed[k]) for i, k in enumerate((0, 2, 3, 1, 5, 4, 6, 7, 9, 8))])
    same_packets([p for _, p in found], [aged(inner[i]) for i in (0, 2, 3, 1, 5, 4, 6, 7, 9, 8)], "packets, as they came")
    same([mark for mark, _ in found], list(range(0, 100, 10)), "marks before them: each left at once")
    same(done.drops, {}, "drops")


@case("send_immediately: pieces in any order inside the window, whole packets between, a duplicate")
def immediately_pieces():
    t = tfs(1, send_immediately=True, reorder_window=8)
    inner = [far(1, size, seed=size) for size in (300, 3000, 400, 2500, 90, 80, 70)]
    made = Peer(t).all(pack(inner, [ROOM]))
    order = [0, 2, 1, *range(len(made) - 1, 2, -1)]
    done = run(red_jumbo(with_tunnels(t)), wan=[to_wan(made[i]) for i in [*order, order[-1]]])
    same_packets(sorted(done.lan), sorted(aged(p) for p in inner), "packets, in any order")
    same(done.drops, {"replay_dup": 1}, "drops")


@case("send_immediately: losses leave no packet that is not whole, and none comes twice")
def immediately_losses():
    rng = random.Random(9)
    t = tfs(1, send_immediately=True, reorder_window=8)
    inner = [far(1, rng.choice((60, 700, 3000)), seed=i) for i in range(300)]
    sealed = Peer(t).all(pack(inner, [ROOM]))
    done = run(red_jumbo(with_tunnels(t)), wan=[to_wan(p) for p in lost_and_swapped(rng, sealed, 0.05, 0.3, 0.1, 6)])
    have = set(done.lan)
    same(len(have), len(done.lan), "packets, and different ones")
    strange = have - {aged(p) for p in inner}
    check(not strange, f"{len(strange)} packets that nobody sent")
    check(len(have) > 150, f"only {len(have)} of 300 packets")


for outer in (4, 6):
    for ecn in (True, False):
        @case(f"ECN over IPv{outer}, ecn: {ecn}: what is marked is an outer packet of many; inner ones keep their own, and none drops")
        def ecn_kept(outer=outer, ecn=ecn):
            t = tfs(1, outer, more={"ecn": ecn})
            peer = Peer(t)
            inner = {outside: [far(1, 100, seed=outside, tos=0xb8 | inside) for inside in range(4)] for outside in range(4)}
            into = [peer.send(head(0) + b"".join(packets), outer={"tos": outside}) for outside, packets in inner.items()]
            done = run(with_tunnels(t), wan=[to_wan(p) for p in into])
            same_packets(done.lan, [aged(p) for packets in inner.values() for p in packets], "packets on the red side")
            same(done.drops, {}, "drops")


def echo_payload(kind, seq, data=b"abcdefgh"):
    return struct.pack("!BBHHH", kind, 0, len(data), 0xbeef, seq) + data


@case("ESP echoes, sub-types 2 and 3, between the pieces of a packet: answered, and stepped over")
def echoes():
    t = tfs(1, more={"esp_ping": True})
    peer, inner = Peer(t), [far(1, 4000), far(1, 100)]
    made = pack(inner, [ROOM])
    into = []
    for i, payload in enumerate(made):
        into += [peer.send(payload), peer.send(echo_payload(2, i))]
    into.append(peer.send(echo_payload(3, 99)))
    done = run(red_jumbo(with_tunnels(t)), wan=[to_wan(p) for p in into])
    same_packets(done.lan, [aged(p) for p in inner], "packets on the red side")
    answers = [t.open(p) for p in done.wan]
    same([(payload, kind) for payload, kind, _, _ in answers], [(echo_payload(3, i), 144) for i in range(len(made))], "answers")
    same(done.drops, {}, "drops")


@case("ESP echoes on an SA that answers none drop ping_disabled, and the packet around them is whole")
def echoes_refused():
    t = tfs(1)
    peer, inner = Peer(t), far(1, 2000)
    made = pack([inner], [ROOM])
    into = [peer.send(made[0]), peer.send(echo_payload(2, 1)), peer.send(made[1])]
    done = run(red_jumbo(with_tunnels(t)), wan=[to_wan(p) for p in into])
    same_packets(done.lan, [aged(inner)], "packets on the red side")
    same((done.drops, done.wan), ({"ping_disabled": 1}, []), "drops, answers")


for workers in (1, 2):
    @case(f"lanes: a stream of its own for each, whatever comes between; workers: {workers}")
    def lanes(workers=workers):
        t = tfs(1, more={"lanes": 4})
        inner = {lane: [far(1, 40 + 97 * i % 3000, seed=100 * lane + i) for i in range(60)] for lane in range(4)}
        frames = []
        for lane, packets in inner.items():
            made = pack(packets, [ROOM])
            frames.append([t.seal(payload, xsn(lane, i), 144) for i, payload in enumerate(made, 1)])
        rng, mixed = random.Random(11), []
        while any(frames):
            mixed.append(rng.choice([f for f in frames if f]).pop(0))
        done = run(red_jumbo(with_tunnels(t)), wan=[to_wan(p) for p in mixed], workers=workers)
        same(done.drops, {}, "drops")
        for lane, packets in inner.items():
            mine = {aged(p) for p in packets}
            same_packets([p for p in done.lan if p in mine], [aged(p) for p in packets], f"packets of lane {lane}")
        same(len(done.lan), 240, "packets in all")


@case("A5.16 the rest of a packet on another SA of the same peer is joined to nothing")
def other_sa():
    t, u = tfs(1), tfs(2)
    first, last = pack([far(1, 2000)], [ROOM])
    tail = head(0) + far(2, 90)
    done = run(with_tunnels(t, u), wan=[to_wan(p) for p in (t.seal(first, 1, 144), u.seal(last, 1, 144), u.seal(last, 2, 144),
                                                            u.seal(tail, 3, 144))])
    same_packets(done.lan, [aged(far(2, 90))], "packets on the red side")
    same(done.sa_drops("t2.in"), {"aggfrag_orphan": 2}, "drops of the second SA")


@case("A5.16 an SA whose lifetime ends while a packet is not whole: it drops with its SA, what waited in order is delivered")
def ended():
    t = tfs(1, more={"lifetime": {"hard_seconds": 2}})
    peer = Peer(t)
    into = [(MS, peer.send(head(0) + far(1, 100)))]
    into.append((1990 * MS, peer.send(pack([far(1, 2000)], [ROOM])[0])))
    found, done = timed(t, into, marks=range(0, 6000, 10))
    same_packets([p for _, p in found], [aged(far(1, 100))], "packets on the red side")
    check(done.drops in ({"aggfrag_ended": 1}, {"aggfrag_timeout": 1}), f"drops: {done.drops}")




if __name__ == "__main__":
    main()
