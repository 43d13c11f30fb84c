#!/usr/bin/python3
"""IPComp with the Linux kernel as the peer, in an emulated guest: what either end compresses the other one inflates, in
tunnel and transport mode, between packets that go as they are.
"""
import json
import subprocess

import echo
from guest import image, xfrm_errors
from kernel import Pair, bed, guest_add, guest_clear, host_setup, run_gateway
from control import ESPCTL
from gw import host
from tap import add_case, check, main, once, same

TEXT = 20 * b"It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
SIZES = (0, 1, 50, 61, 62, 63, 90, 200, 700, 1200, 1300)
NOT_OURS = {"policy_cleartext", "too_big"}


class CompPair(Pair):
    """A pair of which the kernel has two SAs each way: of IPComp, and of ESP in transport mode behind it."""

    def __init__(self, n, label, mode="tunnel", **more):
        self.cpi = {"out": 0x1000 + n, "in": 0x2000 + n}
        super().__init__(n, label, mode=mode, out={"ipcomp": {"cpi": self.cpi["out"], "threshold": 90}},
                         into={"ipcomp": {"cpi": self.cpi["in"]}}, **more)
        # Of what is not compressed the kernel takes the outer packet's family alone: its other half is a plain tunnel.
        self.inner = (self.outer,)

    def state(self, way):
        src, dst = (self.local, self.remote) if way == "out" else (self.remote, self.local)
        esp = super().state(way).replace("mode tunnel", "mode transport").replace("flag af-unspec esn", "flag esn")
        unspec = "flag af-unspec" if self.mode == "tunnel" else ""
        return (f"xfrm state add src {src} dst {dst} proto comp spi {self.cpi[way]:#x} reqid {self.n} mode {self.mode}"
                f" {unspec} comp deflate\n{esp}")

    def policies(self):
        for line in super().policies():
            at = line.index("tmpl ")
            comp = line[at:].replace("proto esp", "proto comp")
            level = " level use" if " dir in " in line else ""
            yield f"{line[:at]}{comp}{level} tmpl proto esp reqid {self.n} mode transport"


PAIRS = [
    CompPair(1, "tunnel mode over IPv4"),
    CompPair(2, "tunnel mode over IPv6", outer=6),
    CompPair(3, "transport mode, IPv4", mode="transport"),
    CompPair(4, "transport mode, IPv6", mode="transport", version=6),
    CompPair(5, "tunnel mode, CBC and HMAC", cipher="aes-cbc-128", auth="hmac-sha256-128"),
]


def exchange(s, octets):
    want = [octets[n:n + size] for n, size in enumerate(SIZES)]
    for one in want:
        s.send(one)
    echo.answers(s, want, "UDP")


def traffic(lab, pair):
    ns = lab.ns("host")
    for version in pair.inner:
        src, dst = host(version, 1, pair.n), host(version, 2, pair.n)
        echo.ping(ns, src, dst, (0, 1, 56, 700, 1200))
        with echo.udp_socket(ns, src, dst) as s:
            exchange(s, TEXT)
            exchange(s, echo.NOISE)
        echo.tcp(ns, src, dst, 30_000)


def counters(gateway, name):
    done = subprocess.run([ESPCTL, "-s", gateway.socket, "show", "sa", name, "json"], capture_output=True, text=True,
                          timeout=20, check=False)
    check(done.returncode == 0, f"espctl: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)["ipcomp"]


@once
def results():
    """All pairs in one boot of the guest."""
    image()
    failures, counts = {}, {}
    with bed("ipcomp") as lab:
        guest_clear(lab.guest)
        guest_add(lab.guest, PAIRS)
        host_setup(lab, PAIRS)
        before, gateway = xfrm_errors(lab.guest), run_gateway(lab, PAIRS)
        for pair in PAIRS:
            try:
                traffic(lab, pair)
                counts[pair.n] = [counters(gateway, f"{pair.name}.{way}") for way in ("out", "in")]
            except (AssertionError, OSError) as why:
                failures[pair.n] = why
        report = gateway.stop()
        errors = {name: n - before.get(name, 0) for name, n in xfrm_errors(lab.guest).items() if n != before.get(name, 0)}
    return failures, counts, report, errors


def judge(pair):
    failures, counts, report, _ = results()
    if pair.n in failures:
        raise failures[pair.n]
    out, into = counts[pair.n]
    check(out["comp_ok"] >= 5 * len(pair.inner), f"compressed: {out}")
    check(out["comp_out_octets"] < out["comp_in_octets"], f"compressed: {out}")
    check(out["comp_skip_random"] + out["comp_skip_adaptive"] > 0, f"noise: {out}")
    check(into["decomp_ok"] >= 5 * len(pair.inner), f"inflated: {into}")
    check(into["decomp_plain"] > 0, f"as it was: {into}")
    for way in ("out", "in"):
        drops = {why: n for why, n in report.sa_drops(f"{pair.name}.{way}").items() if why not in NOT_OURS}
        same(drops, {}, f"drops of the SA {way}")


def none_refused():
    _, _, report, errors = results()
    same(errors, {}, "the kernel's counters of errors")
    same({why: n for why, n in report.drops.items() if why not in NOT_OURS}, {}, "what the gateway dropped")


for made in PAIRS:
    add_case(f"{made.label}: text goes compressed both ways, noise and small packets as they are",
             lambda p=made: judge(p))
add_case("neither end refused a packet of all these", none_refused)

if __name__ == "__main__":
    main()
