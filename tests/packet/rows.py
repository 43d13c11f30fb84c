"""Rows of bad (and good) input, many in one run of the gateway, each with the one counter it must move.

A row has a tunnel of its own, so that the exit report says what happened to it alone: its SA's drops are
exactly the wanted ones, its packets on the red side exactly the wanted ones.
"""
from collections import Counter

import engine
from gw import Tunnel, parse, run, same_packets, to_wan, with_tunnels
from tap import add_case, check, once, same


class Row:
    """build(tunnel) gives (packets for the black port, packets wanted on the red port)."""

    def __init__(self, what, build, drops=None, consumed=0, no_sa_drops=None, sa_packets=None, **tunnel):
        self.what, self.build, self.want, self.consumed = what, build, drops or {}, consumed
        self.elsewhere, self.sa_packets, self.arguments = no_sa_drops or {}, sa_packets, tunnel
        self.tunnel, self.into, self.red = None, [], []


def number_of(packet):
    """The tunnel whose red network a packet is for."""
    dst = parse(packet)["dst"]
    return int(dst.split(".")[2]) if "." in dst else int(dst.split(":")[3] or "0", 16)


def judge(row, done):
    name = f"{row.tunnel.name}.in"
    same_packets([p for p in done.lan if number_of(p) == row.tunnel.n], row.red, "packets on the red side")
    if engine.judges_itself():
        return
    have = done.sa_drops(name)
    sure = {why: n for why, n in row.want.items() if isinstance(why, str)}
    either = {why: n for why, n in row.want.items() if isinstance(why, tuple)}
    rest = Counter(have)
    rest.subtract(sure)
    for choice, n in either.items():
        check(sum(rest.pop(why, 0) for why in choice) == n, f"drops of the SA: {have}, not {row.want}")
    check(not any(rest.values()), f"drops of the SA: {have}, not {row.want}")
    if row.sa_packets is not None:
        same(done.sa(name)["packets"], row.sa_packets, "packets counted on the SA")


def judge_totals(rows, done):
    if engine.judges_itself():
        same(done.report["tx"] - len(done.wan), sum(len(row.red) for row in rows), "packets on the red side")
        return
    want = Counter()
    for row in rows:
        want.update({why: n for why, n in (*row.want.items(), *row.elsewhere.items()) if isinstance(why, str)})
    loose = {why for row in rows for choice in row.want if isinstance(choice, tuple) for why in choice}
    same({why: n for why, n in done.drops.items() if why not in loose},
         {why: n for why, n in want.items() if why not in loose}, "drops in all")
    same(sum(row.consumed for row in rows), done.report["consumed"] if isinstance(done.report["consumed"], int)
         else sum(done.report["consumed"].values()), "packets consumed")


def add_rows(title, rows, arguments=(), patch=None):
    """One run over all rows; a case for each, and one for what the rows must not move. patch changes the configuration."""
    for n, row in enumerate(rows, 1):
        row.tunnel = Tunnel(n, **row.arguments)

    @once
    def all_rows():
        for row in rows:
            row.into, row.red = row.build(row.tunnel)
        frames = [p if isinstance(p, tuple) else to_wan(p) for row in rows for p in row.into]
        config = with_tunnels(*(row.tunnel for row in rows))
        if patch:
            patch(config)
        return run(config, wan=frames, arguments=arguments)

    for row in rows:
        add_case(row.what, lambda row=row: judge(row, all_rows()))
    add_case(f"{title}: no other counter moved", lambda: judge_totals(rows, all_rows()))
