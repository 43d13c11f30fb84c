#!/usr/bin/python3
"""espgw from captures to captures: the same twice, and 10,000 packets out of one gateway and into another."""
import random

from gw import Tunnel, aged, far_end, from_far, from_lan, run, tcp, host, to_lan, to_wan, with_tunnels
from tap import case, main, same

COUNT = 10_000


def traffic(tunnels):
    """Packets of every size and both families, the same at each call."""
    dice = random.Random(4303)
    for i in range(COUNT):
        version, n = dice.choice((4, 6)), dice.choice(tunnels).n
        payload = dice.randbytes(dice.choice((0, 1, 18, 64, 200, 512, 1300))) + i.to_bytes(4, "big")
        if dice.random() < 0.3:
            yield tcp(host(version, 1, n), host(version, 2, n), payload, sport=1024 + i % 5000)
        else:
            yield from_lan(n, payload, version=version, sport=1024 + i % 5000)


def both_ends():
    return [Tunnel(1), Tunnel(2, outer=6, cipher="aes-cbc-256", auth="hmac-sha512-256"), Tunnel(3, aead="chacha20-poly1305",
            encap=(4500, 4500)), Tunnel(4, aead="aes-ccm-128", icv=8, esn=False)]


@case(f"{COUNT} packets go out of one gateway and into another, each octet as it was and each in its order")
def round_trip():
    tunnels = both_ends()
    packets = list(traffic(tunnels))
    there = run(with_tunnels(*tunnels), lan=[to_lan(p) for p in packets])
    same(there.drops, {}, "drops of the first gateway")
    same(len(there.wan), COUNT, "packets between them")
    back = run(far_end(*tunnels), wan=[to_wan(p) for p in there.wan])
    same(back.drops, {}, "drops of the second gateway")
    wrong = [i for i, (have, want) in enumerate(zip(back.lan, packets)) if have != aged(want, 2)]
    same((len(back.lan), wrong[:5]), (COUNT, []), "packets arrived, and the first that differ")
    same(sum(sa["packets"] for name, sa in back.report["sas"].items() if name.endswith(".in")), COUNT, "packets on the SAs")


@case("the same captures in give the same captures out, to the octet")
def twice():
    tunnels = both_ends()
    lan = [to_lan(p) for p in traffic(tunnels)][:2000]
    wan = [to_wan(t.seal(from_far(t.n, b"x" * n), n)) for n in range(1, 100) for t in tunnels]
    first, second = (run(with_tunnels(*tunnels), wan=wan, lan=lan) for _ in range(2))
    same(first.frames == second.frames, True, "equal captures")
    same(first.report, second.report, "exit report")


@case("an empty capture ends at once with nothing counted")
def empty():
    done = run(with_tunnels(Tunnel(1)))
    same((done.report["rx"], done.report["tx"], done.drops), (0, 0, {}), "rx, tx and drops")


@case("a run ends no sooner than its workers have looked, however short --exit-when-idle is")
def ends_when_read():
    tunnel = Tunnel(1)
    for _ in range(3):
        result = run(with_tunnels(tunnel), lan=[to_lan(from_lan(1, b"%d" % i)) for i in range(600)], idle=1, workers=6, queues=6)
        same((result.drops, len(result.wan)), ({}, 600), "drops and packets")


@case("no route drops no_route, no neighbour drops no_neighbour")
def lost():
    t = Tunnel(1)
    config = with_tunnels(t)
    config["routes"] = [r for r in config["routes"] if r["to"] != "10.1.0.0/16"]
    config["neighbours"] = [n for n in config["neighbours"] if n["ip"] != "fd00::2"]
    done = run(config, wan=[to_wan(t.seal(from_far(1), 1)), to_wan(t.seal(from_far(1, version=6), 2))])
    # The default route leads to the black port: what came out of the tunnel must not go back there in clear.
    same({why for why in done.drops} <= {"no_route", "no_policy", "no_neighbour"}, True, f"drops {done.drops}")
    same((sum(done.drops.values()), done.lan, done.wan), (2, [], []), "drops and packets sent")


@case("frames leave with the port's own address and the neighbour's")
def addresses():
    t = Tunnel(1)
    done = run(with_tunnels(t), lan=[to_lan(from_lan(1))], wan=[to_wan(t.seal(from_far(1), 1))])
    same(done.frames["wan"][0][:14].hex(), "0200000000fe" "027063617000" "0800", "Ethernet header on the black port")
    same(done.frames["lan"][0][:14].hex(), "0200000001fe" "027063617001" "0800", "Ethernet header on the red port")


if __name__ == "__main__":
    main()
