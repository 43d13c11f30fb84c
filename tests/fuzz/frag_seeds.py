#!/usr/bin/python3
"""First inputs of frag_fuzz, made anew: tests/fuzz/frag_seeds.py [FOLDER]. See frag_fuzz.c for the format."""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../packet"))
import fragments  # noqa: E402
from gw import from_far  # noqa: E402

V6, MORE, RAW, PEER, VIRTUAL, TIME, CHAIN, OPTIONS = (1 << i for i in range(8))


def step(how, name, at, octets):
    return struct.pack(">BBHB", how, name, at, len(octets) // 8) + octets


def pieces(how, name, size, n, order=None):
    """A datagram of n pieces of size octets."""
    steps = [step(how | (MORE if i < n - 1 else 0), name, i * size, bytes([i]) * size) for i in range(n)]
    return b"".join(steps[i] for i in order or range(n))


def seeds():
    for name, how in (("v4", 0), ("v6", V6), ("chain", CHAIN | PEER), ("options", OPTIONS), ("options6", OPTIONS | V6)):
        yield f"whole-{name}", pieces(how, 1, 64, 4)
        yield f"backwards-{name}", pieces(how, 1, 64, 4, (3, 2, 1, 0))
        yield f"twice-{name}", pieces(how, 1, 64, 4, (0, 0, 2, 2, 1, 3))
        yield f"ports-{name}", pieces(how | VIRTUAL, 16, 64, 4, (1, 2, 0, 3))
        yield f"overlap-{name}", step(how | MORE, 1, 0, bytes(128)) + step(how | MORE, 1, 64, bytes(128))
        yield f"late-{name}", step(how | MORE, 1, 0, bytes(64)) + step(how | TIME, 1, 64, bytes(64)) * 5
        yield f"ecn-{name}", step(how | MORE, 3, 0, bytes(64)) + step(how, 2, 64, bytes(64))
    yield "long", step(MORE, 1, 0, bytes(64)) + step(0, 1, 0xfff8, bytes(64))
    yield "long6", step(MORE | V6, 1, 0, bytes(64)) + step(V6, 1, 0xfff8, bytes(64))
    yield "many", b"".join(step(MORE, i * 16 % 256, 0, bytes(8)) for i in range(40))
    yield "tiny", pieces(0, 1, 8, 24)
    for version in (4, 6):
        whole = from_far(1, bytes(800), version)
        cut = [f + bytes(-len(f) % 8) for f in fragments.cut(whole, [400])]
        yield f"raw-{version}", b"".join(step(RAW, 0, 0, f) for f in cut)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus/frag")
    os.makedirs(folder, exist_ok=True)
    for name, octets in seeds():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(octets)


if __name__ == "__main__":
    main()
