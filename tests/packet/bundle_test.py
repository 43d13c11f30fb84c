#!/usr/bin/python3
"""Several SAs of one policy: one for each worker (RFC 9611), one for each class of traffic (RFC 4301 section 4.1).

With two workers a port's packets come in by two captures, one for each worker's receive queue.
"""
import contextlib
import copy
import json
import os
import random
import struct
import subprocess
import tempfile
import time

import yaml

from control import ESPCTL
from esp import Esp
from gw import (ESPGW, SLOWER, Run, Tunnel, eal, far_end, from_far, from_lan, key_of, read_pcap, run, serial, skewed, to_lan,
                to_wan, with_tunnels, write_pcap)
from tap import case, check, main, same

COUNT = 400
EF, AF11, AF31 = 46, 10, 26


class Member:
    """One SA of a tunnel's half: what the file says of it, and the peer's end of it."""

    def __init__(self, spi, esn=True, **more):
        self.spi, self.more, self.key = spi, {"esn": esn, **more}, key_of(f"member {spi}", 20)
        self.esp = Esp(spi, "aes-gcm-128", self.key, esn=esn)

    def yaml(self):
        return {"spi": self.spi, "key": "hex:" + self.key.hex(), **self.more}


def anyone(spi, **more):
    return Member(spi, bundle={"worker": "fallback"}, **more)


def of_worker(spi, worker, **more):
    return Member(spi, bundle={"worker": worker}, **more)


def config_of(out, into=(), **tunnel):
    """The laboratory with tunnel 1, whose halves have these members."""
    config = with_tunnels(Tunnel(1, **tunnel))
    entry = config["tunnels"][0]
    entry["out"] = [m.yaml() for m in out]
    if into:
        entry["in"] = [m.yaml() for m in into]
    return config


def by_queue(packets_of):
    """The queues of `lan`: wan's only one is worker 0's, so that the next goes to worker 1."""
    return [[to_lan(p) for p in packets_of(worker)] for worker in (1, 0)]


def payload(worker, number):
    return struct.pack("!II", worker, number)


def traffic(worker, count=COUNT, **more):
    """What comes in by a worker's queue; from a host of its own, so that flows do not mix."""
    return [from_lan(1, payload(worker, i), number=10 + worker, **more) for i in range(count)]


def opened(packets, members, tunnel=None):
    """Packets by SPI, as (number, worker, number in the payload)."""
    by_spi = {m.spi: m for m in members}
    found = {m.spi: [] for m in members}
    for packet in packets:
        esp = (tunnel or Tunnel(1)).strip(packet)
        spi, seq = struct.unpack_from("!II", esp)
        inner = by_spi[spi].esp.open(esp)[0]
        found[spi].append((seq, *struct.unpack_from("!II", inner, 28)))
    return found


@contextlib.contextmanager
def started(config, wan=((),), lan=((),), workers=2):
    """A gateway over captures, several for a port with as many queues, that takes them and stays."""
    with tempfile.TemporaryDirectory(prefix="espgw-test-bundle-") as folder:
        config = copy.deepcopy(config)
        for i, (name, queues) in enumerate((("wan", wan), ("lan", lan))):
            device = f"net_pcap{i}"
            for q, packets in enumerate(queues):
                write_pcap(f"{folder}/{name}.{q}.pcap", packets)
                device += f",rx_pcap={folder}/{name}.{q}.pcap"
            config["ports"][i]["device"] = device + f",tx_pcap={folder}/{name}.out.pcap"
        file = f"{folder}/espgw.yaml"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            yaml.safe_dump(config, f, sort_keys=False)
        argv = [ESPGW, *eal(f"espgw-bundle-{os.getpid()}-{next(serial)}", workers), "--", "--config", file, "--json",
                "--control-socket", f"{folder}/sock"]
        with open(f"{folder}/out", "wb") as out, open(f"{folder}/err", "wb") as err:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            yield Gateway(process, folder, sum(len(q) for q in (*wan, *lan)))
        finally:
            process.kill()
            process.wait()


class Gateway:
    def __init__(self, process, folder, n_frames):
        self.process, self.folder, self.n_frames = process, folder, n_frames
        self.end = time.monotonic() + 20 * SLOWER

    def said(self):
        with open(f"{self.folder}/err", encoding="utf-8", errors="replace") as f:
            return f.read()

    def show(self, what):
        """A command's JSON, {} while it does not answer."""
        check(self.process.poll() is None, f"it ended\n{self.said()}")
        done = subprocess.run([ESPCTL, "-s", f"{self.folder}/sock", "show", *what.split(), "json"], capture_output=True,
                              text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def workers(self):
        """Once all packets are in, and nothing more leaves: what show pipeline says of each worker."""
        before = None
        while True:
            workers = self.show("pipeline").get("workers", [])
            counts = [(w["rx"], w["tx"], w["handoff_taken"]) for w in workers]
            if counts and sum(rx for rx, _, _ in counts) >= self.n_frames and counts == before:
                return workers
            check(time.monotonic() < self.end, f"not all packets are taken: {workers}\n{self.said()}")
            before = counts
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        same(self.process.wait(20 * SLOWER), 0, f"exit status\n{self.said()}\n")
        with open(f"{self.folder}/out", encoding="utf-8") as f:
            report = json.load(f)
        result = Run(report, {name: read_pcap(f"{self.folder}/{name}.out.pcap") for name in ("wan", "lan")}, self.said())
        result.conserve()
        return result


def in_order(found, what):
    """Numbers without a gap from 1 on, and each worker's packets in their order."""
    same([seq for seq, _, _ in found], list(range(1, len(found) + 1)), f"{what}: numbers on the wire")
    for worker in {w for _, w, _ in found}:
        order = [i for _, w, i in found if w == worker]
        same(order, sorted(order), f"{what}: order of what worker {worker} took in")


# ---- An SA for each worker. ----

@case("each worker's packets leave by its own SA, and none changes hands")
def by_worker():
    members = [anyone(0x100), of_worker(0x101, 0), of_worker(0x102, 1)]
    with started(config_of(members), lan=by_queue(traffic)) as gateway:
        workers = gateway.workers()
        result = gateway.stop()
    same([w["rx"] for w in workers], [COUNT, COUNT], "packets that each worker took in")
    same([w["handoff_given"] for w in workers], [0, 0], "packets handed over")
    found = opened(result.wan, members)
    same({spi: {w for _, w, _ in packets} for spi, packets in found.items()}, {0x100: set(), 0x101: {0}, 0x102: {1}},
         "workers by SPI")
    for spi in (0x101, 0x102):
        same(len(found[spi]), COUNT, f"packets by 0x{spi:x}")
        in_order(found[spi], f"0x{spi:x}")
    same(result.drops, {}, "drops")


@case("a worker without an SA of its own sends by the one for all, by way of its owner")
def missing():
    members = [anyone(0x100), of_worker(0x102, 1)]
    with started(config_of(members), lan=by_queue(lambda w: traffic(w, 200))) as gateway:
        workers = gateway.workers()
        result = gateway.stop()
        owner = result.sa("t1.out")
    found = opened(result.wan, members)
    same({spi: {w for _, w, _ in packets} for spi, packets in found.items()}, {0x100: {0}, 0x102: {1}}, "workers by SPI")
    for spi, packets in found.items():
        in_order(packets, f"0x{spi:x}")
    same(owner["packets"], len(found[0x100]), "packets of the one for all")
    same(len(result.wan) + result.drops.get("handoff_full", 0), 400, "packets accounted for")
    same(workers[1]["handoff_given"], 0, "handed over by the worker that has its own")


@case("a bundle without one for all: whoever has none sends by another's")
def none_for_all():
    members = [of_worker(0x101, 0)]
    two = [*members, of_worker(0x103, 0)]
    with started(config_of(two), lan=by_queue(lambda w: traffic(w, 100))) as gateway:
        gateway.workers()
        result = gateway.stop()
    found = opened(result.wan, two)
    same({w for _, w, _ in found[0x103]}, {0, 1}, "who sends by the newest of worker 0")
    same(found[0x101], [], "packets by the older one")
    same(len(found[0x103]) + result.drops.get("handoff_full", 0), 200, "packets accounted for")


@case("in: a packet may come by any member, to the worker that it is for, and passes the policy of all")
def inbound():
    into = [anyone(0x200), of_worker(0x201, 0), of_worker(0x202, 1)]
    tunnel = Tunnel(1)
    frames = []
    for q, member in enumerate(into[1:]):
        frames.append([to_wan(tunnel.carry(member.esp.seal(i + 1, from_far(1, payload(q, i)), 4))) for i in range(COUNT)])
    frames[0].append(to_wan(tunnel.carry(into[0].esp.seal(1, from_far(1, payload(9, 0)), 4))))
    with started(config_of([Member(0x100)], into), wan=frames) as gateway:
        workers = gateway.workers()
        sas = {sa["name"]: sa for sa in gateway.show("sa")["sas"]}
        result = gateway.stop()
    same([sas[f"t1.in.w{w}"]["worker"] for w in (0, 1)], [0, 1], "owners")
    # One packet came by the SA for all, whoever owns that.
    check(sum(w["handoff_given"] for w in workers) <= 1, f"packets handed over: {workers}")
    same(result.drops, {}, "drops")
    same(len(result.lan), 2 * COUNT + 1, "packets that arrived")


@case("in: what came by an SA of another tunnel is not let in")
def inbound_apart():
    into = [anyone(0x200), of_worker(0x201, 0)]
    config = config_of([Member(0x100)], into)
    config["tunnels"].append(Tunnel(2).yaml())
    t1, t2 = Tunnel(1), Tunnel(2)
    frames = [to_wan(t1.carry(into[1].esp.seal(1, from_far(2), 4))), to_wan(t2.seal(from_far(1), 1)),
              to_wan(t2.seal(from_far(2), 2)), to_wan(t1.carry(into[0].esp.seal(1, from_far(1), 4)))]
    result = run(config, wan=frames)
    same(result.drops, {"policy_selector": 2}, "drops")
    same(len(result.lan), 2, "packets that arrived")


# ---- An SA for each class. ----

@case("each class leaves by its SA: EF, AF11 with AF31, and the rest")
def by_class():
    members = [Member(0x100), Member(0x101, dscp_set=[EF]), Member(0x102, dscp_set=[AF11, AF31])]
    frames = [to_lan(from_lan(1, payload(dscp, i), tos=dscp << 2)) for i in range(3) for dscp in range(64)]
    result = run(config_of(members), lan=frames)
    found = opened(result.wan, members)
    same({spi: sorted({d for _, d, _ in packets}) for spi, packets in found.items()},
         {0x100: [d for d in range(64) if d not in (EF, AF11, AF31)], 0x101: [EF], 0x102: [AF11, AF31]}, "classes by SPI")
    same(sum(map(len, found.values())), len(frames), "packets")
    same(result.drops, {}, "drops")


@case("classes of IPv6, and of sas and policies in the long form, where the first of equal lists counts")
def long_form():
    config = with_tunnels(Tunnel(1))
    entries = Tunnel(1).sas()
    del config["tunnels"]
    out, into = entries
    config["sas"] = [{**out, "name": "a", "spi": 0x100, "key": "hex:" + key_of("member 256", 20).hex(), "dscp_set": [1, 2]},
                     {**out, "name": "b", "spi": 0x101, "key": "hex:" + key_of("member 257", 20).hex(), "dscp_set": [2, 3]}, into]
    config["policies"] = [{"name": "p", "direction": "out", "src": "any", "dst": "any", "action": "protect", "sa": ["b", "a"]}]
    frames = [to_lan(from_lan(1, payload(dscp, 0), version=6, tos=dscp << 2)) for dscp in range(8)]
    result = run(config, lan=frames)
    a, b = result.sa("a")["packets"], result.sa("b")["packets"]
    same((a, b), (1, 7), "packets of a (class 1), and of b (its two, and what none lists, as it is named first)")


def across_queue(members, window):
    """Two gateways with such a queue between them; what the second one drops, and how many arrive."""
    dice = random.Random(4)
    classes = [EF if dice.random() < 0.7 else 0 for _ in range(3000)]
    config = config_of(members)
    sent = run(config, lan=[to_lan(from_lan(1, payload(dscp, i), tos=dscp << 2)) for i, dscp in enumerate(classes)])
    same(len(sent.wan), len(classes), "packets sent")
    # The outer class is the inner one's.
    queue = skewed([(p, p[1] >> 2) for p in sent.wan], {EF}, 100)
    far = far_end(Tunnel(1, replay_window=window))
    far["tunnels"][0]["in"] = [m.yaml() for m in members]
    far["tunnels"][0]["out"] = Member(0x900).yaml()
    done = run(far, wan=[to_wan(p) for p in queue])
    return done.drops, len(done.lan)


@case("a queue that prefers EF costs packets with one SA and a window of 64, and none with an SA for each class")
def reordering():
    # Without ESN, where what fell out of the window is called that; with ESN it would be taken for a number to come.
    drops, arrived = across_queue([Member(0x100, esn=False)], 64)
    check(drops.get("replay_old", 0) > 100, f"one SA: drops {drops}, {arrived} arrived")
    drops, arrived = across_queue([Member(0x100, esn=False), Member(0x101, esn=False, dscp_set=[EF])], 64)
    same((drops, arrived), ({}, 3000), "an SA for each class")


# ---- Classes and workers at once; what is refused. ----

@case("an SA for each class and each worker")
def both():
    members = [anyone(0x100), of_worker(0x101, 0), of_worker(0x102, 1), anyone(0x110, dscp_set=[EF]),
               of_worker(0x111, 1, dscp_set=[EF])]
    mixed = lambda w: [from_lan(1, payload(w, i), number=10 + w, tos=(EF << 2) * (i % 2)) for i in range(200)]
    with started(config_of(members), lan=by_queue(mixed)) as gateway:
        gateway.workers()
        result = gateway.stop()
    found = opened(result.wan, members)
    same({spi: {(w, i % 2) for _, w, i in packets} for spi, packets in found.items()},
         {0x100: set(), 0x101: {(0, 0)}, 0x102: {(1, 0)}, 0x110: {(0, 1)}, 0x111: {(1, 1)}}, "worker and class by SPI")
    same(len(result.wan) + result.drops.get("handoff_full", 0), 400, "packets accounted for")


def refused(config, *words):
    try:
        run(config)
    except Exception as error:  # pylint: disable=broad-except
        for word in words:
            check(word in str(error), f"{word!r} is not in\n{error}")
        return
    check(False, "the gateway starts")


@case("a worker that the gateway has not, and a bundle with too many members, are refused by a sentence")
def too_many():
    refused(config_of([anyone(0x100), of_worker(0x101, 5)]), "sa t1.out.w5: bundle.worker 5: the gateway has 1 workers")
    refused(config_of([anyone(0x100 + i) for i in range(5)]), "bundle t1 has 5 members of one direction")
    refused(config_of([anyone(0x100), of_worker(0x101, 0, icv=8)]), "its members are alike but for SPI, key and ports", "icv")


@case("show sa and show policy tell bundle, worker, classes, and what goes where")
def shown():
    members = [anyone(0x100), of_worker(0x101, 1), Member(0x102, dscp_set=[EF])]
    with started(config_of(members)) as gateway:
        gateway.workers()
        sas = {sa["name"]: sa for sa in gateway.show("sa")["sas"]}
        policies = {p["name"]: p for p in gateway.show("policy")["policies"]}
        gateway.stop()
    same(sas["t1.out"].get("bundle"), {"name": "t1", "worker": "fallback"}, "bundle of the one for all")
    same(sas["t1.out.w1"].get("bundle"), {"name": "t1", "worker": 1}, "bundle of worker 1's")
    same(sas["t1.out.d46"].get("dscp_set"), [EF], "classes")
    same(policies["t1.out"]["sas"], ["t1.out", "t1.out.w1", "t1.out.d46"], "SAs of the policy")
    same(policies["t1.out"]["choice"], [
        {"dscp": [d for d in range(64) if d != EF], "workers": [None, "t1.out.w1"], "others": "t1.out"},
        {"dscp": [EF], "workers": [None, None], "others": "t1.out.d46"}], "choice")


if __name__ == "__main__":
    main()
