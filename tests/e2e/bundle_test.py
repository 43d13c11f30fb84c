#!/usr/bin/python3
"""An SA for each of two workers, installed by a key daemon or by the file, while packets flow: none is lost."""
import contextlib
import hashlib
import json
import select
import signal
import struct
import subprocess
import tempfile
import time

from lab import Lab, SLOWER, wait_for
from control import ESPCTL
from esp import Esp
from gw import frame, udp
from pump import send, socket_on
from sites import BLACK4, HOST4, HOST_MAC, NET4, RED_MAC, af_packet, black_veth, red_veths, site
from tap import case, check, main, same
from xfrm import ACQUIRE, DELSA, GETSA, NEWPOLICY, NEWSA, OUT, Daemon, attribute, attributes, policy, sa, sa_id, selector, template

OURS, PEERS, REQID = BLACK4[0], BLACK4[1], 7
OUTBOUND = selector(NET4[0], NET4[1])
FLOWS = 32
CPU_ACQUIRE, SA_PCPU, CLASSES = 4, 35, 0x2007
EF, AF11, AF31 = 46, 10, 26
ENOBUFS, EINVAL, ERANGE = 105, 22, 34


def key(spi):
    return hashlib.shake_256(f"bundle {spi}".encode()).digest(20)


def configuration(tunnels=()):
    config = site(0, af_packet(0, "black"), af_packet(1, "red") + ",qpairs=2", list(tunnels))
    config["routes"] = [{"to": "10.2.0.0/16", "via": BLACK4[1], "port": "wan"}]
    return config


def drain(s):
    frames = []
    while select.select([s], [], [], 0)[0]:
        try:
            frames.append(s.recv(65536))
        except BlockingIOError:
            break
    return frames


class Site:
    """One gateway with two workers, and sockets on both of its sides."""

    def __init__(self, lab, config):
        self.lab, self.sent, self.seen, self.lost = lab, 0, {}, set()
        self.gateway = lab.gateway("gw-a", config, ns=lab.ns("gw-a"), workers=2)

    def begin(self):
        self.host, self.black = socket_on(self.lab, "host-a", "eth0"), socket_on(self.lab, "gw-b", "black")
        wait_for("the gateway", lambda: self.show("pipeline"))
        # A port that was just opened may lose the first frames: let it count some, that lead nowhere.
        for number in range(20):
            send(self.host, frame(udp(HOST4[0], "10.9.9.9", b"nobody", sport=1000 + number), RED_MAC[0], HOST_MAC[0]))
            time.sleep(0.02)
        time.sleep(0.3 * SLOWER)
        self.gateway.alive()
        drain(self.black)

    def show(self, what):
        done = subprocess.run([ESPCTL, "-s", self.gateway.socket, "show", *what.split(), "json"], capture_output=True,
                              text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def given(self):
        return sum(w["handoff_given"] for w in self.show("pipeline")["workers"])

    def send(self, count, dscp=0):
        """Packets of many flows, which the kernel spreads over the queues of both workers."""
        for _ in range(count):
            packet = udp(HOST4[0], HOST4[1], struct.pack("!I", self.sent), sport=1000 + self.sent % FLOWS, dport=9, tos=dscp << 2)
            send(self.host, frame(packet, RED_MAC[0], HOST_MAC[0]))
            self.sent += 1
            if self.sent % 16 == 0:
                time.sleep(0.001)

    def take(self):
        """Opens what left: by number of the packet the SPI that it left by."""
        for octets in drain(self.black):
            if octets[12:14] != b"\x08\0" or octets[23] != 50:
                continue
            spi = struct.unpack_from("!I", octets, 34)[0]
            inner = Esp(spi, "aes-gcm-128", key(spi), esn=False).open(octets[34:])[0]
            number = struct.unpack_from("!I", inner, 28)[0]
            check(number not in self.seen, f"packet {number} comes twice")
            self.seen[number] = spi

    def all_of(self, first):
        """Once all from that number on arrived: how many by each SPI."""
        def arrived():
            self.take()
            return all(n in self.seen for n in range(first, self.sent))
        wait_for(f"packets {first} to {self.sent}, of which {sum(n in self.seen for n in range(first, self.sent))}", arrived)
        spis = {}
        for n in range(first, self.sent):
            spis[self.seen[n]] = spis.get(self.seen[n], 0) + 1
        return spis

    def transfer(self, count=200, dscp=0):
        first = self.sent
        self.send(count, dscp)
        return self.all_of(first)


@contextlib.contextmanager
def running(config):
    with tempfile.TemporaryDirectory(prefix="espgw-bundle-") as folder, Lab("espgw-bundle", folder) as lab:
        for name in ("host-a", "gw-a", "gw-b", "host-b"):
            lab.namespace(name, False)
        black_veth(lab)
        red_veths(lab)
        yield Site(lab, config)


def lost(report):
    """Drops of other packets than those that lead nowhere."""
    return set(report.drops) - {"no_route", "no_policy", "not_ours"}


def member(spi, pcpu=None, dscp=(), **more):
    body = sa(OURS, PEERS, spi, REQID, key(spi), direction=2, window=0, pcpu=pcpu, **more)
    return body + (attribute(CLASSES, struct.pack("=QB7x", sum(1 << d for d in dscp), 0)) if dscp else b"")


def acquires(daemon, seconds):
    """The workers that ACQUIRE named in that time; None: no worker."""
    found = [attributes(m.body[280:]) for m in daemon.quiet(seconds) if m.kind == ACQUIRE]
    return [struct.unpack("=I", a[SA_PCPU])[0] if SA_PCPU in a else None for a in found]


def workers_sas(site):
    """The SPI of each worker's SA, as show policy says it."""
    p = next(p for p in site.show("policy")["policies"] if p["origin"] == "daemon" and p["direction"] == "out")
    return p["choice"][0]["workers"] if "choice" in p else None


@case("CPU_ACQUIRE: the first ACQUIRE is for all, then each worker asks for its own; all SAs are used, and none is lost")
def by_daemon():
    with running(configuration()) as s:
        daemon = Daemon(s.gateway.socket, ("acquire", "sa"), within=20 * SLOWER)
        s.begin()
        daemon.ask(NEWPOLICY, policy(OUT, OUTBOUND, template(OURS, PEERS, REQID), flags=CPU_ACQUIRE))
        daemon.events.clear()
        s.send(1)
        same(acquires(daemon, 0.7), [None], "what was asked for without an SA")
        daemon.ask(NEWSA, member(0x100))
        daemon.events.clear()
        s.all_of(0)
        same(set(s.transfer()), {0x100}, "SPIs while there is one for all alone")
        same(sorted(acquires(daemon, 0.5)), [0, 1], "workers that asked, each once")
        time.sleep(1)
        s.transfer()
        same(sorted(acquires(daemon, 0.3)), [0, 1], "and again a second later")

        daemon.ask(NEWSA, member(0x101, 0))
        same(set(s.transfer()), {0x100, 0x101}, "SPIs with worker 0's")
        daemon.ask(NEWSA, member(0x102, 1))
        same(set(s.transfer()), {0x101, 0x102}, "SPIs with both")
        before = s.given()
        s.transfer(400)
        same(s.given() - before, 0, "packets handed over once each worker has its own")
        got = attributes(daemon.ask(GETSA, sa_id(PEERS, 0x102))[0].body[224:])
        same(struct.unpack("=I", got[SA_PCPU])[0], 1, "SA_PCPU of GETSA")
        time.sleep(1)
        daemon.events.clear()
        s.transfer()
        same(acquires(daemon, 0.3), [], "asked for when each has its own")

        # A rekey of one, under load; then its end, and that of the other.
        first = s.sent
        s.send(100)
        daemon.ask(NEWSA, member(0x103, 0))
        s.send(100)
        daemon.ask(DELSA, sa_id(PEERS, 0x101))
        s.send(100)
        check(set(s.all_of(first)) <= {0x101, 0x102, 0x103}, "SPIs while one is rekeyed")
        same(set(s.transfer()), {0x102, 0x103}, "SPIs after that")
        first = s.sent
        s.send(100)
        daemon.ask(DELSA, sa_id(PEERS, 0x102))
        s.send(100)
        daemon.events.clear()
        s.all_of(first)
        same(set(s.transfer()), {0x100, 0x103}, "SPIs when worker 1 has lost its own")
        check(set(acquires(daemon, 1.5)) == {1}, "worker 1 asks again")
        daemon.ask(DELSA, sa_id(PEERS, 0x100))
        same(set(s.transfer()), {0x103}, "SPIs without one for all")
        daemon.close()
        same(lost(s.gateway.stop()), set(), "drops")


@case("what does not belong into a bundle is refused: other algorithms, a worker that is none, and too many")
def refused():
    with running(configuration()) as s:
        daemon = Daemon(s.gateway.socket, ("sa",), within=20 * SLOWER)
        daemon.ask(NEWSA, member(0x100))
        daemon.ask(NEWSA, member(0x101, 0, icv=64), want=-EINVAL)
        daemon.ask(NEWSA, member(0x101, 2), want=-ERANGE)
        for i in range(5):
            daemon.ask(NEWSA, member(0x101 + i, i % 2))
        daemon.ask(NEWSA, member(0x110, 0), want=-ENOBUFS)
        daemon.ask(DELSA, sa_id(PEERS, 0x101))
        daemon.ask(NEWSA, member(0x110, 0))
        daemon.close()


@case("classes: an SA that a daemon gives a list carries what it lists, and another what is left when it goes")
def by_class():
    with running(configuration()) as s:
        daemon = Daemon(s.gateway.socket, ("sa",), within=20 * SLOWER)
        s.begin()
        daemon.ask(NEWPOLICY, policy(OUT, OUTBOUND, template(OURS, PEERS, REQID)))
        daemon.ask(NEWSA, member(0x100))
        daemon.ask(NEWSA, member(0x101, dscp=[EF]))
        daemon.ask(NEWSA, member(0x102, dscp=[AF11, AF31]))
        for dscp, spi in ((0, 0x100), (EF, 0x101), (AF11, 0x102), (AF31, 0x102), (AF11 + 1, 0x100)):
            same(set(s.transfer(20, dscp)), {spi}, f"SPI of class {dscp}")
        got = attributes(daemon.ask(GETSA, sa_id(PEERS, 0x102))[0].body[224:])
        same(struct.unpack("=QB7x", got[CLASSES]), (1 << AF11 | 1 << AF31, 0), "classes of GETSA")
        same([x.get("dscp_set") for x in s.show("sa")["sas"] if x["spi"] == "0x00000102"], [[AF11, AF31]], "classes of show sa")
        daemon.ask(NEWSA, member(0x103, dscp=[EF]))
        same(set(s.transfer(20, EF)), {0x103}, "SPI of EF after a rekey")
        first = s.sent
        s.send(50, EF)
        for spi in (0x101, 0x103):
            daemon.ask(DELSA, sa_id(PEERS, spi))
        s.send(50, EF)
        check(set(s.all_of(first)) <= {0x100, 0x103}, "SPIs while EF's SAs go")
        same(set(s.transfer(20, EF)), {0x100}, "SPI of EF without an SA of its own")
        daemon.close()
        same(lost(s.gateway.stop()), set(), "drops")


def half(*members):
    return [{"spi": spi, "key": "hex:" + key(spi).hex(), "esn": False, **({} if worker is None else {"bundle": {"worker": worker}})}
            for spi, worker in members]


def tunnel(*members):
    return {"name": "t", "local": BLACK4[0], "remote": BLACK4[1], "local_nets": NET4[0], "remote_nets": NET4[1],
            "aead": "aes-gcm-128", "out": half(*members), "in": {"spi": 0x900, "key": "hex:" + key(0x900).hex()}}


@case("the file: members are added, exchanged and taken away by reloads under traffic, and none is lost")
def by_file():
    steps = [((0x100, None),), ((0x100, None), (0x101, 0)), ((0x100, None), (0x101, 0), (0x102, 1)),
             ((0x103, None), (0x101, 0), (0x104, 1)), ((0x101, 0), (0x104, 1)), ((0x104, 1),)]
    with running(configuration([tunnel(*steps[0])])) as s:
        s.begin()
        same(set(s.transfer()), {0x100}, "SPIs to begin with")
        for members in steps[1:]:
            first, names = s.sent, sorted(f"0x{spi:08x}" for spi, _ in members)
            s.gateway.write(configuration([tunnel(*members)]))
            s.send(200)
            s.gateway.signal(signal.SIGHUP)
            s.send(400)
            s.all_of(first)
            wait_for("the reload", lambda: sorted(x["spi"] for x in s.show("sa")["sas"] if x["direction"] == "out") == names)
            own = {spi for spi, worker in members if worker is not None}
            want = own if len(own) == 2 else {spi for spi, _ in members}
            same(set(s.transfer()), want, f"SPIs with {members}")
        same(lost(s.gateway.stop()), set(), "drops")


if __name__ == "__main__":
    main()
