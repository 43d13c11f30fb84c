#!/usr/bin/python3
"""The kernel behind the gateway, by mirrors: ping, ARP, discovery, TCP, a tunnel's inner address, a flood."""
import contextlib
import os
import signal
import socket
import struct
import tempfile
import threading
import time

from lab import Lab, at_once, entered, packet_socket, sh, wait_for
from gw import SLOWER, mac, udp
from sites import BLACK4, BLACK6, BLACK_MAC, HOST4, HOST_MAC, RED4, RED6, RED_MAC, af_packet, site
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
    said = sh("ping", *at_once(5), "-s", size, address, ns=lab.ns(ns), quiet=True)
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


def listener(ns, address, port, kind=socket.SOCK_STREAM):
    """A bound socket of a namespace, with a time limit."""
    with entered(ns):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
    s.settimeout(20 * SLOWER)
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


def transfer(server_ns, client_ns, address, port, octets):
    """Sends octets by TCP from a client to a server and back; both ends must see all of them."""
    with listener(server_ns, address, port) as s:
        def serve():
            conn, _ = s.accept()
            with conn:
                conn.settimeout(20 * SLOWER)
                while data := conn.recv(65536):
                    conn.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with entered(client_ns):
            c = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        with c:
            c.settimeout(20 * SLOWER)
            c.connect((address, port))
            have, sent = b"", 0
            while len(have) < len(octets):
                if sent < len(octets) and sent - len(have) < 100_000:
                    sent += c.send(octets[sent:sent + 16384])
                else:
                    have += c.recv(65536)
            c.shutdown(socket.SHUT_WR)
            same(have == octets, True, "what came back is what was sent")
        thread.join(20 * SLOWER)


@case("TCP to a listener on the gateway's host, by both sides and families, and out from it")
def streams():
    octets = os.urandom(300_000)
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        gateway = gateway_with_host(lab)
        for ns, address in (("out", BLACK4[0]), ("in", RED4[0]), ("in", RED6[0])):
            wait_for("an answer", lambda ns=ns, address=address: "1 received" in sh(
                "ping", "-c", 1, "-W", 1, address, ns=lab.ns(ns), quiet=True))
            transfer(lab.ns("gw"), lab.ns(ns), address, 4433, octets)
        transfer(lab.ns("out"), lab.ns("gw"), BLACK4[1], 4433, octets)
        gateway.stop()


def two_gateways(lab, folder):
    """Gateway a with mirrors; b without, and a host behind it."""
    for name, host in (("gw", False), ("gw-b", False), ("host-b", True), ("in", True)):
        lab.namespace(name, host)
    lab.veth((lab.ns("gw"), "black", BLACK_MAC[0]), (lab.ns("gw-b"), "black", BLACK_MAC[1]))
    lab.veth((lab.ns("in"), "eth0", HOST_MAC[0]), (lab.ns("gw"), "red", RED_MAC[0]))
    lab.veth((lab.ns("host-b"), "eth0", HOST_MAC[1]), (lab.ns("gw-b"), "red", RED_MAC[1]))
    lab.host("host-b", "eth0", [f"{HOST4[1]}/16"], [(RED4[1], RED_MAC[1])])
    for interface in ("black", "red"):
        deafen(lab.ns("gw"), interface)
    configs = [site(side, af_packet(0, "black"), af_packet(1, "red")) for side in (0, 1)]
    for port, name in zip(configs[0]["ports"], ("wan", "lan")):
        port["mirror"] = {"tap": f"{name}0"}
    gateways = [lab.gateway(name, config, ns=lab.ns(name)) for name, config in zip(("gw", "gw-b"), configs)]
    ns = lab.ns("gw")
    wait_for("the mirrors", lambda: [g.alive() for g in gateways] and "lan0" in sh("ip", "link", ns=ns))
    sh("ip", "addr", "replace", f"{BLACK4[0]}/24", "dev", "wan0", ns=ns)
    sh("ip", "addr", "replace", f"{RED4[0]}/16", "dev", "lan0", ns=ns)
    # What is behind the tunnel is beyond wan, as any route says; from the protected side's address.
    sh("ip", "neigh", "replace", BLACK4[1], "lladdr", BLACK_MAC[1], "dev", "wan0", "nud", "permanent", ns=ns)
    sh("ip", "route", "replace", "10.2.0.0/16", "via", BLACK4[1], "dev", "wan0", "src", RED4[0], ns=ns)
    for tap in ("all", "wan0", "lan0"):
        sh("sysctl", "-qw", f"net.ipv4.conf.{tap}.rp_filter=2", ns=ns)
    return gateways


@case("through a tunnel to the gateway's inner address: ping, large ones, TCP both ways")
def inner_address():
    octets = os.urandom(300_000)
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        gateways = two_gateways(lab, folder)
        wait_for("the tunnel", lambda: "1 received" in sh("ping", "-c", 1, "-W", 1, RED4[0], ns=lab.ns("host-b"), quiet=True))
        ping(lab, "host-b", RED4[0])
        ping(lab, "host-b", RED4[0], 1300)
        ping(lab, "gw", HOST4[1])
        transfer(lab.ns("gw"), lab.ns("host-b"), RED4[0], 4433, octets)
        transfer(lab.ns("host-b"), lab.ns("gw"), HOST4[1], 4433, octets)
        for child in gateways:
            child.stop()


@case("100,000 garbage IKE packets from one source: IKE of another gets through, within 20 ms, asleep or not")
def ike_under_flood():
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        gateway = gateway_with_host(lab)
        ping(lab, "out", BLACK4[0])
        daemon = listener(lab.ns("gw"), BLACK4[0], 500, socket.SOCK_DGRAM)
        daemon.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        wire = packet_socket(lab.ns("out"), "eth0")
        head = mac(BLACK_MAC[0]) + mac(BLACK_MAC[1]) + b"\x08\0"
        garbage = head + udp("198.51.100.66", BLACK4[0], bytes(28), 500, 500)
        sh("ip", "route", "replace", "198.51.100.0/24", "via", BLACK4[1], "dev", "wan0", ns=lab.ns("gw"))
        came, lags, sent = set(), [], 0
        daemon.setblocking(False)
        # Ten of the other source, each again and again: where a ring of the wire runs over it is the machine that loses them.
        while sent < 100_000 or (len(came) < 10 and sent < 500_000):
            if sent % 2_000 == 1_000:
                number = struct.pack("!I", sent // 2_000 % 10)
                wire_send(wire, head + udp("198.51.100.99", BLACK4[0], number * 7, 500, 500))
                came |= heard(daemon)
            wire_send(wire, garbage)
            sent += 1
        wait_for("all ten of the other source", lambda: came.update(heard(daemon)) or len(came) == 10, 5)
        time.sleep(0.5)
        heard(daemon)
        daemon.settimeout(5 * SLOWER)
        for i in range(20):  # control sleeps again before each
            time.sleep(0.25)
            begin = time.monotonic()
            wire_send(wire, head + udp("198.51.100.99", BLACK4[0], struct.pack("!I", i) * 7, 500, 500))
            daemon.recv(2048)
            lags.append(time.monotonic() - begin)
        check(sorted(lags)[10] < 0.025 * SLOWER, f"the lags of IKE, in seconds: {lags}")
        report = gateway.stop()
    check(report.drops.get("punt_limit", 0) > 50_000, f"drops {report.drops}")
    check(report.drops.get("mirror_full", 0) == 0, f"drops {report.drops}")


def heard(daemon):
    """What has come of the source that is to get through, by its first octets."""
    came = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            octets, (source, _) = daemon.recvfrom(2048)
            if source == "198.51.100.99":
                came.add(octets[:4])
    return came


def wire_send(wire, octets):
    while True:
        try:
            wire.send(octets)
            return
        except (BlockingIOError, OSError):
            time.sleep(0.0005)


@case("a mirror whose name is in use is refused with a sentence; what a crash leaves is nothing")
def names():
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        gateway = gateway_with_host(lab)
        ns = lab.ns("gw")
        gateway.kill()
        wait_for("the taps are gone", lambda: "lan0" not in sh("ip", "link", ns=ns))
        sh("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1", ns=ns)
        config = site(0, af_packet(0, "black"), af_packet(1, "red"))
        config["ports"][1]["mirror"] = {"tap": "lan0"}
        second = lab.gateway("second", config, ns=ns)
        same(second.process.wait(20 * SLOWER), 1, "exit status")
        check("port lan: mirror.tap lan0: there is a kernel interface of this name" in second.said(), second.said())


@case("a mirror that a reload would change needs a restart, and the file is refused with its line")
def reload_refused():
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        gateway = gateway_with_host(lab)
        with open(gateway.file, encoding="utf-8") as f:
            text = f.read()
        gateway.write(text.replace("tap: lan0", "tap: lan7"))
        gateway.signal(signal.SIGHUP)
        wait_for("an answer", lambda: "refused" in gateway.said())
        check("ports[1].mirror: cannot change while running: restart" in gateway.said(), gateway.said())
        ping(lab, "in", RED4[0])
        gateway.stop()


@case("the tap has the port's MAC, MTU and link state, and forwards nothing")
def like_the_port():
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab(PREFIX, folder) as lab:
        gateway = gateway_with_host(lab, lambda config: config["ports"][0].update(mtu=1400))
        ns = lab.ns("gw")
        shown = sh("ip", "link", "show", "wan0", ns=ns)
        check(f"link/ether {BLACK_MAC[0]}" in shown and "mtu 1400" in shown and "LOWER_UP" in shown, shown)
        same(sh("sysctl", "-n", "net.ipv4.conf.wan0.forwarding", ns=ns).strip(), "0", "forwarding")
        same(sh("sysctl", "-n", "net.ipv6.conf.wan0.forwarding", ns=ns).strip(), "0", "IPv6 forwarding")
        gateway.stop()


if __name__ == "__main__":
    main()
