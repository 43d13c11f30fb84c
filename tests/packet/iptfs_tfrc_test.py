#!/usr/bin/python3
"""IP-TFS under congestion control, and the circuit breaker: what the rate does when the peer's headers say how it goes
(RFC 9347 sections 2.4.2 and 3, RFC 5348). Time is that of the packets, so that a TEcho can be made up for any RTT."""
import math

from aggfrag import Feedback, head
from gw import parse
from tap import case, check, main, same
from tfs import SECOND, Far, Peer, near, tfs, ticks, timeline

MS = 1000
SIZE = 600
RATE = SIZE * 8 * 2000  # a packet each half millisecond, if nothing holds it down
STEP = 2 * MS  # between two marks, and between two packets of the peer
ECT0, CE = 2, 3


def equation(loss, rtt):
    """RFC 5348 section 3.1, packets a second; t_RTO = 4 R."""
    return 1 / (rtt * (math.sqrt(2 * loss / 3) + 12 * math.sqrt(3 * loss / 8) * loss * (1 + 32 * loss ** 2)))


def spoken(t, until, says, lost=(), tos=None):
    """A packet of the peer behind each mark. says(at): the feedback in the one of that time, or None: it is of sub-type 0
    and says nothing. lost: numbers that do not come; tos(number): of the outer header."""
    peer, frames = Peer(t), []
    for at in range(STEP // 2, until, STEP):
        while peer.number in lost:
            peer.number += 1
        outer = {"outer": {"tos": tos(peer.number)}} if tos else {}
        frames.append((at, peer.send(head(0, says(at)) + bytes(100), **outer)))
    return frames


def echo(at, rtt_ms=50, loss=0, **more):
    """As a peer says it that got our packet of half an RTT ago, and has said so at once."""
    return Feedback(loss=loss, rtt=rtt_ms * MS, transmit_delay=STEP, tval=at, techo=max(1, at - rtt_ms * MS), **more)


def answered(until, says, lan=(), lost=(), tos=None, **keys):
    """(mark, header of what left behind it), the outer packets, the run."""
    keys = {"rate": RATE, "packet_size": SIZE, "congestion_control": True, **keys}
    t = tfs(1, **keys)
    found, done = timeline(t, lan, ticks(until // MS, STEP), wan=spoken(t, until, says, lost, tos))
    return [(mark, h.feedback) for (mark, _), h in zip(found, Far(t, [p for _, p in found]).headers)], found, done


def pps(reports, begin, end):
    """Packets a second that left from `begin` to `end`, milliseconds."""
    return 1000 * sum(begin * MS <= mark < end * MS for mark, _ in reports) / (end - begin)


for loss, rtt in ((100, 50), (1000, 100), (25, 20)):
    @case(f"the rate is that of the equation: one loss event in {loss} packets, RTT {rtt} ms")
    def settled(loss=loss, rtt=rtt):
        reports, _, done = answered(6 * SECOND, lambda at: echo(at, rtt, loss if at > SECOND else 0))
        # A burst's time is that of the one before.
        believed = {f.rtt for mark, f in reports if mark > 4 * SECOND}
        check(all(abs(r - rtt * MS) <= 2 * STEP for r in believed), f"RTT in our headers: {believed}")
        want = equation(1 / loss, max(believed) / SECOND)
        have = pps(reports, 3000, 6000)
        check(abs(have / want - 1) < 0.03, f"{have} packets a second, {want:.1f} wanted")
        same(done.drops, {}, "drops")


@case("slow start: twice as much each RTT, up to the rate that is configured, and not above")
def slow_start():
    reports, _, _ = answered(3 * SECOND, echo)
    windows = [pps(reports, at, at + 50) for at in range(0, 3000, 50)]
    for before, after in zip(windows, windows[1:]):
        # The first window of two to four packets in an RTT, and one packet's chance in the count.
        check(after <= max(2 * before, 80) + 40, f"{after} packets a second behind {before}")
    check(abs(pps(reports, 2000, 3000) - 2000) <= 5, f"{pps(reports, 2000, 3000)} packets a second at the end")


@case("no feedback: half as much after four RTTs, and again, and all of it again once there is feedback")
def silent():
    def says(at):
        return echo(at, 50, 100) if not 3 * SECOND <= at < 5 * SECOND else None
    reports, _, _ = answered(8 * SECOND, says)
    want = equation(0.01, max(f.rtt for mark, f in reports if 2 * SECOND < mark < 3 * SECOND) / SECOND)
    for begin, end, part in ((2500, 3190, 1), (3220, 3390, 2), (3420, 3590, 4), (3620, 3790, 8)):
        have = pps(reports, begin, end)
        check(abs(have - want / part) <= 1000 / (end - begin) + 0.03 * want, f"{have} from {begin} ms on, not {want / part}")
    check(pps(reports, 4500, 5000) <= 10, "it goes on")
    check(abs(pps(reports, 6500, 8000) / want - 1) < 0.05, f"{pps(reports, 6500, 8000)} in the end")


@case("a header that repeats an echo is no feedback: nothing of ours arrives any more")
def repeated():
    reports, _, _ = answered(5 * SECOND, lambda at: echo(min(at, 2 * SECOND), 50, 100)._replace(tval=at))
    check(pps(reports, 1500, 2000) > 200, "it did not begin")
    check(pps(reports, 4000, 5000) < 10, f"{pps(reports, 4000, 5000)} packets a second into nowhere")


@case("what is lost of the peer's packets is in our headers as events, one for each RTT; E is not set")
def told():
    lost = range(500, 3000, 100)
    reports, _, _ = answered(6 * SECOND, lambda at: echo(at, 50, 10), lost=lost)
    same({f.loss for mark, f in reports if mark < 900 * MS}, {0}, "before the first loss")
    late = {f.loss for mark, f in reports if mark > 5 * SECOND}
    check(late and all(90 <= value <= 110 for value in late), f"one in 100 is lost; reported: {sorted(late)}")
    same({(f.e, f.p) for _, f in reports}, {(0, 0)}, "E and P")


@case("CE marks count as losses, and E says so; the packets are not dropped")
def marked():
    def tos(number):
        return CE if number % 100 == 0 and number > 1000 else ECT0
    reports, _, done = answered(6 * SECOND, lambda at: echo(at, 50, 10), tos=tos)
    same({(f.loss, f.e) for mark, f in reports if mark < 1900 * MS}, {(0, 0)}, "before the first mark")
    late = {(f.loss, f.e) for mark, f in reports if mark > 5 * SECOND}
    check(late and all(e == 1 and 80 <= value <= 120 for value, e in late), f"one in 100 is marked; reported: {late}")
    same(done.drops, {}, "drops")


@case("while the peer says P, what is missing counts as no loss")
def probing():
    reports, _, _ = answered(4 * SECOND, lambda at: echo(at, 50, 10)._replace(p=1), lost=range(500, 1900, 50))
    same({f.loss for _, f in reports}, {0}, "what is reported")


@case("outer packets are ECT(0), so that the path can mark them; not without ecn, and not without congestion control")
def capable():
    for ecn, controlled, want in ((True, True, ECT0), (False, True, 0), (True, False, 0)):
        t = tfs(1, rate=RATE, packet_size=SIZE, congestion_control=controlled, more={"ecn": ecn})
        found, _ = timeline(t, [], ticks(2000, STEP))
        same({parse(p)["tos"] for _, p in found}, {want}, f"TOS with ecn {ecn}, congestion_control {controlled}")


@case("the breaker: loss of 10 % for 2 s ends a constant rate, what comes is dropped by that name; less than 5 % does not")
def broken():
    for every, stops in ((10, True), (40, False)):
        lan = [(at, near(1, 200, seed=at)) for at in range(0, 8 * SECOND, 100 * MS)]
        keys = {"congestion_control": False, "rate": SIZE * 8 * 200, "out": {"breaker": {"loss": 5, "time": "2s"}}}
        t = tfs(1, **{"packet_size": SIZE, **keys})
        peer, frames = Peer(t), []
        for i, at in enumerate(range(STEP // 2, 8 * SECOND, STEP)):
            if at > 2 * SECOND and i % every == 0:
                peer.number += 1
            frames.append((at, peer.send(head(0) + bytes(100))))
        found, done = timeline(t, lan, ticks(8000, STEP), wan=frames)
        last = found[-1][0]
        if stops:
            check(3800 * MS <= last <= 5 * SECOND, f"the last left behind {last}")
            check(done.drops.get("aggfrag_breaker", 0) >= 30, f"drops: {done.drops}")
        else:
            check(last > 7900 * MS, f"the last left behind {last}")
            same(done.drops, {}, "drops")


if __name__ == "__main__":
    main()
