#!/usr/bin/python3
"""Every kind of port that needs no NIC: numbered packets through two gateways, octet for octet, ledgers balanced."""
import subprocess
import tempfile

from lab import Lab, sh, wait_for
import gw
from pump import Stream, reach, socket_on, transfer
from sites import BLACK4, BLACK_MAC, NET4, RED_MAC, af_packet, af_xdp, black_veth, key, red_veths, site
from tap import case, check, main, same

MANY, SOME = 100_000, 10_000
FIRST = 1  # reach() sends at least this many before the count begins


def quiet_namespaces(lab):
    """Namespaces without addresses: no kernel answers beside the gateways."""
    for name in ("host-a", "gw-a", "gw-b", "host-b"):
        lab.namespace(name, False)


def through_two(count, black, red, wires, ends=("host-a", "eth0", "host-b", "eth0")):
    """count packets from a to b; black and red give each side's device, wires(lab) makes what they stand on."""
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab("espgw-e2e", folder) as lab:
        quiet_namespaces(lab)
        wires(lab)
        gateways = []
        for side, name in enumerate(("gw-a", "gw-b")):
            gateways.append(lab.gateway(name, site(side, black(side, folder), red(side)), ns=lab.ns(name)))
        if "tap" in red(0):
            wait_for_taps(lab, gateways)
        stream = Stream(count)
        sender, receiver = socket_on(lab, ends[0], ends[1]), socket_on(lab, ends[2], ends[3])
        reach(sender, receiver, stream, gateways)
        transfer(sender, receiver, stream)
        reports = [gateway.stop() for gateway in gateways]
    for report in reports:
        # What reach() sent before both were up may be missing from a; from then on nothing may be.
        check(report.report["tx"] >= count + FIRST, f"tx {report.report['tx']}")
        same({why: n for why, n in report.drops.items() if why not in ("not_ip",)}, {}, "drops")
    same(reports[1].sa("site.in")["packets"] >= count + FIRST, True, "packets out of the tunnel")


def wait_for_taps(lab, gateways):
    for name in ("gw-a", "gw-b"):
        wait_for(f"the tap of {name}", lambda name=name: [g.alive() for g in gateways] and "lan-dp" in sh(
            "ip", "link", ns=lab.ns(name)))


def both_veths(lab):
    black_veth(lab)
    red_veths(lab)


@case(f"af_packet over veth: {MANY} packets")
def packet_ports():
    through_two(MANY, lambda side, folder: af_packet(0, "black"), lambda side: af_packet(1, "red"), both_veths)


@case(f"af_xdp over veth: {MANY} packets")
def xdp_ports():
    through_two(MANY, lambda side, folder: af_xdp(0, "black"), lambda side: af_xdp(1, "red"), both_veths)


def memif(side, folder):
    return (f"net_memif0,role={'server' if side == 0 else 'client'},id=7,socket={folder}/memif.sock,"
            f"socket-abstract=no,mac={BLACK_MAC[side]}")


@case(f"memif between two gateways: {MANY} packets")
def memif_ports():
    through_two(MANY, memif, lambda side: af_packet(1, "red"), red_veths)


@case(f"a memif client that is there before its server, and after it: {SOME} packets each time")
def memif_calls():
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab("espgw-e2e", folder) as lab:
        quiet_namespaces(lab)
        red_veths(lab)

        def start(side, name):
            config = site(side, memif(side, folder), af_packet(1, "red"))
            return lab.gateway(name, config, ns=lab.ns(f"gw-{'ab'[side]}"))
        client = start(1, "client")
        wait_for("the client says that nobody is there", lambda: client.alive() or "port wan: nobody there yet" in client.said())
        wait_for("its link is down", lambda: client.alive() or "port wan: Link down" in client.said())
        ends = socket_on(lab, "host-b", "eth0"), socket_on(lab, "host-a", "eth0")
        # From the client to the server: a server that comes again with the same keys has no number to begin with.
        for turn in (1, 2):
            server = start(0, f"server{turn}")
            stream = Stream(SOME, side=1)
            reach(*ends, stream, [server, client])
            transfer(*ends, stream)
            wait_for("the client says that its link is up",
                     lambda turn=turn: client.said().count("port wan: Link up") == turn)
            same(server.stop().drops, {}, "drops of the server")
            wait_for("the client's link is down again",
                     lambda turn=turn: client.said().count("port wan: Link down") == turn + 1)
        same(client.stop().drops, {}, "drops of the client")


@case(f"tap on the red side: {SOME} packets")
def tap_ports():
    through_two(SOME, lambda side, folder: af_packet(0, "black"), lambda side: f"net_tap1,iface=lan-dp,mac={RED_MAC[side]}",
                black_veth, ("gw-a", "lan-dp", "gw-b", "lan-dp"))


@case(f"ring: {MANY} packets out of a gateway and back into itself, from capture to capture")
def ring_port():
    far = "198.51.100.1"
    config = gw.laboratory()
    config["ports"][0].update(device="net_ring0", promiscuous=True, addresses=[f"{BLACK4[0]}/24"])
    config["routes"] = [r for r in config["routes"] if ":" not in r["to"]] + [{"to": f"{far}/32", "via": "192.0.2.254",
                                                                             "port": "wan"}]
    config["routes"].append({"to": "10.2.0.0/16", "via": "10.254.0.2", "port": "lan"})
    config["neighbours"] = [n for n in config["neighbours"] if ":" not in n["ip"]]
    config["ports"][1]["addresses"] = ["10.254.0.1/24"]
    config["sas"] = [{"name": f"loop.{way}", "direction": way, "spi": 0x1001, "src": BLACK4[0], "dst": far,
                      "aead": "aes-gcm-128", "key": key(0)} for way in ("out", "in")]
    config["policies"] = [{"name": way, "direction": way, "src": NET4[0], "dst": NET4[1], "action": "protect",
                           "sa": f"loop.{way}"} for way in ("out", "in")]
    packets = [gw.udp("10.1.0.2", "10.2.0.2", n.to_bytes(4, "big") + bytes(n % 1000)) for n in range(MANY)]
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder:
        gw.write_pcap(f"{folder}/in.pcap", [gw.frame(p, gw.WAN_MAC, gw.LAN_NEXT) for p in packets])
        config["ports"][1]["device"] = f"net_pcap0,rx_pcap={folder}/in.pcap,tx_pcap={folder}/out.pcap"
        with Lab("espgw-e2e", folder) as lab:
            gateway = lab.gateway("ring", config, arguments=["--exit-when-idle", "300"])
            try:
                status = gateway.process.wait(60 * gw.SLOWER)
            except subprocess.TimeoutExpired:
                status = "none: still running"
            same(status, 0, f"exit status\n{gateway.said()}\n")
            report = gateway.report()
        came = [f[14:] for f in gw.read_pcap(f"{folder}/out.pcap")]
    same(report.drops, {}, "drops")
    wrong = [n for n, (have, want) in enumerate(zip(came, packets)) if have != gw.aged(want, 2)]
    same((len(came), wrong[:5]), (MANY, []), "packets that came back, and the first that differ")


if __name__ == "__main__":
    main()
