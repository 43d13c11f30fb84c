#!/usr/bin/python3
"""What `show iptfs` counts of a stream, by RFC 9348's names: against aggfrag.py's own sums over the same payloads."""
import contextlib
import tempfile

import yaml

from aggfrag import Feedback, blocks, head, pack, room
from gw import read_pcap, to_lan, to_wan, with_tunnels, write_pcap
from prompt import session
from tap import case, check, main, same
from tfs import Far, Peer, far, near, stamp, tfs

MS = 1000
SIZE = 1400
ROOM = room(SIZE)


@contextlib.contextmanager
def over(config, wan=(), lan=()):
    """A gateway with a prompt over captures, and the folder in which it leaves its own."""
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        for i, (name, frames) in enumerate((("wan", wan), ("lan", lan))):
            write_pcap(f"{folder}/{name}.in.pcap", frames)
            config["ports"][i]["device"] = f"net_pcap{i},rx_pcap={folder}/{name}.in.pcap,tx_pcap={folder}/{name}.out.pcap"
        config["ports"][1]["mtu"] = 9600
        with session("--burst", "1", text=yaml.safe_dump(config, sort_keys=False)) as s:
            yield s, folder


def counts_of(s, name, wanted):
    """The counters of lane 0, once one of them is as wanted."""
    counter, value = wanted
    got = s.until(f"show iptfs {name} json", lambda r: r["lanes"][0][counter] == value)["lanes"]
    same(len(got), 1, "lanes")
    return {key: n for key, n in got[0].items() if key.startswith(("rx_", "tx_")) and n}


def received(payloads, want, tos=()):
    """payloads: (number, payload), as they come."""
    t = tfs(1)
    peer = Peer(t)
    into = [peer.send(payload, number, outer={"tos": 3} if number in tos else {}) for number, payload in payloads]
    with over(with_tunnels(t), [(MS * i, to_wan(p)) for i, p in enumerate(into)]) as (s, _):
        have = counts_of(s, "t1.in", ("rx_inner_pkts", want["rx_inner_pkts"]))
    same(have, {"rx_pkts": len(into), "rx_octets": sum(len(p) for _, p in payloads), **want}, "counters")


@case("in: all that comes is whole: inner and outer packets, all-pads, padding behind data")
def whole():
    inner = [far(1, size, seed=size) for size in (750, 751, 60, 240, 3000)]
    made = pack(inner, [ROOM])
    payloads = [made[0], head(0) + bytes(1000), *made[1:3], head(0, Feedback(tval=1)) + bytes(7), *made[3:]]
    extra = sum(len(b.octets) for b in blocks(made[-1]) if b.kind == "pad")
    received(list(enumerate(payloads, 1)), {
        "rx_inner_pkts": 5, "rx_inner_octets": sum(map(len, inner)), "rx_all_pad_pkts": 2, "rx_all_pad_octets": 1007,
        "rx_extra_pad_pkts": 1, "rx_extra_pad_octets": extra, "rx_ce_pkts": 2}, tos=(2, 3))


@case("in: a payload is lost, one comes late, some out of order; what was in pieces over the loss counts as incomplete once")
def lost():
    inner = [far(1, size, seed=size) for size in (100, 5000, 200, 300, 400, 500)]
    made = pack(inner[:3], [ROOM])  # four payloads, of which the third is lost
    numbered = list(enumerate(made + [head(0) + p for p in inner[3:]], 1))
    order = [numbered[i] for i in (0, 1, 3, 5, 4, 6)] + [numbered[2]]
    got = [inner[i] for i in (0, 2, 3, 4, 5)]
    received(order, {
        "rx_inner_pkts": 5, "rx_inner_octets": sum(map(len, got)), "rx_incomplete_pkts": 1, "rx_missed_pkts": 1, "rx_late_pkts": 1,
        "rx_reordered_pkts": 3, "rx_extra_pad_pkts": 1,
        "rx_extra_pad_octets": sum(len(b.octets) for b in blocks(made[3]) if b.kind == "pad")})


@case("in: malformed payloads count as errored, one each, and their good packets are given on")
def errored():
    good = [far(1, 100, seed=i) for i in range(4)]
    payloads = [head(0) + good[0] + b"\x50" + bytes(9), b"\0\0\0", head(0, sub_type=77), head(0) + good[1] + b"\x45\0\0\7",
                head(0) + good[2], head(0) + good[3]]
    received(list(enumerate(payloads, 1)), {"rx_inner_pkts": 4, "rx_inner_octets": 400, "rx_errored_pkts": 4})


def sent(lan, milliseconds, **keys):
    """The counters of what leaves, and what a receiver counts of it."""
    t = tfs(1, packet_size=SIZE, **keys)
    config = with_tunnels(t)
    config["gateway"]["idle"] = "poll"
    clock = [(at * MS, to_lan(stamp(0)[1])) for at in range(milliseconds)]
    frames = sorted([*((at, to_lan(p)) for at, p in lan), *clock], key=lambda one: one[0])
    with over(config, lan=frames) as (s, folder):
        s.until("show port json", lambda r: r["ports"]["lan"]["rx_packets"] == len(frames))
        have = counts_of(s, "t1.out", ("tx_aged_drops", 0))
        s.send("quit\n")
        s.ends()
        end = Far(t, [f[14:] for f in read_pcap(f"{folder}/wan.out.pcap")], complete=False)
    pads = [sum(len(b.octets) for b in some if b.kind == "pad") for some in end.blocks]
    alone = [pad for pad, some in zip(pads, end.blocks) if [b.kind for b in some] == ["pad"]]
    behind = [pad for pad, some in zip(pads, end.blocks) if pad and [b.kind for b in some] != ["pad"]]
    split = sum(b.kind != "rest" and b.length != len(b.octets) for some in end.blocks for b in some)
    want = {"tx_inner_pkts": len(end.inner), "tx_inner_octets": sum(map(len, end.inner)), "tx_pkts": len(end.payloads),
            "tx_octets": sum(map(len, end.payloads)), "tx_all_pad_pkts": len(alone), "tx_all_pad_octets": sum(alone),
            "tx_extra_pad_pkts": len(behind), "tx_extra_pad_octets": sum(behind), "tx_frag_pkts": split,
            "tx_queue_drops": len(lan) - len(end.inner)}
    same(have, {name: n for name, n in want.items() if n}, "counters")
    return end


@case("out: as packets come: inner and outer packets, those in pieces")
def as_they_come():
    end = sent([(MS * (i // 5), near(1, 40 + 97 * i % 2900, seed=i)) for i in range(100)], 60, init_delay="1ms")
    same(len(end.inner), 100, "packets")


@case("out: at a rate: all-pads and padding behind data")
def at_a_rate():
    end = sent([(MS * i, near(1, 200 + 97 * i % 2900, seed=i)) for i in range(0, 150, 3)], 300, rate=SIZE * 8000)
    same(len(end.inner), 50, "packets")


@case("out: at a rate: what found no room counts")
def no_room():
    end = sent([(MS, near(1, 1300, seed=i)) for i in range(30)], 100, rate=SIZE * 8000, max_queue=13000)
    check(len(end.inner) in (10, 11), f"{len(end.inner)} packets of 1,300 octets got into a queue of 13,000")


if __name__ == "__main__":
    main()
