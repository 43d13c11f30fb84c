#!/usr/bin/python3
"""Lanes and subspaces changed by reloads and by a key daemon while packets go both ways, two workers: what is taken loses
no packet and repeats no (key, salt, IV), and what is refused says why in a sentence and changes nothing.
"""
import contextlib
import json
import os
import signal
import struct
import subprocess
import tempfile
import time

from lab import Lab, packet_socket, wait_for
from control import ESPCTL
from esp import Esp, xsn
from gw import BLACK, LAN_NEXT, PEER, WAN_NEXT, Tunnel, frame, from_far, from_lan, with_tunnels
from lanes import LANE_STATS, LAST, WANT_LANES, daemon_sa
from tap import Failure, case, check, main, same
from xfrm import GETSA, IN, NEWPOLICY, NEWSA, OUT, Daemon, attribute, attributes, policy, sa_id, selector, template

WAN_MAC, LAN_MAC = "02:e5:00:00:04:0a", "02:e5:00:00:04:0b"
FLOWS = 16
KEPT = ("spi", "subspaces", "esn", "lanes", "replay_window")
DIRECTION = {"in": 1, "out": 2}  # of XFRM's attribute


class Site:
    """The gateway between its host and its peer, and the books of what both sent and got."""

    def __init__(self, lab):
        self.lab, self.tunnel, self.count, self.next = lab, None, 0, {}
        self.ledger, self.lanes, self.left, self.sent, self.arrived, self.history = set(), set(), [], 0, set(), []
        lab.namespace("gw", False)
        lab.namespace("far", False)
        for interface, mac, next_mac in (("black", WAN_MAC, WAN_NEXT), ("red", LAN_MAC, LAN_NEXT)):
            lab.veth((lab.ns("gw"), interface, mac), (lab.ns("far"), interface, next_mac))
        self.wan, self.lan = (packet_socket(lab.ns("far"), i) for i in ("black", "red"))
        for s in (self.wan, self.lan):
            s.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
        self.gateway = None

    def config(self, out, into):
        """Tunnel 1, whose SAs have so many lanes each way; None: no subspaces."""
        self.tunnel = Tunnel(1, out=choice(out), into=choice(into))
        for way, lanes in (("out", out), ("in", into)):
            key, _ = self.tunnel.keys[way]
            self.tunnel.esp[way] = Esp(self.tunnel.spi[way], "aes-gcm-128", key, subspaces=bool(lanes))
        return self.devices(with_tunnels(self.tunnel))

    @staticmethod
    def devices(config):
        for i, (port, interface) in enumerate(zip(config["ports"], ("black", "red"))):
            port["device"] = f"net_af_packet{i},iface={interface},qpairs=2,blocksz=65536,framesz=2048,framecnt=4096"
        return config

    def start(self, config):
        self.gateway = self.lab.gateway("gw", config, ns=self.lab.ns("gw"), workers=2)
        wait_for("the control socket", lambda: self.gateway.alive() or os.path.exists(self.gateway.socket))

    def espctl(self, *words):
        return subprocess.run([ESPCTL, "-s", self.gateway.socket, *words], capture_output=True, text=True, check=False)

    def show(self, name):
        return json.loads(self.espctl("show", "sa", name, "--json").stdout)

    def begin(self):
        """Until packets go through: a port that was just opened may lose the first."""
        def through():
            self.lan.send(frame(from_lan(1), LAN_MAC, LAN_NEXT))
            self.wan.send(frame(self.peers_packet(0)[1], WAN_MAC, WAN_NEXT))
            time.sleep(0.02)
            self.collect()
            return self.left and self.arrived
        wait_for("packets both ways", through)
        time.sleep(0.3)
        self.collect()
        self.left, self.arrived, self.sent = [], set(), 0

    def peers_packet(self, lane):
        """What is inside, and the packet that the peer sends by that lane."""
        number = self.next[lane] = self.next.get(lane, 0) + 1
        esp = self.tunnel.esp["in"]
        text = struct.pack("!HQ", esp.subspaces, xsn(lane, number))
        return text, self.tunnel.carry(esp.seal(xsn(lane, number), from_far(1, text), 4))

    def send(self, lanes, rounds=40):
        """Some flows out, and a packet in by each of these lanes, a round; all of them are to arrive."""
        for _ in range(rounds):
            for flow in range(FLOWS):
                self.sent += 1
                self.lan.send(frame(from_lan(1, struct.pack("!I", self.sent), sport=3000 + flow), LAN_MAC, LAN_NEXT))
            for lane in lanes:
                text, packet = self.peers_packet(lane)
                self.history.append((text, packet))
                self.wan.send(frame(packet, WAN_MAC, WAN_NEXT))
            self.collect()
            time.sleep(0.001)

    def collect(self):
        for s, enter, proto in ((self.wan, self.enter, 50), (self.lan, self.arrive, 17)):
            with contextlib.suppress(BlockingIOError):
                while True:
                    octets = s.recv(2048)
                    if octets[12:14] == b"\x08\x00" and octets[23] == proto:
                        enter(octets[14:])

    def enter(self, packet):
        """Into the ledger, whichever form it has: with subspaces the IV is the whole number."""
        esp = self.tunnel.strip(packet)
        subspaces = esp[4:12] == esp[12:20]
        key, _ = self.tunnel.keys["out"]
        inner, _, number, _ = Esp(self.tunnel.spi["out"], "aes-gcm-128", key, subspaces=subspaces).open(esp)
        iv = esp[12:20] if subspaces else esp[8:16]
        check(iv not in self.ledger, f"IV {iv.hex()} a second time under one key")
        self.ledger.add(iv)
        if subspaces:
            self.lanes.add(number >> 48)
        self.left.append((subspaces, inner[28:]))

    def arrive(self, packet):
        text = packet[28:]
        check(text not in self.arrived, f"{text.hex()} came out a second time")
        self.arrived.add(text)

    def all_through(self, what):
        """Nothing of what was sent since the last time was lost."""
        def there():
            self.collect()
            return len(self.left) >= self.sent and len(self.arrived) >= len(self.history)
        with contextlib.suppress(Failure):
            wait_for("all packets", there, 3)
        same(len(self.left), self.sent, f"{what}: packets that left")
        lost = {text for text, _ in self.history} - self.arrived
        same((len(lost), sorted(lost)[:3]), (0, []), f"{what}: packets that did not arrive")

    def replay(self, what):
        """All that the peer ever sent, again."""
        for _, packet in self.history[-3000:]:
            self.wan.send(frame(packet, WAN_MAC, WAN_NEXT))
            self.collect()
        time.sleep(0.2)
        self.collect()
        same(len(self.arrived), len(self.history), f"{what}: packets that arrived after a replay")

    def reload(self, out, into, lanes):
        """Another configuration under traffic. The sentence of one that is refused, or None."""
        was = self.tunnel
        self.gateway.write(self.config(out, into))
        now, self.tunnel = self.tunnel, was
        with subprocess.Popen([ESPCTL, "-s", self.gateway.socket, "reload"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as child:
            while child.poll() is None:
                self.send(lanes, 5)
            said = child.stdout.read()
        if child.returncode != 0:
            return said
        self.tunnel = now
        return None


def choice(lanes):
    return {"subspaces": True, "lanes": lanes} if lanes else {}


@contextlib.contextmanager
def site():
    with tempfile.TemporaryDirectory(prefix="espgw-lanes-") as folder, Lab("espgw-lanes", folder) as lab:
        yield Site(lab)


def refused(s, lanes, still, *sentence):
    """A reload that changes nothing: packets by the lanes that are still there go on while it is tried and after it."""
    before = [s.show(f"t1.{way}") for way in ("out", "in")]
    said = s.reload(lanes, lanes, still)
    check(said is not None, f"{lanes} lanes are taken")
    for words in (*sentence, "give it a new key, or restart", "nothing was changed"):
        check(words in said, f"no '{words}' in\n{said}")
    s.send(still)
    s.all_through(f"{lanes} lanes refused")
    for was, way in zip(before, ("out", "in")):
        now = s.show(f"t1.{way}")
        same([now.get(k) for k in KEPT], [was.get(k) for k in KEPT], f"what t1.{way} is")
        check(now["packets"] > was["packets"], f"packets of t1.{way}: {now['packets']}")


def taken(s, lanes, during, what):
    same(s.reload(lanes, lanes, during), None, what)
    first = len(s.left)
    s.send(range(lanes or 1))
    s.all_through(what)
    same({subspaces for subspaces, _ in s.left[first + FLOWS:]}, {bool(lanes)}, f"{what}: subspaces")
    s.replay(what)


@case("lanes under traffic: 2, 4, 2 and 8 lose nothing, more than there is room for is refused, and changes nothing")
def lanes_changed():
    with site() as s:
        s.start(s.config(2, 2))
        s.begin()
        for lanes in (4, 2, 8):
            taken(s, lanes, range(2), f"{lanes} lanes")
            same((s.show("t1.out")["lanes"], s.show("t1.in")["lanes"]), (lanes, lanes), "lanes shown")
        same(s.lanes, set(range(8)), "lanes sent by")
        refused(s, 16, range(8), "sa t1.out: its key is in use with room for 8 lanes, not 16")
        s.replay("the end")
        # What a replay brings to fewer lanes than sent it.
        drops = s.gateway.stop().drops
        check(set(drops) <= {"replay_dup", "replay_old", "subspace_unknown"}, f"drops {drops}")


@case("subspaces turned on under a key in use are refused, and change nothing")
def turned_on():
    with site() as s:
        s.start(s.config(None, None))
        s.begin()
        s.send([0])
        refused(s, 4, [0], "sa t1.out: its key is in use without subspaces")
        same(s.gateway.stop().drops, {}, "drops")


@case("subspaces turned off and on again under one key repeat no number, and nothing that came comes again")
def turned_off():
    with site() as s:
        s.start(s.config(4, 4))
        s.begin()
        s.send(range(4))
        s.all_through("4 lanes")
        # No packet is on its way in while its format changes: one of the other format is none of the peer's.
        for lanes in (None, 4, None):
            taken(s, lanes, [], f"{lanes or 'no'} lanes")
        s.gateway.stop()


@case("XFRM: the lanes of a daemon's SA are told by number, packets and octets, as they were on the wire")
def told():
    with site() as s:
        s.tunnel = Tunnel(1, lanes=4)
        for way in ("out", "in"):
            s.tunnel.spi[way], s.tunnel.keys[way] = 0x5000 + DIRECTION[way], (bytes([DIRECTION[way]] * 20), b"")
            s.tunnel.esp[way] = Esp(s.tunnel.spi[way], "aes-gcm-128", s.tunnel.keys[way][0], subspaces=True)
        s.start(s.devices(with_tunnels()))
        daemon = Daemon(s.gateway.socket)
        for way in ("out", "in"):
            daemon.ask(NEWSA, daemon_sa(DIRECTION[way], (4, 16, 0)))
        daemon.ask(NEWPOLICY, policy(OUT, selector("10.1.1.0/24", "10.2.1.0/24"), template(BLACK[4], PEER[4], 7)))
        daemon.ask(NEWPOLICY, policy(IN, selector("10.2.1.0/24", "10.1.1.0/24"), template(PEER[4], BLACK[4], 7)))
        s.begin()
        s.send(range(4))
        s.all_through("4 lanes")
        out = lanes_of(daemon, PEER[4], 0x5002)
        tops = {}
        for iv in s.ledger:
            lane, number = struct.unpack("!HxxI", iv)
            tops[lane] = max(number, tops.get(lane, 0))
        check(len(tops) > 1, f"lanes {tops}")
        same({lane: number & LAST for lane, (number, _, _) in out.items()}, tops, "last numbers out")
        same({lane: packets for lane, (_, packets, _) in out.items()}, tops, "packets out")
        into = lanes_of(daemon, BLACK[4], 0x5001)
        same({lane: number & LAST for lane, (number, _, _) in into.items()}, s.next, "highest numbers in")
        check(all(octets >= packets > 0 for _, packets, octets in (*out.values(), *into.values())), f"{out}, {into}")
        daemon.close()
        s.gateway.stop()


def lanes_of(daemon, dst, spi):
    """By lane: number, packets, octets."""
    have = attributes(daemon.ask(GETSA, sa_id(dst, spi) + attribute(WANT_LANES, b""))[0].body[224:])
    check(LANE_STATS in have, "no lanes are told")
    return {lane: rest for lane, _, *rest in struct.iter_unpack("=IIQQQ", have[LANE_STATS])}


if __name__ == "__main__":
    main()
