#!/usr/bin/python3
"""charon with an SA per CPU (RFC 9611): traffic on both workers, and each has charon negotiate an SA of its own."""
import contextlib
import re
import socket
import struct
import time

from ike_lab import HOST4, LaterCharon, connection, later_charon, mirrored
from ike_pump import pinged, sites
from lab import SLOWER, entered, wait_for
from tap import add_case, check, main, same

PORT, FLOWS, WINDOW = 4303, 32, 128


class Flows:
    """Numbered datagrams of many flows from one host to the other, which the kernel spreads over both workers."""

    def __init__(self, lab, side):
        here, there = HOST4[side], HOST4[1 - side]
        with entered(lab.ns(f"host-{'ab'[side]}")):
            self.senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(FLOWS)]
        with entered(lab.ns(f"host-{'ab'[1 - side]}")):
            self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i, s in enumerate(self.senders):
            s.bind((here, 5000 + i))
        self.receiver.bind((there, PORT))
        self.receiver.setblocking(False)
        self.to, self.sent, self.seen = (there, PORT), 0, set()

    def send(self, count):
        for _ in range(count):
            if self.sent - len(self.seen) >= WINDOW:
                break
            self.senders[self.sent % FLOWS].sendto(struct.pack("!I", self.sent) + bytes(200), self.to)
            self.sent += 1
        self.take()

    def take(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                number = struct.unpack_from("!I", self.receiver.recv(2048))[0]
                check(number not in self.seen, f"datagram {number} comes twice")
                self.seen.add(number)

    def close(self):
        for s in (*self.senders, self.receiver):
            s.close()

    def whole(self):
        def arrived():
            self.take()
            return len(self.seen) == self.sent
        wait_for(f"all of {self.sent} datagrams, {len(self.seen)} came", arrived)


def children(charon):
    """The CPUs of installed children, as swanctl lists them; '-' is for all."""
    return sorted(re.findall(r"cpu (\S+), INSTALLED", charon.sas()))


def spread(config):
    config["ports"][1]["device"] += ",qpairs=2"


@contextlib.contextmanager
def flowing(lab):
    """Flows both ways."""
    flows = [Flows(lab, side) for side in (0, 1)]
    try:
        yield flows
    finally:
        for f in flows:
            f.close()


def pump(flows, until, what, seconds=20):
    """Sends on both ways until something is so."""
    end, due = time.monotonic() + seconds * SLOWER, 0.0
    while not until():
        check(time.monotonic() < end, what)
        due = time.monotonic() + 0.2
        while time.monotonic() < due:
            for f in flows:
                f.send(8)
            time.sleep(0.004)


def bundle(option, shown, conn):
    later_charon()
    text = connection(child=f"per_cpu_sas = {option}\n start_action = trap", conn=conn)
    with sites(change=spread) as lab:
        charons = []
        for side in (0, 1):
            charons.append(LaterCharon(lab, side, mirrored(text, side)))
            lab.daemons.append(charons[-1])
            charons[-1].start()
        pinged(lab)
        for charon in charons:
            check("-" in children(charon), f"no child for all CPUs\n{charon.sas()}")
        before = [lab.drops(side) for side in (0, 1)]
        with flowing(lab) as flows:
            pump(flows, lambda: all({"-", "0", "1"} <= set(children(c)) for c in charons), "each worker's SA")
            check(shown in charons[0].sas(), f"{shown} is not in\n{charons[0].sas()}")
            # One of them is rekeyed: its successor is for the same CPU, and the others stay.
            number = re.search(r"net: #(\d+), reqid \d+, cpu 1,", charons[0].sas()).group(1)
            charons[0].swanctl("--rekey", "--child-id", number)
            pump(flows, lambda: not re.search(rf"net: #{number},", charons[0].sas()), "the end of the child that was rekeyed")
            check({"-", "0", "1"} <= set(children(charons[0])), f"children after the rekey\n{charons[0].sas()}")
            for f in flows:
                f.whole()
            check(min(f.sent for f in flows) > 200, f"sent: {[f.sent for f in flows]}")
        same([lab.drops(side) for side in (0, 1)], before, "drops before and after")
        used = {int(cpu) for cpu, packets in re.findall(r"cpu (\d).*?out [0-9a-f]{8}, +\d+ bytes, +(\d+) packets", charons[0].sas(), re.S)
                if int(packets) > 0}
        same(used, {0, 1}, "CPUs whose SA has sent")


for option, shown, conn, what in (
        ("yes", "TUNNEL, ESP", "", "each worker acquires an SA of its own; through that and a rekey of one not a packet is lost"),
        ("encap", "TUNNEL-in-UDP", "encap = yes", "likewise with a UDP port for each")):
    add_case(f"per_cpu_sas = {option}: {what}", lambda *a, o=option, s=shown, c=conn: bundle(o, s, c))

if __name__ == "__main__":
    main()
