#!/usr/bin/python3
"""IP-TFS at a constant rate on a real wire and by the real clock: what an observer has of loads that could not differ more.

Sizes are the same; the gaps between packets are this machine's, and are reported. By the packets' own time they are equal:
packet/iptfs_rate_test.py.
"""
import contextlib
import csv
import os
import random
import subprocess
import tempfile
import time

from lab import Lab, SLOWER, wait_for
from gw import TOP, frame, udp, write_pcap
from pump import send, socket_on
from sites import HOST4, HOST_MAC, RED_MAC, af_packet, black_veth, red_veths, site, tunnel
from tap import case, check, diagnose, main, once, same

SIZE, RATE = 1400, 10_000_000
SECONDS = 2.0
GAP_US = SIZE * 8 / RATE * 1e6


def packet(size):
    return frame(udp(HOST4[0], HOST4[1], bytes(size - 28)), RED_MAC[0], HOST_MAC[0])


def nothing(s, until):
    time.sleep(max(until - time.monotonic(), 0))


def trains(s, until):
    """A hundred packets at once, and silence."""
    while time.monotonic() < until:
        for _ in range(100):
            send(s, packet(60))
        time.sleep(0.2)


def bulk(s, until):
    """Large packets, about four fifths of what the tunnel takes."""
    while time.monotonic() < until:
        send(s, packet(1400))
        time.sleep(GAP_US / 0.8e6)


def chatter(s, until):
    rng = random.Random(1)
    while time.monotonic() < until:
        send(s, packet(rng.randrange(28, 1400)))
        time.sleep(rng.expovariate(500))


LOADS = (nothing, trains, bulk, chatter)


@contextlib.contextmanager
def sending():
    """A gateway that sends to nobody at a constant rate, and a socket of a host behind it."""
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab("espgw-flat", folder) as lab:
        for name in ("host-a", "gw-a", "gw-b", "host-b"):
            lab.namespace(name, False)
        black_veth(lab)
        red_veths(lab)
        config = site(0, af_packet(0, "black"), af_packet(1, "red"),
                      [tunnel(0, mode="iptfs", iptfs={"rate": RATE, "packet_size": SIZE})])
        config["gateway"]["idle"] = "poll"
        yield lab, lab.gateway("gw-a", config, ns=lab.ns("gw-a"), huge=True), folder


def observed(lab, folder, load, s):
    """The capture of a load's time, on the wire."""
    file = f"{folder}/{load.__name__}.pcap"
    dump = lab.start("tcpdump", "-q", "-n", "-i", "black", "--time-stamp-precision=nano", "-s", "80", "-B", "8192", "-U", "-w", file,
                     "esp", ns=lab.ns("gw-b"))
    wait_for("tcpdump writes", lambda: os.path.exists(file) and os.path.getsize(file) > 24)
    load(s, time.monotonic() + SECONDS * SLOWER)
    lab.finish(dump)
    return file


def table_of(outer, inner, folder):
    done = subprocess.run([f"{TOP}/scripts/plot-iptfs", "--bin", "100", outer, inner, f"{folder}/table.csv"],
                          capture_output=True, text=True, check=False)
    same(done.returncode, 0, f"plot-iptfs: {done.stderr}")
    with open(f"{folder}/table.csv", encoding="ascii", newline="") as f:
        return list(csv.DictReader(f)), done.stdout


@once
def sights():
    """By load: the rows of its table, and the line on its evenness."""
    with sending() as (lab, gateway, folder):
        s = socket_on(lab, "host-a", "eth0")
        seen = {}
        nobody = f"{folder}/nobody.pcap"
        write_pcap(nobody, [])
        for load in LOADS:
            gateway.alive()
            seen[load.__name__] = table_of(observed(lab, folder, load, s), nobody, folder)
        report = gateway.stop()
        return seen, report


@case("sizes of outer packets are the same under all loads, in each tenth of a second")
def sizes():
    seen, report = sights()
    for name, (rows, _) in seen.items():
        same({(r["outer_smallest"], r["outer_largest"]) for r in rows if r["outer_packets"] != "0"}, {(str(SIZE), str(SIZE))},
             f"sizes with {name}")
    same(set(report.drops) - {"not_ip", "aggfrag_queue", "stopped", "aggfrag_ended"}, set(), "drops")


@case("the rate is never above what was asked for, and the gaps of each load are reported")
def rate():
    seen, _ = sights()
    for name, (rows, said) in seen.items():
        diagnose(f"{name}: {said}")
        sent = sum(int(r["outer_packets"]) for r in rows)
        most = len(rows) * 0.1 * RATE / (8 * SIZE)
        check(sent <= most + 2, f"{name}: {sent} packets in {len(rows)} tenths of a second, at most {most:.0f}")
        check(sent >= most * 0.25, f"{name}: {sent} packets, {most:.0f} wanted, on however busy a machine")


if __name__ == "__main__":
    main()
