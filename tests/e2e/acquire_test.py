#!/usr/bin/python3
"""Policies of a key daemon that have no SA yet: what is asked for, what waits, and that nothing goes in clear."""
import contextlib
import hashlib
import select
import signal
import struct
import tempfile
import time

from lab import Lab, SLOWER, wait_for
from esp import Esp
from gw import frame, udp
from pump import send, socket_on
from sites import BLACK4, BLACK_MAC, HOST4, HOST_MAC, NET4, RED_MAC, af_packet, black_veth, red_veths, site
from tap import case, check, main, same
from xfrm import (ACQUIRE, DELPOLICY, DELSA, FWD, IN, MAPPING, NEWPOLICY, NEWSA, OUT, UPDPOLICY, Daemon, policy, policy_id, sa, sa_id,
                  selector, template)

OURS, PEERS, REQID, SPI = BLACK4[0], BLACK4[1], 7, 0xc0001234
OUTBOUND = selector(NET4[0], NET4[1])


def key(number):
    return hashlib.shake_256(f"acquire {number}".encode()).digest(20)


def configuration(acquire):
    config = site(0, af_packet(0, "black"), af_packet(1, "red"), [])
    # So that what is not stopped would leave in clear.
    config["routes"] = [{"to": "10.2.0.0/16", "via": BLACK4[1], "port": "wan"}]
    if acquire:
        config["gateway"]["acquire"] = acquire
    return config


@contextlib.contextmanager
def running(acquire=None, workers=1):
    """A gateway without any policy of its own, a key daemon, and sockets on both of its sides."""
    with tempfile.TemporaryDirectory(prefix="espgw-acquire-") as folder, Lab("espgw-acq", folder) as lab:
        for name in ("host-a", "gw-a", "gw-b", "host-b"):
            lab.namespace(name, False)
        black_veth(lab)
        red_veths(lab)
        gateway = lab.gateway("gw-a", configuration(acquire), ns=lab.ns("gw-a"), workers=workers)
        daemon = Daemon(gateway.socket, ("acquire", "mapping", "policy", "sa"), within=20 * SLOWER)
        host, black = socket_on(lab, "host-a", "eth0"), socket_on(lab, "gw-b", "black")
        wait_until_it_reads(lab, host)
        drain(black)
        yield gateway, daemon, host, black
        daemon.close()


def wait_until_it_reads(lab, host):
    """A port that was just opened may lose the first frames: let it count some."""
    for _ in range(20):
        send(host, frame(udp(HOST4[0], "10.9.9.9", b"nobody"), RED_MAC[0], HOST_MAC[0]))
        time.sleep(0.02)
    time.sleep(0.3 * SLOWER)
    lab.gateways["gw-a"].alive()


def drain(s):
    frames = []
    while select.select([s], [], [], 0)[0]:
        try:
            frames.append(s.recv(65536))
        except BlockingIOError:
            break
    return frames


def collect(s, count, within=5.0):
    frames, end = [], time.monotonic() + within * SLOWER
    while len(frames) < count and time.monotonic() < end:
        select.select([s], [], [], 0.05)
        frames += drain(s)
    return frames


def packet(number, dst=HOST4[1]):
    return udp(HOST4[0], dst, b"number %5d" % number, sport=1234, dport=9)


def send_all(host, numbers, dst=HOST4[1]):
    for n in numbers:
        send(host, frame(packet(n, dst), RED_MAC[0], HOST_MAC[0]))


def policies_put(daemon, kind=NEWPOLICY, priority=1000, spi=0):
    out, back = template(OURS, PEERS, REQID, spi), template(PEERS, OURS, REQID)
    daemon.ask(kind, policy(OUT, OUTBOUND, out, priority))
    for direction in (IN, FWD):
        daemon.ask(kind, policy(direction, selector(NET4[1], NET4[0]), back, priority))


def sa_put(daemon, spi=SPI, number=1):
    daemon.ask(NEWSA, sa(OURS, PEERS, spi, REQID, key(number), direction=2, window=0))


def opened(frames, number=1, spi=SPI):
    """The numbers of the packets in these frames, each of which must be ESP of the SA."""
    esp, numbers = Esp(spi, "aes-gcm-128", key(number), esn=False), []
    for octets in frames:
        check(octets[12:14] == b"\x08\0" and octets[23] == 50, f"not ESP: {octets.hex()}")
        inner = esp.open(octets[34:])[0]
        numbers.append(int(inner[28 + 7:28 + 12]))
    return numbers


def held_and_sent(workers):
    with running(workers=workers) as (gateway, daemon, host, black):
        policies_put(daemon)
        daemon.events.clear()
        send_all(host, range(6))
        m = daemon.wait(ACQUIRE)
        same((m.seq, m.pid), (0, 0), "header of the event")
        same(m.body[:4], bytes(map(int, PEERS.split("."))), "the peer")
        same(m.body[20], 50, "protocol")
        same(m.body[24:28], bytes(map(int, OURS.split("."))), "our end")
        same(m.body[40:44], bytes(map(int, HOST4[1].split("."))), "the packet's destination")
        same(struct.unpack_from("!HH", m.body, 72), (9, 0xffff), "the packet's port")
        same(struct.unpack_from("=I", m.body, 284 + 44)[0], REQID, "reqid of the template")
        same(drain(black), [], "what left before there was an SA")
        sa_put(daemon)
        same(opened(collect(black, 4)), [0, 1, 2, 3], "packets in their order")
        send_all(host, range(10, 20))
        same(opened(collect(black, 10)), list(range(10, 20)), "what comes after")
        report = gateway.stop()
        same(report.report["drops"].get("no_outbound_sa"), 2, "packets that did not fit")


@case("an ACQUIRE says which packet wants which SA; the packets wait, and go in their order once it is there")
def holds():
    held_and_sent(1)


@case("likewise where another worker has the SA")
def holds_for_another():
    held_and_sent(2)


@case("without an SA the packets that wait end no_outbound_sa after a second, and not one leaves in clear")
def times_out():
    with running() as (gateway, daemon, host, black):
        policies_put(daemon)
        daemon.events.clear()
        for first in (0, 100, 200):
            send_all(host, range(first, first + 8))
            time.sleep(1.3 * SLOWER)
        same(len([m for m in daemon.quiet(0.2) if m.kind == ACQUIRE]), 3, "ACQUIREs, one a second")
        same(drain(black), [], "what left without an SA")
        report = gateway.stop()
        same(report.report["drops"].get("no_outbound_sa"), 24, "packets dropped")
        same(report.report["held"], 0, "packets held at the end")


@case("a policy that is replaced under packets that wait takes them along, in order with those that come later")
def replaced():
    with running() as (gateway, daemon, host, black):
        policies_put(daemon)
        send_all(host, range(4))
        daemon.wait(ACQUIRE)
        sa_put(daemon, SPI + 1, 2)
        got = opened(collect(black, 4), 2, SPI + 1)
        same(got, [0, 1, 2, 3], "packets of the first policy")
        daemon.ask(DELSA, sa_id(PEERS, SPI + 1))
        time.sleep(1.0)  # asked for one policy at most once a second
        send_all(host, range(4, 8))
        daemon.wait(ACQUIRE)
        policies_put(daemon, UPDPOLICY, 999, SPI)
        same(drain(black), [], "what left while no SA had the SPI")
        sa_put(daemon)
        same(opened(collect(black, 4)), [4, 5, 6, 7], "packets of the replaced policy")
        gateway.stop()


@case("no more packets wait in all, and no more events come in a second, than the file says")
def limits():
    with running({"action": "hold", "hold": 6, "rate": 2}) as (gateway, daemon, host, black):
        for i in range(8):
            daemon.ask(NEWPOLICY, policy(OUT, selector(NET4[0], f"10.2.{i}.0/24"), template(OURS, f"203.0.113.{i}", i + 1)))
        daemon.events.clear()
        began = time.monotonic()
        for i in range(8):
            send_all(host, range(2), f"10.2.{i}.1")
        events = [m for m in daemon.quiet(0.4 * SLOWER) if m.kind == ACQUIRE]
        most = 2 + int(2 * (time.monotonic() - began))
        check(2 <= len(events) <= most, f"{len(events)} events at once, where the rate allows {most}")
        time.sleep(1.2 * SLOWER)
        same(drain(black), [], "what left")
        same(gateway.stop().report["drops"].get("no_outbound_sa"), 16, "packets dropped")


@case("acquire: drop lets nothing wait; hold again, after a reload, does")
def reloaded():
    with running({"action": "drop"}) as (gateway, daemon, host, black):
        policies_put(daemon)
        send_all(host, range(3))
        daemon.wait(ACQUIRE)
        sa_put(daemon)
        same(opened(collect(black, 1, 1.0)), [], "packets that waited")
        daemon.ask(DELSA, sa_id(PEERS, SPI))
        gateway.write(configuration({"action": "hold"}))
        gateway.signal(signal.SIGHUP)
        wait_for("the reload", lambda: "acquire" in gateway.said())
        time.sleep(0.2 * SLOWER)
        send_all(host, range(10, 13))
        daemon.wait(ACQUIRE)
        sa_put(daemon)
        same(opened(collect(black, 3)), [10, 11, 12], "packets that waited")
        same(gateway.stop().report["drops"].get("no_outbound_sa"), 3, "packets dropped")


@case("an authentic packet from another port is taken, and MAPPING says where the peer went; a forged one moves nobody")
def mapping():
    with running() as (gateway, daemon, host, black):
        policies_put(daemon)
        daemon.ask(NEWSA, sa(PEERS, OURS, SPI, REQID, key(1), direction=1, encap=(4500, 4500)))
        daemon.events.clear()
        esp, inner = Esp(SPI, "aes-gcm-128", key(1), esn=False), udp(HOST4[1], HOST4[0], b"from the peer")

        def from_peer(seq, port, forged=False):
            octets = esp.seal(seq, inner, 4)
            octets = octets[:-1] + bytes([octets[-1] ^ forged])
            send(black, frame(udp(PEERS, OURS, octets, sport=port, dport=4500), BLACK_MAC[0], BLACK_MAC[1]))

        from_peer(1, 4500)
        from_peer(2, 1024, forged=True)
        same(len(collect(host, 1)), 1, "packets on the red side")
        same([m for m in daemon.quiet(0.3 * SLOWER) if m.kind == MAPPING], [], "MAPPINGs of a peer that stays")
        from_peer(3, 61000)
        from_peer(4, 61000)
        same(len(collect(host, 2)), 2, "packets on the red side")
        m = daemon.wait(MAPPING)
        same(struct.unpack_from("!HH", m.body, 60), (4500, 61000), "ports, the old and the new")
        same(m.body[44:48], bytes(map(int, PEERS.split("."))), "where the peer is")
        same([m for m in daemon.quiet(1.2 * SLOWER) if m.kind == MAPPING], [], "MAPPINGs of the same change")
        same(gateway.stop().drops.get("icv_fail"), 1, "forged packets")


@case("the policy goes while packets wait: they end no_policy, not in clear")
def deleted():
    with running() as (gateway, daemon, host, black):
        policies_put(daemon)
        send_all(host, range(4))
        daemon.wait(ACQUIRE)
        daemon.ask(DELPOLICY, policy_id(OUT, OUTBOUND))
        time.sleep(0.2 * SLOWER)
        same(drain(black), [], "what left")
        report = gateway.stop()
        same(report.report["drops"].get("no_policy", 0), 4, "packets dropped")


if __name__ == "__main__":
    main()
