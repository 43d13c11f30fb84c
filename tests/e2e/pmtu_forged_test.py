#!/usr/bin/python3
"""One gateway and what scapy says of the packets that it sent: wrong, stale, cut, too small, and true."""
import contextlib
import json
import struct
import subprocess
import tempfile
import time

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.packet import Raw

from lab import Lab, SLOWER, wait_for
from control import ESPCTL
from gw import frame, udp
from pump import socket_on
from sites import BLACK4, BLACK6, BLACK_MAC, HOST4, HOST_MAC, RED_MAC, NET4, NET6, SPI, af_packet, key, red_veths, site
from tap import add_case, check, main, same

PREFIX = "espgw-forged"
ENDS = {4: BLACK4, 6: BLACK6}
ROUTER = {4: "203.0.113.9", 6: "2001:db8:9::9"}
WAIT_S = 3.0


def config(outer, encap, **pmtu):
    into = {"spi": SPI[1], "key": key(1)}
    tunnel = {"name": "site", "local": ENDS[outer][0], "remote": ENDS[outer][1], "local_nets": [NET4[0], NET6[0]],
              "remote_nets": [NET4[1], NET6[1]], "aead": "aes-gcm-128", "pmtu": pmtu, "out": {"spi": SPI[0], "key": key(0)},
              "in": into}
    if encap:
        tunnel["encap"] = {"udp": [4500, 4500]}
        into["encap"] = {"udp": [4500, 4500]}
    return site(0, af_packet(0, "black"), af_packet(1, "red"), [tunnel])


class Bench:
    """The gateway, a host's end and the black link's far end."""

    def __init__(self, lab, outer):
        self.lab, self.outer, self.before = lab, outer, {}
        self.red, self.black = socket_on(lab, "host-a", "eth0"), socket_on(lab, "gw-b", "black")

    def send(self, n=1):
        """What the host sends by the tunnel; the outer packets."""
        got = []
        for i in range(n):
            self.red.send(frame(udp(HOST4[0], HOST4[1], bytes(600), ident=i), RED_MAC[0], HOST_MAC[0]))
        end = time.monotonic() + 10 * SLOWER
        while len(got) < n:
            check(time.monotonic() < end, f"{len(got)} of {n} packets came out")
            with contextlib.suppress(BlockingIOError):
                octets = self.black.recv(65536)
                if octets[:6] == bytes.fromhex(BLACK_MAC[1].replace(":", "")):
                    got.append(octets[14:])
        return got

    def quote(self, packet, octets=None):
        header = 20 if self.outer == 4 else 40
        return packet[:header + octets] if octets is not None else packet[:128]

    def tell(self, mtu, quoted, to=None, **more):
        """A router's message about what it quotes."""
        to = to or ENDS[self.outer][0]
        if self.outer == 4:
            message = IP(src=ROUTER[4], dst=to) / ICMP(type=3, code=4, nexthopmtu=mtu, **more) / Raw(quoted)
        else:
            message = IPv6(src=ROUTER[6], dst=to) / ICMPv6PacketTooBig(mtu=mtu, **more) / Raw(quoted)
        self.black.send(frame(bytes(message), BLACK_MAC[0], BLACK_MAC[1]))

    def show(self, *words):
        done = subprocess.run([ESPCTL, "-s", self.lab.gateways["gw-a"].socket, "--json", "show", *words], capture_output=True,
                              text=True, timeout=20 * SLOWER, check=False)
        same(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def counts(self):
        return {k: v for k, v in self.show("pmtu")["counters"].items() if v}

    def becomes(self, what, mtu):
        """The one counter that the last message counted in, and the path's MTU then."""
        before, self.before = self.before, None
        wait_for(what, lambda: self.counts() != before, WAIT_S)
        self.before = self.counts()
        grown = {k for k, v in self.before.items() if v != before.get(k, 0)}
        same((grown, self.show("sa", "site.out")["path_mtu"]), ({what}, mtu), "counted as, and the path's MTU")


@contextlib.contextmanager
def bench(outer, encap=False, **pmtu):
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        for name in ("host-a", "host-b", "gw-a", "gw-b"):
            lab.namespace(name, False)
        lab.veth((lab.ns("gw-a"), "black", BLACK_MAC[0]), (lab.ns("gw-b"), "black", BLACK_MAC[1]))
        red_veths(lab)
        gateway = lab.gateway("gw-a", config(outer, encap, **pmtu), ns=lab.ns("gw-a"))
        b = Bench(lab, outer)
        wait_for("the gateway", lambda: gateway.alive() or subprocess.run(
            [ESPCTL, "-s", gateway.socket, "show", "pmtu"], capture_output=True, check=False).returncode == 0)
        b.before = b.counts()
        yield b
        report = gateway.stop()
        same(report.report["consumed"], sum(v for k, v in b.before.items() if k.startswith("icmp_")),
             "ICMP errors consumed")


def patched(packet, at, octets):
    return packet[:at] + octets + packet[at + len(octets):]


def lies(outer, encap):
    def body():
        esp = (20 if outer == 4 else 40) + (8 if encap else 0)
        with bench(outer, encap) as b:
            packet = b.send(3)[-1]
            quoted = b.quote(packet)
            b.tell(1400, patched(quoted, esp, struct.pack("!I", 0x7777)))
            b.becomes("icmp_ignored_spi", 1500)
            b.tell(1400, patched(quoted, esp + 4, struct.pack("!I", 4)))
            b.becomes("icmp_ignored_number", 1500)
            b.tell(1400, patched(quoted, esp + 4, struct.pack("!I", 0xffff0000)))
            b.becomes("icmp_ignored_number", 1500)
            for mtu in (68, 576, 1279):
                b.tell(mtu, quoted)
                b.becomes("icmp_ignored_floor", 1500)
            for mtu in (1500, 9000):
                b.tell(mtu, quoted)
                b.becomes("icmp_ignored_larger", 1500)
            b.tell(1400, b.quote(packet, 7))
            b.becomes("icmp_ignored_form", 1500)
            b.tell(1400, packet[:12])
            b.becomes("icmp_ignored_form", 1500)
            kind = {"chksum": 0x1234} if outer == 4 else {"cksum": 0x1234}
            b.tell(1400, quoted, **kind)
            b.becomes("icmp_ignored_form", 1500)
            if encap:
                b.tell(1400, b.quote(packet, 8))
                b.becomes("icmp_ignored_spi", 1500)
                b.tell(1400, patched(quoted, esp - 6, struct.pack("!H", 4501)))
                b.becomes("icmp_ignored_spi", 1500)
            b.tell(1400, b.quote(packet, 16 if encap else 8))
            b.becomes("icmp_obeyed", 1400)
            b.tell(1300, quoted)
            b.becomes("icmp_ignored_rate", 1400)
            time.sleep(2.1)
            b.tell(1300, quoted)
            b.becomes("icmp_obeyed", 1300)
    add_case(f"IPv{outer}{' in UDP' if encap else ''}: lies are told apart, what is true is believed, two seconds apart", body)


def silent_router():
    with bench(4) as b:
        packet = b.send()[0]
        # A router that names no size: the next plateau below the quoted length, which is one of 1490 here.
        b.tell(0, b.quote(patched(packet, 2, struct.pack("!H", 1490))))
        b.becomes("icmp_obeyed", 1280)


def deaf():
    with bench(4, icmp=False) as b:
        b.tell(1400, b.quote(b.send()[0]))
        b.becomes("icmp_ignored_off", 1500)


def of_age():
    with bench(4, age="1s") as b:
        b.tell(1400, b.quote(b.send()[0]))
        b.becomes("icmp_obeyed", 1400)
        wait_for("the end of its age", lambda: b.show("sa", "site.out")["path_mtu"] == 1500, 5)
        b.before = b.counts()
        same(b.before["aged"], 1, "aged")


lies(4, False)
lies(4, True)
lies(6, False)
lies(6, True)
add_case("a router that names no size means the next smaller one of RFC 1191", silent_router)
add_case("pmtu.icmp: false believes none", deaf)
add_case("what was learnt is forgotten when its age is over", of_age)

if __name__ == "__main__":
    main()
