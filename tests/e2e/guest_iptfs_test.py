#!/usr/bin/python3
"""Linux's own IP-TFS (RFC 9347) as the peer, in an emulated guest: packets of all sizes both ways, many in one and one
in many, at a constant rate with pads and as they come; the numbers and the error counters of both ends compared.

A veth and a little program lie between the two where payloads are to overtake each other or to be lost.
"""
import contextlib
import random
import select
import socket
import struct
import threading
import time

import echo
from gw import WAN_MAC, host
from guest import iptfs_image, xfrm_errors, xfrm_states
from kernel import Pair, bed, guest_add, guest_clear, host_setup, run_gateway
from lab import SLOWER, packet_socket, sh
from pump import PACKET_IGNORE_OUTGOING, SOL_PACKET
from sites import af_packet, large
from tap import Failure, add_case, check, main, once, same

LONG_PORT = 19
LINK = 9000  # the MTU of the near link: what an inner packet from there can be
NEAR_THE_TURN = (1 << 32) - 24
# The guest's kernel multicasts a little in clear.
WIRE_LOSSES = 2  # of a batch, where none is meant to be lost
NOT_OURS = {"policy_cleartext"}


class IptfsPair(Pair):
    """One whose SAs are of mode iptfs at both ends."""

    def __init__(self, n, label, iptfs=None, linux_out="", linux_in="", carry=None, cut=True, **more):
        """iptfs: our options; linux_out, linux_in: those of the kernel's two SAs; carry: what crosses it; cut: whether
        pieces are sent."""
        super().__init__(n, label, mode="iptfs", iptfs=iptfs or {}, **more)
        self.words, self.cut = {"in": f"dir out {linux_out}", "out": f"dir in {linux_in}"}, cut
        self.carry = carry or (all_sizes if cut else whole)

    def state(self, way):
        return f"{super().state(way)} {self.words[way]}"


def first_ping(ns, src, dst):
    """The first of an SA may not be overtaken: what comes first is where a receiver begins. Its answer is what the kernel
    fails to send most often, if it fails (see unsent())."""
    try:
        echo.ping(ns, src, dst, (56,))
    except Failure:
        echo.ping(ns, src, dst, (56,))


def all_sizes(ns, src, dst):
    """There and back, alone and at once, from a few octets to the most that the near link takes."""
    most = LINK - (48 if ":" in src else 28)
    first_ping(ns, src, dst)
    echo.ping(ns, src, dst, (0, 1, 56, 700, 1200, 1472, 2000, 5000, most - 1, most))
    echo.udp(ns, src, dst, (*echo.SIZES, 1372, 1400, 1444, 2900, 4400, most // 2, most - 1, most))
    echo.tcp(ns, src, dst, 100_000)


def whole(ns, src, dst):
    """Without pieces the payload is the MTU, and both ends say so."""
    echo.ping(ns, src, dst, (0, 1, 56, 700, 1200))
    mtu = echo.udp_to_the_mtu(ns, src, dst, echo.SIZES, LINK)
    check(1280 <= mtu < 1500, f"the gateway says {mtu} octets fit")
    echo.tcp(ns, src, dst, 50_000)


def largest(ns, src, dst):
    """Datagrams that the kernel sends in one inner packet, which the gateway cuts for the near link; IPv4, since nobody may
    cut another's IPv6."""
    if ":" in src:
        return
    with echo.open_socket(ns, src, socket.SOCK_DGRAM) as s:
        s.connect((dst, LONG_PORT))
        for size in (1400, 9000, 20_000, 40_000, 65_507):
            asked = struct.pack("!I", size) + echo.NOISE[size % 1000:size % 1000 + 997]
            s.send(asked)
            check(select.select([s], [], [], 5 * SLOWER)[0], f"no answer of {size} octets")
            check(s.recv(1 << 16) == (asked * 66)[:size], f"another answer of {size} octets than was asked for")


def stream(ns, src, dst):
    """What goes on although packets are lost."""
    echo.tcp(ns, src, dst, 60_000)


class Batch:
    """Pairs that run at once over one gateway, and what became of each."""

    def __init__(self, pairs, idle="sleep", link=LINK, between=None, lost=None, unmended=False):
        """link: the MTU of the near link; between: what lies between the two, as a context; lost: by what names both ends
        count what that loses; unmended: the kernel's module is as the kernel has it (see guest-iptfs), from now on."""
        self.pairs, self.idle, self.link, self.between, self.lost = pairs, idle, link, between, lost or set()
        self.unmended = unmended
        self.failures, self.errors, self.states, self.report, self.said = {}, {}, {}, None, ""
        self.broken = None  # why all of it failed

    def change(self, config):
        config["gateway"].update(idle=self.idle, mbufs=8192)
        config["ports"][1].update(device=large(1, "red", self.link), mtu=self.link)
        if self.between:
            config["ports"][0]["device"] = af_packet(0, "far") + ",qdisc_bypass=0"

    def run(self, lab):
        guest_clear(lab.guest)
        if self.unmended:
            lab.guest.sh("modprobe -r xfrm_iptfs && insmod /lib/unmended/xfrm_iptfs.ko")
        guest_add(lab.guest, self.pairs, "xfrm")
        host_setup(lab, self.pairs)
        for ns, interface in ((lab.ns("host"), "eth0"), (lab.ns("gw"), "red")):
            sh("ip", "link", "set", interface, "mtu", self.link, ns=ns)
        before = xfrm_errors(lab.guest)
        with self.between(lab) if self.between else contextlib.nullcontext():
            gateway = run_gateway(lab, self.pairs, self.change)
            for pair in self.pairs:
                try:
                    for version in pair.inner:
                        pair.carry(lab.ns("host"), host(version, 1, pair.n), host(version, 2, pair.n))
                except (AssertionError, OSError) as why:
                    self.failures[pair.n] = why
                gateway.alive()
            time.sleep(0.5 * SLOWER)  # the last acknowledgements
            self.report = gateway.stop()
        time.sleep(0.2 * SLOWER)
        self.said, self.states = gateway.said(), xfrm_states(lab.guest)
        self.errors = {name: n - before.get(name, 0) for name, n in xfrm_errors(lab.guest).items()
                       if n != before.get(name, 0)}

    def judge(self, pair):
        """What went in at one end came out at the other, and no packet of either was refused."""
        self.whole()
        if pair.n in self.failures:
            raise self.failures[pair.n]
        if self.lost:
            return
        for way, number in (("out", "seq"), ("in", "oseq")):
            ours, theirs = self.report.sa(f"{pair.name}.{way}"), self.states[pair.spi[way]]
            name = f"the SA {way}"
            same(sorted(ours["drops"]), ["too_big"] if way == "out" and not pair.cut else [], f"drops of {name}")
            same((theirs["replays"], theirs["failed"]), (0, 0), f"what the kernel refused of {name}")
            check(ours["packets"] > 4, f"{name} carried {ours['packets']} packets")
            unsent = self.unsent(pair) if way == "in" else 0
            check(0 <= unsent <= self.errors.get("XfrmOutError", 0), f"packets that the kernel did not send: {unsent}, {self.errors}")
            same(ours["packets"] + unsent, theirs["packets"], f"packets of {name}, here and in the kernel")
            start = pair.own[way].get("oseq" if way == "out" else "replay_top", 0)
            same(theirs[number], start + ours["packets"] + unsent, f"the last number of {name}")

    def unsent(self, pair):
        """What the kernel numbered and then failed to send, which it counts as XfrmOutError. It does so now and then where
        the gateway got no CPU for some tenths of a second."""
        return self.states[pair.spi["in"]]["packets"] - self.report.sa(f"{pair.name}.in")["packets"]

    def whole(self):
        if self.broken:
            raise self.broken

    def refused(self):
        """What either end dropped of all the batch, but for what was lost on the way."""
        self.whole()
        return [{why: n for why, n in counted.items() if why not in NOT_OURS | self.lost}
                for counted in (self.errors, self.report.drops)]


class Between:
    """A veth between the gateway and the guest's tap, over which a thread carries frames as it likes."""

    def __init__(self, lab, fate):
        """fate(random): of one frame, how many others may overtake it; None is lost."""
        self.lab, self.fate, self.random = lab, fate, random.Random(4303)
        self.ended, self.ends, self.thread = threading.Event(), [], None

    def __enter__(self):
        ns = self.lab.ns("gw")
        self.lab.veth((ns, "far", WAN_MAC), (ns, "mid", "02:e5:00:00:00:77"))
        sh("ip", "link", "set", "mid", "promisc", "on", ns=ns)
        self.ends = [packet_socket(ns, interface) for interface in ("mid", "black")]
        for s in self.ends:
            s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.ended.set()
        self.thread.join()
        for s in self.ends:
            s.close()
        sh("ip", "link", "del", "mid", ns=self.lab.ns("gw"))

    def work(self):
        held = {s: [] for s in self.ends}  # (others that may overtake it, until when, the frame)
        while not self.ended.is_set():
            for s in select.select(self.ends, [], [], 0.002)[0]:
                self.take(s, held[s])
            for s, waiting in held.items():
                now = time.monotonic()
                while waiting and waiting[0][1] < now:
                    self.send(s, waiting.pop(0)[2])

    def send(self, came, frame):
        with contextlib.suppress(OSError):
            self.ends[1 - self.ends.index(came)].send(frame)

    def take(self, s, waiting):
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                frame = s.recv(65536)
                others = self.fate(self.random)
                if others is None:
                    continue
                if others:
                    waiting.append([others, time.monotonic() + 0.01, frame])
                    continue
                self.send(s, frame)
                for held in waiting:
                    held[0] -= 1
                for held in [h for h in waiting if h[0] <= 0]:
                    waiting.remove(held)
                    self.send(s, held[2])


AS_THEY_COME = Batch([
    IptfsPair(1, "over IPv4"),
    IptfsPair(2, "over IPv6", outer=6),
    IptfsPair(3, "32-bit numbers", esn=False),
    IptfsPair(4, "CBC and HMAC", cipher="aes-cbc-256", auth="hmac-sha256-128"),
    IptfsPair(5, "ChaCha20, over IPv6", aead="chacha20-poly1305", outer=6),
    IptfsPair(6, "in UDP", encap=(4500, 4500)),
    IptfsPair(7, "both wait 2 ms for more", {"init_delay": "2ms"}, "iptfs-init-delay 2000"),
    IptfsPair(8, "outer packets of 600 octets", {"packet_size": 600}, "iptfs-pkt-size 600"),
    IptfsPair(9, "no pieces, either way", {"dont_frag": True}, "iptfs-dont-frag", cut=False),
    IptfsPair(10, "no reorder windows", {"reorder_window": 0}, linux_in="iptfs-reorder 0"),
    IptfsPair(11, "inner packets given on at once", {"send_immediately": True}),
    # As of 7.3 the kernel takes the half of a number above 32 bits for another as soon as it changes, and nothing any more.
    IptfsPair(12, "numbers beyond 2^32 to the kernel, past it from there", out={"oseq": 5 << 32},
              into={"replay_top": NEAR_THE_TURN}, linux_in="replay-seq 0 replay-seq-hi 5",
              linux_out=f"replay-oseq {NEAR_THE_TURN:#x}"),
])
LARGEST = Batch([
    IptfsPair(1, "inner packets of up to 65,535 octets from the kernel, over IPv4", carry=largest),
    IptfsPair(2, "inner packets of up to 65,535 octets from the kernel, over IPv6", carry=largest, outer=6),
], link=1500)
CONSTANT = Batch([
    IptfsPair(1, "a constant rate of 8 Mbit/s", {"rate": "8M", "packet_size": 1400}),
    IptfsPair(2, "a constant rate, small packets, over IPv6", {"rate": "4M", "layer": "l2", "packet_size": 500}, outer=6),
    IptfsPair(3, "a constant rate without pieces", {"rate": "4M", "packet_size": 1400, "dont_frag": True}, "iptfs-dont-frag",
              cut=False),
], idle="poll")
OVERTAKEN = Batch([
    IptfsPair(1, "payloads that overtake each other, over IPv4", {"reorder_window": 8}, linux_in="iptfs-reorder 8"),
    IptfsPair(2, "payloads that overtake each other, over IPv6", {"reorder_window": 8}, linux_in="iptfs-reorder 8", outer=6),
], between=lambda lab: Between(lab, lambda r: r.randrange(1, 4) if r.random() < 0.2 else 0))
LOSSY = Batch([
    IptfsPair(n, f"payloads that are lost, over IPv{outer}: what is not whole is dropped, and a stream goes on",
              {"drop_time": "20ms"}, linux_in="iptfs-drop-time 20000", carry=stream, outer=outer)
    for n, outer in ((1, 4), (2, 6))
], between=lambda lab: Between(lab, lambda r: None if r.random() < 0.02 else 0),
    lost={"XfrmInIptfsError", "aggfrag_gap", "aggfrag_orphan", "aggfrag_timeout"})
WHOLE = {"dont_frag": True}
UNMENDED = Batch([
    IptfsPair(1, "an unmended kernel, whole packets to it, over IPv4", WHOLE, carry=whole, cut=False),
    IptfsPair(2, "an unmended kernel, whole packets to it, over IPv6", WHOLE, carry=whole, cut=False, outer=6),
    IptfsPair(3, "an unmended kernel, whole packets to it at a constant rate", {"rate": "4M", **WHOLE}, carry=whole, cut=False),
    IptfsPair(4, "an unmended kernel, several whole packets in one", {"init_delay": "3ms", **WHOLE}, carry=whole, cut=False),
], idle="poll", unmended=True)
BATCHES = (AS_THEY_COME, LARGEST, CONSTANT, OVERTAKEN, LOSSY, UNMENDED)


@once
def results():
    """Everything that needs the guest, in one boot of it."""
    with bed("iptfs", iptfs_image()) as lab:
        for batch in BATCHES:
            try:
                batch.run(lab)
            except (AssertionError, OSError) as why:
                batch.broken = why
                lab.close_gateways()


def judged(batch, pair):
    results()
    batch.judge(pair)


def none_refused():
    results()
    for batch in BATCHES:
        errors, dropped = batch.refused()
        if not batch.lost and errors.get("XfrmOutError") == sum(batch.unsent(pair) for pair in batch.pairs):
            del errors["XfrmOutError"]
        # What the emulated machine's wire loses in the middle of a packet counts so, and TCP sends it again.
        if errors.get("XfrmInIptfsError", 0) <= WIRE_LOSSES:
            errors.pop("XfrmInIptfsError", None)
        same(errors, {}, f"the kernel's counters of errors, {batch.pairs[0].label} and the others of its batch")
        dropped.pop("too_big", None)
        same(dropped, {}, f"what the gateway dropped\n{batch.said[-2000:]}\n")


for one in BATCHES:
    for made in one.pairs:
        add_case(made.label, lambda b=one, p=made: judged(b, p))
add_case("neither end refused a packet of all these", none_refused)

if __name__ == "__main__":
    main()
