#!/usr/bin/python3
"""First inputs of aggfrag_fuzz and aggfrag_stream_fuzz, made anew: tests/fuzz/aggfrag_seeds.py [FOLDER]. See these for their
formats."""
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../packet"))
from aggfrag import AllPad, Feedback, head, pack  # noqa: E402
from tfs import far, noise  # noqa: E402

LOST, LATER, WHOLE = (1 << i for i in range(3))  # enum how of aggfrag_fuzz
BACK, TIME, ENDED = 1 << 3, 1 << 4, 1 << 5  # more of aggfrag_stream_fuzz


def step(payload, how=0):
    return struct.pack("<BH", how, len(payload)) + payload


def steps(payloads, hows=()):
    hows = dict(hows)
    return b"".join(step(p, hows.get(i, 0)) for i, p in enumerate(payloads))


def sequences():
    """Name, payloads, and what happens before some of them."""
    for version in (4, 6):
        some = [far(1, size, version, i) for i, size in enumerate((60, 700, 45, 300, 1500, 90))]
        yield f"whole-v{version}", pack(some[:4], [1400]), {}
        yield f"pieces-v{version}", pack(some, [600]), {}
        yield f"cc-v{version}", pack(some, [600], Feedback(loss=9, tval=5, p=1, e=1), reserved=0xfc), {}
        yield f"lost-v{version}", pack(some, [400]), {2: LOST, 5: LOST}
        yield f"later-v{version}", pack(some, [900]), {2: LATER}
        yield f"no-pieces-v{version}", pack(some, [900]), {0: WHOLE}
        for runt in range(1, 7):
            yield f"runt-{runt}-v{version}", pack(some, [60 + runt, 700]), {}
        yield f"octets-v{version}", pack([far(1, 41, version)], [9, 3, 1, 1, 30]), {}
        yield f"all-pads-v{version}", pack(some, [AllPad(9), 500, AllPad(1), AllPad(40), 500, AllPad(0), 600]), {}
        yield f"offsets-v{version}", [pack(some, [500])[0], head(123) + some[0] * 4, head(0) + some[0], head(65535) + some[0]], {}
    yield "short", [b"", b"\0", bytes(3), b"\1" + bytes(22), b"\4" + bytes(30), b"\2" + bytes(7), b"\3\0\0\0abcd"], {}
    for name, block in (("type", b"\x5f"), ("length", b"\x45\0\0\0"), ("words", b"\x44\0\0\x3c"), ("large", b"\x60\0\0\0\xff\xff")):
        yield f"bad-{name}", [head(0) + far(1, 80) + block + noise(40), head(0) + far(1, 80), head(0) + block[:1], head(9) + block[1:] * 9], {}
    yield "large", pack([far(1, 9000), far(1, 200)], [1390]), {}
    yield "headers", [head(0) + far(1, 20) * 70], {}


def stream_sequences():
    yield from sequences()
    some = [far(1, size, 4, i) for i, size in enumerate((60, 700, 45, 300, 1500, 90, 61, 62, 63))]
    yield "swapped", pack(some, [400]), {1: LOST, 2: BACK, 5: LOST, 6: BACK}
    yield "holes", pack(some, [300]), {1: LOST, 4: LOST, 6: TIME, 7: TIME}
    yield "ended", pack(some, [300]), {3: LOST, 5: ENDED}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "corpus")
    for target, found in (("aggfrag", sequences()), ("aggfrag_stream", stream_sequences())):
        os.makedirs(os.path.join(folder, target), exist_ok=True)
        for name, payloads, hows in found:
            with open(os.path.join(folder, target, name), "wb") as out:
                out.write(steps(payloads, hows))


if __name__ == "__main__":
    main()
