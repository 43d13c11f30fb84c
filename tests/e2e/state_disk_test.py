#!/usr/bin/python3
"""The state file on a disk that is full, read-only or hangs: what is sent, what waits, what is said, and that all goes on."""
import errno
import json
import os
import signal
import struct
import subprocess
import tempfile
import time

import yaml

from disks import Disk, alone
from lab import Lab, packet_socket, sh, wait_for
from control import ESPCTL, SECONDS
from gw import (BLACK, LAN_MAC, LAN_NEXT, PEER, SLOWER, WAN_MAC, WAN_NEXT, Tunnel, execute, frame, from_far, from_lan,
                with_tunnels)
from tap import Failure, case, check, main, same
import xfrm

# So many that the next record after the first ones does not fit their page.
TUNNELS = 41
HEADER, RECORD, PAGE = 128, 48, 4096
assert PAGE - RECORD < HEADER + 2 * TUNNELS * RECORD <= PAGE


class Site:
    """A gateway between two raw sockets, with its state file on a disk of its own."""

    def __init__(self, lab, disk, tunnels):
        self.lab, self.disk, self.tunnels, self.lives = lab, disk, [Tunnel(n + 1) for n in range(tunnels)], 0
        for name in ("gw", "far"):
            lab.namespace(name, host=False)
        lab.veth((lab.ns("gw"), "wan0", WAN_MAC), (lab.ns("far"), "wan1", WAN_NEXT))
        lab.veth((lab.ns("gw"), "lan0", LAN_MAC), (lab.ns("far"), "lan1", LAN_NEXT))
        self.wan, self.lan = (packet_socket(lab.ns("far"), i) for i in ("wan1", "lan1"))
        for s in (self.wan, self.lan):
            s.setsockopt(263, 23, 1)  # only what comes in
        self.peer = 0  # the peer's number
        self.sent, self.heard = [], []  # numbers that left, of the first tunnel; payloads that came in
        self.start()

    def start(self):
        config = with_tunnels(*self.tunnels)
        config["gateway"].update(state_file=f"{self.disk.path}/state", state_block=64)
        for port, interface in zip(config["ports"], ("wan0", "lan0")):
            port["device"] = f"net_af_packet_{interface},iface={interface}"
        self.lives += 1
        self.gateway = self.lab.gateway(f"gw{self.lives}", config, ns=self.lab.ns("gw"))
        wait_for("the control socket", lambda: self.gateway.alive() or os.path.exists(self.gateway.socket))

    def show(self, *words):
        return subprocess.run([ESPCTL, "-s", self.gateway.socket, "show", *words], capture_output=True, text=True,
                              timeout=SECONDS, check=True).stdout

    def state(self):
        return json.loads(self.show("state", "json"))["state"]

    def traffic(self, n, wait=3.0):
        """Packets both ways of the first tunnel; how many of each way came through. wait: seconds for the last of them."""
        before = len(self.sent), len(self.heard)
        t = self.tunnels[0]
        for _ in range(n):
            self.peer += 1
            self.lan.send(frame(from_lan(1), LAN_MAC, LAN_NEXT))
            self.wan.send(frame(t.seal(from_far(1, b"%d" % self.peer), self.peer), WAN_MAC, WAN_NEXT))
            time.sleep(0.003)
        end, came = time.monotonic() + wait * SLOWER, (0, 0)
        while min(came) < n and time.monotonic() < end:
            time.sleep(0.05)
            self.drain()
            came = len(self.sent) - before[0], len(self.heard) - before[1]
        return came

    def drain(self):
        for s, look in ((self.wan, self.out), (self.lan, self.into)):
            while True:
                try:
                    look(s.recv(65536))
                except BlockingIOError:
                    break

    def out(self, octets):
        if octets[12:14] == b"\x08\x00" and octets[23] == 50:
            self.sent.append(struct.unpack("!I", octets[38:42])[0])

    def into(self, octets):
        if octets[12:14] == b"\x08\x00":
            self.heard.append(octets[42:])

    def until(self, what, ways, tries=60):
        """Traffic until of twenty packets so many come through each way."""
        came = None
        for _ in range(tries):
            came = self.traffic(20, 0.5)
            if came == ways:
                return
        raise Failure(f"{what}: {came} of 20 came through: {self.state()}\n{self.gateway.said()}")

    def judge(self):
        """No number twice, nothing delivered twice."""
        same(self.sent, sorted(set(self.sent)), "numbers that left")
        same(len(self.heard), len(set(self.heard)), "payloads that came in, each once")

    def dry(self, why):
        """Both ways come to an end, and everybody is told why."""
        self.until("on a disk that takes nothing", (0, 0))
        state = self.state()
        check(not state["well"] and why in state["trouble"] and state["failures"] > 0 and state["waiting"] > 0, state)
        text = self.show("state")
        check(why in text and "nothing is reserved" in text, text)
        check(f"{why}: no number is reserved until it is well again" in self.gateway.said(), self.gateway.said())
        daemon = xfrm.Daemon(self.gateway.socket)
        begin = time.monotonic()
        check(why in refused(daemon, xfrm.NEWSA, sa(7)), "no sentence about the disk")
        check(time.monotonic() - begin < 2, f"the answer took {time.monotonic() - begin:.1f} s")
        same(listed(daemon), set(), "SAs of the daemon whose SA is refused")
        daemon.close()

    def well(self):
        self.until("on a disk that is well again", (20, 20))
        check(self.state()["well"], self.state())
        wait_for("the log says that all is well", lambda: "the disk is well again" in self.gateway.said())
        daemon = xfrm.Daemon(self.gateway.socket)
        daemon.ask(xfrm.NEWSA, sa(7))
        daemon.close()


def sa(number):
    return xfrm.sa(BLACK[4], PEER[4], 0x5000 + number, 100 + number, bytes([number]) * 20, direction=2, window=0)


def refused(daemon, kind, body):
    """The sentence of an answer that must be ENOBUFS."""
    daemon.send(kind, body)
    for m in daemon.receive(10):
        if m.kind == xfrm.ERROR and m.seq == daemon.seq:
            same(-struct.unpack_from("=i", m.body)[0], errno.ENOBUFS, f"errno: {m.body[36:]}")
            return m.body[24:].rstrip(b"\0").decode()
    raise Failure("no answer")


def listed(daemon):
    """SPIs of a daemon's SAs that a dump shows."""
    daemon.send(xfrm.GETSA, b"", flags=xfrm.REQUEST | xfrm.DUMP)
    found = set()
    while True:
        got = daemon.receive(10)
        check(got, "the dump has no end")
        found |= {struct.unpack_from("!I", m.body, 72)[0] for m in got if m.kind == xfrm.NEWSA}
        if any(m.kind == xfrm.DONE for m in got):
            return {spi for spi in found if spi >> 12 == 5}


def on_disk(kind, tunnels, body):
    with tempfile.TemporaryDirectory(prefix="espgw-disk-") as folder:
        with Disk(folder, kind) as disk, Lab(f"disk{os.getpid()}", folder) as lab:
            try:
                body(Site(lab, disk, tunnels))
            finally:
                disk.thaw()  # who hangs in it cannot be killed


@case("a disk that fills up: SAs come to the end of their blocks and wait, all is said, and with room it goes on")
def full():
    def body(site):
        same(site.traffic(20), (20, 20), "packets with room")
        site.disk.fill()
        site.dry("No space left on device")
        site.disk.room()
        site.well()
        site.judge()
        report = site.gateway.stop()
        same(set(report.drops), {"seq_wait"}, "why packets were dropped")
        last = site.sent[-1]
        site.start()
        same(site.traffic(20), (20, 20), "packets after a stop")
        same(site.sent[-20:], list(range(last + 1, last + 21)), "numbers after a stop")
        site.judge()

    on_disk("tmpfs", TUNNELS, body)


@case("killed on a full disk: the start is refused with 1 until there is room, and goes on above what was sent")
def killed():
    def body(site):
        same(site.traffic(20), (20, 20), "packets with room")
        site.disk.fill()
        site.dry("No space left on device")
        os.killpg(site.gateway.process.pid, signal.SIGKILL)
        site.gateway.process.wait()
        site.lives += 1
        argv = site.gateway.process.args
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
        same(done.returncode, 1, f"status of a start on a full disk\n{done.stderr}")
        check("No space left on device: make room" in done.stderr, done.stderr)
        site.disk.room()
        site.start()
        site.until("after a crash, with room", (20, 20))
        site.judge()

    on_disk("tmpfs", TUNNELS, body)


@case("a first start on a full disk or a read-only one is refused with 1 and its cure; with room it starts")
def first_start():
    with tempfile.TemporaryDirectory(prefix="espgw-disk-") as folder, Disk(folder) as disk:
        made = with_tunnels(Tunnel(1), Tunnel(2))
        made["gateway"]["state_file"] = f"{disk.path}/state"
        for i, port in enumerate(made["ports"]):
            port["device"] = f"net_null{i},no-rx=1"
        with open(os.open(f"{folder}/gw.yaml", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            yaml.safe_dump(made, f)

        def start():
            done = execute(["--config", f"{folder}/gw.yaml", "--exit-when-idle", "1", "--control-socket", "none"])
            return done.returncode, done.stderr.decode()

        disk.fill()
        status, said = start()
        same((status, "No space left on device: make room" in said), (1, True), f"start on a full disk\n{said}")
        disk.room()
        sh("mount", "-o", "remount,ro", disk.path)
        status, said = start()
        same((status, "Read-only file system: mount its file system for writing" in said), (1, True),
             f"start on a read-only disk\n{said}")
        sh("mount", "-o", "remount,rw", disk.path)
        for life in (1, 2):
            same(start()[0], 0, f"start number {life} with room")


@case("a disk that turns read-only: the same, and it goes on when the disk is mounted anew")
def read_only():
    def body(site):
        same(site.traffic(20), (20, 20), "packets before")
        site.disk.fail()
        site.dry("Read-only file system")
        site.disk.mend()
        site.well()
        site.judge()
        os.killpg(site.gateway.process.pid, signal.SIGKILL)
        site.gateway.process.wait()
        site.start()
        site.until("after a crash", (20, 20))
        site.judge()

    on_disk("ext4", 2, body)


@case("a disk that hangs: answers wait for it in their order, nobody else's do, later SAs are refused; it goes on")
def hangs():
    def body(site):
        held, other = xfrm.Daemon(site.gateway.socket), xfrm.Daemon(site.gateway.socket)
        path = f"{site.disk.path}/state"
        held.ask(xfrm.NEWSA, sa(1))
        site.disk.freeze()
        before = os.path.getsize(path)
        first = held.seq + 1
        held.send(xfrm.NEWSA, sa(2))
        held.send(xfrm.NEWSA, sa(3))
        held.send(xfrm.DELSA, xfrm.sa_id(PEER[4], 0x5001))
        same(held.receive(0.7), [], "answers while the disk hangs")
        begin = time.monotonic()
        other.ask(xfrm.GETSA, xfrm.sa_id(PEER[4], 0x5002))
        check(time.monotonic() - begin < 0.5, "another's answer waits, too")
        wait_for("it is said that the disk hangs", lambda: "the disk does not answer" in site.gateway.said())
        check("the disk does not answer" in site.show("state"), site.show("state"))
        check("the disk does not answer" in refused(other, xfrm.NEWSA, sa(4)), "no sentence about the disk")
        held.send(xfrm.NEWSA, sa(5))
        same(held.receive(0.3), [], "answers while the disk hangs")
        same(os.path.getsize(path), before, "octets of the file")
        site.disk.thaw()
        answers = []
        while len(answers) < 4:
            got = held.receive(5)
            check(got, f"only {len(answers)} answers of 4")
            if not answers:
                check(os.path.getsize(path) >= before + RECORD, "the answer came before the record")
            answers += [(m.seq, -struct.unpack_from("=i", m.body)[0]) for m in got if m.kind == xfrm.ERROR]
        same(answers, [(first, 0), (first + 1, 0), (first + 2, 0), (first + 3, errno.ENOBUFS)], "answers, in order")
        wait_for("the log says that all is well", lambda: "the disk is well again" in site.gateway.said())
        other.ask(xfrm.NEWSA, sa(4))
        same(listed(other), {0x5002, 0x5003, 0x5004}, "SAs in the end")
        same(site.traffic(20), (20, 20), "packets in the end")
        held.close()
        other.close()
        site.gateway.stop()

    on_disk("ext4", 2, body)


if __name__ == "__main__":
    alone()
    main()
