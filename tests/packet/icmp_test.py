#!/usr/bin/python3
"""What the gateway says by ICMP: too big with the right MTU, time exceeded, never too often; and what it believes (A8)."""
import struct

from gw import (BLACK, PEER, RED, STEP_US, Tunnel, aged, checksum, from_lan, host, ip, parse, run, same_packets, to_lan, to_wan,
                total, udp, upper_sum, with_tunnels)
from tap import add_case, case, check, main, once, same

UDP_ENCAP = (4500, 4500)
CBC = "aes-cbc-128"
# The inner MTU of a tunnel over a link of 1500: IPv4, IPv4 and UDP, IPv6, IPv6 and UDP.
SIZES = [
    ({"aead": "aes-gcm-128"}, (1446, 1438, 1426, 1418)),
    ({"aead": "chacha20-poly1305"}, (1446, 1438, 1426, 1418)),
    ({"aead": "aes-ccm-256"}, (1446, 1438, 1426, 1418)),
    ({"aead": "aes-gcm-256", "icv": 12}, (1450, 1442, 1430, 1422)),
    ({"aead": "aes-gcm-192", "icv": 8}, (1454, 1446, 1434, 1426)),
    ({"aead": "aes-gcm-128", "implicit_iv": True}, (1454, 1446, 1434, 1426)),
    ({"cipher": CBC, "auth": "hmac-sha1-96"}, (1438, 1422, 1422, 1406)),
    ({"cipher": CBC, "auth": "hmac-sha256-128"}, (1438, 1422, 1406, 1406)),
    ({"cipher": CBC, "auth": "hmac-sha384-192"}, (1422, 1422, 1406, 1390)),
    ({"cipher": CBC, "auth": "hmac-sha512-256"}, (1422, 1406, 1390, 1390)),
    ({"cipher": "aes-ctr-128", "auth": "hmac-sha256-128"}, (1446, 1438, 1426, 1418)),
    ({"cipher": "null", "auth": "hmac-sha256-128"}, (1454, 1446, 1434, 1426)),
]


def sized(n, size, version=4, **more):
    return from_lan(n, bytes(size - (28 if version == 4 else 48)), version=version, **more)


def message(packet, to, version=4, source=None):
    """(type, code, the rest behind the checksum) of an ICMP message from the gateway, its checksum looked at."""
    header = parse(packet)
    same((header["src"], header["dst"]), (source or RED[version], to), "ICMP source and destination")
    same(header["proto"], 1 if version == 4 else 58, "ICMP protocol")
    body = header["payload"]
    whole = checksum(body) if version == 4 else upper_sum(header["src"], header["dst"], 58, body)
    same(whole, 0, "ICMP checksum, summed")
    return body[0], body[1], body[4:]


def tunnels_by_size():
    """(tunnel, its inner MTU), each algorithm over each kind of outer header."""
    for suite, sizes in SIZES:
        for (outer, encap), mtu in zip(((4, None), (4, UDP_ENCAP), (6, None), (6, UDP_ENCAP)), sizes):
            yield suite, outer, encap, mtu


BY_SIZE = [(Tunnel(n, outer=outer, encap=encap, **suite), mtu)
           for n, (suite, outer, encap, mtu) in enumerate(tunnels_by_size(), 1)]
APART_US = 200_000  # so far apart that no rate limit holds an answer back


@once
def mtu_run():
    """Through each tunnel what just fits, and one octet more, in both families."""
    lan, at = [], 0
    for t, mtu in BY_SIZE:
        for version in (4, 6):
            for size in (mtu, mtu + 1):
                at += APART_US
                lan.append((at, to_lan(sized(t.n, size, version, df=1))))
    # A packet at a time: the time of a burst is one, and the limit would hold answers back.
    return run(with_tunnels(*(t for t, _ in BY_SIZE)), lan=lan, arguments=["--burst", "1"])


def mtu_of(t, mtu):
    done = mtu_run()
    index = [tunnel for tunnel, _ in BY_SIZE].index(t)
    fits = done.wan[2 * index:2 * index + 2]
    same([t.open(p)[0] for p in fits], [aged(sized(t.n, mtu, v, df=1)) for v in (4, 6)], "what fits")
    check(all(len(p) <= 1500 for p in fits), "an outer packet is over the link's MTU")
    answer4, answer6 = done.lan[2 * index:2 * index + 2]
    kind, code, rest = message(answer4, host(4, 1, t.n))
    same((kind, code, rest[:4]), (3, 4, struct.pack("!HH", 0, mtu)), "IPv4 too big")
    # The packet as it would have gone on: its TTL is counted down before its size is looked at.
    same(rest[4:4 + 28], aged(sized(t.n, mtu + 1, df=1))[:len(rest[4:4 + 28])], "what it quotes")
    check(len(rest) >= 4 + 28, "it quotes less than a header and 8 octets")
    kind, code, rest = message(answer6, host(6, 1, t.n), 6)
    same((kind, code, rest[:4]), (2, 0, struct.pack("!I", mtu)), "IPv6 too big")
    quoted = rest[4:]
    same(quoted, aged(sized(t.n, mtu + 1, 6))[:len(quoted)], "what it quotes")
    check(len(quoted) >= 48 and len(answer6) <= 1280, f"the answer measures {len(answer6)}")


def name(t):
    return "+".join(str(v) for v in t.suite.values() if v) + (f" icv {t.choices['icv']}" if "icv" in t.choices else "") + (
        " implicit IV" if "implicit_iv" in t.choices else "") + f", IPv{t.outer}" + (" and UDP" if t.encap else "")


for tunnel, mtu in BY_SIZE:
    add_case(f"{name(tunnel)}: {mtu} octets pass, one more is too big and the answer says {mtu}",
             lambda t=tunnel, m=mtu: mtu_of(t, m))


@case("too big: each packet refused is one drop")
def too_big_counts():
    same(mtu_run().drops, {"too_big": 2 * len(BY_SIZE)}, "drops")
    same(total(mtu_run().report["generated"]), 2 * len(BY_SIZE), "packets generated")


@case("path_mtu: 1300 counts as the link's MTU, and an IPv6 host is never told less than 1280")
def path_mtu():
    t = Tunnel(1, path_mtu=1300)
    done = run(with_tunnels(t), lan=[(1000, to_lan(sized(1, 1246, df=1))), (APART_US, to_lan(sized(1, 1247, df=1))),
                                     (2 * APART_US, to_lan(sized(1, 1400, 6)))])
    same(done.drops, {"too_big": 2}, "drops")
    same_packets([t.open(p)[0] for p in done.wan], [aged(sized(1, 1246, df=1))], "what fits")
    same(message(done.lan[0], host(4, 1, 1))[2][:4], struct.pack("!HH", 0, 1246), "MTU said to the IPv4 host")
    same(message(done.lan[1], host(6, 1, 1), 6)[2][:4], struct.pack("!I", 1280), "MTU said to the IPv6 host")


@case("a link of 1300 counts where path_mtu is larger")
def link_mtu():
    t = Tunnel(1, path_mtu=9000)
    config = with_tunnels(t)
    config["ports"][0]["mtu"] = 1300
    done = run(config, lan=[(1000, to_lan(sized(1, 1246, df=1))), (APART_US, to_lan(sized(1, 1247, df=1)))])
    same(done.drops, {"too_big": 1}, "drops")
    same(message(done.lan[0], host(4, 1, 1))[2][:4], struct.pack("!HH", 0, 1246), "MTU said to the host")


def no_answer(what, packet, drop):
    def body():
        done = run(with_tunnels(Tunnel(1)), lan=[to_lan(packet)])
        same((done.drops, done.lan), (drop, []), "drops and answers")
    add_case(what, body)


def icmp_error(n, size):
    """An ICMP error that fits no tunnel."""
    text = struct.pack("!BBHI", 3, 1, 0, 0) + bytes(size - 28)
    return ip(host(4, 1, n), host(4, 2, n), 1, text[:2] + struct.pack("!H", checksum(text)) + text[4:], df=1)


no_answer("no ICMP about an ICMP error: too big", icmp_error(1, 1480), {"too_big": 1})
no_answer("no ICMP about a later fragment: too big", ip(host(4, 1, 1), host(4, 2, 1), 17, bytes(1460), df=1, offset=200),
          {"too_big": 1})
no_answer("no ICMP about an ICMP error: TTL", ip(host(4, 1, 1), host(4, 2, 1), 1, struct.pack("!BBHI", 3, 1, 0xfcfe, 0)
                                                 + bytes(28), ttl=1), {"ttl": 1})
no_answer("no ICMP to a loopback source", udp("127.0.0.1", host(4, 2, 1), ttl=1), {"ttl": 1})


def time_exceeded(version, ttl):
    def body():
        packet = from_lan(1, b"old", version=version, ttl=ttl)
        done = run(with_tunnels(Tunnel(1)), lan=[to_lan(packet)])
        same((done.drops, done.wan), ({"ttl": 1}, []), "drops and packets sent")
        kind, code, rest = message(done.lan[0], host(version, 1, 1), version)
        same((kind, code), (11, 0) if version == 4 else (3, 0), "ICMP type and code")
        same(rest[4:4 + len(packet)], packet, "what it quotes")
    add_case(f"IPv{version}: TTL {ttl} is used up here: time exceeded to the sender", body)


time_exceeded(4, 1)
time_exceeded(6, 1)


@case("TTL 2 goes through as 1")
def ttl_two():
    t = Tunnel(1)
    done = run(with_tunnels(t), lan=[to_lan(from_lan(1, ttl=2)), to_lan(from_lan(1, version=6, ttl=2))])
    same(done.drops, {}, "drops")
    same([parse(t.open(p)[0])["ttl"] for p in done.wan], [1, 1], "inner TTL")


@case("answers are limited in rate: a burst of 2,000 too-big packets gets far fewer, and each is a drop all the same")
def limited():
    lan = [to_lan(sized(1, 1500, number=5 + i % 200, df=1, ident=i)) for i in range(2000)]
    done = run(with_tunnels(Tunnel(1)), lan=lan)
    same(done.drops, {"too_big": 2000}, "drops")
    seconds = 2000 * STEP_US / 1e6
    check(0 < len(done.lan) <= 50 + 1000 * seconds + 1, f"{len(done.lan)} answers in {seconds} s")
    same(total(done.report["generated"]), len(done.lan), "packets generated")


@case("one host that keeps sending too big is told again, ten times a second at most")
def limited_per_host():
    lan = [(i * 10_000, to_lan(sized(1, 1500, df=1, ident=i))) for i in range(100)]
    done = run(with_tunnels(Tunnel(1)), lan=lan)
    check(2 <= len(done.lan) <= 11, f"{len(done.lan)} answers in a second")


def unauthenticated(mtu, spi=0x10001, version=4):
    """Too big from somebody on the black side, about ESP that we are said to have sent."""
    if version == 4:
        quoted = ip(BLACK[4], PEER[4], 50, struct.pack("!II", spi, 1) + bytes(20), df=1)
        body = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted[:28]
        return ip("203.0.113.1", BLACK[4], 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])
    quoted = ip(BLACK[6], PEER[6], 50, struct.pack("!II", spi, 1) + bytes(20))
    body = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted
    whole = upper_sum("2001:db8:9::1", BLACK[6], 58, body)
    return ip("2001:db8:9::1", BLACK[6], 58, body[:2] + struct.pack("!H", whole) + body[4:])


def still_passes(what, answers, size=576 - 54, outer=4):
    """After the forged answers a packet of the floor's inner size still passes, and nothing was forwarded.

    The small packets before it keep the red port behind the black one: ports are read a burst at a time.
    """
    def body():
        t = Tunnel(1, outer=outer)
        packets = [from_lan(1, b"filler")] * (len(answers) + 100) + [sized(1, size, df=1)]
        done = run(with_tunnels(t), wan=[to_wan(p) for p in answers], lan=[to_lan(p) for p in packets])
        same_packets([t.open(p)[0] for p in done.wan], [aged(p) for p in packets], "packets sent")
        same_packets(done.lan, [], "packets on the red side")
        same(sum(done.drops.values()) + total(done.report["consumed"]), len(answers), "answers dropped or consumed")
    add_case(what, body)


still_passes("A8.1 an unauthenticated too-big with an MTU of 0, 67, 68 or 575 lowers nothing below the floor",
             [unauthenticated(mtu) for mtu in (0, 67, 68, 575)])
still_passes("A8.1 likewise over IPv6 with 0, 68 and 1279", [unauthenticated(mtu, version=6) for mtu in (0, 68, 1279)],
             size=1280 - 74, outer=6)
still_passes("A8.1 an MTU above the current one raises nothing and lowers nothing",
             [unauthenticated(mtu) for mtu in (1501, 9000, 65535)], size=1446)
still_passes("A8.2 too-big about SPIs that we never send on changes no MTU",
             [unauthenticated(576, spi=spi) for spi in range(0x5000, 0x5000 + 200)], size=1446)
still_passes("A8.3 redirect and source quench at the gateway change nothing",
             [ip("203.0.113.1", BLACK[4], 1, struct.pack("!BBHI", kind, 0, ~(kind << 8) & 0xffff, 0)) for kind in (5, 4)],
             size=1446)


if __name__ == "__main__":
    main()
