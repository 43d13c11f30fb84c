"""Asks a far host's echo, ICMP, UDP and TCP, with octets of many lengths, and wants each back as it was."""
import errno
import os
import random
import select
import socket
import struct
import threading
import time

from lab import SLOWER, entered
from gw import checksum
from tap import check

ECHO_PORT = 7
NOISE = random.Random(4303).randbytes(1 << 18)
SIZES = (*range(20), 31, 32, 33, 63, 64, 65, 127, 512, 1000)
IP_MTU, IPV6_MTU = 14, 24
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2


def is_v6(address):
    return ":" in address


def open_socket(ns, src, kind, protocol=0):
    with entered(ns):
        s = socket.socket(socket.AF_INET6 if is_v6(src) else socket.AF_INET, kind, protocol)
    s.bind((src, 0))
    return s


def unless_too_long(call):
    """What call() gives, or None where a late answer about the MTU is what the socket reports instead."""
    try:
        return call()
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return None


def answers(s, want, what, seconds=5.0):
    """Takes datagrams until all that are wanted came; each once and nothing else."""
    left, end = set(want), time.monotonic() + seconds * SLOWER
    check(len(left) == len(want), "two of the datagrams sent are the same")
    while left:
        ready = select.select([s], [], [], max(0.0, end - time.monotonic()))[0]
        check(ready, f"{what}: {len(left)} of {len(want)} do not come back, lengths {sorted(map(len, left))}")
        octets = unless_too_long(lambda: s.recv(65536))
        if octets is None:
            continue
        check(octets in left, f"{what}: {len(octets)} octets that nobody sent, or twice: {octets[:64].hex()}")
        left.remove(octets)


def ping_on(s, src, dst, sizes, ident):
    """One echo request of each size on a raw socket; all must come back."""
    v6 = is_v6(src)
    waiting = {}
    for seq, size in enumerate(sizes):
        waiting[seq] = NOISE[seq:seq + size]
        head = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, ident, seq)
        if not v6:
            head = struct.pack("!BBHHH", 8, 0, checksum(head + waiting[seq]), ident, seq)
        s.sendto(head + waiting[seq], (dst, 0))
    end = time.monotonic() + 5 * SLOWER
    while waiting:
        ready = select.select([s], [], [], max(0.0, end - time.monotonic()))[0]
        check(ready, f"ping: no answer to sizes {[sizes[seq] for seq in waiting]}")
        octets = s.recv(65536)
        octets = octets if v6 else octets[(octets[0] & 15) * 4:]
        kind, _, _, who, seq = struct.unpack("!BBHHH", octets[:8])
        if (kind, who) != (129 if v6 else 0, ident):
            continue
        check(waiting.pop(seq, None) == octets[8:], f"ping: answer {seq} is not what was sent, or comes twice")


def ping(ns, src, dst, sizes, ident=4303):
    with open_socket(ns, src, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if is_v6(src) else socket.IPPROTO_ICMP) as s:
        ping_on(s, src, dst, sizes, ident)


def udp_socket(ns, src, dst):
    """A socket whose datagrams are never cut up."""
    s = open_socket(ns, src, socket.SOCK_DGRAM)
    if is_v6(src):
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
    s.connect((dst, ECHO_PORT))
    return s


def path_mtu(s, v6, link=1500):
    """Sends the most that the link takes until the gateway's answer changes the socket's MTU, and gives the new one.

    More than once where many ask at a time: a gateway limits the rate of such answers.
    """
    level, option = (socket.IPPROTO_IPV6, IPV6_MTU) if v6 else (socket.IPPROTO_IP, IP_MTU)
    end = time.monotonic() + 5 * SLOWER
    while s.getsockopt(level, option) == link:
        check(time.monotonic() < end, f"no answer that {link} octets are too large")
        unless_too_long(lambda: s.send(bytes(link - (48 if v6 else 28))))
        for _ in range(100):
            if s.getsockopt(level, option) == link:
                time.sleep(0.002)
    return s.getsockopt(level, option)


def udp(ns, src, dst, sizes):
    """Datagrams of these sizes, none of which is cut up."""
    with udp_socket(ns, src, dst) as s:
        exchange(s, sizes)


def udp_to_the_mtu(ns, src, dst, sizes, link=1500):
    """Datagrams of these sizes, and the largest that fits; gives the MTU."""
    with udp_socket(ns, src, dst) as s:
        mtu = path_mtu(s, is_v6(src), link)
        largest = mtu - (48 if is_v6(src) else 28)
        exchange(s, (*sizes, largest - 1, largest))
        return mtu


def exchange(s, sizes):
    want = [NOISE[size:2 * size] for size in sizes]
    for octets in want:
        if unless_too_long(lambda o=octets: s.send(o)) is None:
            s.send(octets)
    answers(s, want, "UDP")


def tcp(ns, src, dst, size):
    """A stream of that many octets, there and back."""
    with open_socket(ns, src, socket.SOCK_STREAM) as s:
        s.settimeout(10 * SLOWER)
        s.connect((dst, ECHO_PORT))
        s.setblocking(False)
        sent, back, end = 0, b"", time.monotonic() + 10 * SLOWER
        while len(back) < size:
            left = end - time.monotonic()
            check(left > 0, f"TCP: {sent} octets sent, {len(back)} of {size} came back in time")
            readable, writable, _ = select.select([s], [s] if sent < size else [], [], left)
            if writable:
                sent += s.send(NOISE[sent:min(size, sent + 16384)])
            if readable:
                octets = s.recv(65536)
                check(octets, f"TCP: the far end closed after {len(back)} of {size} octets")
                back += octets
        check(back == NOISE[:size], "TCP: the octets came back changed")
        s.shutdown(socket.SHUT_WR)
        check(select.select([s], [], [], 5 * SLOWER)[0] and s.recv(1) == b"", "TCP: the far end does not close")


def refused(ns, src, dst):
    """A datagram to a port where nobody listens: the far kernel says so."""
    with open_socket(ns, src, socket.SOCK_DGRAM) as s:
        s.connect((dst, 9))
        s.send(b"nobody")
        check(select.select([s], [], [], 5 * SLOWER)[0], "no answer from a port where nobody listens")
        error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        check(error == errno.ECONNREFUSED, f"a port where nobody listens: {os.strerror(error)}")


class Stream:
    """Datagrams to the echo, one in `pause` seconds, by a thread of its own until stop(), which wants each answered once."""

    def __init__(self, ns, src, dst, pause=0.01):
        self.socket, self.dst, self.pause = udp_socket(ns, src, dst), dst, pause
        self.sent, self.seen, self.strange, self.ended = 0, set(), 0, threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        due = time.monotonic()
        while not self.ended.is_set():
            self.socket.send(b"stream" + struct.pack("!I", self.sent) + NOISE[self.sent % 1000:self.sent % 1000 * 2])
            self.sent += 1
            due += self.pause
            self.receive(due)
        end = time.monotonic() + 2 * SLOWER
        while len(self.seen) < self.sent and time.monotonic() < end:
            self.receive(time.monotonic() + 0.05)

    def receive(self, until):
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                return
            octets = self.socket.recv(65536)
            number = struct.unpack("!I", octets[6:10])[0] if octets[:6] == b"stream" else -1
            if number in self.seen or not 0 <= number < self.sent:
                self.strange += 1
            self.seen.add(number)

    def stop(self):
        """Failure unless all came back; gives how many there were."""
        self.ended.set()
        self.thread.join(30 * SLOWER)
        self.socket.close()
        lost = sorted(set(range(self.sent)) - self.seen)
        check(not lost and not self.strange, f"of {self.sent} datagrams {len(lost)} are lost, the first {lost[:5]}; "
              f"{self.strange} came twice or from nowhere")
        return self.sent
