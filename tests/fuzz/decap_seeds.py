#!/usr/bin/python3
"""First inputs of decap_fuzz, made anew: tests/fuzz/decap_seeds.py [FOLDER]. See decap_fuzz.c for the format."""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../packet"))
from gw import from_far, from_lan, host, ip, tcp, udp  # noqa: E402

BLACK, RED, TEXT, RED_IP = range(4)
MEND, NUMBER, SMALL, SHARED = 4, 8, 16, 32
BLACK_MAC, RED_MAC = bytes([2, 0, 0, 0, 0, 0]), bytes([2, 0, 0, 0, 0, 1])
TUNNELS, TRANSPORTS = (0, 1, 4, 6, 7, 9, 10, 11), (2, 3, 5, 8, 12)
ALIGN = {2: 16, 10: 16}


def packet(how, octets, sa=0, cut=0, number=0):
    return struct.pack("<BBBbH", how, sa, cut, number, len(octets)) + octets


# By number: the family inside; the family outside and the mode.
BEETS = {13: 4, 14: 6, 15: 4, 16: 6}
AHS = {17: (4, "tunnel"), 18: (6, "tunnel"), 19: (4, "transport"), 20: (6, "transport")}


def trailer(payload, next_header, align):
    pad = -(len(payload) + 2) % align
    return payload + bytes(range(1, pad + 1)) + bytes([pad, next_header])


def text(sa, payload, next_header, how=0, **more):
    return packet(TEXT | how, trailer(payload, next_header, ALIGN.get(sa, 4)), sa, **more)


def ether(mac, octets):
    return mac + bytes(6) + (b"\x86\xdd" if octets[0] >> 4 == 6 else b"\x08\x00") + octets


def seeds():
    for sa in TUNNELS:
        v4, v6 = from_far(sa), from_far(sa, version=6)
        yield f"tunnel-{sa}", text(sa, v4, 4) + text(sa, v6, 41)
        yield f"tunnel-chain-{sa}", text(sa, v4, 4, cut=19) + text(sa, v6, 41, SMALL, cut=33)
    for sa in TRANSPORTS:
        for version in ((4,) if sa in (2, 5, 12) else (6,)):
            ends = ("198.51.100.%d" % sa, "192.0.2.1") if version == 4 else ("2001:db8:ffff::%x" % sa, "2001:db8::1")
            size = 20 if version == 4 else 40
            yield f"transport-udp-{sa}", text(sa, udp(*ends, b"payload")[size:], 17, cut=14 + sa)
            yield f"transport-tcp-{sa}", text(sa, tcp(*ends, b"payload")[size:], 6, SMALL, cut=60)
    for sa in (0, 1):
        yield f"dummy-{sa}", text(sa, bytes(50), 59) + text(sa, b"", 59, cut=15)
        yield f"tfc-{sa}", text(sa, from_far(sa) + bytes(100), 4)
    yield "replay", text(0, from_far(0), 4) + text(0, from_far(0), 4, NUMBER) + text(0, from_far(0), 4, NUMBER, number=100)
    for sa in (11, 12):
        inner, kind = (from_far(sa), 4) if sa == 11 else (udp("198.51.100.12", "192.0.2.1", b"payload")[20:], 17)
        yield f"lanes-{sa}", b"".join(text(sa, inner, kind, NUMBER, number=n) for n in (1, 1, 1, 1, 0, 1, 4, 1, 5, -9, 9, 100, -100))
    yield "shared", text(0, from_far(0), 4, SHARED) + packet(RED_IP | SHARED, from_lan(0), cut=30)
    yield "ttl", text(0, from_far(0, ttl=1), 4) + packet(RED_IP, from_lan(0, ttl=1))
    yield "too-big", packet(RED_IP, from_lan(0, bytes(1450), df=1)) + packet(RED_IP, from_lan(1, bytes(1450), version=6))
    yield "fragment", text(0, from_far(0, mf=1), 4) + packet(RED_IP, from_lan(0, offset=5))
    yield "policies", b"".join(packet(RED_IP, p) for p in (
        udp(host(4, 1, 0), host(4, 2, 0), dport=53), tcp(host(4, 1, 0), host(4, 2, 0), dport=23),
        udp(host(4, 1, 99), host(4, 2, 99))))
    quoted = from_lan(0)
    yield "icmp-error", text(0, ip("10.2.0.9", host(4, 1, 0), 1, b"\x03\x04\0\0\0\0\x05\0" + quoted), 4)
    extended = ip(host(6, 1, 0), host(6, 2, 0), 0, b"\x3c\0\1\4\0\0\0\0" + b"\x11\0\1\4\0\0\0\0" + b"\1\2\3\4\0\x08\0\0")
    for sa in (0, 3):
        yield f"extension-headers-{sa}", packet(RED_IP, extended) + text(sa, extended, 41, cut=21)
    for sa, version in BEETS.items():
        size = 20 if version == 4 else 40
        pseudo = b"\x11\x01\x04\0" + b"\1" * 4 + bytes.fromhex("9404000001010100")
        segment = from_far(sa, version=version)[size:]
        yield f"beet-{sa}", text(sa, segment, 17) + text(sa, pseudo + segment, 94, cut=25)
        options = {"options": bytes.fromhex("94040000")} if version == 4 else {}
        yield f"beet-out-{sa}", packet(RED_IP, from_lan(sa, version=version)) + packet(
            RED_IP | SMALL, from_lan(sa, version=version, **options), cut=20)
    for sa, (version, kind) in AHS.items():
        inner, size = from_far(sa), 20 if version == 4 else 40
        if kind == "transport":
            ends = ("198.51.100.%d" % sa, "192.0.2.1") if version == 4 else ("2001:db8:ffff::%x" % sa, "2001:db8::1")
            inner = udp(*ends, b"payload")[size:]
        number = b"\x11" if kind == "transport" else b"\4"
        yield f"ah-{sa}", packet(TEXT, number + inner, sa) + packet(TEXT | SMALL, number + inner, sa, cut=30)
        yield f"ah-out-{sa}", packet(RED_IP, from_lan(sa)) + packet(RED_IP | SMALL, from_lan(sa, version=6), cut=20)
    for sa in range(13):
        yield f"out-{sa}", packet(RED_IP, from_lan(sa)) + packet(RED_IP | SMALL, from_lan(sa, version=6), cut=20)
    keepalive = ip("198.51.100.4", "192.0.2.1", 17, b"\x11\x94\x11\x94\0\x09\0\0\xff")
    yield "udp-4500", packet(BLACK, ether(BLACK_MAC, keepalive)) + packet(BLACK, ether(BLACK_MAC, ip(
        "198.51.100.4", "192.0.2.1", 17, b"\x11\x94\x11\x94\0\x10\0\0" + bytes(8))))
    yield "clear", packet(BLACK, ether(BLACK_MAC, udp("198.51.100.4", host(4, 1, 0), dport=53))) + packet(
        RED, ether(RED_MAC, udp(host(4, 1, 0), "10.254.0.1")))


def write(folder):
    os.makedirs(folder, exist_ok=True)
    for name, octets in seeds():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(octets)


if __name__ == "__main__":
    write(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus/decap"))
