#!/usr/bin/python3
"""Crypto devices that fail while packets flow, in the program itself: a library between it and DPDK makes them take
nothing, or give nothing back, or have room for few sessions. What is lost is counted, nothing is sent in clear, software
does what the device cannot, and the device is used again when it is well.
"""
import contextlib
import os
import time

from engine_lab import BUILD, balanced, sites, tunnel, unhurt
from lab import wait_for
from tap import Skip, case, check, main, same

FAULTS = f"{BUILD}/tests/faults/libcrypto_faults.so"
DEVICE = "crypto_aesni_gcm0"


class Faults:
    """The file by which the devices of a gateway are told how to fail."""

    def __init__(self, folder):
        self.path = f"{folder}/fault"

    def env(self, **more):
        if not os.path.exists(FAULTS):
            raise Skip(f"{FAULTS} is not there")
        return {"LD_PRELOAD": FAULTS, "CRYPTO_FAULTS": self.path, **more}

    @contextlib.contextmanager
    def are(self, word):
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.write(word)
        os.rename(self.path + ".new", self.path)
        try:
            yield
        finally:
            os.unlink(self.path)


@contextlib.contextmanager
def running(count=1, tunnels=None, **env):
    with sites(count, crypto=("cryptodev", "ipsec_mb", "openssl"), devices=[DEVICE]) as s:
        faults = Faults(s.lab.folder)
        s.start(tunnels or (lambda side: [tunnel(side, n) for n in range(1, count + 1)]), env=faults.env(**env))
        yield s, faults


def device(s):
    return next(e for e in s.show("crypto")["crypto"]["engines"] if e["name"] == "cryptodev")["devices"][0]


def works(s):
    """The device is up, and does the packets."""
    wait_for("the device is up again", lambda: device(s)["state"] == "up", 10)
    before = device(s)["packets"]
    s.whole()
    check(device(s)["packets"] >= before + 100, f"the device does nothing: {device(s)}, and had done {before}")


@case("a device whose queue takes nothing, for a moment and for a second: what is lost is counted, and it works again")
def full():
    with running() as (s, faults):
        before = s.drops()
        with s.pumps() as pumps:
            for seconds in (0.05, 1):
                time.sleep(0.3)
                with faults.are("full"):
                    time.sleep(seconds)
            time.sleep(1)
            for pump in pumps:
                pump.stop()
            dropped = balanced(pumps, before, s.drops(), ["crypto_full", "crypto_lost"])
        check(dropped.get("crypto_full", 0) > 0, f"the device was never full: {dropped}")
        works(s)
        s.stop()


@case("a device that answers no more: what it has is counted as lost, software goes on, and it is used again when it is back")
def silent():
    with running(2) as (s, faults):
        before = s.drops()
        with s.pumps() as pumps:
            for _ in range(2):
                time.sleep(0.3)
                with faults.are("silent"):
                    wait_for("the loss is seen", lambda: device(s)["state"] != "up", 5)
                    got = [flow.got for pump in pumps for flow in pump.flows]
                    time.sleep(1)
                    now = [flow.got for pump in pumps for flow in pump.flows]
                    check(all(b > a + 100 for a, b in zip(got, now)), f"software does not go on: {got}, a second later {now}")
                wait_for("the device is up again", lambda: device(s)["state"] == "up", 10)
            time.sleep(0.5)
            for pump in pumps:
                pump.stop()
            # What comes at once behind a time without CPU may be more than the device's queue holds.
            dropped = balanced(pumps, before, s.drops(), ["crypto_lost", "crypto_full"])
        check(dropped.get("crypto_lost", 0) > 0, "nothing was lost in the device: it was never silent")
        check(device(s)["losses"] >= 2, f"losses: {device(s)}")
        works(s)
        s.stop()


@case("a gateway that ends while its device answers no more: it ends in time, and its ledger balances")
def silent_at_the_end():
    with running() as (s, faults):
        with s.pumps() as pumps:
            time.sleep(0.3)
            with faults.are("silent"):
                time.sleep(0.05)
                report = s.lab.gateways["gw-a"].stop()
            for pump in pumps:
                pump.stop()
        lost = {why: n for why, n in report.drops.items() if why in ("stopped", "crypto_lost")}
        check(sum(lost.values()) > 0, f"nothing was inside the device: {report.drops}")


@case("a device with room for three sessions: the fourth SA is software's; when a tunnel goes, the next one has room")
def sessions_full():
    both = lambda side: [tunnel(side, n) for n in (1, 2)]
    with running(3, both, CRYPTO_FAULTS_SESSIONS="3") as (s, _):
        names = ("t1.out", "t1.in", "t2.out", "t2.in")
        same(sorted(s.sa(name)["engine"] for name in names), ["cryptodev"] * 3 + ["ipsec_mb"], "engines")
        s.whole(1, 2)
        for side in (0, 1):
            s.reload(side, [tunnel(side, 2)])
        time.sleep(0.5)
        for side in (0, 1):
            s.reload(side, [tunnel(side, n) for n in (2, 3)])
        s.reached(3)
        check("cryptodev" in [s.sa(f"t3.{way}")["engine"] for way in ("out", "in")], "tunnel 3 is software's")
        s.whole(2, 3)
        for report in s.stop():
            unhurt(report)


if __name__ == "__main__":
    main()
