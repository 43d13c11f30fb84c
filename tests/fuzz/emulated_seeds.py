#!/usr/bin/python3
"""First inputs of emulated_fuzz, made anew: tests/fuzz/emulated_seeds.py [FOLDER]. See emulated_fuzz.c for the format."""
import os
import struct
import sys

from scapy.all import ESP, IP, IPv6, UDP, Dot1Q, Ether, IPv6ExtHdrHopByHop, Raw

HERE = os.path.dirname(os.path.abspath(__file__))
FRAME, TEXT, MEND, SECOND = 0, 1, 2, 0x80
N_SAS = 11
V4 = {"src": "192.0.2.1", "dst": "192.0.2.2"}
V6 = {"src": "2001:db8::1", "dst": "2001:db8::2"}


def packet(how, octets, sa=0, cut=0):
    return struct.pack("<BBBH", how, sa, cut, len(octets)) + octets


def frame(*layers):
    p = Ether(dst="02:02:02:02:02:02", src="02:02:02:02:02:02")
    for layer in layers:
        p /= layer
    return bytes(p)


def texts(sa):
    """Inner packets with their trailers: the good ones, those of other kinds, and padding that is wrong."""
    v4, v6 = bytes(IP(**V4) / UDP() / bytes(30)), bytes(IPv6(**V6) / UDP() / bytes(30))
    for name, text in (("v4", v4 + b"\x00\x04"), ("v6", v6 + b"\x00\x29"), ("dummy", bytes(20) + b"\x00\x3b"),
                       ("other", bytes(20) + b"\x00\x90"), ("wrong", v4 + b"\x00\x29"), ("long", v4 + b"\xff\x04"),
                       ("padded", v4 + b"\x01\x02\x03\x03\x04"), ("udp", bytes(UDP()) + b"\x00\x11"), ("none", b"\x00\x04")):
        yield f"{name}-{sa}", packet(TEXT, text, sa)
        yield f"{name}-{sa}-pieces", packet(TEXT | SECOND, text, sa, 61)


def seeds():
    for sa in range(N_SAS):
        yield from texts(sa)
    esp = ESP(spi=0x1001, seq=5) / Raw(bytes(60))
    esp6 = ESP(spi=0x1003, seq=5) / Raw(bytes(60))
    in_udp = UDP(sport=4500, dport=4501) / ESP(spi=0x1004, seq=5) / Raw(bytes(60))
    frames = {
        "plain": frame(IP(**V4), esp),
        "options": frame(IP(options=[b"\x94\x04\x00\x00"], **V4), esp),
        "fragment": frame(IP(flags="MF", **V4), esp),
        "short": frame(IP(**V4), ESP(spi=0x1001, seq=5)),
        "tagged": frame(Dot1Q(vlan=5), Dot1Q(vlan=6), IP(**V4), esp),
        "v6": frame(IPv6(**V6), esp6),
        "extended": frame(IPv6(**V6), IPv6ExtHdrHopByHop(), esp6),
        "udp": frame(IP(**V4), in_udp),
        "ike": frame(IP(**V4), UDP(sport=4500, dport=4501), Raw(bytes(40))),
    }
    for name, octets in frames.items():
        for cut in (0, 20, 70):
            yield f"{name}-{cut}", packet(MEND, octets, 0, cut)
    yield "burst", b"".join(packet(MEND, f) for f in frames.values()) * 3
    yield "mixed", b"".join(t for _, t in texts(1)) + packet(MEND, frames["plain"])
    yield "tiny", b"".join(packet(FRAME, frames["plain"][:n]) for n in range(1, 40, 2))


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus/emulated")
    os.makedirs(folder, exist_ok=True)
    for name, octets in seeds():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(octets)


if __name__ == "__main__":
    main()
