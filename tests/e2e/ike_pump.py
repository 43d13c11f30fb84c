"""Numbered datagrams between hosts, both ways at once, and a watch that nothing crosses the black side in clear."""
import contextlib
import ctypes
import itertools
import os
import random
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time

from ike_lab import BLACK4, HOST4, HOST6, IkeLab
from lab import SLOWER, entered, packet_socket, sh, wait_for
from pump import PACKET_IGNORE_OUTGOING, SOL_PACKET
from tap import check, same

RATE = 2500    # datagrams a second each way by themselves; 2000 are wanted
BLACK = [socket.inet_aton(a) for a in BLACK4]
MARK = b"never in clear: "
SIZES = (0, 1, 40, 200, 700, 1200)
NOISE = random.Random(4303).randbytes(2048)
PORT = 4303
WINDOW = 256   # datagrams under way each way: back-pressure, so that no ring on the way runs over
PACKET_STATISTICS = 6
GIVE_UP = 1.5  # seconds without an arrival after which what is under way counts as lost


def udp_socket(ns, address):
    """A UDP socket in a namespace; this process itself stays where it is."""
    with entered(ns):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind((address, PORT))
    s.setblocking(False)
    return s


class Flow:
    """One way of a pump: what was sent, and what became of it."""

    def __init__(self, sender, receiver, to):
        self.sender, self.receiver, self.to = sender, receiver, to
        self.sent = self.got = self.twice = self.late = self.strange = self.given_up = 0
        self.top, self.seen, self.last = -1, bytearray(), time.monotonic()

    def send(self, due):
        while self.sent < due and self.sent - self.got - self.given_up < WINDOW:
            number = self.sent
            octets = MARK + struct.pack("!I", number) + NOISE[number % 512:number % 512 + SIZES[number % len(SIZES)]]
            try:
                self.sender.sendto(octets, (self.to, PORT))
            except OSError:  # full, or the kernel tells of an ICMP error that came: either way, try again
                return
            self.sent += 1
            self.seen.append(0)
        if self.sent - self.got > self.given_up and time.monotonic() - self.last > GIVE_UP * SLOWER:
            self.given_up, self.last = self.sent - self.got, time.monotonic()

    def receive(self):
        while True:
            try:
                octets = self.receiver.recv(4096)
            except OSError:
                return
            self.last = time.monotonic()
            number = struct.unpack_from("!I", octets, len(MARK))[0] if octets.startswith(MARK) and len(octets) >= 20 else -1
            if not 0 <= number < self.sent:
                self.strange += 1
            elif self.seen[number]:
                self.twice += 1
            else:
                self.seen[number] = 1
                self.got += 1
                self.late += number < self.top
                self.top = max(self.top, number)

    def lost(self):
        return [n for n in range(self.sent) if not self.seen[n]]


class Pump:
    """Datagrams at a rate, both ways, until stop(); by itself in a thread."""

    def __init__(self, lab, rate=RATE, family=4, ends=None):
        """ends: (namespace, address) of each; the hosts by themselves."""
        ends = ends or [(lab.ns(f"host-{name}"), address) for name, address in zip("ab", HOST4 if family == 4 else HOST6)]
        a, b = (udp_socket(ns, address) for ns, address in ends)
        self.ends, self.rate = (a, b), rate
        self.flows = [Flow(a, b, ends[1][1]), Flow(b, a, ends[0][1])]
        self.ended, self.thread, self.begin, self.seconds = threading.Event(), None, 0.0, 0.0

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        self.stop()
        for end in self.ends:
            end.close()

    def work(self):
        while not self.ended.is_set():
            due = int((time.monotonic() - self.begin) * self.rate)
            for flow in self.flows:
                flow.send(due)
                flow.receive()
            time.sleep(0.001)

    def start(self):
        self.begin = time.monotonic()
        for flow in self.flows:
            flow.last = self.begin
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        """Ends sending, and takes what is still under way."""
        if self.ended.is_set():
            return self
        self.ended.set()
        self.thread.join()
        self.seconds = time.monotonic() - self.begin
        end = time.monotonic() + 1.0 * SLOWER
        while time.monotonic() < end and any(f.got < f.sent for f in self.flows):
            select.select(self.ends, [], [], 0.05)
            for flow in self.flows:
                flow.receive()
        return self

    def got(self):
        return min(flow.got for flow in self.flows)

    def whole(self, at_least=0):
        """Every datagram arrived once, at the least rate asked for."""
        self.stop()
        for way, flow in zip(("a to b", "b to a"), self.flows):
            lost = flow.lost()
            check(not lost, f"{way}: {len(lost)} of {flow.sent} lost: {lost[:10]} …")
            same((flow.twice, flow.strange), (0, 0), f"{way}: duplicates, strange datagrams")
            check(flow.sent >= at_least * self.seconds, f"{way}: {flow.sent} in {self.seconds:.1f} s, wanted {at_least} a second")


def classic_bpf(expression):
    """A filter for a socket, as tcpdump compiles it."""
    said = subprocess.run(["tcpdump", "-y", "EN10MB", "-ddd", expression], capture_output=True, text=True, check=True)
    rows = [tuple(map(int, line.split())) for line in said.stdout.splitlines()[1:]]
    return b"".join(struct.pack("=HBBI", *row) for row in rows), len(rows)


def attach(s, expression):
    code, rows = classic_bpf(expression)
    kept = ctypes.create_string_buffer(code, len(code))
    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", rows, ctypes.addressof(kept)))  # SO_ATTACH_FILTER


class Watch:
    """Counts what reaches the router, by kind; what is neither ESP nor IKE must be what keeps links going."""

    KINDS = {
        "esp": "ip proto 50 or ip6 proto 50 or (udp port 4500 and udp[8:4] != 0) or (ip6 proto 17 and ip6[42:2] = 4500 and ip6[48:4] != 0)",
        "ike": "udp port 500 or (udp port 4500 and udp[8:4] = 0)",
        "clear": "not (ip proto 50 or ip6 proto 50 or udp port 500 or udp port 4500 or arp)",
    }

    def __init__(self, lab):
        self.sockets, self.counted = {kind: [] for kind in self.KINDS}, dict.fromkeys(self.KINDS, 0)
        for name in "ab":
            for kind, expression in self.KINDS.items():
                s = packet_socket(lab.ns("router"), f"to-{name}")
                s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
                attach(s, expression)
                self.sockets[kind].append(s)

    def count(self, kind):
        """Packets of a kind so far, read or not."""
        for s in self.sockets[kind]:
            self.counted[kind] += struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[0]
        return self.counted[kind]

    def frames(self):
        for s in self.sockets["clear"]:
            while True:
                try:
                    yield s.recv(65536)
                except BlockingIOError:
                    break

    def clean(self):
        bad = [f for f in self.frames() if not harmless(f)]
        check(not bad, f"{len(bad)} clear packets on the black side, the first: {bad[:3] and [f.hex() for f in bad[:3]]}")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for s in itertools.chain(*self.sockets.values()):
            s.close()


def harmless(frame):
    """Neighbour discovery and reports of groups; and a gateway's own host that has no daemon just now says so to IKE."""
    ip = frame[14:]
    if MARK in frame:
        return False
    if frame[12:14] == b"\x08\x00":
        return ip[9] == 1 and ip[20:22] == b"\3\3" and ip[12:16] in BLACK and ip[16:20] in BLACK
    after = ip[48:] if ip[6] == 0 else ip[40:]  # hop-by-hop options, of a report
    return ip[6] in (0, 58) and after[:1] != b"" and after[0] in (131, 132, 133, 135, 136, 143)


serial = itertools.count()


@contextlib.contextmanager
def sites(text=None, change=lambda config: None):
    """Two gateways, no daemon yet; at the end no clear packet may have crossed the router."""
    with tempfile.TemporaryDirectory(prefix="espgw-ike-") as folder, \
            IkeLab(f"espgw-ike-{os.getpid()}-{next(serial)}", folder) as lab, Watch(lab) as watch:
        for side in (0, 1):
            lab.start_gateway(side, text, change)
        yield lab
        watch.clean()


def answered(ns, address, *options):
    """Whether pings all come back."""
    return " 0% packet loss" in sh("ping", "-n", "-c", 2, "-i", "0.2", "-W", 1, *options, address, ns=ns, quiet=True)


def pinged(lab, family=4, ends=None, seconds=20):
    """Pings get through; the first ones bring up what is not there yet, be it a tunnel or a neighbour."""
    ns, address = lab.ns("host-a"), (HOST4, HOST6)[family == 6][1]
    if ends:
        ns, address = ends[0][0], ends[1][1]
    wait_for("a ping through the tunnel", lambda: answered(ns, address), seconds)


def pumped(lab, seconds=0.5, family=4, ends=None):
    """Every datagram of some time arrives once."""
    with Pump(lab, RATE, family, ends) as pump:
        time.sleep(seconds)
        pump.whole()
        return pump


def gone(lab):
    """No SA of a daemon is left on either gateway."""
    for side in (0, 1):
        wait_for(f"the SAs of gateway {'ab'[side]} are deleted", lambda side=side: not lab.xfrm_sas(side), 20)
