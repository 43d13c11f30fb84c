#!/usr/bin/python3
"""IP-TFS as people and programs see it: show iptfs, changes while it runs, and what is refused."""
import json

from control import running
from gw import Tunnel, with_tunnels
from tap import case, check, main, same

# Outer IPv4, SPI, number and IV, trailer and tag of AES-GCM: what is left of 1400 octets, aligned to 4.
TEXT = 1400 - 20 - 16 - 16 - 2


def config(*tunnels, idle="poll"):
    made = with_tunnels(*tunnels)
    made["gateway"]["idle"] = idle
    return made


def shown(gateway, *words):
    done = gateway.espctl("--json", "show", *words)
    same(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def refused(gateway, *words, says):
    done = gateway.espctl(*words)
    check(done.returncode == 1 and says in done.stderr, f"{words}: {done.stdout}{done.stderr}")


@case("show iptfs has each SA, what it was told, and RFC 9348's counters by lane")
def show():
    aggregate = Tunnel(1, mode="iptfs", iptfs={"init_delay": "700us", "max_queue": "50k", "max_aggregation": "40ms",
                                               "reorder_window": 7, "drop_time": "20ms", "dont_frag": True})
    paced = Tunnel(2, mode="iptfs", iptfs={"rate": "1M", "layer": "l2", "packet_size": 600, "breaker": {"loss": 7, "time": "3s"}})
    controlled = Tunnel(3, mode="iptfs", iptfs={"rate": "2M", "congestion_control": True})
    with running(config=config(aggregate, paced, controlled, Tunnel(4))) as gateway:
        sas = {sa["name"]: sa for sa in shown(gateway, "iptfs")["iptfs"]}
        same(list(sas), [f"t{n}.{way}" for n in (1, 2, 3) for way in ("out", "in")], "SAs of IP-TFS")
        out, into = sas["t1.out"], sas["t1.in"]
        same({k: out[k] for k in ("direction", "rate", "init_delay_us", "packet_size", "room", "max_queue",
                                  "max_aggregation_us", "dont_frag", "congestion_control")},
             {"direction": "out", "rate": 0, "init_delay_us": 700, "packet_size": 1400, "room": TEXT - 4, "max_queue": 50000,
              "max_aggregation_us": 40000, "dont_frag": True, "congestion_control": False}, "t1.out")
        same({k: into[k] for k in ("direction", "reorder_window", "drop_time_us", "send_immediately")},
             {"direction": "in", "reorder_window": 7, "drop_time_us": 20000, "send_immediately": False}, "t1.in")
        for sa, first, last in ((out, "tx_inner_pkts", "tx_late_ticks"), (into, "rx_inner_pkts", "rx_ce_pkts")):
            same([lane["lane"] for lane in sa["lanes"]], [0], "lanes")
            check(first in sa["lanes"][0] and last in sa["lanes"][0], f"{sa['lanes'][0]}")
        same((out["lanes"][0]["queue_packets"], out["lanes"][0]["queue_octets"]), (0, 0), "what waits in t1.out")
        same((sas["t2.out"]["layer"], sas["t2.out"]["interval_ns"]), ("l2", (600 + 38) * 8 * 1000), "the pace of t2.out")
        same({k: sas["t2.out"]["breaker"][k] for k in ("loss", "time_us", "open", "trips")},
             {"loss": 7, "time_us": 3000000, "open": False, "trips": 0}, "the breaker of t2.out")
        same(set(sas["t3.out"]["cc"]), {"x_pps", "rtt_us", "p_inv"}, "congestion control of t3.out")
        same(sas["t3.out"]["room"], (TEXT - 24), "room of t3.out")
        same(shown(gateway, "iptfs", "t2.in")["name"], "t2.in", "of one alone")
        same([sa["mode"] for sa in shown(gateway, "sa")["sas"]], ["iptfs"] * 6 + ["tunnel"] * 2, "modes in show sa")
        text = gateway.espctl("show", "iptfs").stdout.splitlines()
        same([line.split()[:2] for line in text[1:3]], [["t1.out", "out"], ["t1.in", "in"]], "lines")
        refused(gateway, "show", "iptfs", "t4.out", says="has no IP-TFS")
        refused(gateway, "show", "iptfs", "nobody", says="there is no SA nobody")
        gateway.alive()


@case("a rate changes while it runs, at the prompt and by a reload; an SA stays with its worker")
def changes():
    paced, free = Tunnel(1, mode="iptfs", iptfs={"rate": "1M", "breaker": {}}), Tunnel(2, mode="iptfs")
    with running(config=config(paced, free)) as gateway:
        done = gateway.espctl("set", "sa", "t1.out", "rate", "3M")
        same(done.returncode, 0, done.stderr)
        same(shown(gateway, "iptfs", "t1.out")["rate"], 3000000, "rate")
        same(gateway.espctl("set", "sa", "t1.out", "breaker", "closed").returncode, 0, "breaker closed")
        refused(gateway, "set", "sa", "t1.out", "rate", "fast", says="no rate")
        refused(gateway, "set", "sa", "t1.out", "rate", "100", says="at least every 10 s")
        refused(gateway, "set", "sa", "t1.in", "rate", "1M", says="outbound")
        refused(gateway, "set", "sa", "t2.out", "rate", "1M", says="constant rate")
        refused(gateway, "set", "sa", "t2.out", "breaker", "closed", says="no circuit breaker")
        refused(gateway, "set", "sa", "t2.out", "worker", "0", says="stays where it is")
        refused(gateway, "ping", "t1.out", "count", "1", says="constant rate")
        same(shown(gateway, "sa", "t1.out")["pinned"], "fixed", "pinned")
        same(shown(gateway, "sa", "t1.out")["worker"], shown(gateway, "sa", "t1.in")["worker"], "workers of both ways")
        before = shown(gateway, "iptfs", "t1.out")["lanes"][0]["tx_pkts"]
        with open(gateway.file, encoding="ascii") as f:
            text = f.read()
        with open(gateway.file, "w", encoding="ascii") as f:
            f.write(text.replace("rate: 1M", "rate: 5M"))
        done = gateway.espctl("reload")
        check("iptfs.rate 1M -> 5M" in done.stdout or "iptfs.rate 1000000 -> 5000000" in done.stdout, done.stdout + done.stderr)
        after = shown(gateway, "iptfs", "t1.out")
        same(after["rate"], 5000000, "rate after the reload")
        check(after["lanes"][0]["tx_pkts"] >= before, f"{before} packets, then {after['lanes'][0]['tx_pkts']}")
        gateway.alive()


@case("a constant rate and workers that sleep are refused together")
def sleepy():
    with running(config=config(Tunnel(1, mode="iptfs"), idle="sleep")) as gateway:
        with open(gateway.file, encoding="ascii") as f:
            text = f.read()
        with open(gateway.file, "w", encoding="ascii") as f:
            f.write(text.replace("mode: iptfs\n", "mode: iptfs\n  iptfs: {rate: 1M}\n"))
        refused(gateway, "reload", says="reload refused")
        same(shown(gateway, "iptfs", "t1.out")["rate"], 0, "rate")
        gateway.alive()


if __name__ == "__main__":
    main()
