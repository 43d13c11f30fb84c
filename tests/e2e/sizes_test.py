#!/usr/bin/python3
"""Hosts with links of 9000 octets, gateways with 1500 between them: ping and iperf3 of any size; and ports of 9600."""
import contextlib
import json
import re
import tempfile

from lab import Lab, at_once, sh, wait_for
from sites import BLACK_MAC, HOST4, HOST6, black_veth, hosts, large, namespaces, red_veths, site, tunnel
from tap import add_case, check, main, same

JUMBO = 9600


def mtu_set(lab, mtu, interfaces):
    for name, interface in interfaces:
        sh("ip", "link", "set", interface, "mtu", mtu, ns=lab.ns(name))


REDS = [("host-a", "eth0"), ("gw-a", "red"), ("host-b", "eth0"), ("gw-b", "red")]
BLACKS = [("gw-a", "black"), ("gw-b", "black")]


def config_of(side, black, red, black_mtu, red_mtu, **options):
    config = site(side, black, red, [tunnel(side, **options)])
    config["gateway"]["mbufs"] = 8192
    config["ports"][0]["mtu"], config["ports"][1]["mtu"] = black_mtu, red_mtu
    return config


@contextlib.contextmanager
def two_sites(black_mtu, red_mtu, black=None, red=None, wires=(black_veth, red_veths), **options):
    """The lab, its gateways running and reached. Their ledgers balance at the end, or it fails."""
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab("espgw-size", folder) as lab:
        namespaces(lab)
        for wire in wires:
            wire(lab)
        mtu_set(lab, red_mtu, REDS)
        if black_veth in wires:
            mtu_set(lab, black_mtu, BLACKS)
        hosts(lab)
        gateways = [lab.gateway(name, config_of(side, black(side, folder) if black else large(0, "black", red_mtu),
                                                red(side) if red else large(1, "red", red_mtu), black_mtu, red_mtu, **options),
                                ns=lab.ns(name)) for side, name in enumerate(("gw-a", "gw-b"))]
        wait_for("a ping comes back", lambda: [g.alive() for g in gateways] and
                 "1 received" in ping(lab, HOST4[1], 56, count=1, quiet=True))
        yield lab
        for gateway in gateways:
            report = gateway.stop()
            same({why: n for why, n in report.drops.items() if why not in ("not_ip", "too_big", "no_policy", "no_route", "ttl")},
                 {}, "drops")


def ping(lab, to, size, df="dont", count=3, quiet=False, ns="host-a"):
    return sh("ping", "-n", "-c", count, "-i", "0.2", "-W", "2", "-M", df, "-s", size, to, ns=lab.ns(ns), quiet=quiet)


def answered(lab, to, size, df="dont"):
    """All of three pings come back."""
    return "3 received" in sh("ping", "-n", *at_once(3), "-M", df, "-s", size, to, ns=lab.ns("host-a"), quiet=True)


def forget(lab, name):
    for family in "-4", "-6":
        sh("ip", family, "route", "flush", "cache", ns=lab.ns(name))


def pings(lab, fits):
    """Without DF all sizes come back; with DF those that fit, and the others learn the number."""
    for size in (56, fits - 28, fits - 27, 2000, 4000, 8972):
        check(answered(lab, HOST4[1], size), f"ping of {size} octets without DF")
        ping(lab, HOST6[1], size, quiet=True)  # both hosts are told
        check(answered(lab, HOST6[1], size), f"IPv6 ping of {size} octets, cut by the hosts")
    check(answered(lab, HOST4[1], fits - 28, "do"), f"ping of {fits - 28} octets with DF")
    for size in (fits - 27, 4000, 8972):
        forget(lab, "host-a")
        said = ping(lab, HOST4[1], size, "do", quiet=True)
        check(re.search(rf"mtu\s*=\s*{fits}\b", said) and " 0 received" in said, f"with DF and {size} octets:\n{said}")
    forget(lab, "host-a")
    said = ping(lab, HOST6[1], 4000, "do", quiet=True)
    check(re.search(rf"mtu\s*[=:]\s*{max(fits, 1280)}\b", said), f"IPv6, not to be cut:\n{said}")


def iperf(lab, to, *arguments):
    server = lab.start("iperf3", "-s", "-1", ns=lab.ns("host-b"), log=f"{lab.folder}/iperf3.log")
    wait_for("iperf3 listens", lambda: "5201" in sh("ss", "-ltn", ns=lab.ns("host-b")))
    said = json.loads(sh("iperf3", "-c", to, "-t", "3", "-J", *arguments, ns=lab.ns("host-a"), timeout=60))
    lab.finish(server)
    check("error" not in said, f"iperf3 to {to} {arguments}: {said.get('error')}")
    return said["end"]


def streams(lab):
    """TCP that finds the size, then UDP over IPv4 with DF clear, whose packets are the gateway's to cut."""
    for to in (HOST4[1], HOST6[1]):
        forget(lab, "host-a")
        tcp = iperf(lab, to)
        check(tcp["sum_received"]["bytes"] > 1_000_000, f"TCP to {to}: {tcp['sum_received']['bytes']} octets in 3 s")
        forget(lab, "host-a")
        sh("sysctl", "-qw", "net.ipv4.ip_no_pmtu_disc=1", ns=lab.ns("host-a"))
        # Over IPv6 a program that sends too much has to ask for the size itself: iperf3 does not.
        for length in (1300, 4000, 8000) if to == HOST4[1] else (1300,):
            udp = iperf(lab, to, "-u", "-b", "4M", "-l", length)["sum"]
            check(udp["packets"] > 100 and udp["lost_packets"] <= udp["packets"] // 10,
                  f"UDP of {length} octets to {to}: {udp['lost_packets']} of {udp['packets']} lost")


def large_hosts(what, fits, **options):
    def body():
        with two_sites(1500, 9000, **options) as lab:
            pings(lab, fits)
            streams(lab)
    add_case(f"hosts of 9000 over a way of 1500, {what}: ping and iperf3 of all sizes, DF on and off", body)


large_hosts("cut before ESP", 1446, path_mtu=1500, frag="pre")
large_hosts("cut behind ESP", 1446, path_mtu=1500, frag="post")
large_hosts("an MSS lowered", 1446, path_mtu=1500, mss_clamp=True)


def jumbo_ports(what, black=None, red=None, wires=(black_veth, red_veths)):
    def body():
        with two_sites(JUMBO, JUMBO, black, red, wires, path_mtu=JUMBO) as lab:
            for size in (1400, 2500, 8000, JUMBO - 54 - 28):
                check(answered(lab, HOST4[1], size, "do"), f"ping of {size} octets with DF")
                check(answered(lab, HOST6[1], size - 20, "do"), f"IPv6 ping of {size - 20} octets")
    add_case(f"frames of {JUMBO} octets: {what}", body)


def memif(side, folder):
    return (f"net_memif0,role={'server' if side == 0 else 'client'},id=7,socket={folder}/memif.sock,"
            f"socket-abstract=no,mac={BLACK_MAC[side]}")


jumbo_ports("af_packet over veth")
jumbo_ports("memif between the gateways, which takes frames in pieces", memif, None, (red_veths,))

if __name__ == "__main__":
    main()
