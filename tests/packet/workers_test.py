#!/usr/bin/python3
"""Two workers: what one takes in and the other owns goes from hand to hand, and nobody outside can tell.

A worker may be without a CPU for a while: then the ring to it is nearly full, and who feeds it reads no port until
there is room again. So nothing is lost, however many workers share the CPUs.
"""
import os
import random
import struct
import subprocess
import sys

from gw import Tunnel, aged, from_far, from_lan, host, run, to_lan, to_wan, udp, with_tunnels
from tap import Failure, add_case, case, check, main, once, same

COUNT = 10_000
TUNNELS = 8
HERE = os.path.dirname(os.path.abspath(__file__))
# Programs whose cases look at packets and names alone, not at which worker did what.
AGAIN = ["mirror", "modes", "replay", "icmp", "spd", "iptfs_in", "iptfs_stream", "iptfs_out"]


def tunnels():
    kinds = [{}, {"outer": 6}, {"encap": (4500, 4500)}, {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}]
    return [Tunnel(n, **kinds[n % len(kinds)]) for n in range(1, TUNNELS + 1)]


def payloads(seed):
    """For each packet its tunnel, its family, and a payload that says its number."""
    dice = random.Random(seed)
    for i in range(COUNT // 2):
        size = dice.choice((0, 1, 64, 300, 1200))
        yield dice.randint(1, TUNNELS), dice.choice((4, 6)), struct.pack("!I", i) + dice.randbytes(size)


@once
def traffic():
    """COUNT packets, half of them each way: clear ones out, the far ends' own in, and these sealed."""
    all_of = tunnels()
    out = [from_lan(n, payload, version=version) for n, version, payload in payloads(1)]
    back = [(n, from_far(n, payload, version=version)) for n, version, payload in payloads(2)]
    seq = [0] * (TUNNELS + 1)
    sealed = []
    for n, packet in back:
        seq[n] += 1
        sealed.append(all_of[n - 1].seal(packet, seq[n]))
    return all_of, out, back, sealed


def both_ways(workers):
    all_of, out, back, sealed = traffic()
    config = with_tunnels(*all_of)
    config["gateway"]["mbufs"] = 65_535
    return all_of, out, back, run(config, wan=[to_wan(p) for p in sealed], lan=[to_lan(p) for p in out], workers=workers)


def number_of(packet):
    """The number in the payload of a UDP packet of ours."""
    return struct.unpack_from("!I", packet, (20 if packet[0] >> 4 == 4 else 40) + 8)[0]


def is_rising(numbers, what):
    for a, b in zip(numbers, numbers[1:]):
        check(a < b, f"{what}: {b} comes behind {a}")


def outbound(all_of, out, result):
    opened = {n: [] for n in range(1, TUNNELS + 1)}
    by_spi = {t.spi["out"]: t for t in all_of}
    for packet in result.wan:
        head = 40 if packet[0] >> 4 == 6 else 20
        udp_head = 8 if packet[6 if head == 40 else 9] == 17 else 0
        spi, seq = struct.unpack_from("!II", packet, head + udp_head)
        tunnel = by_spi[spi]
        opened[tunnel.n].append((seq, tunnel.open(packet)[0]))
    for n, packets in opened.items():
        same([seq for seq, _ in packets], list(range(1, len(packets) + 1)), f"tunnel {n}: numbers")
        is_rising([number_of(inner) for _, inner in packets], f"tunnel {n}")
        for _, inner in packets:
            same(inner, aged(out[number_of(inner)]), f"tunnel {n}: a packet")


def inbound(back, result):
    arrived = {n: [] for n in range(1, TUNNELS + 1)}
    for packet in result.lan:
        number = number_of(packet)
        n, want = back[number]
        same(packet, aged(want), f"packet {number}")
        arrived[n].append(number)
    for n, numbers in arrived.items():
        is_rising(numbers, f"tunnel {n}")


def by_workers(workers):
    all_of, out, back, result = both_ways(workers)
    same(result.drops, {}, "drops")
    same((len(result.wan), len(result.lan)), (len(out), len(back)), "packets out and in")
    outbound(all_of, out, result)
    inbound(back, result)
    for way, packets in (("out", result.wan), ("in", result.lan)):
        same(sum(result.sa(f"{t.name}.{way}")["packets"] for t in all_of), len(packets), f"packets of the SAs {way}")


for count in (2, 8, 16):
    add_case(f"{count} workers on two CPUs, {COUNT} packets over {TUNNELS} tunnels: each arrives once, as it was, in its "
             "flow's order, out under numbers without a gap; and each SA counts its own",
             lambda workers=count: by_workers(workers))


@case("a hub sends out of one tunnel into another, whoever owns the two")
def hub():
    spokes = [Tunnel(n, local_nets=["0.0.0.0/0"], selectors=False) for n in range(1, 5)]
    for t in spokes:
        t.options["remote_nets"] = [f"10.2.{t.n}.0/24"]
    pairs = [(a, b) for a in spokes for b in spokes if a is not b] * 5
    seq = {t.n: 0 for t in spokes}
    sealed, want = [], {t.n: [] for t in spokes}
    for i, (a, b) in enumerate(pairs):
        inner = udp(host(4, 2, a.n), host(4, 2, b.n), struct.pack("!I", i))
        seq[a.n] += 1
        sealed.append(a.seal(inner, seq[a.n]))
        want[b.n].append(aged(inner))
    result = run(with_tunnels(*spokes), wan=[to_wan(p) for p in sealed], workers=2)
    same(result.drops, {}, "drops")
    have = {t.n: [] for t in spokes}
    for packet in result.wan:
        tunnel = next(t for t in spokes if t.spi["out"] == struct.unpack_from("!I", packet, 20)[0])
        have[tunnel.n].append(tunnel.open(packet)[0])
    for t in spokes:
        same(sorted(have[t.n]), sorted(want[t.n]), f"packets into tunnel {t.n}")


def again(name):
    done = subprocess.run([sys.executable, os.path.join(HERE, name + "_test.py")], capture_output=True, text=True,
                          env={**os.environ, "WORKERS": "2"}, check=False)
    bad = [line for line in done.stdout.splitlines() if line.startswith("not ok")]
    if done.returncode != 0 or bad:
        raise Failure("\n".join(bad) + f"\nstatus {done.returncode}\n{done.stderr[-1000:]}")


for program in AGAIN:
    add_case(f"{program}_test.py finds the same with two workers", lambda name=program: again(name))

if __name__ == "__main__":
    main()
