#!/usr/bin/python3
"""Path MTUs: a router with a narrow link behind it and its kernel's ICMP, forged ICMP, a flood of it."""
import contextlib
import json
import os
import re
import struct
import subprocess
import tempfile
import time

from lab import Lab, SLOWER, at_once, packet_socket, sh, wait_for
from control import ESPCTL
from gw import checksum, frame, ip
from sites import (BLACK_MAC, HOST4, HOST6, NET4, NET6, SPI, af_packet, hosts, key, red_veths, site)
from tap import add_case, check, main, same
from xfrm import Daemon, attributes

PREFIX = "espgw-pmtu"
NARROW = 1400
# By the outer family: side a, side b; the router's addresses on the same links.
ENDS = {4: ("192.0.2.1", "198.51.100.1"), 6: ("2001:db8:a::1", "2001:db8:b::1")}
ROUTER = {4: ("192.0.2.254", "198.51.100.254"), 6: ("2001:db8:a::fe", "2001:db8:b::fe")}
LENGTHS = {4: 24, 6: 64}
ROUTER_MAC = ("02:e5:00:00:03:0a", "02:e5:00:00:03:0b")
# The largest inner packet of AES-GCM over 1500 and NARROW.
FITS = {4: (1446, 1346), 6: (1426, 1326)}
MALICE = 500
NEWAE, PATH = 30, 0x2009


def tunnel(side, outer, **options):
    out = {"spi": SPI[side], "key": key(side)}
    into = {"spi": SPI[1 - side], "key": key(1 - side)}
    return {"name": "site", "local": ENDS[outer][side], "remote": ENDS[outer][1 - side], "local_nets": [NET4[side], NET6[side]],
            "remote_nets": [NET4[1 - side], NET6[1 - side]], "aead": "aes-gcm-128", **options, "out": out, "in": into}


def gateway(side, outer, narrow, device=None, limits=None, **options):
    config = site(side, device or af_packet(0, "black"), af_packet(1, "red"), [tunnel(side, outer, **options)])
    wan = config["ports"][0]
    wan["addresses"] = [f"{ENDS[v][side]}/{LENGTHS[v]}" for v in (4, 6)]
    if side == 1 and narrow:
        wan["mtu"] = NARROW
    config["gateway"].update(limits or {})
    config["routes"] = [{"to": "0.0.0.0/0" if v == 4 else "::/0", "via": ROUTER[v][side], "port": "wan"} for v in (4, 6)]
    config["neighbours"] = [n for n in config["neighbours"] if n["port"] == "lan"]
    config["neighbours"] += [{"ip": ROUTER[v][side], "mac": ROUTER_MAC[side], "port": "wan"} for v in (4, 6)]
    return config


def router(lab, narrow):
    """With narrow its link to side b takes NARROW octets only."""
    ns = lab.namespace("router", True)
    for side, name in enumerate("ab"):
        interface = f"to-{name}"
        lab.veth((ns, interface, ROUTER_MAC[side]), (lab.ns(f"gw-{name}"), "black", BLACK_MAC[side]))
        for v in (4, 6):
            sh("ip", "addr", "add", f"{ROUTER[v][side]}/{LENGTHS[v]}", "dev", interface, ns=ns)
            sh("ip", f"-{v}", "neigh", "replace", ENDS[v][side], "lladdr", BLACK_MAC[side], "dev", interface, "nud", "permanent",
               ns=ns)
    for setting in ("ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1", "ipv4.icmp_ratelimit=0", "ipv6.icmp.ratelimit=0"):
        sh("sysctl", "-qw", f"net.{setting}", ns=ns)
    if narrow:
        sh("ip", "link", "set", "to-b", "mtu", NARROW, ns=ns)


def swallow(lab, size):
    """What is larger on its way to gateway b, which runs, vanishes. It has set its port's MTU when it started."""
    wait_for("gateway b", lambda: os.path.exists(lab.gateways["gw-b"].socket))
    sh("ip", "link", "set", "black", "mtu", size, ns=lab.ns("gw-b"))


@contextlib.contextmanager
def laboratory(outer, narrow=True, **options):
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        for name in "ab":
            lab.namespace(f"host-{name}", True)
            lab.namespace(f"gw-{name}", False)
        router(lab, narrow)
        red_veths(lab)
        hosts(lab)
        for side, name in ((1, "b"), (0, "a")):
            lab.gateway(f"gw-{name}", gateway(side, outer, narrow, **options), ns=lab.ns(f"gw-{name}"))
            if side == 1 and not narrow:
                swallow(lab, NARROW)
        for address in (HOST4[1], HOST6[1]):
            wait_for(f"the first ping of {address}", lambda to=address: "1 received" in ping(lab, 56, to, 1), 20)
        yield lab


def ping(lab, size, to, count=3, **more):
    return sh("ping", "-n", "-c", count, "-i", "0.1", "-W", 1, "-M", "do", "-s", size, to, ns=lab.ns("host-a"), quiet=True, **more)


def show(lab, *words, name="gw-a"):
    gate = lab.gateways[name]
    gate.alive()
    done = subprocess.run([ESPCTL, "-s", gate.socket, "--json", "show", *words], capture_output=True, text=True, timeout=20 * SLOWER,
                          check=False)
    same(done.returncode, 0, f"status of espctl show {' '.join(words)}: {done.stderr}")
    return json.loads(done.stdout)


def download(lab, to):
    """What TCP brings from host a to b."""
    server = lab.start("iperf3", "-s", "-1", "--bind", to, ns=lab.ns("host-b"))
    time.sleep(0.5 * SLOWER)
    end = json.loads(sh("iperf3", "-J", "-c", to, "-t", "2", ns=lab.ns("host-a")))["end"]
    lab.finish(server)
    return end["sum_received"]["bytes"]


def believes(outer):
    def body():
        with laboratory(outer) as lab:
            large, small = FITS[outer]
            same(show(lab, "sa", "site.out")["mtu"], large, "what the tunnel takes before")
            # The kernel of the router tells the gateway, the gateway tells the host, by the next packet.
            ping(lab, large - 28, HOST4[1])
            wait_for("the path's MTU", lambda: show(lab, "pmtu")["counters"]["icmp_obeyed"] == 1, 5)
            shown = show(lab, "sa", "site.out")
            same((shown["mtu"], shown["path_mtu"], shown["path_mtu_from"]), (small, NARROW, "icmp"), "what show sa says then")
            check(590 <= shown["path_mtu_seconds"] <= 600, f"for {shown['path_mtu_seconds']} s")
            for address, header in ((HOST4[1], 28), (HOST6[1], 48)):
                ping(lab, small + 1 - header, address)
                said = sh("ip", "route", "get", address, ns=lab.ns("host-a"))
                check(f"mtu {small}" in said, f"what the host has learnt: {said}")
                said = sh("ping", "-n", *at_once(3), "-M", "do", "-s", small - header, address, ns=lab.ns("host-a"), quiet=True)
                check("3 received" in said, said)
                size = download(lab, address)
                check(size > 500_000, f"{address}: {size} octets by TCP")
            path = show(lab, "pmtu")["paths"][0]
            same((path["dst"], path["mtu"], path["from"]), (ENDS[outer][1], NARROW, "icmp"), "show pmtu")
            lab.gateways["gw-a"].stop()
            lab.gateways["gw-b"].stop()
    add_case(f"IPv{outer}: the router's ICMP is believed, the inner hosts are told, TCP flows", body)


def in_fragments():
    """Outer packets that may be cut are, by the router; the far end tells what fits, once in ten seconds.

    By libpcap: with af_packet as DPDK asks for it the kernel puts IPv4 fragments together itself.
    """
    with laboratory(4, device="net_pcap0,iface=black,phy_mac=1", df="clear", pmtu={"icmp": False}) as lab:
        listener = Daemon(lab.gateways["gw-b"].socket, groups=("aevents",))
        began = time.monotonic()
        while time.monotonic() - began < 4 * SLOWER:
            # At once: libpcap's blocks are few, and each takes what comes in some milliseconds, or as much as it can.
            said = sh("ping", "-n", "-q", *at_once(40), "-s", FITS[4][0] - 28, HOST4[1], ns=lab.ns("host-a"), quiet=True)
            check(" 0% packet loss" in said, said)
            time.sleep(0.4)
        time.sleep(1.5)  # it is looked at once in a second
        shown = show(lab, "sa", "site.in", name="gw-b")["fragments"]
        check(shown["datagrams"] >= 40, f"{shown}")
        same((shown["frag_max"] <= NARROW, shown["reassembled_max"], shown["events"]), (True, 1500, 1), f"what was seen: {shown}")
        events = [e for e in listener.quiet(1) if e.kind == NEWAE]
        same(len(events), 1, "events")
        kind, _, fits, datagrams, largest = struct.unpack("=BBHII", attributes(events[0].body[48:])[PATH])
        same((kind, fits, largest), (2, shown["frag_max"], 1500), "what the event says")
        check(datagrams >= 16, f"{datagrams} datagrams")
        # The peer's daemon would do that with it; then nothing comes in fragments any more.
        done = subprocess.run([ESPCTL, "-s", lab.gateways["gw-a"].socket, "set", "sa", "site.out", "path-mtu", str(fits)],
                              capture_output=True, text=True, check=False)
        same(done.returncode, 0, done.stderr)
        before = show(lab, "sa", "site.in", name="gw-b")["fragments"]["datagrams"]
        said = sh("ping", "-n", "-q", *at_once(5), "-M", "dont", "-s", 1400, HOST4[1], ns=lab.ns("host-a"))
        check(" 0% packet loss" in said, said)
        time.sleep(1.5)
        same(show(lab, "sa", "site.in", name="gw-b")["fragments"]["datagrams"], before, "datagrams that came in fragments")
        listener.close()


def too_big():
    """The far end takes less than what comes: who listens hears the limit once, nobody of what is forged."""
    limit, largest = 1380, 1480
    with laboratory(4, device="net_pcap0,iface=black,phy_mac=1", df="clear", pmtu={"icmp": False},
                    limits={"reassembly": {"emtu_r": limit}}) as lab:
        listener = Daemon(lab.gateways["gw-b"].socket, groups=("aevents",))
        inner = FITS[4][0] - (1500 - largest)
        for size, answers in ((inner, 0), (1300, 5), (inner, 0)):
            said = sh("ping", "-n", "-q", *at_once(5), "-s", size - 28, HOST4[1], ns=lab.ns("host-a"), quiet=True)
            check(f" {answers} received" in said, f"of {size} octets:\n{said}")
        time.sleep(1.5)
        shown = show(lab, "sa", "site.in", name="gw-b")["fragments"]
        same((shown["toobig"], shown["toobig_max"], shown["toobig_events"]), (10, largest, 1), f"what was seen: {shown}")
        events = [struct.unpack("=BBHII", attributes(e.body[48:])[PATH]) for e in listener.quiet(1) if e.kind == NEWAE]
        same([(e[0], e[2], e[4]) for e in events], [(3, limit, largest)], "kind, limit and size of the events")
        check(1 <= events[0][3] <= 10, f"{events[0][3]} packets")
        listener.close()


def forged(number, spi=SPI[0], mtu=1300, src=None):
    """Too big of one who did not see our packets."""
    quoted = ip(ENDS[4][0], ENDS[4][1], 50, struct.pack("!II", spi, number) + bytes(20), df=1)
    body = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted[:28]
    return ip(src or ROUTER[4][0], ENDS[4][0], 1, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def flood():
    with laboratory(4) as lab:
        router_end = packet_socket(lab.ns("router"), "to-a")
        before = show(lab, "pmtu")["counters"]
        pinging = lab.start("ping", "-n", "-c", 100, "-i", "0.02", "-s", 500, HOST4[1], ns=lab.ns("host-a"),
                            log=f"{lab.folder}/ping")
        sent = 0
        while pinging.poll() is None:
            for i in range(MALICE):
                number, spi = (0x80000000 + sent, SPI[0]) if i % 2 else (1, 0x5000 + sent)
                with contextlib.suppress(BlockingIOError):
                    router_end.send(frame(forged(number, spi, src=f"203.0.{i // 250}.{i % 250 + 1}"), BLACK_MAC[0], ROUTER_MAC[0]))
                    sent += 1
            time.sleep(0.005)
        with open(f"{lab.folder}/ping", encoding="utf-8") as f:
            said = f.read()
        # What ping did not wait for at its end is not lost.
        came = {int(n) for n in re.findall(r"bytes from .* icmp_seq=(\d+) ", said)}
        check(len(came) >= 90 and came == set(range(1, max(came) + 1)), said)
        check(sent > 2000, f"{sent} messages")
        shown = show(lab, "pmtu")
        same((shown["n_paths"], shown["counters"]["icmp_obeyed"]), (0, 0), "paths learnt, messages believed")
        counts = {k: shown["counters"][k] - before[k] for k in ("icmp_ignored_spi", "icmp_ignored_number")}
        check(min(counts.values()) > 100, f"ignored of {sent}: {counts}")
        same(show(lab, "sa", "site.out")["mtu"], FITS[4][0], "what the tunnel takes")
        lab.gateways["gw-a"].stop()


def black_hole(outer):
    def body():
        # The link to side b takes less, and who finds out is silent; the way back is as wide as ever.
        with laboratory(outer, narrow=False, esp_ping=True, pmtu={"icmp": True, "probe": True}) as lab:
            begin = time.monotonic()
            wait_for("the search's end", lambda: show(lab, "sa", "site.out").get("probing") == "complete", 10)
            took = time.monotonic() - begin
            shown, counters = show(lab, "sa", "site.out"), show(lab, "pmtu")["counters"]
            check(took < 10 * SLOWER, f"it took {took:.1f} s")
            # A veth takes a VLAN tag more than its MTU.
            check(NARROW - 16 <= shown["path_mtu"] <= NARROW + 4, f"found {shown['path_mtu']}")
            same((shown["path_mtu_from"], counters["icmp_obeyed"]), ("probe", 0), "from")
            ping(lab, shown["mtu"] + 1 - 28, HOST4[1])
            for address in (HOST4[1], HOST6[1]):
                size = download(lab, address)
                check(size > 500_000, f"{address}: {size} octets by TCP")
            # It grows narrower while it is used.
            swallow(lab, 1300)
            pinging = lab.start("ping", "-n", "-i", "0.1", "-s", 100, HOST4[1], ns=lab.ns("host-a"))
            wait_for("the smaller MTU", lambda: show(lab, "sa", "site.out")["path_mtu"] <= 1304, 10)
            wait_for("the search's end", lambda: show(lab, "sa", "site.out").get("probing") == "complete", 10)
            check(1284 <= show(lab, "sa", "site.out")["path_mtu"], "far less than that")
            lab.finish(pinging)
            lab.gateways["gw-a"].stop()
            lab.gateways["gw-b"].stop()
    add_case(f"IPv{outer}: a path that swallows what is too large is measured within ten seconds, twice", body)


believes(4)
believes(6)
black_hole(4)
black_hole(6)
add_case("what is larger than the far end takes drops there, and who listens is told the limit, once in ten seconds", too_big)
add_case("what comes in fragments is counted, and who listens is told what fits, once in ten seconds", in_fragments)
add_case("a flood of forged ICMP from 500 sources lowers nothing and loses no packet of others", flood)

if __name__ == "__main__":
    main()
