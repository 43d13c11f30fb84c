#!/usr/bin/python3
"""First inputs of daemon_fuzz, made anew: tests/fuzz/daemon_seeds.py [FOLDER]. Pieces of the recorded sessions, and the
same with a second client in between. See session.h for the format."""
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SESSIONS = os.path.join(HERE, "../packet/xfrm_sessions")
FRAME, SPI, GONE, TIME = 4, 8, 16, 3
ALLOCSPI, UPDSA, NEWSA, DELSA, GETSA = 22, 26, 16, 17, 18
PIECE = 20


def step(how, octets):
    return struct.pack("<BH", how, len(octets)) + octets


def steps(name):
    """The requests of a recording, each as a step of client 0."""
    spi, found = None, []
    with open(f"{SESSIONS}/{name}.jsonl", encoding="ascii") as f:
        for line in map(json.loads, f):
            octets = bytes.fromhex(line["hex"])
            kind = octets[4]
            if line["way"] == "reply" and kind == NEWSA:
                spi = octets[88:92]
            if line["way"] != "request":
                continue
            at = 88 if kind in (NEWSA, UPDSA) else 32
            ours = kind in (NEWSA, UPDSA, DELSA, GETSA) and octets[at:at + 4] == spi
            found.append(step(SPI if ours else 0, octets))
    return found


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus/daemon")
    os.makedirs(folder, exist_ok=True)
    for name in sorted(f[:-6] for f in os.listdir(SESSIONS) if f.endswith(".jsonl")):
        all_steps = steps(name)
        for number, begin in enumerate(range(0, len(all_steps), PIECE)):
            piece = all_steps[begin:begin + PIECE]
            if number % 3 == 1:
                piece.insert(len(piece) // 2, step(TIME, bytes(12)))
            if number % 3 == 2:
                piece[len(piece) // 2:len(piece) // 2] = [bytes([s[0] | 1]) + s[1:] for s in piece[:3]]
            with open(f"{folder}/{name}-{number}", "wb") as f:
                f.write(b"".join(piece))


if __name__ == "__main__":
    main()
