#!/usr/bin/python3
"""Two gateways with IP-TFS (RFC 9347) at a constant rate between two hosts: what an observer of the black side sees is the
rate, whatever goes through; a reload changes rate, size and kind under traffic, and no packet is lost."""
import contextlib
import re
import tempfile
import time

from ike_lab import ESPCTL
from lab import Lab, SLOWER, packet_socket, sh, wait_for
from pump import PACKET_IGNORE_OUTGOING, SOL_PACKET, Stream, reach, socket_on, transfer
from sites import HOST4, af_packet, black_veth, hosts, namespaces, red_veths, site, tunnel
from tap import case, check, main, same

SIZE, RATE = 1200, 4_000_000
LINK = 14  # octets of an Ethernet header


class Site:
    """The lab with two gateways; hosts with an IP stack have addresses, else nobody answers what comes to them."""

    def __init__(self, lab, idle, stack):
        self.lab, self.idle, self.gateways = lab, idle, []
        namespaces(lab)
        black_veth(lab)
        red_veths(lab)
        if stack:
            hosts(lab)

    def config(self, side, iptfs):
        config = site(side, af_packet(0, "black"), af_packet(1, "red"), [tunnel(side, mode="iptfs", iptfs=iptfs)])
        config["gateway"]["idle"] = self.idle
        return config

    def start(self, iptfs):
        self.gateways = [self.lab.gateway(name, self.config(side, iptfs), ns=self.lab.ns(name))
                         for side, name in enumerate(("gw-a", "gw-b"))]

    def reload(self, iptfs):
        """Other options, one gateway after the other."""
        for side, gateway in enumerate(self.gateways):
            gateway.write(self.config(side, iptfs))
            sh(ESPCTL, "--socket", gateway.socket, "reload")

    def stop(self):
        """What the gateways dropped for the tunnel's sake, which is nothing."""
        for gateway in self.gateways:
            report = gateway.stop()
            same({why: n for why, n in report.drops.items() if why.startswith(("aggfrag", "replay", "icv"))}, {},
                 f"drops of {gateway.name}")


@contextlib.contextmanager
def running(iptfs, idle="poll", stack=False):
    with tempfile.TemporaryDirectory(prefix="espgw-tfs-") as folder, Lab("espgw-tfs", folder) as lab:
        s = Site(lab, idle, stack)
        s.start(iptfs)
        yield s
        s.stop()


class Observer:
    """Counts the frames that gateway a sends, by their lengths."""

    def __init__(self, lab):
        self.socket = packet_socket(lab.ns("gw-b"), "black")
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)

    def watch(self, seconds):
        """{length: how many} of some time, and that time."""
        self.drain()
        begin = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - begin
        lengths = {}
        for frame in self.drain():
            lengths[len(frame)] = lengths.get(len(frame), 0) + 1
        return lengths, took

    def drain(self):
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(65536))
        return found

    def sees(self, rate, size, what, seconds=0.7, times=8):
        """One size, and the rate: never more, and less only while a crowded machine makes a worker late."""
        want, found = rate / 8 / size, []
        for _ in range(times):
            lengths, took = self.watch(seconds * SLOWER)
            same(list(lengths), [size + LINK], f"{what}: lengths of frames ({lengths})")
            found.append(lengths[size + LINK] / took)
            check(found[-1] <= 1.03 * want, f"{what}: {found[-1]:.0f} packets a second, wanted {want:.0f}")
            if len(found) > 1 and max(found) > 0.7 * want:
                return
        check(False, f"{what}: {[round(f) for f in found]} packets a second, wanted {want:.0f}")


def ends(lab):
    return socket_on(lab, "host-a", "eth0"), socket_on(lab, "host-b", "eth0")


@case("a constant rate: the same to an observer when idle, under a few packets, under a stream, and behind a reload of the rate")
def constant():
    with running({"rate": RATE, "packet_size": SIZE}, stack=True) as s:
        observer, (a, b), stream = Observer(s.lab), ends(s.lab), Stream(400)
        reach(a, b, stream, s.gateways)
        observer.sees(RATE, SIZE, "idle")
        transfer(a, b, stream, window=64)
        observer.sees(RATE, SIZE, "idle once more")
        server = s.lab.start("iperf3", "-s", "-1", ns=s.lab.ns("host-b"))
        wait_for("iperf3 listens", lambda: "5201" in sh("ss", "-ltn", ns=s.lab.ns("host-b")))
        client = s.lab.start("iperf3", "-c", HOST4[1], "-t", "15", ns=s.lab.ns("host-a"), log=f"{s.lab.folder}/iperf3.log")
        time.sleep(1)
        observer.sees(RATE, SIZE, "under a stream")
        s.reload({"rate": 2 * RATE, "packet_size": SIZE})
        observer.sees(2 * RATE, SIZE, "under a stream, at twice the rate")
        same(client.wait(30 * SLOWER), 0, "iperf3's status")
        s.lab.finish(server)
        with open(f"{s.lab.folder}/iperf3.log", encoding="utf-8") as f:
            said = f.read()
        check(re.search(r"[1-9]\S* [MK]bits/sec .*receiver", said), f"iperf3 carried nothing:\n{said}")
        observer.sees(2 * RATE, SIZE, "idle, at twice the rate")
        sh(ESPCTL, "--socket", s.gateways[0].socket, "set", "sa", "site.out", "rate", str(RATE // 2))
        observer.sees(RATE // 2, SIZE, "at half the rate, by hand")


CHANGES = (
    {"rate": 2 * RATE, "packet_size": SIZE}, {"rate": 3 * RATE, "packet_size": 600}, {"rate": 0, "packet_size": SIZE},
    {"rate": 0, "packet_size": 500, "init_delay": "0s"}, {"rate": 2 * RATE, "packet_size": 1400, "layer": "l2"},
)


@case("rate, size and kind are changed by reloads under traffic, and not a packet is lost")
def changed():
    with running({"rate": RATE, "packet_size": SIZE}) as s:
        (a, b), stream, todo = ends(s.lab), Stream(3000), list(CHANGES)
        reach(a, b, stream, s.gateways)

        def meanwhile(number):
            if number and number % 500 == 0 and todo:
                s.reload(todo.pop(0))
        transfer(a, b, stream, window=64, meanwhile=meanwhile)
        same(todo, [], "changes that are left")


@case("without a rate: packets of all sizes both ways, as they come, on workers that sleep")
def as_they_come():
    with running({}, "sleep") as s:
        (a, b), there, back = ends(s.lab), Stream(2000), Stream(2000, 1)
        reach(a, b, there, s.gateways)
        transfer(a, b, there)
        transfer(b, a, back)


if __name__ == "__main__":
    main()
