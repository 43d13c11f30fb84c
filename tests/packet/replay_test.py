#!/usr/bin/python3
"""Sequence numbers and the anti-replay window (rows A3), in packets."""
import engine
from gw import Tunnel, aged, from_far, from_lan, run, same_packets, to_lan, to_wan, with_tunnels
from rows import Row, add_rows
from tap import add_case, case, main, same

WRAP = 1 << 32
MAX = (1 << 64) - 1


def inner(t, seq):
    return from_far(t.n, b"number %d" % seq)


def arrivals(*steps):
    """steps: numbers in the order of arrival; a number in a list is one that must not pass."""
    def build(t):
        into, red = [], []
        for step in steps:
            seq = step[0] if isinstance(step, list) else step
            into.append(t.seal(inner(t, seq), seq))
            if not isinstance(step, list):
                red.append(aged(inner(t, seq)))
        return into, red
    return build


def window(size, esn=True, **more):
    return {"replay_window": size, "esn": esn, **more}


# With ESN a number left of the window is, by RFC 4303 appendix A2.2, one of the next 2^32: its ICV then fails, unless
# it came in one burst with what moved the window, and was inferred before.
LEFT = ("replay_old", "icv_fail")


def left_edge(size, esn):
    top = 5 * size
    return Row(f"A3.2 window {size}{', ESN' if esn else ''}: T-W+1 passes, T-W drops "
               f"{'replay_old, or icv_fail' if esn else 'replay_old'}",
               arrivals(top, top - size + 1, [top - size], top - size + 2, [top - size + 1]),
               {LEFT if esn else "replay_old": 1, "replay_dup": 1}, sa_packets=3, **window(size, esn))


def jump(step):
    size, begin = 64, 1000
    top = begin + step
    between = [n for n in (top - 1, top - size + 1) if n > begin]
    return Row(f"A3.5 a jump ahead by {step} is accepted and the numbers between are new",
               arrivals(begin, top, *dict.fromkeys(between), [top], *([[begin]] if step < size else [])),
               {"replay_dup": 1 + (step < size)}, **window(size))


def forged_ahead(t):
    forged = bytearray(t.seal(inner(t, 9), 1 << 20))
    forged[-1] ^= 1
    return [t.seal(inner(t, 1), 1), bytes(forged), t.seal(inner(t, 2), 2)], [aged(inner(t, 1)), aged(inner(t, 2))]


def high_word_off(by):
    def build(t):
        top = 3 * WRAP + 100
        # Sealed with another high word; the low word is all that is on the wire.
        return ([t.seal(inner(t, 1), top), t.seal(inner(t, 2), top + 1 + by * WRAP), t.seal(inner(t, 3), top + 2)],
                [aged(inner(t, 1)), aged(inner(t, 3))])
    return build


def wraps(count):
    """Half of 2^32 at a time; each packet's high word can only be inferred."""
    return [n * (WRAP // 2) + 7 for n in range(1, 2 * count)]


def zero(t):
    return ([t.carry(t.esp["in"].seal(0, inner(t, 0), 4)), t.seal(inner(t, 1), 1)], [aged(inner(t, 1))])


add_rows("A3", [
    Row("A3.1 the same packet again at once drops replay_dup", arrivals(1, [1]), {"replay_dup": 1}, sa_packets=1),
    Row("A3.1 the same packet a window later drops replay_old", arrivals(1, 1025, [1]), {"replay_old": 1}, sa_packets=2,
        esn=False),
    Row("A3.1 each packet twice, in one burst, passes once",
        arrivals(*(x for n in range(1, 17) for x in (n, [n]))), {"replay_dup": 16}, sa_packets=16),
    *[left_edge(size, esn) for size in (32, 33, 64, 128, 777, 1024, 4096, 65536) for esn in (False, True)],
    Row("A3.3 number 0 without ESN drops replay_zero", zero, {"replay_zero": 1}, esn=False),
    Row("A3.3 64-bit number 0 with ESN drops replay_zero", zero, {"replay_zero": 1}),
    Row("A3.4 a forged number far ahead drops icv_fail and the next genuine one passes", forged_ahead, {"icv_fail": 1}),
    *[jump(step) for step in (1, 63, 64, 65, 1 << 20, 1 << 31)],
    Row("A3.6 across 2^32: before, behind, a late one from before, and its replay",
        arrivals(WRAP - 3, WRAP - 1, WRAP, WRAP + 5, WRAP - 2, [WRAP - 2], [WRAP - 1], WRAP + 6),
        {"replay_dup": 2}, **window(64, into={"replay_top": WRAP - 10})),
    Row("A3.7 the high word one too low drops icv_fail", high_word_off(-1), {"icv_fail": 1},
        **window(64, into={"replay_top": 3 * WRAP})),
    Row("A3.7 the high word one too high drops icv_fail", high_word_off(1), {"icv_fail": 1},
        **window(64, into={"replay_top": 3 * WRAP})),
    Row("A3.9 one burst moves the window past one of its own packets: replay_old after the ICV",
        arrivals(10, 11, 5000, [12], 5001, [10]), {"replay_old": 2}, **window(1024)),
    Row("A3.9 one burst holds a number twice on both sides of a jump",
        arrivals(1, 500, [1], 501, [500], 2, [2]), {"replay_dup": 3}, **window(1024)),
    Row("A3.10 at the end of a 32-bit number space the receiver drops 0, 1 and 2",
        lambda t: ([t.carry(t.esp["in"].seal(n, inner(t, n), 4)) for n in (WRAP - 1, 0, 1, 2)],
                   [aged(inner(t, WRAP - 1))]),
        {"replay_zero": 1, "replay_old": 2}, esn=False, into={"replay_top": WRAP - 2}),
    Row("A3.14 window 0 takes what comes, twice too", lambda t: (
        [t.seal(inner(t, n), n) for n in (5, 5, 4, 900, 3)], [aged(inner(t, n)) for n in (5, 5, 4, 900, 3)]),
        sa_packets=5, **window(0, esn=False)),
    Row("replay_top counts as seen, and so does all below it",
        arrivals([100], [99], 101), {"replay_dup": 2},
        into={"replay_top": 100}),
])


if not engine.infers():
    add_rows("A3.8", [
        Row("A3.8 ESN, few packets yet, and a low word that would be from before number 0 drops replay_old",
            lambda t: ([t.seal(inner(t, 5), 5), t.seal(inner(t, 1), WRAP - 16), t.seal(inner(t, 6), 6)],
                       [aged(inner(t, 5)), aged(inner(t, 6))]), {"replay_old": 1}),
    ])

# A packet at a time: a number is inferred from those before its burst.
LEFT_OF_IT = Row("A3.2 with ESN, what is left of the window was inferred as of the next 2^32: icv_fail",
                 arrivals(5000, 5000 - 1023, [5000 - 1024], [1], 5001), {"icv_fail": 2}, sa_packets=3, **window(1024))
ACROSS = Row("A3.6 across 2^32 a hundred times", arrivals(*wraps(100)), sa_packets=199, **window(1024))
add_rows("A3.6", [LEFT_OF_IT] if engine.infers() else [ACROSS, LEFT_OF_IT], arguments=["--burst", "1"])


def sends(t, count):
    return [to_lan(from_lan(t.n, b"packet %d" % i)) for i in range(count)]


def numbers(what, want, drops, count, **tunnel):
    """The numbers on the wire are `want`, in order, and the packets behind them are dropped."""
    def body():
        t = Tunnel(1, **tunnel)
        done = run(with_tunnels(t), lan=sends(t, count))
        same(done.drops, drops, "drops")
        same([t.open(packet, seq >> 32)[2] for packet, seq in zip(done.wan, want)], want, "numbers sent")
        same(len(done.wan), len(want), "packets sent")
        same(done.sa("t1.out")["packets"], len(want), "packets counted on the SA")
    add_case(what, body)


numbers("the first number sent is 1, and they go up by one", list(range(1, 101)), {}, 100)
numbers("without ESN too", list(range(1, 101)), {}, 100, esn=False)
numbers("numbers go on from oseq", [1001, 1002, 1003], {}, 3, out={"oseq": 1000})
numbers("A3.10 without ESN 2^32-1 is the last number sent; then seq_exhausted",
        [WRAP - 3, WRAP - 2, WRAP - 1], {"seq_exhausted": 4}, 7, esn=False, out={"oseq": WRAP - 4})
numbers("with ESN the numbers cross 2^32", list(range(WRAP - 5, WRAP + 5)), {}, 10, out={"oseq": WRAP - 6})
numbers("with ESN and a separate authenticator too", list(range(WRAP - 5, WRAP + 5)), {}, 10, out={"oseq": WRAP - 6},
        cipher="aes-cbc-128", auth="hmac-sha256-128")
numbers("A3.11 with ESN 2^64-1 is the last number sent; then seq_exhausted",
        [MAX - 2, MAX - 1, MAX], {"seq_exhausted": 4}, 7, out={"oseq": MAX - 3},
        cipher="aes-cbc-128", auth="hmac-sha256-128")
numbers("hard_packets is exact: 10 pass, the rest drop expired", list(range(1, 11)), {"expired": 40}, 50,
        lifetime={"soft_packets": 5, "hard_packets": 10})


@case("hard_bytes is exact: not one octet past it")
def hard_bytes():
    t = Tunnel(1, lifetime={"hard_bytes": 1000})
    size = len(from_lan(1, b"packet 0"))
    done = run(with_tunnels(t), lan=sends(t, 40)[:10] * 4)
    same(done.drops, {"expired": 40 - 1000 // size}, "drops")
    same(len(done.wan), 1000 // size, "packets sent")


@case("hard_packets holds inbound too")
def hard_packets_in():
    t = Tunnel(1, lifetime={"hard_packets": 10})
    done = run(with_tunnels(t), wan=[to_wan(t.seal(inner(t, n), n)) for n in range(1, 31)])
    same(done.drops, {"expired": 20}, "drops")
    same_packets(done.lan, [aged(inner(t, n)) for n in range(1, 11)], "packets on the red side")


if __name__ == "__main__":
    main()
