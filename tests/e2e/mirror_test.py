#!/usr/bin/python3
"""The kernel behind the gateway, by mirrors: ping, ARP, discovery, TCP, a tunnel's inner address, a flood."""
import tempfile

from lab import Lab, sh, wait_for
from sites import BLACK4, BLACK6, BLACK_MAC, HOST_MAC, RED4, RED6, af_packet, site
from tap import case, check, main, same

PREFIX = "espgw-mirror"


def deafen(ns, interface):
    """The kernel takes nothing from the wire itself: espgw reads it, and the kernel hears by the mirror."""
    sh("sysctl", "-qw", f"net.ipv4.conf.{interface}.rp_filter=1", ns=ns)
    sh("ip", "link", "set", interface, "arp", "off", ns=ns)


def gateway_with_host(lab, change=lambda config: None):
    """One gateway with its mirrors, and a host on each side that knows it by ARP and discovery alone."""
    ns = lab.namespace("gw", False)
    for name, interface, mac, addresses in (
            ("out", "black", BLACK_MAC, [f"{BLACK4[1]}/24", f"{BLACK6[1]}/64"]),
            ("in", "red", HOST_MAC, ["10.1.0.2/16", "fd01::2/16"])):
        lab.namespace(name, True)
        lab.veth((lab.ns(name), "eth0", mac[1]), (ns, interface, mac[0]))
        deafen(ns, interface)
        for address in addresses:
            sh("ip", "addr", "add", address, "dev", "eth0", ns=lab.ns(name))
    config = site(0, af_packet(0, "black"), af_packet(1, "red"))
    del config["neighbours"]
    for port, name in zip(config["ports"], ("wan", "lan")):
        port["mirror"] = {"tap": f"{name}0"}
    change(config)
    gateway = lab.gateway("gw", config, ns=ns)
    wait_for("the mirrors", lambda: gateway.alive() or "lan0" in sh("ip", "link", ns=ns))
    for tap in ("wan0", "lan0"):
        sh("sysctl", "-qw", f"net.ipv6.conf.{tap}.disable_ipv6=0", ns=ns)
    for tap, addresses in (("wan0", [f"{BLACK4[0]}/24", f"{BLACK6[0]}/64"]), ("lan0", [f"{RED4[0]}/16", f"{RED6[0]}/16"])):
        for address in addresses:
            sh("ip", "addr", "replace", address, "dev", tap, ns=ns)
    return gateway


def ping(lab, ns, address, size=56):
    said = sh("ping", "-c", 5, "-i", "0.2", "-W", 2, "-s", size, address, ns=lab.ns(ns), quiet=True)
    check(" 0% packet loss" in said, said)
    check("duplicates" not in said, said)


@case("ping of the gateway and by it, both families and sides; ARP and discovery both ways")
def pings():
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        gateway = gateway_with_host(lab)
        for ns, address in (("out", BLACK4[0]), ("out", BLACK6[0]), ("in", RED4[0]), ("in", RED6[0])):
            ping(lab, ns, address)
            ping(lab, ns, address, 1400)
        sh("ip", "neigh", "flush", "all", ns=lab.ns("gw"))
        for address in (BLACK4[1], BLACK6[1], "10.1.0.2", "fd01::2"):
            ping(lab, "gw", address)
        report = gateway.stop()
    same({why: n for why, n in report.drops.items() if why != "policy_cleartext"}, {}, "drops")
    check(report.report["consumed_by"]["mirror"] >= 60, "frames for the mirror")
    same("wan0" in sh("ip", "link", quiet=True), False, "the mirror after the end")


if __name__ == "__main__":
    main()
