#!/usr/bin/python3
"""IP-TFS with congestion control: the headers of sub-type 1 that leave, and what they say of what came."""
from aggfrag import Feedback, head
from tfs import SECOND, Far, Peer, far, tfs, ticks, timeline
from tap import case, check, main, same

MS = 1000
SIZE = 1400
RATE = SIZE * 8 * 1000  # at most a packet of SIZE octets each millisecond
STEP = 10 * MS


def answered(feedback_of, seconds, lost=(), marked=()):
    """A peer that sends with every mark, feedback_of(i) being what it says then. Gives (mark, header) of what leaves."""
    t = tfs(1, rate=RATE, packet_size=SIZE, congestion_control=True)
    peer, wan = Peer(t), []
    marks = ticks(seconds * 1000, STEP)
    for i, (at, _) in enumerate(marks) if feedback_of else ():
        if i in lost:
            peer.number += 1
        # Both captures are read a packet at a time: side by side, they have one time.
        wan.append((at, peer.send(head(0, feedback_of(i)) + far(1, 60, seed=i), outer={"tos": 3} if i in marked else {})))
    found, done = timeline(t, [], marks, wan=wan)
    end = Far(t, [p for _, p in found])
    # One a second until the round trip is known, and half as many each time that nothing echoes what was sent.
    check(4 <= len(found) <= seconds, f"{len(found)} packets in {seconds} s")
    same({h.sub_type for h in end.headers}, {1}, "sub-types")
    same({len(p) for _, p in found}, {SIZE}, "sizes")
    same(done.drops, {}, "drops")
    return [(mark, h.feedback) for (mark, _), h in zip(found, end.headers)]


@case("every payload has the header of 24 octets, with a time in TVal; of nothing no loss is reported, and no echo")
def alone():
    reports = answered(None, 20)
    same({(f.loss, f.techo, f.echo_delay, f.rtt, f.p, f.e) for _, f in reports}, {(0,) * 6}, "what is reported of nothing")
    values = [f.tval for _, f in reports]
    check(values == sorted(set(values)) and 0 not in values, f"TVal is no time: {values}")
    for (a, first), (b, second) in zip(reports, reports[1:]):
        check(abs(second.tval - first.tval - (b - a)) <= STEP, f"TVal {first.tval} and {second.tval}, sent at {a} and {b} us")


@case("TEcho is the last new TVal of the peer; the echo delay counts from when that one came first, not from its repetition")
def echoed():
    reports = answered(lambda i: Feedback(tval=1000 + i // 10, rtt=10000, transmit_delay=STEP), 20)
    for mark, f in reports[1:]:
        # Its TVal is the time in microseconds, as the case before shows; one capture may be some packets ahead of the other.
        check(abs(f.tval - mark) <= 5 * STEP, f"TVal {f.tval} left behind the mark {mark}")
        came = (f.techo - 1000) * 10 * STEP
        check(0 <= f.tval - came < 10 * STEP, f"TEcho {f.techo}, which came at {came}, left at {f.tval}")
        # What comes has the time of the burst before it.
        check(f.echo_delay - (f.tval - came) in (0, STEP), f"echo delay {f.echo_delay} at {f.tval} of what came at {came}")


def loss_of(reports, since):
    late = [f for mark, f in reports if mark > since]
    check(late, f"nothing left behind {since}")
    return late


@case("payloads that do not come are reported as a loss event rate: one in 50, its inverse")
def lossy():
    reports = answered(lambda i: Feedback(tval=1 + i, rtt=10000, transmit_delay=STEP), 30, lost=range(100, 3000, 49))
    same({f.loss for mark, f in reports if mark < SECOND - 10 * STEP}, {0}, "before the first loss")
    for f in loss_of(reports, 10 * SECOND):
        check(45 <= f.loss <= 55, f"one in 50 is lost; reported: {f.loss}")
        same((f.p, f.e), (0, 0), "P and E: nothing was marked")


@case("payloads that come marked CE count as lost, and then E says so; none of them drops")
def congested():
    reports = answered(lambda i: Feedback(tval=1 + i, rtt=10000, transmit_delay=STEP), 30, marked=range(100, 3000, 50))
    for f in loss_of(reports, 10 * SECOND):
        check(45 <= f.loss <= 55, f"one in 50 is marked; reported: {f.loss}")
        same(f.e, 1, "E")


@case("what is missing while the peer sets P, a probe of its path, counts as no loss")
def probing():
    reports = answered(lambda i: Feedback(tval=1 + i, rtt=10000, transmit_delay=STEP, p=1), 20, lost=range(100, 2000, 49))
    same({f.loss for _, f in reports}, {0}, "reported loss")


if __name__ == "__main__":
    main()
