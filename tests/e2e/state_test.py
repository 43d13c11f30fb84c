#!/usr/bin/python3
"""Crashes: a gateway is killed again and again under traffic, and all that ever left it is looked at.

Every packet that left under a key has a number and an IV of its own, over crashes, stops, reloads and other names; and
of what the peer sent, nothing comes out a second time, however often all of it is sent again.
"""
import os
import random
import signal
import struct
import tempfile
import time

from lab import Lab, packet_socket, wait_for
from gw import LAN_MAC, LAN_NEXT, WAN_MAC, WAN_NEXT, Tunnel, frame, from_far, from_lan, with_tunnels
from tap import case, check, main, same

KILLS = 20
HEARD_WITHIN = 1500  # twice what a life sends in its last second at most, and the first block
SUITES = ({}, {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}, {"aead": "chacha20-poly1305", "esn": False})


class Site:
    """One gateway between two raw sockets, and the ledger of all lives."""

    def __init__(self, lab, folder):
        self.lab, self.folder = lab, folder
        for name in ("gw", "far"):
            lab.namespace(name, host=False)
        lab.veth((lab.ns("gw"), "wan0", WAN_MAC), (lab.ns("far"), "wan1", WAN_NEXT))
        lab.veth((lab.ns("gw"), "lan0", LAN_MAC), (lab.ns("far"), "lan1", LAN_NEXT))
        self.wan, self.lan = (packet_socket(lab.ns("far"), i) for i in ("wan1", "lan1"))
        for s in (self.wan, self.lan):
            s.setsockopt(263, 23, 1)  # only what comes in
        self.sent, self.next = [], {}  # what the peer sent, all lives; its next numbers
        self.ledger, self.delivered, self.heard, self.left = set(), set(), set(), 0
        self.count = 0

    def tunnels(self, life):
        """The same keys under other names and, now and then, other SPIs."""
        made = []
        for n, suite in enumerate(SUITES, 1):
            t = Tunnel(n, **suite)
            t.name = f"life{life // 3}-{n}"
            made.append(t)
        return made

    def config(self, life, extra=""):
        config = with_tunnels(*self.tunnels(life))
        config["gateway"].update(state_file=f"{self.folder}/state", state_block=64)
        for entry in config["tunnels"]:
            entry["name"] += extra
        for port, interface in zip(config["ports"], ("wan0", "lan0")):
            port["device"] = f"net_af_packet_{interface},iface={interface}"
        return config

    def start(self, life):
        gateway = self.lab.gateway("gw", self.config(life), ns=self.lab.ns("gw"), workers=2)
        wait_for("the control socket", lambda: gateway.alive() or os.path.exists(gateway.socket))
        return gateway

    def drain(self):
        for s, look in ((self.wan, self.out), (self.lan, self.into)):
            while True:
                try:
                    look(s.recv(65536))
                except BlockingIOError:
                    break

    def out(self, octets):
        """What the gateway sent: under each key each number once, and each IV once."""
        if octets[12:14] != b"\x08\x00" or octets[23] != 50:
            return
        spi, seq = struct.unpack("!II", octets[34:42])
        iv = octets[42:50] if spi != 0x10002 else octets[42:58]
        for what in ((spi, "number", seq), (spi, "iv", iv)):
            check(what not in self.ledger, f"SPI {spi:#x} sent {what[1]} {what[2]!r} a second time")
            self.ledger.add(what)
        self.left += 1

    def into(self, octets):
        payload = octets[42:]
        check(payload not in self.delivered, f"{payload!r} came out a second time")
        self.delivered.add(payload)
        self.heard.add(int(payload.split()[0]))

    def traffic(self, tunnels, n):
        for _ in range(n):
            self.count += 1
            for t in tunnels:
                self.lan.send(frame(from_lan(t.n, b"%d" % self.count), LAN_MAC, LAN_NEXT))
                seq = self.next[t.n] = self.next.get(t.n, 0) + 1
                octets = frame(t.seal(from_far(t.n, b"%d %d" % (t.n, seq)), seq), WAN_MAC, WAN_NEXT)
                self.sent.append(octets)
                self.wan.send(octets)
            self.drain()
            time.sleep(0.0005)

    def until_heard(self, tunnels, life):
        """The peer of each tunnel sends on until it is heard again, which is in good time."""
        self.heard.clear()
        for _ in range(HEARD_WITHIN // 10):
            self.traffic(tunnels, 10)
            if len(self.heard) == len(tunnels):
                return
        check(False, f"life {life}: of {HEARD_WITHIN} packets each, only tunnels {sorted(self.heard)} were heard")

    def replay(self):
        """All that the peer ever sent, the newest last; nothing new may come of it."""
        before = len(self.delivered)
        for octets in self.sent[-3000:]:
            self.wan.send(octets)
            if random.random() < 0.05:
                self.drain()
        time.sleep(0.1)
        self.drain()
        return len(self.delivered) - before


def live(site, life):
    gateway = site.start(life)
    tunnels = site.tunnels(life)
    # What was lost with the last crash may come now, once; what was delivered may not.
    site.replay()
    before = site.left
    site.until_heard(tunnels, life)
    site.traffic(tunnels, random.randint(150, 400))
    if life % 4 == 1:
        gateway.write(site.config(life, extra="-renamed"))
        gateway.signal(signal.SIGHUP)
    site.traffic(tunnels, random.randint(1, 150))
    check(site.left > before, f"life {life}: nothing left the gateway")
    if life % 7 == 6:
        gateway.stop()
    else:
        os.killpg(gateway.process.pid, signal.SIGKILL)
        gateway.process.wait()
    for name in ("gw.sock",):
        if os.path.exists(f"{site.folder}/{name}"):
            os.unlink(f"{site.folder}/{name}")
    # The peer goes on meanwhile, often: what it sends is lost, and it is beyond the block that the crash skips.
    if life % 3:
        site.next = {n: seq + 3000 for n, seq in site.next.items()}
    time.sleep(0.05)
    site.drain()


@case(f"{KILLS} crashes and some stops under traffic: no number and no IV twice, no replay")
def crashes():
    random.seed(4303)
    with tempfile.TemporaryDirectory(prefix="espgw-state-") as folder, Lab(f"state{os.getpid()}", folder) as lab:
        site = Site(lab, folder)
        life = kills = 0
        while kills < KILLS:
            live(site, life)
            kills += life % 7 != 6
            life += 1
        check(site.left > 1000, f"only {site.left} packets left")
        same(len(site.ledger), 2 * site.left, "entries of the ledger")


def paced(site, tunnel, n, rate):
    """So many packets each way at so many a second; how many got through each way."""
    before, begin = (site.left, len(site.delivered)), time.monotonic()
    for i in range(n):
        site.count += 1
        seq = site.next[tunnel.n] = site.next.get(tunnel.n, 0) + 1
        site.lan.send(frame(from_lan(tunnel.n, b"%d" % site.count), LAN_MAC, LAN_NEXT))
        site.wan.send(frame(tunnel.seal(from_far(tunnel.n, b"%d %d" % (tunnel.n, seq)), seq), WAN_MAC, WAN_NEXT))
        time.sleep(max(0.0, begin + (i + 1) / rate - time.monotonic()))
        site.drain()
    return site.left - before[0], len(site.delivered) - before[1]


@case("a burst, a pause, and a stream again: none of its numbers waits for ever")
def pause():
    with tempfile.TemporaryDirectory(prefix="espgw-state-") as folder, Lab(f"pause{os.getpid()}", folder) as lab:
        site = Site(lab, folder)
        gateway = site.start(0)
        tunnel = site.tunnels(0)[0]
        # The burst has a large block reserved, of which less than half is used when it ends. A slow disk may make packets
        # wait at any time, but not all that follow.
        paced(site, tunnel, 1000, 3000)
        time.sleep(3)
        paced(site, tunnel, 4000, 3000)
        wait_for("packets get through both ways after all these", lambda: all(paced(site, tunnel, 10, 50)), 5)
        check(set(gateway.stop().drops) <= {"seq_wait"}, f"drops: {gateway.report().drops}")


if __name__ == "__main__":
    main()
