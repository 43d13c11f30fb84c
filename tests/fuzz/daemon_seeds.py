#!/usr/bin/python3
"""First inputs of daemon_fuzz, made anew: tests/fuzz/daemon_seeds.py [FOLDER]. Pieces of the recorded sessions, and the
same with a second client in between; and SAs of AH, of which no recording has one. See session.h for the format."""
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SESSIONS = os.path.join(HERE, "../packet/xfrm_sessions")
CODEC = os.path.join(HERE, "corpus/xfrm")
FRAME, SPI, GONE, TIME = 4, 8, 16, 3
ALLOCSPI, UPDSA, NEWSA, DELSA, GETSA = 22, 26, 16, 17, 18
REQUEST, ACK, REPLACE, DUMP = 1, 4, 0x100, 0x300
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


def request(kind, flags, body=b""):
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 0, 0) + body


def life_of(body):
    """An SA, made from the body of its NEWSA: asked for by two clients, made anew, listed, and ended."""
    of_it = body[56:76] + body[76 + 136:76 + 138] + body[76:77] + bytes(1)
    return [step(0, request(NEWSA, ACK, body)), step(0, request(GETSA, 0, of_it)), step(2, request(GETSA, 0, of_it)),
            step(0, request(NEWSA, ACK, body)), step(0, request(UPDSA, ACK | REPLACE, body)), step(1, request(GETSA, DUMP)),
            step(TIME, bytes(12)), step(0, request(DELSA, ACK, of_it))]


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
    for name in sorted(f for f in os.listdir(CODEC) if f.startswith("ah-")):
        with open(f"{CODEC}/{name}", "rb") as message, open(f"{folder}/{name}", "wb") as f:
            f.write(b"".join(life_of(message.read()[16:])))


if __name__ == "__main__":
    main()
