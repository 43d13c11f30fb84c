#!/usr/bin/python3
"""The Linux kernel's own ESP as the peer, in an emulated guest: every algorithm that both have, both families in each
other, transport mode, NAT traversal, ESN and not; pings, datagrams and streams; the counters of both ends compared.

FULL=1 in the environment runs every algorithm in every mode.
"""
import itertools
import os
import select
import time

import echo
from kernel import Pair, bed, guest_add, guest_clear, host_setup, run_gateway
from guest import image, xfrm_errors, xfrm_states
from lab import SLOWER, packet_socket
from esp import AEAD_KINDS, AUTHS, CIPHERS
from gw import WAN_MAC, WAN_NEXT, host, mac, total
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
        mtu = echo.udp_to_the_mtu(ns, src, dst, echo.SIZES)
        check(1280 <= mtu < 1500, f"the gateway says {mtu} octets fit")
        echo.tcp(ns, src, dst, 30_000)
        echo.refused(ns, src, dst)


def overhead(pair):
    """What the gateway counts and the kernel does not: in transport mode, the IP header in front of ESP."""
    if pair.mode == "tunnel":
        return 0
    return 40 if pair.outer == 6 else 20


class Batch:
    """Pairs that run at once, and what became of each."""

    def __init__(self, pairs, carry=traffic):
        self.pairs, self.carry, self.failures, self.errors, self.said = pairs, carry, {}, {}, ""
        self.states, self.report = {}, None

    def run(self, lab):
        guest_clear(lab.guest)
        guest_add(lab.guest, self.pairs)
        host_setup(lab, self.pairs)
        before, gateway = xfrm_errors(lab.guest), run_gateway(lab, self.pairs)
        for pair in self.pairs:
            try:
                check(len(self.failures) < PATIENCE, f"not tried, since {PATIENCE} others failed")
                self.carry(lab, pair)
            except (AssertionError, OSError) as why:
                self.failures[pair.n] = why
            gateway.alive()
        time.sleep(0.3 * SLOWER)  # the last acknowledgements
        self.report = gateway.stop()
        self.said, self.states = gateway.said(), xfrm_states(lab.guest)
        self.errors = {name: n - before.get(name, 0) for name, n in xfrm_errors(lab.guest).items()
                       if n != before.get(name, 0)}

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
            if way == "in" or "tfc" not in pair.options:  # what it receives, the kernel counts with TFC padding
                same(ours["bytes"] - overhead(pair) * ours["packets"], theirs["bytes"],
                     f"octets of {name}, here and in the kernel")
            same(theirs[number], pair.start + ours["packets"], f"the last number of {name}")

    def refused(self):
        """What either end dropped of all the batch: nothing."""
        same(self.errors, {}, "the kernel's counters of errors")
        dropped = {why: n for why, n in self.report.drops.items() if why not in NOT_OURS}
        same(dropped, {}, f"what the gateway dropped\n{self.said[-2000:]}\n")


BATCH = 200  # addresses of the laboratory have an octet for the pair


def batches():
    todo = [(n % BATCH + 1, what, form) for n, (what, form) in enumerate(matrix())]
    return [Batch([Pair(n, what, **form) for n, what, form in todo[at:at + BATCH]]) for at in range(0, len(todo), BATCH)]


# The low half of the number turns over some packets after this: the high half must count up, and be in the ICV.
NEAR_THE_TURN = (1 << 32) - 24
TURNS = [(label, suite) for label, suite in suites() if label in FEW]
ODD = Batch([
    *[Pair(n, f"tunnel mode, {label}: ESN over 2^32, both ways", start=NEAR_THE_TURN, **suite)
      for n, (label, suite) in enumerate(TURNS, 1)],
    Pair(20, "tunnel mode with TFC padding to 1000 octets, both ways", tfc={"pad_to": 1000}, kernel="tfcpad 1000"),
    Pair(21, "tunnel mode with TFC padding to 9000 octets: as far as the MTU lets", tfc={"pad_to": 9000}),
    Pair(22, "the kernel's window of 4096 packets", kernel="replay-window 4096"),
    Pair(23, "ESP in UDP with TFC padding", encap=(4500, 4500), tfc={"pad_to": 700}, kernel="tfcpad 700"),
])
BATCHES = [*batches(), ODD]


def both_captured(lab, pair):
    """Frames of a ping through the pair, as they crossed the black side: (to the guest, from the guest)."""
    ns, crossed = lab.ns("host"), []
    with packet_socket(lab.ns("gw"), "black") as s:
        echo.ping(ns, host(4, 1, pair.n), host(4, 2, pair.n), REPLAYED)
        while select.select([s], [], [], 0.2 * SLOWER)[0]:
            crossed.append(s.recv(65536))
    to_guest = [f for f in crossed if f[:6] == mac(WAN_NEXT) and f[23] == 50]
    from_guest = [f for f in crossed if f[:6] == mac(WAN_MAC) and f[23] == 50]
    same((len(to_guest), len(from_guest)), (len(REPLAYED), len(REPLAYED)), "ESP packets of that ping, both ways")
    return to_guest, from_guest


REPLAYED = (10, 100, 1000)
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20


def replay(lab, pair):
    """Every packet a second time; the third time with a broken tag, which is not even looked at."""
    to_guest, from_guest = both_captured(lab, pair)
    with packet_socket(lab.ns("gw"), "black") as s:
        s.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)  # so that the gateway's own socket does not see it
        for frame in to_guest:
            s.send(frame)
    for frame in from_guest:
        lab.guest.inject(frame)
        lab.guest.inject(frame[:-1] + bytes([frame[-1] ^ 1]))


REPLAYS = Batch([Pair(n, f"{name}: neither end takes a packet twice", **form) for n, (name, form) in enumerate((
    ("ESN", {}), ("32-bit numbers", {"esn": False}),
    ("ESN, CBC and HMAC", {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}),
    ("ESN beyond 2^32", {"start": (5 << 32) + 3})), 1)], replay)


def replays_of(pair):
    """The gateway sees a packet twice more, the kernel once more."""
    results()
    if pair.n in REPLAYS.failures:
        raise REPLAYS.failures[pair.n]
    there, here = REPLAYS.states[pair.spi["out"]], REPLAYS.report.sa(f"{pair.name}.in")
    same(there["replays"], len(REPLAYED), "replays that the kernel saw")
    same(here["drops"], {"replay_dup": 2 * len(REPLAYED)}, "drops of the SA in")
    same(here["packets"], REPLAYS.states[pair.spi["in"]]["packets"], "packets of the SA in, here and in the kernel")


DUMMIES = Batch([Pair(1, "dummy packets among the others: the kernel drops them and nothing else", tfc={"dummy_rate": 100})])


def dummies():
    results()
    pair = DUMMIES.pairs[0]
    if pair.n in DUMMIES.failures:
        raise DUMMIES.failures[pair.n]
    same(list(DUMMIES.errors), ["XfrmInStateProtoError"], "the kernel's counters of errors")
    seen, made = DUMMIES.errors["XfrmInStateProtoError"], total(DUMMIES.report.report["generated"])
    check(seen > 10, f"the kernel saw {seen} dummies in some seconds")
    answers = DUMMIES.report.drops["too_big"]  # some of these were answered
    check(seen <= made <= seen + answers, f"{seen} dummies arrived; {made} packets made, at most {answers} other ones")


@once
def results():
    """Everything that needs the guest, in one boot of it."""
    image()
    with bed("guest") as lab:
        for batch in (*BATCHES, REPLAYS, DUMMIES):
            batch.run(lab)


def judged(batch, pair):
    results()
    batch.judge(pair)


def none_refused():
    results()
    for batch in BATCHES:
        batch.refused()


for one in BATCHES:
    for made in one.pairs:
        add_case(made.label, lambda b=one, p=made: judged(b, p))
add_case("neither end refused a packet of all these", none_refused)
for made in REPLAYS.pairs:
    add_case(made.label, lambda p=made: replays_of(p))
add_case(DUMMIES.pairs[0].label, dummies)

if __name__ == "__main__":
    main()
