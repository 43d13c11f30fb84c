#!/usr/bin/python3
"""The tests' own AGGFRAG coder: the worked example of RFC 9347 appendix A, and that its two halves undo each other."""
import random

from aggfrag import AllPad, Feedback, Receiver, blocks, head, pack, read, room
from gw import from_far, same_packets
from tap import add_case, case, main, same


def sized(size, version=4, n=1):
    """An inner packet of exactly that many octets."""
    return from_far(n, random.Random(size).randbytes(size - (28 if version == 4 else 48)), version=version)


def received(payloads, numbers=None, **more):
    model = Receiver(**more)
    return [p for number, payload in zip(numbers or range(1, len(payloads) + 1), payloads)
            for p in model.take(number, payload)], model


@case("RFC 9347 appendix A: 750, 750, 60, 240 and 3000 octets in payloads of 1404")
def worked_example():
    inner = [sized(n) for n in (750, 750, 60, 240, 3000)]
    made = pack(inner, [1400])
    same([len(p) for p in made], [1404] * 4, "sizes")
    same([read(p).offset for p in made], [0, 100, 2000, 600], "offsets")
    same([[b.kind for b in blocks(p)] for p in made], [[4, 4], ["rest", 4, 4, 4], ["rest"], ["rest", "pad"]], "blocks")
    same([len(b.octets) for b in blocks(made[3])], [600, 800], "octets of the fourth")
    have, model = received(made)
    same_packets(have, inner, "received")
    same(dict(model.drops), {}, "drops")


@case("appendix C: an outer packet of 1500 octets with GCM-16 over IPv4 has room for 1442")
def appendix_c():
    same([room(m) for m in (576, 1500, 9000)], [518, 1442, 8942], "room")


@case("a header of sub-type 1 lies as the RFC draws it")
def controlled():
    feedback = Feedback(loss=0x01020304, rtt=0x3fffff, echo_delay=0, transmit_delay=5, tval=6, techo=7, p=1)
    octets = head(0x0809, feedback)
    same(octets.hex(), "01020809" "01020304" "fffffc0000000005" "00000006" "00000007", "octets")
    same(read(octets).feedback, feedback, "read again")


def both_ways(seed, **how):
    rng = random.Random(seed)
    inner = [sized(rng.choice((40, 60, 61, 576, 1400, 9000)) + 8, rng.choice((4, 6))) for _ in range(200)]
    rooms = [rng.choice((1, 2, 3, 7, 100, 1400, AllPad(rng.randrange(1, 50)))) for _ in range(500)] + [1400]
    have, model = received(pack(inner, rooms, **how))
    same_packets(have, inner, "received")
    same(dict(model.drops), {}, "drops")


for sentence, options in [("padded", {}), ("as long as they are", {"fill": False}), ("with feedback", {"feedback": Feedback()}),
                          ("without runts", {"least": 6})]:
    add_case(f"payloads of random sizes, {sentence}, with all-pads anywhere", lambda options=options: both_ways(1, **options))


@case("without fragments each packet is whole in its payload")
def whole():
    inner = [sized(n) for n in (750, 750, 60, 240, 1400)]
    made = pack(inner, [1400], fragment=False)
    same([[len(b.octets) for b in blocks(p)] for p in made], [[750, 650], [750, 60, 240, 350], [1400]], "octets of blocks")
    same_packets(received(made, fragments=False)[0], inner, "received")


@case("the model joins nothing over a loss, skips orphans, and goes on")
def losses():
    inner = [sized(n) for n in (1000, 3000, 3000, 60)]
    made = pack(inner, [1400])
    have, model = received(made[:1] + made[2:], [1, *range(3, len(made) + 1)], window=0)
    same_packets(have, [inner[0], *inner[2:]], "received")
    same(dict(model.drops), {"aggfrag_gap": 1, "aggfrag_orphan": 1}, "drops")


@case("the model puts in order what is inside its window, and knows what is late")
def order():
    inner = [sized(100 + n) for n in range(8)]
    made = pack(inner, [1400], fragment=False)
    same(len(made), 1, "payloads")
    made = [head(0) + p for p in inner]
    have, model = received([made[i] for i in (0, 3, 2, 1, 6, 7, 5)], [1, 4, 3, 2, 7, 8, 6], window=3)
    same_packets(have, inner[:4], "received")
    have += model.give_up()
    same_packets(have, [*inner[:4], *inner[5:]], "after the timer")
    have, model = received([made[i] for i in (0, 2, 3, 1)], [1, 3, 4, 2], window=1)
    same_packets(have, [inner[0], inner[2], inner[3]], "window of 1")
    same(dict(model.drops), {"aggfrag_late": 1}, "drops")


if __name__ == "__main__":
    main()
