"""What tests of subspaces have in common."""
import struct

import xfrm
from tap import check, same

LAST = (1 << 48) - 1


def check_numbers(numbers, lanes, what):
    """Each id's numbers are 1, 2, 3 … in order, and no id is beyond those agreed on. Gives back the ids."""
    next_of = {}
    for seq in numbers:
        lane = seq >> 48
        check(lane < lanes, f"{what}: lane {lane} of {lanes}")
        same(seq & LAST, next_of.get(lane, 1), f"{what}: number of lane {lane}")
        next_of[lane] = (seq & LAST) + 1
    return set(next_of)


SUBSPACES, LANE_STATS, WANT_LANES, REPLAY_ESN = 0x2001, 0x2005, 0x2006, 23


def daemon_sa(direction, subspaces, esn=True):
    """NEWSA of an SA with ESN and a window of 32, and that attribute."""
    ends = ("192.0.2.1", "198.51.100.1")
    body = bytearray(xfrm.sa(*(ends if direction == 2 else ends[::-1]), 0x5000 + direction, 7, bytes([direction] * 20),
                             direction=direction, window=0))
    body[216] = 128 if esn else 0
    body += xfrm.attribute(REPLAY_ESN, struct.pack("=7I", 1, 0, 0, 0, 0, 0 if direction == 2 else 32, 0)) if esn else b""
    return bytes(body) + xfrm.attribute(SUBSPACES, struct.pack("=HBB", *subspaces))
