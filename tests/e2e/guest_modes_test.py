#!/usr/bin/python3
"""The Linux kernel's own BEET and AH as the peer, in an emulated guest: pings, datagrams, streams and recorded routes;
the numbers of both ends compared."""
import time

import echo
from ah import AhTunnel
from esp import AUTHS
from gw import host
from guest import image, xfrm_errors, xfrm_states
from kernel import MACS, Pair, bed, guest_add, guest_clear, host_setup, run_gateway
from lab import SLOWER, at_once, sh
from tap import add_case, check, main, once, same

BITS = {4: 32, 6: 128}
# The guest's kernel multicasts a little in clear, and the MTU is asked for with a packet that is too big.
NOT_OURS = {"policy_cleartext", "too_big"}


class BeetPair(Pair):
    """Hosts of one family, ends of the same or the other."""

    def __init__(self, n, label, inner=4, **more):
        near, far = host(inner, 1, n), host(inner, 2, n)
        super().__init__(n, label, mode="beet", selectors=False, inner={"src": near, "dst": far}, **more)
        self.inner, self.near, self.far = (inner,), near, far

    def ends(self, way):
        return (self.near, self.far) if way == "out" else (self.far, self.near)

    def state(self, way):
        src, dst = self.ends(way)
        return super().state(way) + f" sel src {src} dst {dst}"

    def policies(self):
        outer = {"in": (self.local, self.remote), "out": (self.remote, self.local)}
        for way, (src, dst) in (("out", (self.far, self.near)), ("in", (self.near, self.far))):
            bits = BITS[self.inner[0]]
            yield (f"xfrm policy add src {src}/{bits} dst {dst}/{bits} dir {way}"
                   f" tmpl src {outer[way][0]} dst {outer[way][1]} proto esp reqid {self.n} mode beet")


class AhPair(AhTunnel):
    """AH; the kernel wants to be told to pad to 4 octets with IPv4."""

    def __init__(self, n, label, version=4, mode="tunnel", start=0, **more):
        if mode == "transport":
            more.update(local=host(version, 1, n), remote=host(version, 2, n), selectors=False)
        if start:
            more.update(out={"oseq": start}, into={"replay_top": start})
        super().__init__(n, outer=version, mode=mode, **more)
        self.label, self.start, self.inner = label, start, (4, 6) if mode == "tunnel" else (version,)

    def state(self, way):
        src, dst = (self.local, self.remote) if way == "out" else (self.remote, self.local)
        auth = AUTHS[self.auth]
        flags = [name for name, on in (("af-unspec", self.mode == "tunnel"), ("esn", self.esn),
                                       ("align4", self.outer == 4)) if on]
        line = (f"xfrm state add src {src} dst {dst} proto ah spi {self.spi[way]:#x} reqid {self.n} mode {self.mode}"
                f" replay-window {128 if self.esn else 32}")
        if self.start:
            name = "oseq" if way == "in" else "seq"
            line += f" replay-{name} {self.start & 0xffffffff:#x} replay-{name}-hi {self.start >> 32:#x}"
        if flags:
            line += " flag " + " ".join(flags)
        return f"{line} auth-trunc {MACS[auth.kind]} 0x{self.keys[way].hex()} {8 * auth.icv}"

    def policies(self):
        if self.mode == "transport":
            bits = BITS[self.outer]
            nets = [(f"{self.local}/{bits}", f"{self.remote}/{bits}")]
        else:
            entry = self.yaml()
            nets = zip(entry["local_nets"], entry["remote_nets"])
        ends = {"in": (self.local, self.remote), "out": (self.remote, self.local)}
        for near, far in nets:
            for way, (src, dst) in (("out", (far, near)), ("in", (near, far))):
                template = f"proto ah reqid {self.n} mode {self.mode}"
                if self.mode == "tunnel":
                    template = "src {} dst {} ".format(*ends[way]) + template
                yield f"xfrm policy add src {src} dst {dst} dir {way} tmpl {template}"


def carry(lab, pair):
    ns = lab.ns("host")
    for version in pair.inner:
        src, dst = host(version, 1, pair.n), host(version, 2, pair.n)
        echo.ping(ns, src, dst, (0, 1, 56, 700, 1200))
        mtu = echo.udp_to_the_mtu(ns, src, dst, echo.SIZES)
        check(1280 <= mtu < 1500, f"the gateway says {mtu} octets fit")
        echo.tcp(ns, src, dst, 30_000)
        if version == 4:
            recorded(ns, src, dst)


def recorded(ns, src, dst):
    """A ping with options, which the answer brings back with what was recorded: there and back by the kernel."""
    said = sh("ping", "-R", *at_once(2), "-I", src, dst, ns=ns)
    check("2 received" in said, said)
    check("RR:" in said and dst in said.partition("RR:")[2], f"the route with the far host in it:\n{said}")


class Batch:
    """Pairs that run at once, and what became of each."""

    def __init__(self, pairs):
        self.pairs, self.failures, self.errors, self.states, self.report, self.said = pairs, {}, {}, {}, None, ""

    def run(self, lab):
        guest_clear(lab.guest)
        guest_add(lab.guest, self.pairs)
        host_setup(lab, self.pairs)
        before, gateway = xfrm_errors(lab.guest), run_gateway(lab, self.pairs)
        for pair in self.pairs:
            try:
                carry(lab, pair)
            except (AssertionError, OSError) as why:
                self.failures[pair.n] = why
            gateway.alive()
        time.sleep(0.3 * SLOWER)  # the last acknowledgements
        self.report = gateway.stop()
        self.said, self.states = gateway.said(), xfrm_states(lab.guest)
        self.errors = {name: n - before.get(name, 0) for name, n in xfrm_errors(lab.guest).items()
                       if n != before.get(name, 0)}


NEAR_THE_TURN = (1 << 32) - 24
BEET = Batch([
    BeetPair(1, "BEET, IPv4 between hosts over IPv4"),
    BeetPair(2, "BEET, IPv6 between hosts over IPv6", inner=6, outer=6),
    BeetPair(3, "BEET, IPv6 between hosts over IPv4", inner=6),
    BeetPair(4, "BEET, IPv4 between hosts over IPv6", outer=6),
    BeetPair(5, "BEET in UDP over IPv4", encap=(4500, 4500)),
    BeetPair(6, "BEET, CBC and HMAC, 32-bit numbers", cipher="aes-cbc-256", auth="hmac-sha256-128", esn=False),
])
AH = Batch([
    *[AhPair(n, f"AH, {mode} mode, IPv{version}, {auth}, {'ESN' if esn else '32-bit numbers'}", version, mode,
             auth=auth, esn=esn)
      for n, (mode, version, auth, esn) in enumerate((
          ("tunnel", 4, "hmac-sha256-128", True), ("tunnel", 6, "hmac-sha256-128", True),
          ("transport", 4, "hmac-sha256-128", True), ("transport", 6, "hmac-sha256-128", True),
          ("tunnel", 4, "hmac-sha1-96", False), ("tunnel", 6, "hmac-sha512-256", False),
          ("transport", 4, "hmac-sha384-192", False), ("transport", 6, "aes-cmac-96", False),
          ("tunnel", 4, "aes-xcbc-96", True), ("transport", 4, "aes-xcbc-96", False)), 1)],
    AhPair(21, "AH, tunnel mode: ESN over 2^32, both ways", start=NEAR_THE_TURN),
])


@once
def results():
    image()
    with bed("modes") as lab:
        for batch in (BEET, AH):
            batch.run(lab)


def judged(batch, pair):
    results()
    if pair.n in batch.failures:
        raise batch.failures[pair.n]
    for way, number in (("out", "seq"), ("in", "oseq")):
        ours, theirs = batch.report.sa(f"{pair.name}.{way}"), batch.states[pair.spi[way]]
        name = f"the SA {way}"
        same(sorted(ours["drops"]), ["too_big"] if way == "out" else [], f"drops of {name}")
        same((theirs["replays"], theirs["failed"]), (0, 0), f"what the kernel refused of {name}")
        check(ours["packets"] > 30, f"{name} carried {ours['packets']} packets")
        same(ours["packets"], theirs["packets"], f"packets of {name}, here and in the kernel")
        same(theirs[number], pair.start + ours["packets"], f"the last number of {name}")


def none_refused():
    results()
    for batch in (BEET, AH):
        same(batch.errors, {}, "the kernel's counters of errors")
        same({why: n for why, n in batch.report.drops.items() if why not in NOT_OURS}, {},
             f"what the gateway dropped\n{batch.said[-2000:]}\n")


for one in (BEET, AH):
    for made in one.pairs:
        add_case(made.label, lambda b=one, p=made: judged(b, p))
add_case("neither end refused a packet of all these", none_refused)

if __name__ == "__main__":
    main()
