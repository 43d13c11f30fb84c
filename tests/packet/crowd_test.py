#!/usr/bin/python3
"""Eight and sixteen workers on two CPUs: lanes, a bundle, and SAs that one worker owns, all at once. A worker may be
without a CPU for long, its rings full; still every packet arrives once, as it was and in its flow's order.
"""
import collections
import os
import random
import struct

from esp import Esp
from gw import Tunnel, aged, from_far, from_lan, key_of, parse, run, to_lan, to_wan, with_tunnels
from tap import add_case, check, main, once, same

QUEUES = 4  # of each port; other workers live from what these hand over
FLOWS = 8  # of a tunnel; a multiple of QUEUES, so that a flow comes by one queue
COUNT = 40_000 if os.environ.get("FULL") else 6_000
BUNDLE = 6


def tunnels(workers):
    lanes = {"replay_window": 8192}
    made = [Tunnel(1, lanes=4, **lanes), Tunnel(2, lanes=workers, aead="chacha20-poly1305", **lanes),
            Tunnel(3, replay_window=8192), Tunnel(4, encap=(4500, 4500), replay_window=8192),
            Tunnel(5, cipher="aes-cbc-128", auth="hmac-sha256-128", outer=6, replay_window=8192),
            Tunnel(BUNDLE, replay_window=8192)]
    return {t.n: t for t in made}


class Bundle:
    """Tunnel 6 out: an SA for each of some workers, and one for all others."""

    def __init__(self, workers):
        self.spis = range(0x30000, 0x30000 + workers // 2 + 1)
        self.esp = {spi: Esp(spi, "aes-gcm-128", key_of(f"bundle {spi}", 20)) for spi in self.spis}

    def yaml(self):
        return [{"bundle": {"worker": "fallback" if i == 0 else i - 1}, "spi": spi,
                 "key": "hex:" + key_of(f"bundle {spi}", 20).hex()} for i, spi in enumerate(self.spis)]


def traffic(make, seed):
    """COUNT packets as (tunnel, flow, number), in an order in which each queue has whole flows."""
    dice = random.Random(seed)
    for number in range(COUNT):
        flow = number % FLOWS
        n = dice.randint(1, 6)
        payload = struct.pack("!I", number) + dice.randbytes(dice.choice((0, 20, 300, 1100)))
        yield n, flow, make(n, payload, number=10 + flow)


def laboratory(workers):
    """All of it, once for a number of workers: what was sent, and what came of it."""
    all_of, bundle = tunnels(workers), Bundle(workers)
    config = with_tunnels(*all_of.values())
    config["gateway"]["mbufs"] = 81920  # what 16 workers would have by default is more than the test's memory
    config["tunnels"][BUNDLE - 1]["out"] = bundle.yaml()
    out, back = list(traffic(from_lan, workers)), list(traffic(from_far, workers + 1))
    seq, sealed = collections.Counter(), []
    for n, flow, packet in back:
        lane = flow % 4 if n <= 2 else 0
        seq[n, lane] += 1
        sealed.append(to_wan(all_of[n].seal(packet, lane << 48 | seq[n, lane])))
    result = run(config, wan=sealed, lan=[to_lan(p) for _, _, p in out], workers=workers, queues=QUEUES)
    return all_of, bundle, out, back, result


def number_of(inner):
    return struct.unpack_from("!I", inner, 28)[0]


def rising(arrived, what):
    """Packets in the order in which they came out: each flow's in the order in which they went in."""
    last = {}
    for n, flow, number in arrived:
        check(number > last.get((n, flow), -1), f"{what}: tunnel {n}, flow {flow}: {number} behind {last.get((n, flow))}")
        last[n, flow] = number


def gapless(numbers, what):
    """Each lane's numbers are 1, 2, 3 …; between workers' buffers they may overtake each other on the wire."""
    for lane, found in numbers.items():
        same(sorted(found), list(range(1, len(found) + 1)), f"{what}, lane {lane}: numbers")


def outbound(laboratory_of):
    all_of, bundle, out, _, result = laboratory_of()
    by_spi = {t.spi["out"]: (t, t.esp["out"]) for t in all_of.values()}
    by_spi.update((spi, (all_of[BUNDLE], esp)) for spi, esp in bundle.esp.items())
    arrived, numbers = [], collections.defaultdict(lambda: collections.defaultdict(list))
    for packet in result.wan:
        outer = parse(packet)
        esp_packet = outer["payload"][8:] if outer["proto"] == 17 else outer["payload"]
        spi = struct.unpack_from("!I", esp_packet)[0]
        t, esp = by_spi[spi]
        inner, _, seq, _ = esp.open(esp_packet)
        n, flow, want = out[number_of(inner)]
        same((t.n, inner), (n, aged(want)), "tunnel and inner packet")
        lane = seq >> 48 if esp.subspaces else 0
        numbers[spi][lane].append(seq & ((1 << 48) - 1) if esp.subspaces else seq)
        arrived.append((n, flow, number_of(inner)))
    same(len(arrived), COUNT, "packets out")
    same(len(set(arrived)), COUNT, "packets out, each once")
    rising(arrived, "out")
    for spi, lanes in numbers.items():
        gapless(lanes, f"SPI {spi:#x}")
    check(len(numbers[all_of[2].spi["out"]]) > 1, "one lane carried all")


def inbound(laboratory_of):
    _, _, _, back, result = laboratory_of()
    arrived = []
    for packet in result.lan:
        n, flow, want = back[number_of(packet)]
        same(packet, aged(want), "inner packet")
        arrived.append((n, flow, number_of(packet)))
    same(len(arrived), COUNT, "packets in")
    same(len(set(arrived)), COUNT, "packets in, each once")
    rising(arrived, "in")


def accounted(laboratory_of):
    result = laboratory_of()[-1]
    same(result.drops, {}, "drops")
    same(sum(sa["packets"] for sa in result.report["sas"].values()), 2 * COUNT, "packets counted on the SAs")


for n_workers in (8, 16):
    made = once(lambda n=n_workers: laboratory(n))
    add_case(f"{n_workers} workers: nothing is dropped, and the SAs count it all", lambda m=made: accounted(m))
    add_case(f"{n_workers} workers out: each packet once, in its flow's order, no number missing", lambda m=made: outbound(m))
    add_case(f"{n_workers} workers in: each packet once, in its flow's order", lambda m=made: inbound(m))

if __name__ == "__main__":
    main()
