#!/usr/bin/python3
"""What DPDK's telemetry socket tells of the gateway agrees with its exit report."""
import json
import os
import socket
import tempfile

from lab import Lab, free_hugepages, wait_for
import gw
from tap import Skip, case, main, same

GOOD, CLEAR = 20, 3


class Telemetry:
    def __init__(self, gateway):
        path = f"/var/run/dpdk/{gateway.prefix}/dpdk_telemetry.v2"
        wait_for(f"{path} is there", lambda: gateway.alive() or os.path.exists(path))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.socket.settimeout(10 * gw.SLOWER)
        self.room = json.loads(self.socket.recv(1024))["max_output_len"]

    def ask(self, command):
        self.socket.send(command.encode())
        return json.loads(self.socket.recv(self.room))[command.split(",", maxsplit=1)[0]]

    def counts(self, packets):
        """Whether so many came and none of them is inside. DPDK's socket is there before our commands are."""
        totals = self.ask("/espgw/totals")
        return totals is not None and totals["rx"] == packets and totals["held"] == 0


def judge(huge):
    """Packets out by a tunnel, and some that no policy lets out; more SAs than one answer holds."""
    config = gw.with_tunnels(*(gw.Tunnel(n) for n in range(1, 41)))
    packets = [gw.from_lan(1, bytes(n)) for n in range(GOOD)]
    packets += [gw.udp("10.1.1.5", "203.0.113.1", b"in clear")] * CLEAR
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab("espgw-e2e", folder) as lab:
        if huge:
            config["gateway"]["state_file"] = f"{folder}/state"
        gw.write_pcap(f"{folder}/lan.pcap", [gw.to_lan(p) for p in packets])
        gw.write_pcap(f"{folder}/wan.pcap", [])
        for number, port in enumerate(config["ports"]):
            port["device"] = f"net_pcap{number},rx_pcap={folder}/{port['name']}.pcap,tx_pcap={folder}/{port['name']}.out"
        gateway = lab.gateway("telemetry", config, huge=huge, telemetry=True)
        telemetry = Telemetry(gateway)
        wait_for("all packets are counted", lambda: gateway.alive() or telemetry.counts(len(packets)))
        totals, drops, ports, sas = (telemetry.ask(f"/espgw/{what}") for what in ("totals", "drops", "ports", "sas"))
        listed, state = telemetry.ask("/"), telemetry.ask("/espgw/state")
        report = gateway.stop()
    same({k: v for k, v in totals.items() if k != "sas"},
         {k: report.report[k] for k in ("rx", "tx", "generated", "split", "merged", "consumed", "held", "dropped")},
         "/espgw/totals and the report")
    same((totals["rx"], totals["dropped"]), (len(packets), CLEAR), "packets in, packets dropped")
    same({why: n for why, n in drops.items() if n}, report.drops, "/espgw/drops and the report")
    same({p["name"]: (p["rx_packets"], p["tx_packets"], p["link"]) for p in ports.values()},
         {name: (p["rx_packets"], p["tx_packets"], 1) for name, p in report.report["ports"].items()}, "/espgw/ports")
    names = list(report.report["sas"])
    same((totals["sas"], [s["name"] for s in sas.values()]), (len(names), names[:64]), "SAs in all, and those listed")
    same([(s["packets"], s["bytes"]) for s in sas.values()],
         [(report.sa(name)["packets"], report.sa(name)["bytes"]) for name in names[:64]], "/espgw/sas and the report")
    same((state["configured"], state["well"], state["failures"], state["waiting"]), (int(huge), 1, 0, 0), "/espgw/state")
    # One number of each SA, which they wait for together at the start; what was sent since needs no other.
    same((state["records"], state["numbers_written"], state["commits"]), (80, 80, 1) if huge else (0, 0, 0), "/espgw/state")
    same([c.removeprefix("/espgw/") for c in listed if c.startswith("/espgw/")],
         ["crypto", "drops", "ipcomp", "iptfs", "mirrors", "nic", "ports", "reassembly", "sas", "state", "totals"],
         "what the socket offers")


@case("the telemetry socket tells totals, drops, ports and SAs as the exit report does")
def without_hugepages():
    judge(False)


@case("the same with hugepages and --in-memory, and a state file")
def in_memory():
    if free_hugepages() < 128:
        raise Skip("no hugepages")
    judge(True)


if __name__ == "__main__":
    main()
