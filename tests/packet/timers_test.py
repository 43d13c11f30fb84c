#!/usr/bin/python3
"""What SAs send by the clock: NAT keepalives and dummy packets. With captures time is that of the packets."""
from gw import Tunnel, aged, from_lan, host, parse, run, to_lan, to_wan, udp, with_tunnels
from tap import case, main, same

SECOND = 1_000_000


def clock(seconds):
    """Frames that move the clock to so many seconds from the start, and are dropped."""
    nobodys = to_wan(udp("203.0.113.9", "203.0.113.10"))
    return [(0, nobodys), (seconds * SECOND, nobodys)]


def generated(done):
    return {cause: n for cause, n in done.report["generated_by"].items() if n}


def silent(t):
    """An SA that sends nothing for 25 s: one octet 0xff leaves by its addresses and ports."""
    done = run(with_tunnels(t), wan=clock(25))
    same(generated(done), {"nat_keepalive": 1}, "generated")
    same([t.strip(p) for p in done.wan], [b"\xff"], "what left")
    same(parse(done.wan[0])["ttl"], 64, "TTL")
    same(done.sa("t1.out")["packets"], 0, "packets of the SA")


@case("a silent NAT tunnel sends a keepalive of one octet 0xff after 20 s, IPv4")
def keepalive4():
    silent(Tunnel(1, encap=(4500, 61234)))


@case("a silent NAT tunnel sends a keepalive with a right checksum, IPv6")
def keepalive6():
    silent(Tunnel(1, outer=6, encap=(4500, 61234)))


@case("a transport-mode SA behind a NAT sends keepalives too")
def keepalive_transport():
    t = Tunnel(1, mode="transport", encap=(4500, 61234), selectors=False)
    t.local, t.remote = host(4, 1, 1), host(4, 2, 1)
    t.options.update(local_nets=[t.local + "/32"], remote_nets=[t.remote + "/32"])
    silent(t)


@case("no keepalive before its time, from an SA that sent, without encapsulation, or with keepalive 0")
def no_keepalive():
    early, busy, plain = Tunnel(1, encap=(4500, 4500)), Tunnel(2, encap=(4500, 4500)), Tunnel(3)
    done = run(with_tunnels(early), wan=clock(19))
    same((generated(done), done.wan), ({}, []), "after 19 s")
    packet = from_lan(2)
    done = run(with_tunnels(busy, plain), wan=clock(25), lan=[to_lan(packet)])
    same((generated(done), [busy.open(p)[0] for p in done.wan]), ({}, [aged(packet)]), "an SA that sent, and one without")
    config = with_tunnels(early)
    config["tunnels"][0]["encap"]["keepalive"] = 0
    done = run(config, wan=clock(25))
    same((generated(done), done.wan), ({}, []), "with keepalive 0")


@case("keepalive: its own time is kept, from each SA once")
def own_time():
    ones, twos = Tunnel(1, encap=(4500, 4500)), Tunnel(2, encap=(4500, 4501))
    config = with_tunnels(ones, twos)
    config["tunnels"][0]["encap"]["keepalive"] = "5s"
    done = run(config, wan=clock(6))
    same([ones.strip(p) for p in done.wan], [b"\xff"], "after 6 s")
    done = run(config, wan=clock(30))
    same(sorted(parse(p)["payload"][2:4].hex() for p in done.wan), ["1194", "1195"], "ports after 30 s")


def dummies(t, rate=20, seconds=1):
    done = run(with_tunnels(t), wan=clock(seconds))
    same(generated(done), {"dummy": rate * seconds}, "generated")
    same(len(done.wan), rate * seconds, "packets that left")
    opened = [t.open(p)[:2] for p in done.wan]
    same({next_header for _, next_header in opened}, {59}, "next headers")
    same(done.sa("t1.out")["packets"], rate * seconds, "packets of the SA")
    return done, [inner for inner, _ in opened]


@case("tfc dummy_rate: so many dummies a second, next header 59, each with a number of its own")
def dummy_rate():
    for outer in (4, 6):
        t = Tunnel(1, outer=outer, tfc={"dummy_rate": 20})
        done, inner = dummies(t)
        same([int.from_bytes(t.strip(p)[4:8], "big") for p in done.wan], list(range(1, 21)), "numbers")
        same(max(len(p) for p in done.wan) <= 1500, True, "all fit the path")
        same(len({len(i) for i in inner}) > 5, True, "sizes differ")
        heads = {(h["tos"], h["ttl"], h.get("df"), h.get("flow")) for h in map(parse, done.wan)}
        same(len(heads), 1, f"outer headers: {heads}")


@case("tfc dummy_rate with pad_to: dummies have the size that all packets have")
def dummy_size():
    t = Tunnel(1, tfc={"dummy_rate": 20, "pad_to": 500})
    packet = from_lan(1)
    done = run(with_tunnels(t), wan=clock(1), lan=[to_lan(packet)])
    same(generated(done), {"dummy": 20}, "generated")
    same(len({len(p) for p in done.wan}), 1, "sizes on the wire")
    opened = [t.open(p)[:2] for p in done.wan]
    same(sorted(next_header for _, next_header in opened), [4] + [59] * 20, "next headers")
    same([inner[:len(packet)] for inner, next_header in opened if next_header == 4], [aged(packet)], "the packet")


@case("dummies of every cipher's kind are consumed by the far end, and count in its window")
def far_end_takes_them():
    for suite in ({}, {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}, {"aead": "chacha20-poly1305"}):
        t = Tunnel(1, tfc={"dummy_rate": 10}, **suite)
        _, inner = dummies(t, 10)
        back = run(with_tunnels(Tunnel(1, **suite)), wan=[to_wan(t.seal(i, n, next_header=59)) for n, i in enumerate(inner, 1)])
        same((back.drops, back.report["consumed_by"].get("dummy")), ({}, 10), "drops and consumed")


@case("an IPv6 packet of protocol 59 is a packet, not a dummy")
def protocol_59():
    t = Tunnel(1, tfc={"pad_to": 300})
    packet = from_lan(1, version=6)
    packet = packet[:4] + b"\0\0" + b"\x3b" + packet[7:40]
    done = run(with_tunnels(t), lan=[to_lan(packet)])
    same([t.open(p)[1] for p in done.wan], [41], "next header")


if __name__ == "__main__":
    main()
