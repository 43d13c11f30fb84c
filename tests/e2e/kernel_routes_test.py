#!/usr/bin/python3
"""The kernel's routes, neighbours and addresses on the mirrors are the gateway's, and what changes is followed."""
import contextlib
import itertools
import signal
import subprocess
import tempfile
import time

from lab import SLOWER, Lab, sh, wait_for
from gw import checksum, frame, ip, mac, udp
from segment import Segment, frame_of, icmp6, octets
from sites import BLACK4, BLACK6, BLACK_MAC, HOST4, HOST6, HOST_MAC, RED_MAC, af_packet, site, tunnel
from tap import case, check, main, same

PREFIX = "espgw-netlink"
FAR = "198.51.100.7"  # the tunnel's far end, somewhere behind the routers
# Routers on the black link, by the last octet of their addresses.
ROUTER_MAC = {n: f"02:e5:00:00:0f:{n:02x}" for n in (10, 11, 12, 13)}
numbers = itertools.count(1)


def v4(n):
    return f"192.0.2.{n}"


def v6(n):
    return f"2001:db8::{n}"


def link_local(n):
    return f"fe80::{n}"


class Rig:
    """A gateway with mirrors, whose links are full of stations; routes are nowhere but in its kernel."""

    def __init__(self, lab, black, red):
        self.lab, self.ns, self.black, self.red = lab, lab.ns("gw"), black, red
        for n, station in ROUTER_MAC.items():
            black.stations.update({v4(n): station, v6(n): station, link_local(n): station})
        red.stations.update({HOST4[0]: HOST_MAC[0], HOST6[0]: HOST_MAC[0]})
        self.config = site(0, af_packet(0, "black"), af_packet(1, "red"), tunnels=[tunnel(0, remote=FAR)])
        del self.config["neighbours"]
        for port, name in zip(self.config["ports"], ("wan", "lan")):
            port["mirror"] = {"tap": f"{name}0"}
        self.config["policies"] = [
            {"name": "clear4", "direction": "out", "src": "10.1.0.0/16", "dst": "11.0.0.0/8", "action": "bypass"},
            {"name": "clear6", "direction": "out", "src": "fd01::/16", "dst": "fd0b::/16", "action": "bypass"}]
        self.gateway = lab.gateway("gw", self.config, ns=self.ns)
        wait_for("the mirrors", lambda: self.gateway.alive() or (
            "10.1.0.1/16" in self.ip("-o", "addr") and f"{BLACK6[0]}/64" in self.ip("-o", "addr")))

    def ip(self, *words):
        return sh("ip", *" ".join(words).split(), ns=self.ns)

    def send(self, dst):
        """From the host on the red side; the octets by which it is known again."""
        token = next(numbers).to_bytes(8, "big") + b"probe of the kernel's routes"
        packet = udp(HOST6[0] if ":" in dst else HOST4[0], dst, token)
        self.red.send(frame(packet, RED_MAC[0], HOST_MAC[0]))
        return token

    def probe(self, dst, esp=False, patience=0.25):
        """The MAC address that a packet is sent to which the red host sends there, or None."""
        token = self.send(dst)
        found = self.black.take(lambda p: p[9] == 50 if esp else token in p, patience * SLOWER)
        return found and found[0].hex(":")

    def leads(self, dst, n, esp=False):
        """Packets to dst are sent to that router, or (0) nowhere: soon, and from then on."""
        want = ROUTER_MAC.get(n)
        wait_for(f"{dst} by router {n}", lambda: self.gateway.alive() or self.probe(dst, esp) == want)
        same(self.probe(dst, esp), want, f"{dst}, once it led to router {n}")

    def echo(self, dst, n=10, patience=0.5):
        """Whether our host answers a ping that comes by the black link."""
        self.black.stations[v4(n)] = ROUTER_MAC[n]
        token = next(numbers).to_bytes(8, "big") * 4
        if ":" in dst:
            packet = icmp6(octets(v6(n)), octets(dst), b"\x80\0\0\0\0\1\0\1" + token)
        else:
            body = b"\x08\0\0\0\0\1\0\1" + token
            packet = ip(v4(n), dst, 1, body[:2] + checksum(body).to_bytes(2, "big") + body[4:])
        self.black.send(frame(packet, BLACK_MAC[0], ROUTER_MAC[n]))
        return self.black.take(lambda p: token in p, patience * SLOWER) is not None


@contextlib.contextmanager
def rig(*also):
    """also: drops that the case makes, beside those of the search for routes and neighbours."""
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        ns = lab.namespace("gw", False)
        for name, interface, station, our in (("out", "black", ROUTER_MAC[10], BLACK_MAC[0]),
                                              ("in", "red", HOST_MAC[0], RED_MAC[0])):
            lab.namespace(name, False)
            lab.veth((lab.ns(name), "eth0", station), (ns, interface, our))
            # The kernel takes nothing from the wire itself: it hears by the mirror.
            sh("sysctl", "-qw", f"net.ipv4.conf.{interface}.rp_filter=1", ns=ns)
            sh("ip", "link", "set", interface, "arp", "off", ns=ns)
        with Segment(lab, "out", "eth0") as black, Segment(lab, "in", "eth0") as red:
            r = Rig(lab, black, red)
            yield r
            report = r.gateway.stop()
        allowed = {"no_route", "no_neighbour", "policy_cleartext", *also}
        same({why: n for why, n in report.drops.items() if why not in allowed}, {}, "drops")


@case("IPv4 routes: added, replaced, of several metrics, by no gateway on the link, refused, gone; an SA's too")
def routes4():
    with rig() as r:
        r.leads("11.1.0.1", 0)
        r.ip("route add 11.0.0.0/8 via", v4(10))
        r.leads("11.1.0.1", 10)
        r.ip("route replace 11.0.0.0/8 via", v4(11))
        r.leads("11.1.0.1", 11)
        r.ip("route add 11.0.0.0/8 metric 5 via", v4(12))
        r.leads("11.1.0.1", 11)
        r.ip("route del 11.0.0.0/8 metric 0 via", v4(11))
        r.leads("11.1.0.1", 12)
        r.ip("route add 11.1.0.0/16 metric 9 via", v4(10))
        r.leads("11.1.0.1", 10)
        r.ip("route add blackhole 11.1.0.0/24")
        r.leads("11.1.0.1", 0)
        r.leads("11.1.1.1", 10)
        r.ip("route del blackhole 11.1.0.0/24")
        r.ip("route add default via", v4(13))
        r.ip("route del 11.1.0.0/16")
        r.ip("route del 11.0.0.0/8 metric 5")
        r.leads("11.1.0.1", 13)
        # The tunnel's far end is behind the default route; then it has a route of its own.
        r.leads("10.2.0.2", 13, esp=True)
        r.ip(f"route add {FAR}/32 via", v4(11))
        r.leads("10.2.0.2", 11, esp=True)
        r.ip(f"route replace {FAR}/32 via", v4(12))
        r.leads("10.2.0.2", 12, esp=True)
        r.ip(f"route del {FAR}/32")
        r.leads("10.2.0.2", 13, esp=True)
        # A gateway that is on no prefix of ours.
        r.black.stations["203.0.113.5"] = ROUTER_MAC[10]
        r.ip("route add 11.7.0.0/16 via 203.0.113.5 dev wan0 onlink")
        r.leads("11.7.0.1", 10)
        r.ip("route add 11.8.0.0/16 nexthop via", v4(11), "nexthop via", v4(12))
        r.leads("11.8.0.1", 11)
        # The link goes down and comes back: its routes are gone, and nobody says so.
        r.ip("link set wan0 down")
        r.leads("11.7.0.1", 0)
        r.ip("link set wan0 up")
        r.ip("route add 11.7.0.0/16 via", v4(12))
        r.leads("11.7.0.1", 12)


@case("IPv6 routes: by global and link-local gateways, replaced, of several metrics, refused, gone")
def routes6():
    with rig() as r:
        r.ip("-6 route add fd0b::/16 via", v6(10))
        r.leads("fd0b::1", 10)
        r.ip("-6 route replace fd0b::/16 dev wan0 via", link_local(11))
        r.leads("fd0b::1", 11)
        r.ip("-6 route add fd0b::/16 dev wan0 metric 10 via", link_local(12))
        r.leads("fd0b::1", 12)
        r.ip("-6 route del fd0b::/16 metric 10")
        r.leads("fd0b::1", 11)
        r.ip("-6 route append fd0b::/16 via", v6(13))
        r.ip("-6 route del fd0b::/16 dev wan0 via", link_local(11))
        r.leads("fd0b::1", 13)
        r.ip("-6 route add unreachable fd0b:1::/32")
        r.leads("fd0b:1::1", 0)
        r.ip("-6 route del fd0b::/16")
        r.ip("-6 route add default dev wan0 via", link_local(10))
        r.leads("fd0b::1", 10)


def advertisement(prefix, life):
    """What a router says of itself and of the link (RFC 4861 section 4.2)."""
    prefix_option = (b"\3\4\x40\xc0" + life.to_bytes(4, "big") * 2 + b"\0" * 4 + octets(prefix))
    return b"\x86\0\0\0\x40\0" + life.to_bytes(2, "big") + b"\0" * 8 + b"\1\1" + mac(ROUTER_MAC[12]) + prefix_option


def late_answer(r, host):
    """Who says that a packet of a red host has lived too long."""
    r.red.send(frame(udp(host, "11.1.0.1", ttl=1), RED_MAC[0], HOST_MAC[0]))
    found = r.red.take(lambda p: p[9] == 1 and p[20] == 11, 0.5 * SLOWER)
    return found and found[2][12:16]


@case("addresses: those of the file are on the mirrors; the kernel's, by hand or by SLAAC, are ours until they go")
def addresses():
    with rig("no_listener", "ttl") as r:
        check(r.echo(BLACK4[0]) and r.echo(BLACK6[0]), "the file's addresses do not answer")
        check(not r.echo(v4(77)), "an address that nobody has answers")
        r.ip(f"addr add {v4(77)}/24 dev wan0")
        wait_for("an answer of the new address", lambda: r.echo(v4(77)))
        r.ip(f"addr del {v4(77)}/24 dev wan0")
        wait_for("silence of the address that is gone", lambda: not r.echo(v4(77)))
        check(r.echo(BLACK4[0]), "the file's address went too")
        # What we say of packets comes from the address on the sender's link.
        r.red.stations["10.77.0.2"] = HOST_MAC[0]
        r.ip("addr add 10.77.0.1/24 dev lan0")
        wait_for("an answer from the address on the link", lambda: late_answer(r, "10.77.0.2") == octets("10.77.0.1"))
        # A router tells of a prefix and of itself: an address, and a default route.
        said = advertisement("2001:db8:77::", 1800)
        r.black.send(frame_of(b"\x33\x33\0\0\0\1", mac(ROUTER_MAC[12]), b"\x86\xdd",
                              icmp6(octets(link_local(12)), octets("ff02::1"), said)))
        own = BLACK_MAC[0].split(":")
        slaac = f"2001:db8:77:0:{int(own[0], 16) ^ 2:x}{own[1]}:{own[2]}ff:fe{own[3]}:{own[4]}{own[5]}"
        wait_for("an answer of the address by SLAAC", lambda: r.echo(slaac))
        r.leads("fd0b::1", 12)


@case("a reload of the file's addresses changes those of the mirror")
def reload():
    with rig("no_listener") as r:
        check(r.echo(BLACK4[0]), "the first address does not answer")
        r.config["ports"][0]["addresses"] = ["192.0.2.5/24", f"{BLACK6[0]}/64", "2001:db8:5::1/64"]
        r.config["tunnels"][0]["local"] = "192.0.2.5"
        r.gateway.write(r.config)
        r.gateway.signal(signal.SIGHUP)
        wait_for("an answer of the new address", lambda: r.echo("192.0.2.5"))
        there = r.ip("-o addr show dev wan0")
        check("192.0.2.5/24" in there and "2001:db8:5::1/64" in there and f"{BLACK6[0]}/64" in there, there)
        check(f"{BLACK4[0]}/24" not in there, there)
        check(not r.echo(BLACK4[0]), "the address that the file does not give any more answers")


def traffic(r, seconds, dst, meanwhile, rate=500):
    """Numbered packets for some time, while things happen: [(when, what)]. How many, and when those that were lost were sent."""
    begin, sent, got = time.monotonic(), {}, set()
    for number in itertools.count():
        now = time.monotonic() - begin
        if now > seconds:
            break
        while meanwhile and meanwhile[0][0] <= now:
            meanwhile.pop(0)[1]()
        sent[r.send(dst)] = now
        time.sleep(max(0.0, begin + (number + 1) / rate - time.monotonic()))
    time.sleep(0.5)
    with r.black.lock:
        packets = [p for _, _, p in r.black.taken]
    for packet in packets:
        # Behind the UDP header of either family.
        token = packet[28:] if packet[0] >> 4 == 4 else packet[48:]
        if token in sent:
            got.add(token)
    lost = [when for token, when in sent.items() if token not in got]
    return len(sent), lost


@case("neighbours are flushed under traffic: packets go again within a second, every time")
def flush():
    for dst, route in (("11.1.0.1", f"-4 route add 11.0.0.0/8 via {v4(10)}"),
                       ("fd0b::1", f"-6 route add fd0b::/16 via {v6(10)}")):
        with rig() as r:
            r.ip(route)
            r.leads(dst, 10)
            flushes = [0.5, 2.0, 3.5]
            sent, lost = traffic(r, 5.0, dst, [(at, lambda: r.ip("neigh flush dev wan0")) for at in flushes])
            check(sent > 500, f"only {sent} packets could be sent")
            # Each loss belongs to a flush, and ends within a second of it.
            for when in lost:
                check(any(at - 0.1 <= when <= at + 0.1 + 1.0 * SLOWER for at in flushes),
                      f"a packet of {when:.2f} s is lost; {len(lost)} of {sent} in all")


@case("a next hop that moves to another MAC address is followed at once, one that is set by hand too")
def moves():
    with rig() as r:
        r.ip("route add 11.0.0.0/8 via", v4(10))
        r.ip("-6 route add fd0b::/16 via", v6(10))
        r.leads("11.1.0.1", 10)
        r.leads("fd0b::1", 10)
        time.sleep(1.2)  # Linux believes no change within a second of the last one.
        for address in (v4(10), v6(10)):
            r.black.stations[address] = ROUTER_MAC[13]
            r.black.announce(address)
        r.leads("11.1.0.1", 13)
        r.leads("fd0b::1", 13)
        r.ip("neigh replace", v4(10), "lladdr", ROUTER_MAC[11], "dev wan0 nud permanent")
        r.leads("11.1.0.1", 11)
        # Silent: no MAC any more, and a way again once it speaks.
        r.black.stations[v4(10)] = None
        r.ip("neigh del", v4(10), "dev wan0")
        r.leads("11.1.0.1", 0)
        r.black.stations[v4(10)] = ROUTER_MAC[12]
        r.leads("11.1.0.1", 12)


@case("hosts on a connected prefix are found when packets are for them; a scan asks for few of them")
def scan():
    with rig("policy_discard", "no_policy") as r:
        r.config["policies"] += [{"name": "link", "direction": "out", "src": "10.1.0.0/16", "dst": "192.0.2.0/24",
                                  "action": "bypass"},
                                 {"name": "link6", "direction": "out", "src": "fd01::/16", "dst": "2001:db8::/64",
                                  "action": "bypass"}]
        r.gateway.write(r.config)
        r.gateway.signal(signal.SIGHUP)
        for address in (v4(11), v6(11)):
            wait_for(address, lambda a=address: r.probe(a) == ROUTER_MAC[11])
        begin, end = time.monotonic(), time.monotonic() + 3.0
        for n in itertools.count():
            r.send(f"2001:db8::{n >> 16 | 1:x}:{n & 0xffff:x}")
            if time.monotonic() > end:
                break
        seconds = time.monotonic() - begin
        entries = len(r.ip("-6 neigh show dev wan0").splitlines())
        check(n > 300, f"only {n} packets could be sent")
        check(entries <= 64 * (2 + seconds / 3), f"{entries} entries in the kernel's table in {seconds:.1f} s")
        # Who is there is found all the same.
        wait_for("a host behind the scan", lambda: r.probe(v6(12)) == ROUTER_MAC[12])


def batch(r, lines):
    done = subprocess.run(["ip", "netns", "exec", r.ns, "ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                          capture_output=True, timeout=120, check=False)
    check(done.returncode == 0, done.stderr)


@case("10,000 routes come, change and go, as from a routing daemon, and traffic beside them loses nothing")
def churn():
    with rig() as r:
        r.ip("route add default via", v4(10))
        r.leads("11.1.0.1", 10)
        prefixes = [f"11.{n >> 8 | 0x80}.{n & 255}.0/24" for n in range(10000)]

        def say(verb, by=None):
            return lambda: batch(r, [f"route {verb} {p}" + (f" via {v4(by)}" if by else "") for p in prefixes])

        sent, lost = traffic(r, 5.0, "11.1.0.1", [(0.5, say("add", 11)), (1.5, say("replace", 12)), (2.5, say("del")),
                                                     (3.5, say("add", 13))], rate=300)
        same(lost, [], f"packets of {sent} that were lost beside the churn")
        for prefix in prefixes[::1111] + prefixes[-1:]:
            r.leads(prefix.replace("0/24", "9"), 13)
        r.ip("route flush via", v4(13))
        r.leads(prefixes[5000].replace("0/24", "9"), 10)


if __name__ == "__main__":
    main()
