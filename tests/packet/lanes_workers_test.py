#!/usr/bin/python3
"""Subspaces with one worker and with two: each lane has one writer, and nobody outside can tell how many there are."""
import json
import random
import struct

from control import running
from esp import xsn
from gw import (Tunnel, aged, far_end, from_far, from_lan, host, run, same_packets, skewed, to_lan, to_wan, udp,
                with_tunnels)
from lanes import LAST, LANE_STATS, SUBSPACES, WANT_LANES, check_numbers, daemon_sa
from tap import Failure, add_case, case, check, main, once, same
import xfrm

COUNT = 2000
LANES = 8


def numbered(i, size=0):
    return struct.pack("!I", i) + bytes(size)


def number_of(packet):
    return struct.unpack_from("!I", packet, (20 if packet[0] >> 4 == 4 else 40) + 8)[0]


def is_rising(numbers, what):
    for a, b in zip(numbers, numbers[1:]):
        check(a < b, f"{what}: {b} comes behind {a}")


def flow_packet(n, flow, i):
    return udp(host(4, 1, n), host(4, 2, n), numbered(i), sport=3000 + flow)


@once
def hub_run():
    """Spokes send by every id into a hub, which sends all on by one SA: so each worker has something for its lanes."""
    spokes = [Tunnel(n, local_nets=["0.0.0.0/0"], selectors=False, lanes=LANES) for n in (1, 2)]
    for t in spokes:
        t.options["remote_nets"] = [f"10.2.{t.n}.0/24"]
    dice = random.Random(5)
    sealed, sent, next_of = [], [], {}
    for i in range(COUNT):
        lane = dice.randrange(LANES)
        next_of[lane] = next_of.get(lane, 0) + 1
        inner = udp(host(4, 2, 1), host(4, 2, 2), numbered(i), sport=3000 + lane)
        sealed.append(spokes[0].seal(inner, xsn(lane, next_of[lane])))
        sent.append((lane, inner))
    return spokes, sent, run(with_tunnels(*spokes), wan=[to_wan(p) for p in sealed], workers=2)


@case("two workers, out: numbers of each lane without a gap, by lanes of both")
def hub_out():
    spokes, sent, done = hub_run()
    same(done.drops, {}, "drops")
    opened = [spokes[1].open(packet) for packet in done.wan]
    same(len(opened), COUNT, "packets sent")
    by_lane = {}
    for _, _, seq, _ in opened:
        by_lane.setdefault(seq >> 48, []).append(seq)
    # Two workers send side by side; each lane is one's, in order.
    check_numbers([seq for numbers in by_lane.values() for seq in numbers], LANES, "out")
    check({lane % 2 for lane in by_lane} == {0, 1}, f"lanes {sorted(by_lane)} are of one worker")


@case("two workers: each packet once, as it was, and each flow in its order")
def hub_order():
    spokes, sent, done = hub_run()
    arrived = {}
    for packet in done.wan:
        inner = spokes[1].open(packet)[0]
        same(inner, aged(sent[number_of(inner)][1]), "a packet")
        arrived.setdefault(sent[number_of(inner)][0], []).append(number_of(inner))
    same(sum(len(numbers) for numbers in arrived.values()), COUNT, "packets")
    for flow, numbers in arrived.items():
        is_rising(numbers, f"flow {flow}")


@case("two workers: each SA counts what went by all its lanes")
def hub_counts():
    spokes, _, done = hub_run()
    for name in ("t1.in", "t2.out"):
        same(done.sa(name)["packets"], COUNT, f"packets of {name}")


def twice(workers):
    """Every packet twice, far apart or at once: each is accepted once, whoever owns its window."""
    t = Tunnel(1, lanes=LANES)
    dice = random.Random(workers)
    numbers = [xsn(lane, n) for n in range(1, 60) for lane in range(LANES)]
    order = [seq for seq in numbers for _ in range(2)] + dice.sample(numbers, 200)
    inner = {seq: from_far(1, b"%x" % seq) for seq in numbers}
    done = run(with_tunnels(t), wan=[to_wan(t.seal(inner[seq], seq)) for seq in order], workers=workers)
    same(done.drops, {"replay_dup": len(numbers) + 200}, "drops")
    same(sorted(done.lan), sorted(aged(p) for p in inner.values()), "packets on the red side")


def forged(workers):
    t = Tunnel(1, lanes=60000)
    frames = []
    for lane in range(0, 60000, 60):
        esp = bytearray(t.esp["in"].seal(xsn(lane, 1), from_far(1), 4))
        esp[-1] ^= 1
        frames.append(to_wan(t.carry(bytes(esp))))
    good = [xsn(lane, 1) for lane in (0, 1, 59999, 12345)]
    frames += [to_wan(t.seal(from_far(1, b"%x" % seq), seq)) for seq in good]
    frames += [to_wan(t.seal(from_far(1), xsn(lane, 1))) for lane in (60000, 65535)]
    t.own["out"]["lanes"] = 2
    done = run(with_tunnels(t), wan=frames, workers=workers)
    same(done.drops, {"icv_fail": 1000, "subspace_unknown": 2}, "drops")
    same(sorted(done.lan), sorted(aged(from_far(1, b"%x" % seq)) for seq in good), "packets on the red side")


@case("a lane that ends: seq_exhausted for that lane alone")
def ends():
    """Lane 0 has three numbers left; flows by the others do not notice, and lend it none."""
    t = Tunnel(1, lanes=LANES, out={"oseq": LAST - 3})
    packets = [flow_packet(1, flow, 40 * flow + i) for i in range(10) for flow in range(40)]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in packets], workers=1)
    sent = {}
    for packet in done.wan:
        inner, _, seq, _ = t.open(packet)
        sent.setdefault(seq >> 48, []).append(seq & LAST)
    same(set(done.drops), {"seq_exhausted"}, "drops")
    same(sent.pop(0), [LAST - 2, LAST - 1, LAST], "numbers of lane 0")
    check(len(sent) > 1, f"lanes used: {sorted(sent)}")
    for lane, numbers in sent.items():
        same(numbers, list(range(1, len(numbers) + 1)), f"numbers of lane {lane}")
    same(len(done.wan) + done.drops["seq_exhausted"], len(packets), "packets")
    check(done.drops["seq_exhausted"] % 10 == 7, f"drops {done.drops}: of flows by lane 0 alone")


def by_class(workers):
    t = Tunnel(1, lanes=16, out={"lane_by": "class"})
    packets = [udp(host(4, 1, 1), host(4, 2, 1), numbered(i), sport=3000 + i % 7, tos=i % 64 << 2) for i in range(640)]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in packets], workers=workers)
    same(done.drops, {}, "drops")
    lane_of = {}
    for packet in done.wan:
        inner, _, seq, _ = t.open(packet)
        lane_of.setdefault(inner[1] >> 5, set()).add(seq >> 48)
    same({len(lanes) for lanes in lane_of.values()}, {1}, "lanes of a class selector")
    same(len(set.union(*lane_of.values())), 8, "lanes used by eight class selectors")


def looped(workers):
    """What one gateway sends another takes in, and its answers come back, by lanes of their own."""
    t = Tunnel(1, lanes="auto", implicit_iv=True)
    packets = [flow_packet(1, flow, 10 * flow + i) for flow in range(20) for i in range(10)]
    out = run(with_tunnels(t), lan=[to_lan(p) for p in packets], workers=workers)
    same(out.drops, {}, "drops on the way out")
    far = run(far_end(t), wan=[to_wan(p) for p in out.wan], workers=workers)
    same(far.drops, {}, "drops at the far end")
    same(sorted(far.lan), sorted(aged(p, 2) for p in packets), "packets at the far end")


def few_lanes(workers):
    """Fewer lanes than workers: the others hand over to who has one."""
    t = Tunnel(1, lanes=1)
    done = run(with_tunnels(t), lan=[to_lan(flow_packet(1, i % 9, i)) for i in range(500)],
               wan=[to_wan(t.seal(from_far(1, numbered(i)), i)) for i in range(1, 500)], workers=workers)
    same(done.drops, {}, "drops")
    numbers = [t.open(packet)[2] for packet in done.wan]
    same(numbers, list(range(1, 501)), "numbers sent")
    same_packets(done.lan, [aged(from_far(1, numbered(i))) for i in range(1, 500)], "packets on the red side")


def limits(workers):
    """A hard lifetime of the key, over all lanes: not one packet more."""
    t = Tunnel(1, lanes=4, lifetime={"hard_packets": 100})
    lan = [to_lan(flow_packet(1, flow, 50 * flow + i)) for i in range(50) for flow in range(40)]
    wan = [to_wan(t.seal(from_far(1, b"%d" % n), xsn(n % 4, 1 + n // 4))) for n in range(2000)]
    done = run(with_tunnels(t), lan=lan, wan=wan, workers=workers)
    check(len(done.wan) <= 100 and len(done.lan) <= 100, f"{len(done.wan)} out and {len(done.lan)} in, of 100")
    check(set(done.drops) <= {"expired", "seq_wait"}, f"drops {done.drops}")
    check(done.wan and done.lan, "nothing went through")


EF, BEST_EFFORT = 46, 0  # of two lanes that a worker has one takes each


def across_paths(lanes, workers):
    """Two gateways and two paths, the one for EF shorter: what the second one drops, and the packets that arrive."""
    dice = random.Random(9)
    classes = [EF if dice.random() < 0.6 else BEST_EFFORT for _ in range(COUNT)]
    packets = [udp(host(4, 1, 1), host(4, 2, 1), numbered(i), tos=dscp << 2) for i, dscp in enumerate(classes)]
    near, far = Tunnel(1, lanes=lanes, out={"lane_by": "class"}), Tunnel(1, lanes=lanes, replay_window=64)
    sent = run(with_tunnels(near), lan=[to_lan(p) for p in packets], workers=workers)
    same((sent.drops, len(sent.wan)), ({}, COUNT), "drops and packets on the way out")
    lane_of = {}
    for packet in sent.wan:
        inner, _, seq, _ = near.open(packet)
        lane_of.setdefault(inner[1] >> 2, set()).add(seq >> 48)
    same(len(set.union(*lane_of.values())), min(lanes, 2), f"lanes used, {lane_of}")
    # The outer class is the inner one's.
    late = skewed([(p, p[1] >> 2) for p in sent.wan], {EF}, 100)
    check(late != sent.wan, "the paths are alike")
    done = run(far_end(far), wan=[to_wan(p) for p in late], workers=workers)
    return done.drops, done.lan, [aged(p, 2) for p in packets]


def paths_apart(workers):
    drops, arrived, sent = across_paths(2 * workers, workers)
    same(drops, {}, "drops with a lane for each path")
    same(sorted(arrived), sorted(sent), "packets that arrive with a lane for each path")
    drops, arrived, sent = across_paths(1, workers)
    same(set(drops), {"replay_old"}, "drops with one lane")
    check(drops["replay_old"] > 100, f"one lane: drops {drops}")
    same(len(arrived) + drops["replay_old"], COUNT, "packets with one lane")


for count in (1, 2):
    who = "one worker" if count == 1 else "two workers"
    for what, body in (
            ("every packet twice is accepted once", twice),
            ("forged ids among 60,000, and good ones between them", forged),
            ("lane_by: class, a lane for each class selector", by_class),
            ("two gateways with lanes: auto read each other", looped),
            ("one lane, whoever has it", few_lanes),
            ("a hard lifetime in packets over all lanes", limits),
            ("two paths with skew lose nothing with a lane each, and a lot by one lane", paths_apart)):
        add_case(f"{who}: {what}", lambda b=body, c=count: b(c))


@case("show sa tells of lanes")
def shown():
    with running(config=with_tunnels(Tunnel(1, lanes=4))) as gateway:
        sa = json.loads(gateway.espctl("show", "sa", "t1.out", "--json").stdout)
        same((sa["subspaces"], sa["lanes"], sa["lane_by"], sa["lanes_used"]), (True, 4, "flow", []), "an SA out")
        sa = json.loads(gateway.espctl("show", "sa", "t1.in", "--json").stdout)
        same((sa["subspaces"], sa["lanes"], sa["replay_window"], sa["lanes_used"]), (True, 4, 1024, []), "an SA in")
        check("subspaces: yes" in gateway.espctl("show", "sa", "t1.in").stdout, "the text")


@case("XFRM: subspaces of a daemon's SA are taken, told again, and lanes are told to who asks")
def daemons():
    with running(config=with_tunnels()) as gateway:
        client = xfrm.Daemon(gateway.path)
        client.ask(xfrm.NEWSA, daemon_sa(2, (4, 16, 1)))
        client.ask(xfrm.NEWSA, daemon_sa(1, (0, 16, 0)))
        out = xfrm.sa_id("198.51.100.1", 0x5002)
        have = xfrm.attributes(client.ask(xfrm.GETSA, out)[0].body[224:])
        same(have[SUBSPACES], struct.pack("=HBB", 4, 16, 1), "out")
        check(LANE_STATS not in have, "lanes told to who did not ask")
        have = xfrm.attributes(client.ask(xfrm.GETSA, out + xfrm.attribute(WANT_LANES, b""))[0].body[224:])
        check(LANE_STATS not in have, "lanes told that were not used")
        have = xfrm.attributes(client.ask(xfrm.GETSA, xfrm.sa_id("192.0.2.1", 0x5001))[0].body[224:])
        same(have[SUBSPACES], struct.pack("=HBB", 64, 16, 0), "in")
        sa = json.loads(gateway.espctl("show", "sa", "xfrm:0x00005002@198.51.100.1", "--json").stdout)
        same((sa["lanes"], sa["lane_by"]), (4, "class"), "shown")
        client.close()


@case("XFRM: what an SA with subspaces cannot be is refused with a sentence")
def daemons_refused():
    with running(config=with_tunnels()) as gateway:
        client = xfrm.Daemon(gateway.path)
        for subspaces, esn, want in (((4, 8, 0), True, "bits of an id"), ((4, 16, 2), True, "0 (flow)"),
                                     ((4, 16, 0), False, "ESN"), ((1025, 16, 0), True, "lanes")):
            try:
                client.ask(xfrm.NEWSA, daemon_sa(2, subspaces, esn))
            except Failure as failure:
                check(want in str(failure), f"{failure}, not {want}")
            else:
                raise Failure(f"{subspaces} is taken")
        client.close()


if __name__ == "__main__":
    main()
