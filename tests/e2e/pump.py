"""Numbered packets from one raw socket, through gateways, to another: each must arrive once, octet for octet."""
import random
import select
import socket
import time

from lab import SLOWER, packet_socket
from gw import aged, frame, udp
from sites import HOST4, HOST6, HOST_MAC, RED_MAC
from tap import Failure, check

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SIZES = (0, 1, 22, 64, 182, 700, 1300)
NOISE = random.Random(4301).randbytes(4096)


def packet(number, side):
    """Packet `number` from the host of that side to the other's."""
    names = HOST6 if number % 2 else HOST4
    payload = number.to_bytes(4, "big") + NOISE[number % 2048:number % 2048 + SIZES[number % len(SIZES)]]
    return udp(names[side], names[1 - side], payload, sport=1024 + number % 997, dport=9)


class Stream:
    """count packets from one side's host to the other's, and what must come out behind `hops` gateways."""

    def __init__(self, count, side=0, hops=2):
        packets = [packet(n, side) for n in range(count)]
        self.frames = [frame(p, RED_MAC[side], HOST_MAC[side]) for p in packets]
        self.want = [frame(aged(p, hops), HOST_MAC[1 - side], RED_MAC[1 - side]) for p in packets]


def number_of(octets):
    offset = 14 + (40 if octets[12:14] == b"\x86\xdd" else 20) + 8
    return int.from_bytes(octets[offset:offset + 4], "big")


def socket_on(lab, name, interface):
    s = packet_socket(lab.ns(name), interface)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    return s


class Receiver:
    """Takes what comes in; every frame must be one that is wanted and not yet seen."""

    def __init__(self, source, want):
        self.source, self.want, self.seen, self.got = source, want, bytearray(len(want)), 0

    def drain(self):
        while True:
            try:
                octets = self.source.recv(65536)
            except BlockingIOError:
                return
            number = number_of(octets)
            check(number < len(self.want) and octets == self.want[number],
                  f"a frame that nobody sent: {octets.hex()}\nwanted {self.want[min(number, len(self.want) - 1)].hex()}")
            check(not self.seen[number], f"packet {number} came twice")
            self.seen[number] = 1
            self.got += 1

    def missing(self):
        return [n for n in range(len(self.want)) if not self.seen[n]]


def send(s, octets):
    while True:
        try:
            s.send(octets)
            return
        except (BlockingIOError, OSError):
            select.select([], [s], [], 0.01)


def transfer(sender, receiver_socket, stream, window=256, patience=5.0, meanwhile=None):
    """Sends all of a stream, never more than `window` of it under way, so that no ring on the way runs over.

    meanwhile(number) is called before each packet is sent.
    """
    receiver, sent, last = Receiver(receiver_socket, stream.want), 0, time.monotonic()
    while receiver.got < len(stream.frames):
        before = receiver.got
        while sent < len(stream.frames) and sent - receiver.got < window:
            if meanwhile:
                meanwhile(sent)
            send(sender, stream.frames[sent])
            sent += 1
            if sent % 32 == 0:
                receiver.drain()
        select.select([receiver_socket], [], [], 0.1)
        receiver.drain()
        if receiver.got > before:
            last = time.monotonic()
        if time.monotonic() - last > patience * SLOWER:
            lost = [n for n in receiver.missing() if n < sent]
            raise Failure(f"{receiver.got} of {sent} packets arrived, then none for {patience} s; missing {lost[:10]} …")


def reach(sender, receiver_socket, stream, gateways, seconds=20):
    """Sends the first packet until it arrives: the gateways are up. What it took is drained."""
    end = time.monotonic() + seconds * SLOWER
    while True:
        for gateway in gateways:
            gateway.alive()
        check(time.monotonic() < end, f"nothing gets through in {seconds} s\n" + "\n".join(g.said() for g in gateways))
        send(sender, stream.frames[0])
        if select.select([receiver_socket], [], [], 0.2)[0]:
            break
    time.sleep(0.3)
    while True:
        try:
            receiver_socket.recv(65536)
        except BlockingIOError:
            return
