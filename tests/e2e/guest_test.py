#!/usr/bin/python3
"""The Linux kernel's own ESP as the peer, in an emulated guest: every algorithm that both have, both families in each
other, transport mode, NAT traversal, ESN and not; pings, datagrams and streams; the counters of both ends compared.

FULL=1 in the environment runs every algorithm in every mode.
"""
import itertools
import os
import time

import echo
from kernel import Pair, bed, guest_add, guest_clear, host_setup, run_gateway
from guest import image, xfrm_errors, xfrm_states
from lab import SLOWER
from esp import AEAD_KINDS, AUTHS, CIPHERS
from gw import host
from tap import add_case, check, main, once, same

FULL = os.environ.get("FULL", "") not in ("", "0")
ESN = (True, False)
PATIENCE = 10  # pairs that fail one by one, each after seconds, before the rest is not tried
# The guest's kernel multicasts a little in clear, and the MTU is asked for with a packet that is too big.
NOT_OURS = {"policy_cleartext", "too_big"}


def suites():
    """(label, arguments of a tunnel): each algorithm that both ends have; the kernel's GMAC and ChaCha have one tag."""
    for name, cipher in CIPHERS.items():
        if cipher.kind not in AEAD_KINDS:
            for auth in AUTHS:
                yield f"{name} and {auth}", {"cipher": name, "auth": auth}
            continue
        for icv in (16, 12, 8) if cipher.kind in ("gcm", "ccm") else (16,):
            yield f"{name}, {icv}-octet tag", {"aead": name, "icv": icv if icv != 16 else None}


SHAPES = [
    ("tunnel mode over IPv4", {}),
    ("tunnel mode over IPv6", {"outer": 6}),
    ("transport mode, IPv4", {"mode": "transport", "version": 4}),
    ("transport mode, IPv6", {"mode": "transport", "version": 6}),
    ("tunnel mode in UDP over IPv4", {"encap": (4500, 4500)}),
    ("tunnel mode in UDP over IPv6", {"encap": (4500, 4500), "outer": 6}),
    ("transport mode in UDP, IPv4", {"encap": (4500, 4500), "mode": "transport", "version": 4}),
]
# One of each way an ICV is made, for the shapes that the short run does not combine with everything.
FEW = ("aes-gcm-256, 16-octet tag", "aes-ccm-128, 8-octet tag", "chacha20-poly1305, 16-octet tag",
       "aes-cbc-256 and hmac-sha256-128", "aes-ctr-128 and hmac-sha1-96", "null and aes-cmac-96",
       "aes-gmac-128, 16-octet tag")


def matrix():
    """(shape, suite, ESN) of every pair of this run, as arguments and a sentence."""
    for (shape, form), (label, suite), esn in itertools.product(SHAPES, suites(), ESN):
        if FULL or form == {} or (label in FEW and esn == (len(label) % 2 == 0)):
            yield f"{shape}, {label}, {'ESN' if esn else '32-bit numbers'}", {**form, **suite, "esn": esn}


def traffic(lab, pair):
    ns = lab.ns("host")
    for version in pair.inner:
        src, dst = host(version, 1, pair.n), host(version, 2, pair.n)
        echo.ping(ns, src, dst, (0, 1, 56, 700, 1200))
        mtu = echo.udp(ns, src, dst, echo.SIZES)
        check(1280 <= mtu < 1500, f"the gateway says {mtu} octets fit")
        echo.tcp(ns, src, dst, 30_000)


def overhead(pair):
    """What the gateway counts and the kernel does not: in transport mode, the IP header in front of ESP."""
    if pair.mode == "tunnel":
        return 0
    return 40 if pair.outer == 6 else 20


class Batch:
    """Pairs that run at once, and what became of each."""

    def __init__(self, pairs):
        self.pairs, self.failures, self.states, self.report, self.said = pairs, {}, {}, None, ""

    def run(self, lab):
        guest_clear(lab.guest)
        guest_add(lab.guest, self.pairs)
        host_setup(lab, self.pairs)
        gateway = run_gateway(lab, self.pairs)
        for pair in self.pairs:
            try:
                check(len(self.failures) < PATIENCE, f"not tried, since {PATIENCE} others failed")
                traffic(lab, pair)
            except AssertionError as why:
                self.failures[pair.n] = why
            gateway.alive()
        time.sleep(0.3 * SLOWER)  # the last acknowledgements
        self.report = gateway.stop()
        self.said, self.states = gateway.said(), xfrm_states(lab.guest)

    def judge(self, pair):
        if pair.n in self.failures:
            raise self.failures[pair.n]
        for way, number in (("out", "seq"), ("in", "oseq")):
            ours, theirs = self.report.sa(f"{pair.name}.{way}"), self.states[pair.spi[way]]
            name = f"the SA {way}"
            # Only what asked for the MTU.
            same(sorted(ours["drops"]), ["too_big"] if way == "out" else [], f"drops of {name}")
            same((theirs["replays"], theirs["failed"]), (0, 0), f"what the kernel refused of {name}")
            check(ours["packets"] > 30, f"{name} carried {ours['packets']} packets")
            same(ours["packets"], theirs["packets"], f"packets of {name}, here and in the kernel")
            same(ours["bytes"] - overhead(pair) * ours["packets"], theirs["bytes"], f"octets of {name}, here and in the kernel")
            same(theirs[number], ours["packets"], f"the last number of {name}")


BATCH = 200  # addresses of the laboratory have an octet for the pair


def batches():
    todo = [(n % BATCH + 1, what, form) for n, (what, form) in enumerate(matrix())]
    return [Batch([Pair(n, what, **form) for n, what, form in todo[at:at + BATCH]]) for at in range(0, len(todo), BATCH)]


BATCHES = batches()


@once
def results():
    """Everything that needs the guest, in one boot of it."""
    image()
    with bed("guest") as lab:
        for batch in BATCHES:
            batch.run(lab)
        lab.errors = xfrm_errors(lab.guest)
        return lab


def judged(batch, pair):
    results()
    batch.judge(pair)


for one in BATCHES:
    for made in one.pairs:
        add_case(made.label, lambda b=one, p=made: judged(b, p))


def refused():
    same(results().errors, {}, "the kernel's counters of errors")
    for batch in BATCHES:
        dropped = {why: n for why, n in batch.report.drops.items() if why not in NOT_OURS}
        same(dropped, {}, f"what the gateway dropped\n{batch.said[-2000:]}\n")


add_case("neither end refused a packet of all these", refused)

if __name__ == "__main__":
    main()
