#!/usr/bin/python3
"""IP-TFS as people and programs see it: show iptfs, changes while it runs, and what is refused."""
import json
import struct

from control import running
from gw import Tunnel, with_tunnels
from tap import case, check, main, same
from xfrm import GETSA, IN, NEWSA, OUT, UPDSA, Daemon, attribute, attributes, sa, sa_id

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


IPTFS, RATE, OPTIONS = 5, 0x2002, 0x200a
US, PEER = "192.0.2.1", "198.51.100.9"


def rate(bits, congestion_control):
    return attribute(RATE, struct.pack("=QBB6x", bits, 3, congestion_control))


def options(wait=0, time=0, loss=0, dscp=0, refuse=0, at_once=0):
    return attribute(OPTIONS, struct.pack("=IIBBBB4x", wait, time, loss, dscp, refuse, at_once))


@case("a key daemon asks for all that the file can say: breaker, congestion control, waits, DSCP, what is refused")
def by_daemon():
    with running(config=config(Tunnel(1))) as gateway:
        daemon = Daemon(gateway.path)

        def put(kind, spi, n, *attrs, way=OUT, want=0):
            ends = (US, PEER) if way == OUT else (PEER, US)
            key = struct.pack("=H", spi) + bytes(range(18))
            body = sa(*ends, spi, n, key, way + 1, mode=IPTFS, window=0 if way == OUT else 32)
            daemon.ask(kind, body + b"".join(attrs), want=want)

        def state(spi, dst):
            name = f"xfrm:0x{spi:08x}@{dst}"
            return shown(gateway, "iptfs", name)

        put(NEWSA, 0x5001, 1, rate(1000000, 0), options(30000, 2000000, 7, 46))
        put(NEWSA, 0x6001, 1, options(refuse=1, at_once=1), way=IN)
        put(NEWSA, 0x5002, 2, rate(1000000, 1))
        put(NEWSA, 0x6002, 2, way=IN)
        out, into, controlled = state(0x5001, PEER), state(0x6001, US), state(0x5002, PEER)
        same((out["breaker"]["loss"], out["breaker"]["time_us"], out["max_aggregation_us"]), (7, 2000000, 30000), "out")
        same((into["dont_frag"], into["send_immediately"]), (True, True), "in")
        check(controlled["congestion_control"] and "cc" in controlled, f"{controlled}")
        put(NEWSA, 0x5003, 3, options(time=2000000, loss=7), want=-22)
        put(NEWSA, 0x5003, 3, rate(1000000, 1), options(time=2000000, loss=7), want=-22)
        put(NEWSA, 0x5003, 3, rate(1, 0), want=-22)
        put(UPDSA, 0x5001, 1)
        same(state(0x5001, PEER)["breaker"]["loss"], 7, "the breaker, of which an update says nothing")
        put(UPDSA, 0x5001, 1, options(dscp=8))
        check("breaker" not in state(0x5001, PEER), "the breaker is gone")
        found = attributes(daemon.ask(GETSA, sa_id(PEER, 0x5001))[0].body[224:])
        same((found[OPTIONS], found[RATE]), (options(dscp=8)[4:], rate(1000000, 0)[4:]), "what GETSA says")
        daemon.close()
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
