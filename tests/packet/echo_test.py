#!/usr/bin/python3
"""ESP echo as a peer sees it: esp.py, which shares no code with the gateway, asks and deciphers what comes back."""
import struct

from gw import BLACK, PEER, Tunnel, from_far, ip, parse, run, same_packets, to_wan, total, udp_header, with_tunnels
from tap import add_case, case, check, main, same

AGGFRAG, REQUEST, RESPONSE, RETURN, NODATA = 144, 2, 3, 0x80, 0x01
DATA = b"abcdefgh"
KINDS = {
    "a tunnel": {}, "IPv6 outside": {"outer": 6}, "UDP": {"encap": (4500, 4500)}, "UDP over IPv6": {"outer": 6, "encap": (4500, 4500)},
    "transport mode": {"mode": "transport", "selectors": False}, "transport mode over IPv6 in UDP": {
        "mode": "transport", "selectors": False, "outer": 6, "encap": (4500, 4500)},
    "BEET": {"mode": "beet", "selectors": False, "inner": {"src": "10.1.1.5", "dst": "10.2.1.5"}},
    "integrity alone": {"aead": "aes-gmac-128"}, "CBC": {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"},
    "NULL": {"cipher": "null", "auth": "hmac-sha1-96"}, "subspaces": {"lanes": 2},
}


def echo(kind=REQUEST, flags=0, length=None, ident=0xbeef, seq=1, data=DATA, spi=None):
    flags |= RETURN if spi is not None else 0
    head = struct.pack("!BBHHH", kind, flags, len(data) if length is None else length, ident, seq)
    return head + (b"" if spi is None else struct.pack("!I", spi)) + data


def ask(t, payload, seq, **outer):
    return to_wan(t.seal(payload, seq, AGGFRAG, outer={"df": 1, **outer} if t.outer == 4 else outer))


def answers(t, result):
    """What the tunnel's peer deciphers, in the order of numbers."""
    opened = [t.open(packet) for packet in result.wan if parse(packet)["dst"] == t.remote
              and struct.unpack("!I", t.strip(packet)[:4])[0] == t.spi["out"]]
    check(all(number == AGGFRAG for _, number, _, _ in opened), "next header")
    return [payload for payload, _, _, _ in sorted(opened, key=lambda o: o[2])]


def answered_by(name, options):
    def test():
        t = Tunnel(1, esp_ping=True, **options)
        result = run(with_tunnels(t), wan=[ask(t, echo(seq=n), n + 1) for n in range(3)])
        same_packets(answers(t, result), [echo(RESPONSE, seq=n) for n in range(3)], name)
        same(total(result.report["consumed"]), 3, "consumed")
        same(total(result.report["generated"]), 3, "generated")
        same(result.drops, {}, "drops")
    add_case(f"a request is answered by an SA with {name}", test)


for kind, choices in KINDS.items():
    answered_by(kind, choices)


@case("the vector: AES-256-GCM, number 7, a return SPI of nobody; the answer is the vector's")
def vector():
    t = Tunnel(1, aead="aes-gcm-256", esn=False, esp_ping=True)
    config = with_tunnels(t)
    key = bytes(range(32)) + bytes.fromhex("a0a1a2a3")
    config["tunnels"][0]["in"] |= {"spi": 0x11223344, "key": "hex:" + key.hex()}
    packet = bytes.fromhex("1122334400000007000000000000000772fb3c34e80dfbd43c39edec56d975fd"
                           "67125efe96ec2ae470bb4c3b59e39f69e610736a7fdb20f5")
    result = run(config, wan=[to_wan(ip(PEER[4], BLACK[4], 50, packet))])
    same_packets(answers(t, result), [bytes.fromhex("03000008beef00016162636465666768")], "the answer")


@case("a return SPI of the same peer is used, an unknown one and another peer's are not")
def return_spi():
    one, two = Tunnel(1, esp_ping=True), Tunnel(2, esp_ping=True)
    other = Tunnel(3, esp_ping=True)
    other.remote = "198.51.100.3"
    result = run(with_tunnels(one, two, other), wan=[
        ask(one, echo(seq=1, spi=two.spi["out"]), 1), ask(one, echo(seq=2, spi=0x12345678), 2),
        ask(one, echo(seq=3, spi=other.spi["out"]), 3), ask(one, echo(seq=4, spi=one.spi["in"]), 4)])
    same_packets(answers(two, result), [echo(RESPONSE, seq=1)], "by the SA asked for")
    same_packets(answers(one, result), [echo(RESPONSE, seq=n) for n in (2, 3, 4)], "by the pair")
    same(len(result.wan), 4, "packets sent")


@case("without data where that is asked for; unknown flags are ignored; padding behind the data is no data")
def flags():
    t = Tunnel(1, esp_ping=True)
    result = run(with_tunnels(t), wan=[
        ask(t, echo(seq=1, flags=NODATA), 1), ask(t, echo(seq=2, flags=0x7e), 2), ask(t, echo(seq=3, length=3) + bytes(40), 3)])
    same_packets(answers(t, result), [echo(RESPONSE, seq=1, data=b""), echo(RESPONSE, seq=2),
                                      echo(RESPONSE, seq=3, data=b"abc")], "answers")


@case("of what a router might have cut 512 octets come back; of what it may not, all that fits, and whole")
def large():
    t = Tunnel(1, esp_ping=True)
    data = bytes(range(256)) * 5
    result = run(with_tunnels(t), wan=[ask(t, echo(seq=1, data=data), 1, df=0), ask(t, echo(seq=2, data=data), 2)])
    same_packets(answers(t, result), [echo(RESPONSE, seq=1, data=data[:512]), echo(RESPONSE, seq=2, data=data)], "answers")
    check(all(parse(packet)["df"] == 1 for packet in result.wan if len(packet) > 1000), "DF of the large answer")


DROPS = [
    ("no octet", b"", "ping_short"), ("7 octets", echo(data=b"")[:7], "ping_short"),
    ("8 octets, and data said to follow", echo(length=1, data=b""), "ping_short"),
    ("11 octets with a return SPI", echo(spi=1, data=b"")[:11], "ping_short"),
    ("12 octets with a return SPI, and data said to follow", echo(spi=1, length=1, data=b""), "ping_short"),
    ("the longest data, said only", echo(length=0xffff), "ping_short"),
    ("sub-type 0", echo(kind=0), "ping_type"), ("sub-type 1", echo(kind=1), "ping_type"), ("sub-type 4", echo(kind=4), "ping_type"),
]


@case("what is no echo is dropped under its name, and never answered; an answer to nobody is no request")
def malformed():
    t = Tunnel(1, esp_ping=True)
    for what, payload, reason in DROPS:
        result = run(with_tunnels(t), wan=[ask(t, payload, 1)], idle=50)
        same(result.drops, {reason: 1}, what)
        same(len(result.wan), 0, f"{what}: answers")
    result = run(with_tunnels(t), wan=[ask(t, echo(kind=RESPONSE), 1)])
    same((result.drops, len(result.wan)), ({}, 0), "an answer that nobody waits for")


@case("without esp_ping requests are dropped, and other packets go on")
def disabled():
    t = Tunnel(1)
    inner = from_far(1)
    result = run(with_tunnels(t), wan=[ask(t, echo(), 1), ask(t, echo(kind=4), 2), to_wan(t.seal(inner, 3))])
    same((result.drops, len(result.wan), len(result.lan)), ({"ping_disabled": 1, "next_header": 1}, 0, 1), "drops, answers, packets")
    same(result.sa_drops("t1.in"), {"ping_disabled": 1, "next_header": 1}, "drops of the SA")


@case("a forged and a replayed request are not answered")
def unauthentic():
    t = Tunnel(1, esp_ping=True)
    good = ask(t, echo(), 1)
    forged = ask(t, echo(seq=2), 2)
    result = run(with_tunnels(t), wan=[good, good, forged[:-1] + bytes([forged[-1] ^ 1])])
    same(result.drops, {"replay_dup": 1, "icv_fail": 1}, "drops")
    same(len(answers(t, result)), 1, "answers")


@case("a flood of ten times the rate gets that of its SA, and others theirs")
def flood():
    t, other = Tunnel(1, esp_ping=True), Tunnel(2, esp_ping=True)
    frames = [(n * 10_000, ask(t, echo(seq=n), n + 1)) for n in range(300)]
    frames += [(3_000_001, ask(other, echo(seq=n), n + 1)) for n in range(5)]
    result = run(with_tunnels(t, other), wan=frames)
    n = len(answers(t, result))
    check(30 <= n <= 41, f"{n} answers in 3 s")
    same(result.drops, {"ping_rate": 300 - n}, "drops")
    same(len(answers(other, result)), 5, "answers to the other")


def plain(payload, spi=7, version=4, seq=0, **fields):
    return to_wan(ip(fields.pop("src", PEER[version]), fields.pop("dst", BLACK[version]), 50,
                     struct.pack("!II", spi, seq) + payload, **fields))


def plain_config(answers_them=True):
    config = with_tunnels(Tunnel(1))
    config["ports"][0]["esp_echo"] = answers_them
    return config


@case("plain echo: the vector's answer, over IPv4 and IPv6, no larger than the request; in the first draft's layout in kind")
def plain_answers():
    request = bytes.fromhex("02000008beef00016162636465666768")
    for version in (4, 6):
        result = run(plain_config(), wan=[plain(request, version=version)])
        answer = parse(result.wan[0])
        same(answer["payload"].hex(), "000000080000000003000008beef00016162636465666768", "the answer")
        same((answer["src"], answer["dst"], answer["proto"], answer["tos"]), (BLACK[version], PEER[version], 50, 0), "its header")
        same((total(result.report["consumed"]), total(result.report["generated"])), (1, 1), "counters")
    result = run(plain_config(), wan=[plain(echo(spi=0x55667788), options=b"\1" * 4)])
    same(parse(result.wan[0])["payload"][8:].hex(), echo(RESPONSE).hex(), "without the return SPI")
    result = run(plain_config(), wan=[plain(bytes([1, 2, 2, 59]))])
    same(parse(result.wan[0])["payload"].hex(), "000000080000000001" "02023b", "next header 59")


@case("plain echo is not answered: by another port's wish, in UDP, in fragments, to groups, from odd sources, answers, other SPIs")
def plain_silence():
    request = echo()
    same(run(plain_config(False), wan=[plain(request)]).drops, {"no_sa": 1}, "a port without esp_echo")
    esp = struct.pack("!II", 7, 0) + request
    in_udp = to_wan(ip(PEER[4], BLACK[4], 17, udp_header(PEER[4], BLACK[4], 4500, 4500, esp, 4) + esp))
    for what, wan, drops in [
            ("in UDP", in_udp, {"no_sa": 1}), ("an answer that nobody awaits", plain(echo(RESPONSE), spi=8), {"no_sa": 1}),
            ("SPI 9", plain(request, spi=9), {"no_sa": 1}), ("SPI 255", plain(request, spi=255), {"no_sa": 1}),
            ("an answer with the SPI of a request", plain(echo(RESPONSE)), {"ping_type": 1}),
            ("7 octets", plain(request[:7]), {"ping_short": 1}), ("a length that is too long", plain(echo(length=9)), {"ping_short": 1}),
            ("from a group", plain(request, src="224.0.0.1"), {"ping_source": 1}),
            ("from ourselves", plain(request, src=BLACK[4]), {"ping_source": 1}),
            ("from red", plain(request, src="10.1.2.3"), {"ping_source": 1}),
            ("from nowhere", plain(request, src="0.0.0.0"), {"ping_source": 1})]:
        result = run(plain_config(), wan=[wan], idle=50)
        same((result.drops, len(result.wan)), (drops, 0), what)
    pieces = [plain(request[:8], mf=1, ident=5), to_wan(ip(PEER[4], BLACK[4], 50, request[8:], ident=5, offset=2))]
    result = run(plain_config(), wan=pieces)
    same((result.drops, len(result.wan)), ({"ping_source": 1}, 0), "in fragments")
    result = run(plain_config(), wan=[plain(request) for _ in range(50)])
    same((result.drops, len(result.wan)), ({"ping_rate": 49}, 1), "a flood")


if __name__ == "__main__":
    main()
