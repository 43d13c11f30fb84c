"""What tests of subspaces have in common."""
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
