#!/usr/bin/python3
"""First inputs of state_fuzz, made anew: tests/fuzz/state_seeds.py [FOLDER]. See state_fuzz.c for the format."""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MEND = 1


def header(generation):
    return b"espgwnum" + struct.pack("<II", 1, 128) + bytes(range(16)) + bytes(32) + struct.pack("<QQ", generation, 0) + bytes(48)


def record(key, number, durable, expiry=0, lane=0, flags=0):
    return bytes([key]) * 16 + struct.pack("<QQQHHI", number, durable, expiry, lane, flags, 0)


def seeds():
    yield "none", b"\0"
    yield "header", bytes([MEND]) + header(1)
    yield "records", bytes([MEND]) + header(3) + b"".join(
        record(key, 64 << key, 128 + 48 * key, lane=key, flags=key % 4) for key in range(6))
    yield "torn", bytes([MEND]) + header(3) + record(1, 64, 128) + record(2, 64, 128) + bytes(48) + record(3, 1, 176)[:20]
    yield "damaged", bytes([MEND]) + header(3) + record(1, 64, 128) + record(7, 64, 128) + record(2, 64, 224)
    yield "expired", bytes([MEND]) + header(1) + record(1, 64, 128, expiry=5) + record(2, 64, 128, expiry=1 << 40)
    yield "version", b"\0" + header(1)[:8] + struct.pack("<I", 2)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus/state")
    os.makedirs(folder, exist_ok=True)
    for name, octets in seeds():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(octets)


if __name__ == "__main__":
    main()
