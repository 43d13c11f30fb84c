#!/usr/bin/python3
"""Two gateways under congestion control, over a way that is long and loses: the rate falls when it does, to about what the
throughput equation gives, and comes back; traffic gets through meanwhile."""
import contextlib
import json
import math
import os
import tempfile
import time

from lab import HERE, SLOWER, Lab, sh, wait_for
from control import ESPCTL
from gw import frame, udp
from pump import send, socket_on
from sites import BLACK_MAC, HOST4, HOST_MAC, RED_MAC, af_packet, namespaces, red_veths, site, tunnel
from tap import case, check, diagnose, main, once

SIZE, PPS, DELAY = 400, 500, 20  # ms, each way
IPTFS = {"rate": SIZE * 8 * PPS, "packet_size": SIZE, "congestion_control": True}


def equation(loss, rtt):
    """RFC 5348 section 3.1, packets a second; t_RTO = 4 R."""
    return 1 / (rtt * (math.sqrt(2 * loss / 3) + 12 * math.sqrt(3 * loss / 8) * loss * (1 + 32 * loss ** 2)))


class Way:
    """Site a, the long way, site b."""

    def __init__(self, lab, folder):
        self.lab, self.file = lab, f"{folder}/loss"
        self.lose(0)
        way = lab.namespace("way", False)
        for side, name in enumerate("ab"):
            lab.veth((lab.ns(f"gw-{name}"), "black", BLACK_MAC[side]), (way, f"to-{name}", f"02:e5:00:00:03:0{name}"))
        red_veths(lab)
        lab.start(f"{HERE}/long_way.py", "to-a", "to-b", DELAY, self.file, ns=way, log=f"{folder}/way.log")

    def lose(self, percent):
        with open(f"{self.file}.new", "w", encoding="ascii") as f:
            f.write(f"{percent}\n")
        os.replace(f"{self.file}.new", self.file)


@contextlib.contextmanager
def sites():
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab("espgw-cc", folder) as lab:
        namespaces(lab)
        way = Way(lab, folder)
        for side, name in enumerate("ab"):
            config = site(side, af_packet(0, "black"), af_packet(1, "red"), [tunnel(side, mode="iptfs", iptfs=IPTFS)])
            config["gateway"]["idle"] = "poll"
            lab.gateway(f"gw-{name}", config, ns=lab.ns(f"gw-{name}"), huge=True)
        yield lab, way


def sent(lab):
    """Packets that came from gateway a, as the way has them."""
    with open(f"/proc/{lab.children[0].pid}/net/dev", encoding="ascii") as f:
        return next(int(line.split()[2]) for line in f if line.strip().startswith("to-a:"))


def rate(lab, seconds):
    before, begin = sent(lab), time.monotonic()
    time.sleep(seconds)
    return (sent(lab) - before) / (time.monotonic() - begin)


@once
def course():
    with sites() as (lab, way):
        s, far = socket_on(lab, "host-a", "eth0"), socket_on(lab, "host-b", "eth0")
        wait_for("the rate grows to what is configured", lambda: rate(lab, 0.5) > 0.9 * PPS, 20 * SLOWER)
        rates = {"clean": rate(lab, 1)}
        way.lose(5)
        time.sleep(4)
        rates["lossy"] = rate(lab, 4)
        shown = json.loads(sh(ESPCTL, "-s", lab.gateways["gw-a"].socket, "show", "iptfs", "site.out", "json"))
        for i in range(20):
            send(s, frame(udp(HOST4[0], HOST4[1], bytes([i] * 100)), RED_MAC[0], HOST_MAC[0]))
            time.sleep(0.05)
        time.sleep(1)
        came = {bytes(p[-100:])[0] for p in received(far) if len(p) == 142}
        way.lose(0)
        wait_for("the rate comes back", lambda: rate(lab, 0.5) > 0.9 * PPS, 30 * SLOWER)
        for gateway in lab.gateways.values():
            gateway.stop()
        return rates, came, shown


def received(s):
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            yield s.recv(65536)


@case("without loss the rate is the one that is configured")
def clean():
    rates, _, _ = course()
    check(abs(rates["clean"] / PPS - 1) < 0.1, f"{rates['clean']:.0f} packets a second")


@case("5 % loss over 40 ms: the rate falls to about what the equation gives")
def lossy():
    rates, _, _ = course()
    want = equation(0.05, 2 * DELAY / 1000)
    diagnose(f"{rates['lossy']:.0f} packets a second, the equation has {want:.0f}; {rates['clean']:.0f} without loss")
    check(want / 2.5 < rates["lossy"] < want * 2.5, f"{rates['lossy']:.0f} packets a second, {want:.0f} wanted")


@case("show iptfs has the rate that is allowed, the RTT, and the loss events that the peer told of")
def shown():
    _, _, told = course()
    cc = told["cc"]
    check(0 < cc["x_pps"] < PPS and 2 * DELAY * 1000 <= cc["rtt_us"] < 4 * DELAY * 1000 and 5 <= cc["p_inv"] < 100, f"{told}")


@case("meanwhile packets get through, but for what is lost")
def through():
    _, came, _ = course()
    check(len(came) >= 14, f"{len(came)} of 20 came")


if __name__ == "__main__":
    main()
