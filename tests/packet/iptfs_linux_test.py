#!/usr/bin/python3
"""What Linux 7.3 sends by its IP-TFS, recorded: the gateway takes out of it what an independent receiver does.

iptfs_linux.pcap is the kernel's answers to pings of 0 to 5000 octets, of both families, several at once: tunnel 1 over
IPv4, tunnel 2 over IPv6, tunnel 3 in UDP with a packet size of 500, which the kernel exceeds by trailer and tag.
"""
import os

import aggfrag
from gw import Tunnel, aged, parse, read_pcap, run, same_packets, with_tunnels
from tap import case, check, main, same

HERE = os.path.dirname(os.path.abspath(__file__))
TUNNELS = [Tunnel(1, mode="iptfs"), Tunnel(2, mode="iptfs", outer=6), Tunnel(3, mode="iptfs", encap=(4500, 4500))]


def payloads(tunnel, frames):
    """(number, payload) of each that is the tunnel's."""
    for frame in frames:
        outer = parse(frame[14:])
        octets = outer["payload"][8 if tunnel.encap else 0:]
        if octets[:4] == tunnel.spi["in"].to_bytes(4, "big"):
            payload, next_header, number, _ = tunnel.esp["in"].open(octets)
            same((outer["tos"], outer.get("df", 1), next_header), (0, 1, 144), "outer DSCP and ECN, DF, next header")
            yield number, payload


@case("each inner packet comes out once, whole and in order, of trains and of payloads with many")
def recorded():
    frames = read_pcap(f"{HERE}/iptfs_linux.pcap")
    want, trains, several = [], 0, 0
    for tunnel in TUNNELS:
        receiver = aggfrag.Receiver()
        for number, payload in payloads(tunnel, frames):
            found = receiver.take(number, payload)
            want += [aged(p) for p in found]
            trains += aggfrag.read(payload).offset > 0
            several += len(found) > 1
        same(dict(receiver.drops), {}, "what the independent receiver dropped")
    check(trains > 20 and several > 10, f"{trains} pieces in the middle or at the end, {several} with several packets")
    config = with_tunnels(*TUNNELS)
    config["ports"][1]["mtu"] = 9000
    done = run(config, wan=frames)
    same(done.drops, {}, f"drops\n{done.stderr}")
    same_packets(done.lan, want, "inner packets")


if __name__ == "__main__":
    main()
