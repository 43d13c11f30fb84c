"""A link full of stations that are not there: one raw socket answers ARP and discovery for all of them."""
import socket
import threading
import time

from pump import socket_on
from gw import ip, mac, upper_sum

ARP, IPV4, IPV6 = b"\x08\x06", b"\x08\x00", b"\x86\xdd"


def octets(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Segment:
    """stations: address → MAC address; a station whose MAC is None keeps silent.

    All else that comes in is kept, as (to, from, packet) by the MAC addresses of its frame.
    """

    def __init__(self, lab, namespace, interface):
        self.stations, self.taken, self.asked, self.ended = {}, [], {}, False
        self.socket, self.lock = socket_on(lab, namespace, interface), threading.Lock()
        self.socket.setblocking(True)
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.ended = True
        self.thread.join()
        self.socket.close()

    def run(self):
        while not self.ended:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            kind, packet = data[12:14], data[14:]
            if kind == ARP and packet[6:8] == b"\0\1":
                self.answer_arp(packet)
            elif kind == IPV6 and packet[6] == 58 and packet[40] == 135:
                self.answer_solicitation(packet)
            elif kind in (IPV4, IPV6):
                with self.lock:
                    self.taken.append((data[:6], data[6:12], packet))

    def station(self, address):
        with self.lock:
            self.asked[address] = self.asked.get(address, 0) + 1
            name = next((a for a in self.stations if octets(a) == address), None)
            text = self.stations.get(name)
        return mac(text) if text else None

    def answer_arp(self, packet):
        own = self.station(packet[24:28])
        if own:
            self.send(frame_of(packet[8:14], own, ARP, packet[:6] + b"\0\2" + own + packet[24:28] + packet[8:18]))

    def answer_solicitation(self, packet):
        target, asker = packet[48:64], packet[8:24]
        own = self.station(target)
        if own and any(asker):
            self.advertise(target, asker, own, packet, solicited=True)

    def advertise(self, target, to, own, packet=None, solicited=False):
        flags = bytes((0x60 if solicited else 0x20, 0, 0, 0))
        body = b"\x88\0\0\0" + flags + target + b"\2\1" + own
        link = packet[66:72] if packet and packet[64:66] == b"\1\1" else b"\x33\x33" + to[12:]
        self.send(frame_of(link, own, IPV6, icmp6(target, to, body)))

    def announce(self, address):
        """The station says unasked where it is now."""
        own, name = mac(self.stations[address]), octets(address)
        if len(name) == 4:
            body = b"\0\1\x08\0\6\4\0\1" + own + name + b"\0" * 6 + name
            self.send(frame_of(b"\xff" * 6, own, ARP, body))
        else:
            self.advertise(name, octets("ff02::1"), own)

    def send(self, data):
        self.socket.send(data)

    def take(self, wanted, seconds):
        """The next packet that `wanted(packet)` wants, with its frame's MAC addresses; None: none in time."""
        end = time.monotonic() + seconds
        while True:
            with self.lock:
                for i, (to, origin, packet) in enumerate(self.taken):
                    if wanted(packet):
                        del self.taken[:i + 1]
                        return to, origin, packet
                self.taken.clear()
            if time.monotonic() >= end:
                return None
            time.sleep(0.005)


def frame_of(to, origin, kind, packet):
    return to + origin + kind + packet


def icmp6(src, dst, body):
    """An ICMPv6 packet with hop limit 255 and its checksum; addresses as octets."""
    body = body[:2] + upper_sum(src, dst, 58, body).to_bytes(2, "big") + body[4:]
    return ip(socket.inet_ntop(socket.AF_INET6, src), socket.inet_ntop(socket.AF_INET6, dst), 58, body, ttl=255)
