#!/usr/bin/python3
"""First inputs of mirror_fuzz, made anew: tests/fuzz/mirror_seeds.py [FOLDER]. See mirror_fuzz.c for the format."""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../packet"))
import mirror_test  # noqa: E402

RED, HOST, MEND, OURS = 1, 2, 4, 8


def frames(how, octets, cut=0):
    return b"".join(struct.pack("<BBH", how, cut, len(f)) + f for f in octets)


def seeds():
    wan = [f for _, f in mirror_test.WAN_TO_HOST] + [f for _, f, _ in mirror_test.WAN_NOT]
    own = [f for _, f, _ in mirror_test.OWN]
    for i in range(0, len(wan), 8):
        yield f"wan-{i}", frames(OURS | MEND, wan[i:i + 8])
        yield f"wan-chain-{i}", frames(MEND, wan[i:i + 8], cut=23)
    yield "lan", frames(RED | OURS | MEND, [f for _, f in mirror_test.LAN_TO_HOST])
    for i in range(0, len(own), 8):
        yield f"own-{i}", frames(HOST | MEND, own[i:i + 8])
        yield f"own-lan-chain-{i}", frames(HOST | RED | OURS | MEND, own[i:i + 8], cut=31)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus/mirror")
    os.makedirs(folder, exist_ok=True)
    for name, octets in seeds():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(octets)


if __name__ == "__main__":
    main()
