#!/usr/bin/python3
"""Crypto hardware that fails while traffic flows: nothing is lost but what is counted, nothing is sent in clear, and it is
used again when it is well.
"""
import time

from engine_lab import CHATTER, balanced, sites, tunnel, unhurt
from lab import wait_for
from tap import case, check, main, same


def engines(s, names):
    return {name: s.sa(name).get("engine") for name in names}


def active(s, name):
    return s.sa(name).get("offload", {}).get("active", False)


@case("a NIC with room for three sessions: the fourth SA is software's and says why; when a tunnel goes, the next one is the NIC's")
def table_full():
    with sites(3, inline="emulated,sessions=3") as s:
        s.start(lambda side: [tunnel(side, n) for n in (1, 2)])
        have = [name for name in ("t1.out", "t1.in", "t2.out", "t2.in") if active(s, name)]
        same(len(have), 3, "SAs that the NIC does")
        s.whole(1, 2)
        for side in (0, 1):
            s.reload(side, [tunnel(side, 2)])
        time.sleep(0.5)
        for side in (0, 1):
            s.reload(side, [tunnel(side, n) for n in (2, 3)])
        s.reached(3)
        check(active(s, "t3.out") or active(s, "t3.in"), f"tunnel 3: {s.sa('t3.out')} {s.sa('t3.in')}")
        s.whole(2, 3)
        for report in s.stop():
            unhurt(report)


@case("a rule that the NIC refuses: that SA is software's, the others are the NIC's, nothing is lost")
def rule_refused():
    with sites(2, inline="emulated,refuse_rule=1") as s:
        s.start(lambda side: [tunnel(side, n) for n in (1, 2)])
        inbound = [active(s, f"t{n}.in") for n in (1, 2)]
        same(sorted(inbound), [False, True], "inbound SAs that the NIC does")
        check(all(active(s, f"t{n}.out") for n in (1, 2)), "outbound SAs are not the NIC's")
        s.whole(1, 2)
        for report in s.stop():
            unhurt(report)


def icv_fails(kind):
    with sites(1, inline=f"emulated,kinds={kind},icv_fail=10") as s:
        s.start(lambda side: [tunnel(side, 1)])
        before = s.drops()
        with s.pumps(1) as pumps:
            time.sleep(2)
            for pump in pumps:
                pump.stop()
            dropped = balanced(pumps, before, s.drops(), ["icv_fail"])
        came = pumps[0].flows[1].sent
        check(abs(dropped["icv_fail"] - came / 10) <= 1, f"{dropped} of {came} that came")
        s.stop()


for kind in ("crypto", "protocol"):
    @case(f"a NIC that says of every tenth packet that its ICV failed, inline {kind}: those are dropped and counted, no others")
    def icv_case(kind=kind):
        icv_fails(kind)


def out_of_order(kind):
    with sites(1, inline=f"emulated,kinds={kind},reorder=8") as s:
        s.start(lambda side: [tunnel(side, 1)])
        s.whole(1, seconds=2)
        for report in s.stop():
            unhurt(report)


for kind in ("crypto", "protocol"):
    @case(f"a NIC that gives packets out of order, inline {kind}: none is lost")
    def order_case(kind=kind):
        out_of_order(kind)


def port_reset(kind):
    """From a's host to b: all that is sent reaches gateway a, so all that is lost is counted there."""
    with sites(1, inline=f"emulated,kinds={kind}") as s:
        s.start(lambda side: [tunnel(side, 1)])
        before = s.drops()
        with s.pumps(1) as pumps:
            for _ in range(3):
                time.sleep(0.5)
                done = s.espctl("port", "wan", "reset")
                same(done.returncode, 0, f"port wan reset: {done.stdout}{done.stderr}")
                wait_for("the port was reset", lambda: active(s, "t1.out") and active(s, "t1.in"))
            time.sleep(0.5)
            flow, back = pumps[0].stop().flows
        dropped = {why: n - before.get(why, 0) for why, n in s.drops().items() if why not in CHATTER}
        same((flow.twice, flow.strange, back.twice, back.strange), (0, 0, 0, 0), "datagrams that came twice, strange ones")
        same(len(flow.lost()), sum(dropped.values()), f"datagrams lost, and drops {dropped}")
        s.reached(1)
        packets = s.sa("t1.out")["offload"]["packets"]
        s.whole(1)
        check(s.sa("t1.out")["offload"]["packets"] > packets, "the NIC does nothing after the reset")
        s.stop()


for kind in ("crypto", "protocol"):
    @case(f"a port that is reset while packets flow, inline {kind}: what is lost is counted, and the NIC does its SAs again")
    def reset_case(kind=kind):
        port_reset(kind)


def late_removal(kind):
    """New keys under the same SPIs, first on one gateway, then on the other: between, and while the NIC still deciphers with
    the old ones, packets are dropped and counted; none is taken for what it is not."""
    with sites(1, inline=f"emulated,kinds={kind},late=500") as s:
        s.start(lambda side: [tunnel(side, 1, same_spi=True)])
        before = [s.drops(side) for side in (0, 1)]
        with s.pumps(1) as pumps:
            for generation in (1, 2, 3):
                time.sleep(0.4)
                for side in (0, 1):
                    s.reload(side, [tunnel(side, 1, generation=generation, same_spi=True)])
            time.sleep(1)
            pumps[0].stop()
        after = [s.drops(side) for side in (0, 1)]
        both = [{}, {}]
        for which, now in ((both[0], before), (both[1], after)):
            for drops in now:
                for why, n in drops.items():
                    which[why] = which.get(why, 0) + n
        balanced(pumps, both[0], both[1], ["icv_fail", "offload_stale", "no_sa", "replay_dup", "replay_old", "offload_lost"])
        s.whole(1)
        check(active(s, "t1.in"), "the NIC has no session after it all")
        s.stop()


for kind in ("crypto", "protocol"):
    @case(f"a NIC that goes on deciphering with keys that are gone, inline {kind}: what it gives is not believed")
    def late_case(kind=kind):
        late_removal(kind)


if __name__ == "__main__":
    main()
