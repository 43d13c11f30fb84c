#!/usr/bin/python3
"""A running gateway: ping and iperf3 through two of them, SIGTERM under load, reload under traffic."""
import contextlib
import json
import signal
import tempfile
import threading
import time

from lab import Lab, SLOWER, at_once, sh, wait_for
from gw import aged, frame, total, udp
from pump import Stream, reach, send, socket_on, transfer
from sites import (HOST4, HOST6, HOST_MAC, RED_MAC, SPI, af_packet, black_veth, hosts, key, namespaces, red_veths, site, tunnel)
from tap import case, check, main, same

NAMES = ("gw-a", "gw-b")


@contextlib.contextmanager
def running(with_hosts=False, configs=None):
    """Two gateways over veth with af_packet ports; hosts with an IP stack if asked for."""
    with tempfile.TemporaryDirectory(prefix="espgw-e2e-") as folder, Lab("espgw-e2e", folder) as lab:
        if with_hosts:
            namespaces(lab)
        else:
            for name in ("host-a", "gw-a", "gw-b", "host-b"):
                lab.namespace(name, False)
        black_veth(lab)
        red_veths(lab)
        if with_hosts:
            hosts(lab)
        for side, name in enumerate(NAMES):
            lab.gateway(name, (configs or both)(side), ns=lab.ns(name))
        yield lab


def both(side, tunnels=None):
    return site(side, af_packet(0, "black"), af_packet(1, "red"), tunnels)


def ends(lab):
    return socket_on(lab, "host-a", "eth0"), socket_on(lab, "host-b", "eth0")


@case("ping, IPv4 and IPv6, small and at the tunnel's MTU, and what does not fit is answered with the right one")
def pings():
    with running(True) as lab:
        host = lab.ns("host-a")
        wait_for("the first ping", lambda: "1 received" in sh("ping", "-c", 1, "-W", 1, HOST4[1], ns=host, quiet=True), 20)
        for address, header in ((HOST4[1], 28), (HOST6[1], 48)):
            for size in (56, 1446 - header):
                said = sh("ping", "-n", *at_once(10), "-M", "do", "-s", size, address, ns=host)
                check("10 received" in said, said)
            said = sh("ping", "-n", "-c", 2, "-W", 1, "-M", "do", "-s", 1447 - header, address, ns=host, quiet=True)
            check("mtu = 1446" in said.replace("mtu=1446", "mtu = 1446") or "mtu: 1446" in said, said)
        for name in NAMES:
            lab.gateways[name].stop()


@case("iperf3, TCP and UDP over IPv4 and IPv6")
def iperf():
    with running(True) as lab:
        wait_for("the first ping", lambda: "1 received" in sh("ping", "-c", 1, "-W", 1, HOST4[1], ns=lab.ns("host-a"),
                                                              quiet=True), 20)
        for address in (HOST4[1], HOST6[1]):
            for options in ((), ("-u", "-b", "20M", "-l", "1200")):
                server = lab.start("iperf3", "-s", "-1", "--bind", address, ns=lab.ns("host-b"))
                time.sleep(0.5 * SLOWER)
                end = json.loads(sh("iperf3", "-J", "-c", address, "-t", "2", *options, ns=lab.ns("host-a")))["end"]
                lab.finish(server)
                if options:
                    check(end["sum"]["packets"] > 100 and end["sum"]["lost_percent"] < 50, f"{address}, UDP: {end['sum']}")
                else:
                    check(end["sum_received"]["bytes"] > 1_000_000, f"{address}, TCP: {end['sum_received']}")
        for name in NAMES:
            report = lab.gateways[name].stop()
            check(report.sa("site.in")["packets"] > 1000, f"{name}: {report.report['sas']}")


class Load:
    """Sends a stream over and over, as fast as it can, until told to end."""

    def __init__(self, sender, stream):
        self.sender, self.stream, self.ended, self.sent = sender, stream, threading.Event(), 0
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while not self.ended.is_set():
            for octets in self.stream.frames[:64]:
                send(self.sender, octets)
            self.sent += 64

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.ended.set()
        self.thread.join()


def stopped_under_load(number):
    with running() as lab:
        sender, receiver = ends(lab)
        stream = Stream(64)
        reach(sender, receiver, stream, lab.gateways.values())
        with Load(sender, stream) as load:
            wait_for("some load", lambda: load.sent > 20_000)
            for name in NAMES:
                gateway = lab.gateways[name]
                gateway.signal(number)
                begin = time.monotonic()
                status = gateway.process.wait(30)
                took = time.monotonic() - begin
                same(status, 0, f"exit status of {name}\n{gateway.said()}\n")
                check(took < 2 * SLOWER, f"{name} took {took:.1f} s")
                report = gateway.report()
                check(report.report["rx"] > 1000, f"{name} received {report.report['rx']}")


@case("A12.1 SIGTERM under load: drained, counters balanced, exit status 0 within 2 s")
def sigterm():
    stopped_under_load(signal.SIGTERM)


@case("A12.1 SIGINT under load likewise")
def sigint():
    stopped_under_load(signal.SIGINT)


def second(side):
    """A second tunnel beside the first, for other networks."""
    out, into = {"spi": SPI[side] + 1, "key": key(side + 2)}, {"spi": SPI[1 - side] + 1, "key": key(3 - side)}
    return {**tunnel(side), "name": "second", "local_nets": [f"10.{side + 3}.0.0/16"],
            "remote_nets": [f"10.{4 - side}.0.0/16"], "out": out, "in": into}


def with_second(side, **first):
    """Both tunnels, and the route of the second one's network."""
    config = both(side, [tunnel(side, **first), second(side)])
    config["routes"] = [{"to": f"10.{side + 3}.0.0/16", "via": f"10.{side + 1}.0.2", "port": "lan"},
                        {"to": f"10.{4 - side}.0.0/16", "via": f"192.0.2.{2 - side}", "port": "wan"}]
    return config


@case("A10.3 reload under traffic: a tunnel is added, an option of another changed, and not one packet is lost")
def reload():
    with running() as lab:
        sender, receiver = ends(lab)
        stream = Stream(20_000)
        reach(sender, receiver, stream, lab.gateways.values())

        def change(number):
            if number in (5_000, 10_000, 15_000):
                for side, name in enumerate(NAMES):
                    options = {5_000: {}, 10_000: {"df": "set", "ttl": 99}, 15_000: {"outer_dscp": 10}}[number]
                    lab.gateways[name].write(with_second(side, **options))
                    lab.gateways[name].signal(signal.SIGHUP)
        transfer(sender, receiver, stream, meanwhile=change)
        packet = udp("10.3.0.5", "10.4.0.5", b"by the new tunnel")
        new = Stream(0)
        new.frames, new.want = [frame(packet, RED_MAC[0], HOST_MAC[0])], [frame(aged(packet, 2), HOST_MAC[1], RED_MAC[1])]
        time.sleep(0.5 * SLOWER)
        send(sender, new.frames[0])
        wait_for("a packet by the new tunnel", lambda: arrived(receiver, new.want[0]))
        for name in NAMES:
            report = lab.gateways[name].stop()
            same(report.drops, {}, f"drops of {name}\n{lab.gateways[name].said()}\n")
            sa = report.sa("site.out" if name == "gw-a" else "site.in")
            check(sa["packets"] >= 20_000, f"the first tunnel's counters did not outlive the reload: {sa}")


def arrived(receiver, want):
    try:
        return receiver.recv(65536) == want
    except BlockingIOError:
        return False


@case("tfc dummy_rate: an idle tunnel sends dummies at that rate, and the far end consumes them")
def dummies():
    rate, seconds = 200, 2
    with running(configs=lambda side: both(side, [tunnel(side, **({} if side else {"tfc": {"dummy_rate": rate}}))])) as lab:
        sender, receiver = ends(lab)
        reach(sender, receiver, Stream(1), lab.gateways.values())
        time.sleep(seconds)
        here, there = (lab.gateways[name].stop().report for name in NAMES)
        made, used = total(here["generated"]), total(there["consumed"])
        check(rate * seconds * 0.5 <= made, f"{made} dummies in more than {seconds} s at {rate} a second")
        # gateway b may have come up after the first of them, and ends after a.
        check(made * 0.5 <= used <= made, f"{made} made and {used} consumed")


@case("a reload of a file with an error says where it is and changes nothing")
def bad_reload():
    with running() as lab:
        sender, receiver = ends(lab)
        stream = Stream(6_000)
        reach(sender, receiver, stream, lab.gateways.values())

        def spoil(number):
            if number == 2_000:
                gateway = lab.gateways["gw-a"]
                gateway.write("version: 1\nports: [\n")
                gateway.signal(signal.SIGHUP)
                wait_for("the error is said", lambda: "gw-a.yaml:" in gateway.said())
            if number == 4_000:
                config = both(0)
                config["tunnels"][0]["out"]["key"] = "hex:0011"
                lab.gateways["gw-a"].write(config)
                lab.gateways["gw-a"].signal(signal.SIGHUP)
        transfer(sender, receiver, stream, meanwhile=spoil)
        for name in NAMES:
            same(lab.gateways[name].stop().drops, {}, f"drops of {name}")


if __name__ == "__main__":
    main()
