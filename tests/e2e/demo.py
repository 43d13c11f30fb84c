#!/usr/bin/python3
"""The demonstration of scripts/demo: see there."""
import glob
import ipaddress
import json
import os
import shutil
import signal
import sys
import time

import ike_demo
from lab import Lab, memory, sh, wait_for
from sites import HOST4, HOST6, af_packet, black_veth, hosts, namespaces, red_veths, site
from tap import Failure, check

RUN = "/run/espgw-demo"
CAPTURE = "/var/tmp/espgw-demo-black.pcap"
MARK = b"in clear, espgw!"  # what the pings carry
NOT_ESP = "not (ip proto 50 or ip6 proto 50)"


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n== {text}")


def ours(pid):
    """A pid may be another program's by now; the command line of ours names the demo."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return b"espgw-demo" in f.read()
    except OSError:
        return False


def end_earlier():
    """Ends what --keep, or a run that was cut off, left behind. Returns the gateways that were running."""
    ended = []
    for file in sorted(glob.glob(f"{RUN}/*.pid")):
        with open(file, encoding="ascii") as f:
            pid = int(f.read())
        if ours(pid):
            os.kill(pid, signal.SIGTERM)
            wait_for(f"{file} ends", lambda pid=pid: not ours(pid))
            ended.append(os.path.basename(file)[:-len(".pid")])
    for ns in [line.split()[0] for line in sh("ip", "netns", "list").splitlines()]:
        if ns.startswith("espgw-demo-"):
            for pid in sh("ip", "netns", "pids", ns).split():  # daemons of the gateways
                os.kill(int(pid), signal.SIGTERM)
            sh("ip", "netns", "del", ns)
    return ended


def reports():
    for name in ("gw-a", "gw-b"):
        try:
            with open(f"{RUN}/{name}.out", encoding="utf-8") as f:
                show_counters(name, json.load(f))
        except (OSError, ValueError) as error:
            say(f"{name}: no report ({error})")


def show_counters(name, report):
    say(f"{name}:")
    for port, counters in report["ports"].items():
        say(f"  port {port:8} rx {counters['rx_packets']:>9}  tx {counters['tx_packets']:>9} packets")
    for sa, counters in report["sas"].items():
        say(f"  sa   {sa:8} {counters['packets']:>12} packets {counters['bytes']:>13} octets")
    drops = {why: n for why, n in report["drops"].items() if n}
    say("  drops: " + (", ".join(f"{why} {n}" for why, n in drops.items()) or "none"))


def start_gateways(lab):
    for side, name in enumerate(("gw-a", "gw-b")):
        config = site(side, af_packet(0, "black"), af_packet(1, "red"))
        lab.gateway(name, config, ns=lab.ns(name), huge=True)


def ping(lab, address, count, quiet=False):
    pattern = MARK.hex()
    return sh("ping", "-n", "-c", count, "-i", "0.1", "-W", "1", "-p", pattern, address, ns=lab.ns("host-a"), quiet=quiet)


def up(lab):
    """Both ways are open when a ping comes back."""
    def answered():
        for gateway in lab.gateways.values():
            gateway.alive()
        return "1 received" in ping(lab, HOST4[1], 1, quiet=True)
    wait_for("the first ping through the tunnel", answered, 20)


def iperf(lab, what, address, *options):
    server = lab.start("iperf3", "-s", "-1", "--bind", address, ns=lab.ns("host-b"))
    time.sleep(0.5)
    text = sh("iperf3", "-J", "-c", address, "-t", "4", *options, ns=lab.ns("host-a"), timeout=60)
    lab.finish(server)
    end = json.loads(text)["end"]
    if "sum_received" in end and "-u" not in options:
        rate = end["sum_received"]["bits_per_second"]
        say(f"  {what}: {rate / 1e6:8.0f} Mbit/s, {end['sum_sent'].get('retransmits', 0)} retransmits")
        check(end["sum_received"]["bytes"] > 0, f"{what}: nothing arrived")
        return
    total = end["sum"]
    say(f"  {what}: {total['bits_per_second'] / 1e6:8.0f} Mbit/s, {total['lost_percent']:.2f} % of "
        f"{total['packets']} datagrams lost")
    check(total["packets"] > 0 and total["lost_percent"] < 100, f"{what}: nothing arrived")


def captures(lab):
    """On the black wire: the first packets whole, and all through the run whatever is not ESP; on the red one a few."""
    made = []
    for name, ns, interface, options in (
            ("black", "gw-a", "black", ["-c", "20000", "-w", CAPTURE]),
            ("other", "gw-a", "black", ["-w", f"{RUN}/other.pcap", NOT_ESP]),
            ("red", "host-a", "eth0", ["-c", "100", "-w", f"{RUN}/red.pcap"])):
        log = f"{RUN}/tcpdump-{name}.log"
        made.append(lab.start("tcpdump", "-U", "-n", "-Z", "root", "-i", interface, *options, ns=lab.ns(ns), log=log))
        wait_for(f"tcpdump on {interface} listens", lambda log=log: b"listening" in open(log, "rb").read())
    return made


def packets_in(file):
    return int(sh("sh", "-c", f"tcpdump -n -r {file} 2>/dev/null | wc -l"))


def clear_text(file):
    """How often the ping's text, and each inner pair of addresses, occur in a capture's octets."""
    with open(file, "rb") as f:
        octets = f.read()
    pairs = [b"".join(ipaddress.ip_address(a).packed for a in pair)
             for pair in (HOST4, HOST4[::-1], HOST6, HOST6[::-1])]
    return octets.count(MARK), sum(octets.count(pair) for pair in pairs)


def proof():
    esp, other = packets_in(CAPTURE), packets_in(f"{RUN}/other.pcap")
    for wire, file in (("red", f"{RUN}/red.pcap"), ("black", CAPTURE)):
        marks, addresses = clear_text(file)
        say(f"  {wire:5} wire, {packets_in(file):>6} packets looked at: the text of the pings {marks} times, "
            f"inner addresses {addresses} times")
        check((marks > 0 and addresses > 0) == (wire == "red"), f"clear text on the {wire} wire: {marks}, {addresses}")
    say(f"  black wire, the whole run: {other} packets that are not ESP")
    check(esp > 0 and other == 0, f"the black wire carried {esp} ESP packets and {other} others")
    say("  the first packets of the black wire:")
    for line in sh("sh", "-c", f"tcpdump -n -t -c 4 -r {CAPTURE} 2>/dev/null").splitlines():
        say(f"    {line}")


def demonstrate(lab):
    namespaces(lab)
    black_veth(lab)
    red_veths(lab)
    hosts(lab)
    start_gateways(lab)
    up(lab)
    say(f"gateways up ({'hugepages' if '--in-memory' in memory(True) else 'no hugepages: --no-huge'}); "
        "host-a -- gw-a == AES-GCM tunnel == gw-b -- host-b")
    watching = captures(lab)
    title("ping through the tunnel")
    for address in (HOST4[1], HOST6[1]):
        say("  " + "\n  ".join(ping(lab, address, 5).strip().splitlines()[-2:]))
    title("iperf3 through the tunnel (software ports over veth on shared cores: proof, not a benchmark)")
    iperf(lab, "TCP over IPv4", HOST4[1])
    iperf(lab, "TCP over IPv6", HOST6[1])
    iperf(lab, "UDP over IPv4", HOST4[1], "-u", "-b", "100M", "-l", "1300")
    iperf(lab, "UDP over IPv6", HOST6[1], "-u", "-b", "100M", "-l", "1300")
    for tcpdump in watching:
        lab.finish(tcpdump)
    title("what crossed the black wire")
    proof()


def play(lab):
    host, gateway = lab.ns("host-a"), lab.ns("gw-a")
    say(f"""
It is still running. Try
  ip netns exec {host} ping {HOST4[1]}
  ip netns exec {host} ping {HOST6[1]}
  ip netns exec {gateway} tcpdump -n -i black
  edit {RUN}/gw-a.yaml, then: kill -HUP $(cat {RUN}/gw-a.pid)
End it, and see the counters, with
  sudo scripts/demo --stop""")


def play_ike(lab):
    host, gateway = lab.ns("host-a"), lab.ns("gw-a")
    say(f"""
It is still running. Try
  ip netns exec {host} ping {ike_demo.HOST4[1]}
  nsenter -t {lab.daemons[0].process.pid} -m -n swanctl --list-sas
  nsenter -t {lab.daemons[0].process.pid} -m -n swanctl --rekey --child net
  {ike_demo.ESPCTL} --socket {lab.socket(0)} show sa
  ip netns exec {gateway} ip addr show dev wan0
End it, and see the counters, with
  sudo scripts/demo --stop""")


def main():
    options = set(sys.argv[1:])
    ike, keep = "--ike" in options, "--keep" in options
    ended = end_earlier()
    if "--stop" in options:
        if ended:
            reports()
        say("ended: " + (", ".join(ended) or "nothing was running"))
        shutil.rmtree(RUN, ignore_errors=True)
        return 0
    shutil.rmtree(RUN, ignore_errors=True)
    os.makedirs(RUN, mode=0o700)
    kept = False
    # A demo that is cut off cleans up as one that ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    lab = ike_demo.IkeLab("espgw-demo", RUN) if ike else Lab("espgw-demo", RUN)
    try:
        (ike_demo.demonstrate if ike else demonstrate)(lab)
        if keep:
            kept = True
            if not ike:
                say(f"\ncapture of the black wire: {CAPTURE}")
            (play_ike if ike else play)(lab)
            return 0
        title("counters")
        for daemon in getattr(lab, "daemons", ()):
            daemon.stop()
        for name, gateway in lab.gateways.items():
            show_counters(name, gateway.stop().report)
        say("\n" + (ike_demo.SUMMARY if ike else
                    f"capture of the black wire: {CAPTURE}\nall of it was ESP, and nothing of the inside showed"))
        return 0
    except (Failure, KeyboardInterrupt) as error:
        say(f"\nthe demo failed: {error or 'interrupted'}")
        for gateway in lab.gateways.values():
            say(f"{gateway.name} said:\n{gateway.said()[-2000:]}")
        return 1
    finally:
        if not kept:
            lab.close()
            shutil.rmtree(RUN, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
