#!/usr/bin/python3
"""Inner fragments where a policy asks for ports: a later one gets what the first of its datagram got (A2.10, RFC 4301
section 7), out and in."""
import random
import struct

from fragments import cut, even
from gw import (Tunnel, aged, far_end, host, ip, laboratory, parse, run, same_packets, tcp, to_lan, to_wan, udp)
from tap import case, check, main, same

SECOND = 1_000_000
DNS, WEB = Tunnel(1, selectors=False), Tunnel(2, selectors=False)


def policy(name, direction, action="protect", **more):
    ours, theirs = ("10.1.0.0/16", "fd01::/16"), ("10.2.0.0/16", "fd02::/16")
    src, dst = (ours, theirs) if direction == "out" else (theirs, ours)
    return {"name": name, "direction": direction, "src": list(src), "dst": list(dst), "action": action, **more}


def ported(*more):
    """UDP to port 53 goes by t1, TCP to port 80 by t2, UDP to port 99 in clear; the rest nowhere."""
    policies = []
    for way, port in (("out", "dst_port"), ("in", "src_port")):
        policies += [policy(f"dns.{way}", way, protocol="udp", sa=f"t1.{way}", **{port: 53}),
                     policy(f"web.{way}", way, protocol="tcp", sa=f"t2.{way}", **{port: 80}),
                     policy(f"clear.{way}", way, "bypass", protocol="udp", **{port: 99})]
    return {**laboratory(), "sas": [*DNS.sas(), *WEB.sas()], "policies": [*more, *policies]}


def asks(make, version=4, number=5, ident=0, size=2000, **ports):
    """What a host here sends."""
    fields = {"ident": ident} if version == 4 else {}
    return make(host(version, 1, 1, number), host(version, 2, 1), bytes([number]) * size, **ports, **fields)


def answers(make, version=4, number=5, ident=0, size=2000, **ports):
    fields = {"ident": ident} if version == 4 else {}
    return make(host(version, 2, 1), host(version, 1, 1, number), bytes([number]) * size, **ports, **fields)


def opened(done):
    """What left, by its way."""
    ways = {"dns": [], "web": [], "clear": []}
    for packet in done.wan:
        fields = parse(packet)
        if fields["proto"] != 50:
            ways["clear"].append(packet)
            continue
        spi = struct.unpack("!I", fields["payload"][:4])[0]
        tunnel = {t.spi["out"]: t for t in (DNS, WEB)}[spi]
        ways["dns" if tunnel is DNS else "web"].append(tunnel.open(packet)[0])
    return ways


for version in (4, 6):
    for order in ("in order", "the later ones first", "mixed up"):
        @case(f"out, IPv{version}: fragments go the way of their first one, {order}")
        def out(version=version, order=order):
            wanted, frames = {"dns": [], "web": [], "clear": []}, []
            for i, (way, make, port) in enumerate((("dns", udp, 53), ("web", tcp, 80), ("clear", udp, 99))):
                pieces = cut(asks(make, version, ident=i + 1, sport=1000, dport=port), [800, 800], ident=i + 1)
                wanted[way] = sorted(aged(p) for p in pieces)
                frames += pieces if order == "in order" else pieces[::-1]
            if order == "mixed up":
                random.Random(version).shuffle(frames)
            done = run(ported(), lan=[to_lan(f) for f in frames])
            same({way: sorted(packets) for way, packets in opened(done).items()}, wanted, "what left, by its way")
            same(done.drops, {}, "drops")

    @case(f"in, IPv{version}: later fragments pass by the SA that their first one may use, and by no other")
    def into(version=version):
        good = cut(answers(udp, version, ident=1, sport=53, dport=1000), [800, 800], ident=1)
        bad = cut(answers(udp, version, number=6, ident=2, sport=54, dport=1000), [800, 800], ident=2)
        other = cut(answers(tcp, version, number=7, ident=3, sport=80, dport=1000), [800, 800], ident=3)
        sealed = [DNS.seal(p, i + 1) for i, p in enumerate([*good[::-1], *bad, *other])]
        done = run(ported(), wan=[to_wan(f) for f in sealed])
        same_packets(sorted(done.lan), sorted(aged(p) for p in good), "packets on the red side")
        same(done.drops, {"policy_selector": 6}, "drops")


@case("in, by two SAs: each has its own first fragments")
def two_sas():
    pieces = cut(answers(udp, ident=1, sport=53, dport=1000), [800, 800], ident=1)
    done = run(ported(), wan=[to_wan(f) for f in (DNS.seal(pieces[0], 1), WEB.seal(pieces[1], 1), DNS.seal(pieces[2], 2))])
    same_packets(done.lan, [aged(pieces[0]), aged(pieces[2])], "packets on the red side")
    same((done.drops, done.sa_drops("t2.in")), ({"frag_ports": 1}, {"frag_ports": 1}), "drops")


@case("in clear from the black side the same holds: a bypass by ports takes the whole datagram, protect takes none of it")
def in_clear():
    clear = cut(answers(udp, ident=1, sport=99, dport=1000), [800, 800], ident=1)
    secret = cut(answers(udp, number=6, ident=2, sport=53, dport=1000), [800, 800], ident=2)
    done = run(ported(), wan=[to_wan(f) for f in [*clear[::-1], *secret[::-1]]])
    same_packets(sorted(done.lan), sorted(aged(p) for p in clear), "packets on the red side")
    same(done.drops, {"policy_cleartext": 3}, "drops")


@case("later fragments whose first one does not come end as frag_ports, after reassembly.timeout, with four of them waiting")
def alone():
    pieces = cut(asks(udp, ident=1, sport=1000, dport=53), even(asks(udp), 248), ident=1)
    tick = to_lan(asks(udp, number=9, size=10, dport=53))
    done = run(ported(), lan=[*((0, to_lan(f)) for f in pieces[1:7]), (3 * SECOND, tick), (3 * SECOND, to_lan(pieces[0]))],
               arguments=["--burst", "1"])
    same(done.drops, {"frag_limit": 2, "frag_ports": 4}, "drops")
    same(len(opened(done)["dns"]), 2, "packets that left: the first fragment, which came later, and another")


@case("two first fragments that ports send two ways end their datagram as frag_overlap")
def two_firsts():
    first = cut(asks(udp, ident=1, sport=1000, dport=53), [800], ident=1)
    second = cut(asks(udp, ident=1, sport=1000, dport=99), [800], ident=1)
    done = run(ported(), lan=[to_lan(f) for f in (first[0], first[0], second[0], first[1])])
    same(done.drops, {"frag_overlap": 2}, "drops")
    same({way: len(p) for way, p in opened(done).items()}, {"dns": 2, "web": 0, "clear": 0}, "what left")


@case("where no policy asks for ports nothing is remembered, and the stage is not run")
def no_ports():
    pieces = cut(asks(udp, ident=1, sport=1000, dport=53), [800, 800], ident=1)
    t = Tunnel(1)
    done = run({**laboratory(), "tunnels": [t.yaml()]}, lan=[to_lan(f) for f in pieces[::-1]])
    same_packets([t.open(p)[0] for p in done.wan], [aged(p) for p in pieces[::-1]], "what left")
    same(done.drops, {}, "drops")


@case("a policy without ports in front of one with decides for all fragments of its datagrams at once")
def wide_first():
    wide = policy("all", "out", src="10.1.1.5/32", dst="10.2.0.0/16", sa="t2.out")
    pieces = cut(asks(udp, ident=1, sport=1000, dport=53), [800, 800], ident=1)
    done = run(ported(wide), lan=[to_lan(pieces[2])])
    same_packets(opened(done)["web"], [aged(pieces[2])], "what left, by the wide policy")


@case("four workers, fragments of 200 datagrams spread over four queues, out by ports and in again: all get there")
def workers():
    here, there = ported(), far_end()
    there.update(sas=[], policies=[])
    for sa in here["sas"]:
        turned = {"in": "out", "out": "in"}[sa["direction"]]
        there["sas"].append({**sa, "direction": turned, "name": sa["name"].split(".")[0] + "." + turned})
    for p in here["policies"]:
        turned = {"in": "out", "out": "in"}[p["direction"]]
        there["policies"].append({**p, "direction": turned, "name": p["name"].split(".")[0] + "." + turned,
                                  **({"sa": p["sa"].split(".")[0] + "." + turned} if "sa" in p else {})})
    pieces = [f for i in range(200) for f in cut(asks(udp, number=1 + i % 250, ident=i + 1, sport=1000 + i, dport=53), [800, 800],
                                                 ident=i + 1)]
    random.Random(9).shuffle(pieces)
    first = run(here, lan=[to_lan(f) for f in pieces], workers=4, queues=4)
    same((first.drops, len(first.wan)), ({}, len(pieces)), "drops, and packets that left")
    second = run(there, wan=[to_wan(f) for f in first.wan], workers=4, queues=4)
    same(second.drops, {}, "drops at the other end")
    same_packets(sorted(second.lan), sorted(aged(p, 2) for p in pieces), "packets behind the other end")


if __name__ == "__main__":
    main()
