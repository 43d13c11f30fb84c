"""XFRM netlink messages over a gateway's control socket, as a key daemon speaks them: no code shared with the gateway."""
import ipaddress
import os
import select
import socket
import struct
import time
from dataclasses import dataclass

from tap import Failure, check

ERROR, DONE = 2, 3
NEWSA, DELSA, GETSA, NEWPOLICY, DELPOLICY, GETPOLICY, ALLOCSPI, ACQUIRE, EXPIRE, UPDPOLICY, UPDSA = range(16, 27)
POLEXPIRE, FLUSHSA, FLUSHPOLICY = 27, 28, 29
MAPPING, SETDEFAULT, GETDEFAULT = 38, 39, 40
HELLO = 0x400
REQUEST, ACK, DUMP = 1, 4, 0x300
IN, OUT, FWD = 0, 1, 2
ESP, TRANSPORT, TUNNEL = 50, 0, 1
ALL_ONES = (1 << 64) - 1
GROUPS = {"acquire": 1, "expire": 2, "sa": 4, "policy": 8, "aevents": 16, "mapping": 128}


def address(text):
    return ipaddress.ip_address(text).packed.ljust(16, b"\0")


def family(text):
    return 10 if ":" in text else 2


def selector(src="0.0.0.0/0", dst="0.0.0.0/0", proto=0, sport=0, dport=0):
    src, dst = (ipaddress.ip_network(n, strict=False) for n in (src, dst))
    return (dst.network_address.packed.ljust(16, b"\0") + src.network_address.packed.ljust(16, b"\0") +
            struct.pack("!HHHH", dport, dport and 0xffff, sport, sport and 0xffff) +
            struct.pack("=HBBB3xiI", 2 if src.version == 4 else 10, dst.prefixlen, src.prefixlen, proto, 0, 0))


def attribute(kind, octets):
    return (struct.pack("=HH", 4 + len(octets), kind) + octets).ljust(-(-(4 + len(octets)) // 4) * 4, b"\0")


NO_LIMITS = struct.pack("=8Q", *[ALL_ONES] * 4, 0, 0, 0, 0)


def template(src, dst, reqid, spi=0, mode=TUNNEL):
    return (address(dst) + struct.pack("!I", spi) + struct.pack("=B3xH2x", ESP, family(src)) + address(src) +
            struct.pack("=IBBB1xIII", reqid, mode, 0, 0, *[0xffffffff] * 3))


def policy(direction, sel, tmpl=None, priority=1000, action=0, flags=0):
    """The body of NEWPOLICY and UPDPOLICY."""
    body = sel + NO_LIMITS + bytes(32) + struct.pack("=IIBBBB4x", priority, 0, direction, action, flags, 0)
    return body + (attribute(5, tmpl) if tmpl else b"")


def policy_id(direction, sel):
    return sel + struct.pack("=IB3x", 0, direction)


def sa(src, dst, spi, reqid, key, direction=None, mode=TUNNEL, window=32, encap=None, pcpu=None, icv=128):
    """The body of NEWSA: AES-GCM with a tag of 16, numbers of 32 bits."""
    body = (bytes(40) + struct.pack("=H", family(src)) + bytes(14) + address(dst) + struct.pack("!I", spi) +
            struct.pack("=B3x", ESP) + address(src) + NO_LIMITS + bytes(32) + bytes(12) +
            struct.pack("=IIHBBB7x", 0, reqid, family(src), mode, window, 0))
    body += attribute(18, b"rfc4106(gcm(aes))".ljust(64, b"\0") + struct.pack("=II", 8 * len(key), icv) + key)
    if encap:
        body += attribute(4, struct.pack("=H", 2) + struct.pack("!HH", *encap) + bytes(2) + bytes(16))
    if direction is not None:
        body += attribute(33, bytes([direction]))
    if pcpu is not None:
        body += attribute(35, struct.pack("=I", pcpu))
    return body


def attributes(octets):
    """By type, of what stands behind a message's fixed part."""
    found, at = {}, 0
    while at + 4 <= len(octets):
        length, kind = struct.unpack_from("=HH", octets, at)
        found[kind] = octets[at + 4:at + length]
        at += -(-length // 4) * 4
    return found


def sa_id(dst, spi):
    return address(dst) + struct.pack("!I", spi) + struct.pack("=HB1x", family(dst), ESP)


@dataclass
class Message:
    kind: int
    flags: int
    seq: int
    pid: int
    body: bytes


def messages(datagram):
    found, at = [], 0
    while at + 16 <= len(datagram):
        length, kind, flags, seq, pid = struct.unpack_from("=IHHII", datagram, at)
        check(16 <= length <= len(datagram) - at, f"a message of {length} octets in a datagram of {len(datagram)}")
        found.append(Message(kind, flags, seq, pid, datagram[at + 16:at + length]))
        at += -(-length // 4) * 4
    return found


class Daemon:
    """A client of the control socket. Events that come between answers are kept in self.events."""

    def __init__(self, path, groups=(), instance=None, within=15.0):
        self.seq, self.events, end = 0, [], time.monotonic() + within
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise Failure(f"nobody listens at {path}: {error}") from None
                time.sleep(0.05)
        self.pid = os.getpid()
        mask = sum(GROUPS[g] for g in groups)
        instance = instance if instance is not None else int.from_bytes(os.urandom(8), "big")
        self.ask(HELLO, struct.pack("=IIIIQ", 1, self.pid, mask, 1, instance) + b"test\0")

    def close(self):
        self.socket.close()

    def send(self, kind, body, flags=REQUEST | ACK):
        self.seq += 1
        length = 16 + len(body)
        self.socket.send(struct.pack("=IHHII", length, kind, flags, self.seq, self.pid) + body + bytes(-length % 4))

    def receive(self, within):
        ready, _, _ = select.select([self.socket], [], [], within)
        if not ready:
            return []
        datagram = self.socket.recv(65536)
        check(datagram, "the gateway closed the connection")
        return messages(datagram)

    def ask(self, kind, body, want=0, within=10.0):
        """Sends a request and waits for its ACK; returns the data that came before it."""
        self.send(kind, body)
        data, end = [], time.monotonic() + within
        while time.monotonic() < end:
            for m in self.receive(end - time.monotonic()):
                if m.kind == ERROR and m.seq == self.seq:
                    got = struct.unpack_from("=i", m.body)[0]
                    check(got == want, f"request {kind} is answered with {got} instead of {want}: {m.body[36:]}")
                    return data
                (data if m.seq == self.seq and m.pid == self.pid else self.events).append(m)
        raise Failure(f"request {kind} is not answered within {within} s")

    def wait(self, kind, within=5.0):
        """The next event of a kind."""
        end = time.monotonic() + within
        while True:
            for i, m in enumerate(self.events):
                if m.kind == kind:
                    return self.events.pop(i)
            check(time.monotonic() < end, f"no event {kind} within {within} s")
            self.events += self.receive(max(0.0, end - time.monotonic()))

    def quiet(self, seconds):
        """What events come in that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.events += self.receive(max(0.0, end - time.monotonic()))
        events, self.events = self.events, []
        return events
