#!/usr/bin/python3
"""Hard lifetimes of SAs with lanes, two workers sending or receiving at once: not one packet passes them.

What is left of a limit is dealt out to the lanes by control, tick by tick, while a capture is over in a few
milliseconds; so a run may end before the limit is reached. One that reached it says so: `expired`.
"""
from gw import Tunnel, from_far, from_lan, run, to_lan, to_wan, with_tunnels
from esp import xsn
from tap import add_case, check, main, same

LANES = 4
TRIES = 8


def limited(way, count, limit):
    """So many packets of 64 flows by one SA that takes `limit` of them. Gives back whether the end was reached."""
    t = Tunnel(1, lanes=LANES, replay_window=0, lifetime={"hard_packets": limit})
    # Without anti-replay copies are as good as others.
    if way == "out":
        traffic = {"lan": [to_lan(from_lan(1, bytes(8), sport=1024 + i)) for i in range(64)] * (count // 64)}
    else:
        sealed = [t.seal(from_far(1, bytes(8)), xsn(i % LANES, 1 + i // LANES)) for i in range(64)]
        traffic = {"wan": [to_wan(packet) for packet in sealed] * (count // 64)}
    config = with_tunnels(t)
    config["gateway"]["burst"] = 1  # so that the run takes some ticks of control
    result = run(config, workers=2, **traffic)
    passed = result.wan if way == "out" else result.lan
    check(set(result.drops) <= {"expired", "seq_wait"}, f"drops {result.drops}")
    same(len(passed) + sum(result.drops.values()), count, "packets sent and dropped")
    check(len(passed) <= limit, f"{len(passed)} packets passed a limit of {limit}")
    same(result.sa(f"{t.name}.{way}")["packets"], len(passed), "packets counted on the SA")
    if "expired" in result.drops:
        same(len(passed), limit, "packets once the limit is reached")
        same(result.sa(f"{t.name}.{way}")["drops"].get("expired", 0), result.drops["expired"], "drops of the SA")
    return "expired" in result.drops


def case_of(way, count, limit):
    reached = any(limited(way, count, limit) for _ in range(TRIES))
    check(reached, f"the limit was not reached in {TRIES} runs")


add_case("out, a limit of 1,000", lambda: case_of("out", 768_000, 1000))
add_case("out, a limit of 7: less than there are slices", lambda: case_of("out", 768_000, 7))
add_case("in, a limit of 1,000", lambda: case_of("in", 768_000, 1000))

main()
