#!/usr/bin/python3
"""ESP echo between two running gateways: espctl ping over every kind of SA, and plain ESP echo."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from lab import ESPGW, Lab, SLOWER, wait_for
from sites import BLACK4, BLACK6, NET4, af_packet, black_veth, key, red_veths, site
from tap import case, check, main, same
from xfrm import DELSA, GETSA, NEWSA, TRANSPORT, TUNNEL, Daemon, attribute, attributes, sa, sa_id

ESPCTL = os.path.join(os.path.dirname(ESPGW), "../espctl/espctl")
NAMES = ("gw-a", "gw-b")
KINDS = {
    "gcm": {},
    "six": {"local": 6},
    "udp": {"encap": {"udp": [4500, 4500]}},
    "udp6": {"local": 6, "encap": {"udp": [4500, 4500]}},
    "host": {"mode": "transport"},
    "host6": {"mode": "transport", "local": 6},
    "gmac": {"aead": "aes-gmac-128"},
    "cbc": {"aead": None, "cipher": "aes-cbc-128", "auth": "hmac-sha256-128"},
    "lanes": {"subspaces": True, "lanes": 2},
    "padded": {"tfc": {"pad_to": 800}},
    "quiet": {"esp_ping": False},
}


def tunnel(side, name, generation=0):
    number = list(KINDS).index(name)
    options = {"aead": "aes-gcm-128", "esp_ping": True, **KINDS[name]}
    black = BLACK6 if options.pop("local", 4) == 6 else BLACK4
    halves = []
    for way in (side, 1 - side):
        half = {"spi": 0x1000 * (way + 1) + 16 * number + generation, "key": key(f"{name} {way} {generation}")}
        if options["aead"] is None:
            half |= {"key": key(f"{name} {way} {generation}", 16), "auth_key": key(f"auth {name} {way} {generation}", 32)}
        halves.append(half)
    nets = {} if options.get("mode") == "transport" else {
        "local_nets": [NET4[side].replace("0.0/16", f"{number}.0/24")],
        "remote_nets": [NET4[1 - side].replace("0.0/16", f"{number}.0/24")]}
    return {"name": name, "local": black[side], "remote": black[1 - side], **nets, "out": halves[0], "in": halves[1],
            **{k: v for k, v in options.items() if v is not None}}


def config(side, generation=0, **port):
    c = site(side, af_packet(0, "black"), af_packet(1, "red"), [tunnel(side, name, generation) for name in KINDS])
    c["ports"][0] |= port
    return c


@contextlib.contextmanager
def running(workers=1, **port):
    with tempfile.TemporaryDirectory(prefix="espgw-ping-") as folder, Lab("espgw-ping", folder) as lab:
        for name in ("host-a", "gw-a", "gw-b", "host-b"):
            lab.namespace(name, False)
        black_veth(lab)
        red_veths(lab)
        for side, name in enumerate(NAMES):
            lab.gateway(name, config(side, **port), ns=lab.ns(name), workers=workers)
        wait_for("an echo", lambda: ping(lab, "gcm", "count", 1).returncode == 0, 30)
        yield lab


def espctl(lab, *words, of="gw-a"):
    return [ESPCTL, "-s", lab.gateways[of].socket, *map(str, words)]


def ping(lab, *words, of="gw-a"):
    return subprocess.run(espctl(lab, "ping", *words, of=of), capture_output=True, text=True, timeout=60 * SLOWER, check=False)


def pinged(lab, *words, of="gw-a"):
    """What it says as JSON: the echoes, and the summary."""
    done = ping(lab, *words, "--json", of=of)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    same(done.returncode, 0 if lines and lines[-1].get("answered") else 1, f"status of {words}: {done.stdout}{done.stderr}\n")
    return lines[:-1], lines[-1]


def drops(lab, of="gw-b"):
    done = subprocess.run(espctl(lab, "--json", "show", "drops", of=of), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def finish(lab):
    for name in NAMES:
        report = lab.gateways[name].stop()
        check(report.report is not None, name)


@case("an echo by every kind of SA is answered, by the SA's name and the tunnel's, from either side")
def every_kind():
    with running(workers=2) as lab:
        for name in KINDS:
            if name == "quiet":
                continue
            for of, target in (("gw-a", name), ("gw-b", f"{name}.out")):
                echoes, summary = pinged(lab, target, "count", 3, "interval", "0.05", of=of)
                same(summary["answered"], 3, f"{target} of {of}: {echoes}\n")
                for echo in echoes:
                    check(not echo["path_differs"] and echo["data_bytes"] == 16, f"{target}: {echo}")
                    check(0 < echo["rtt_ns"] < 2e9, f"{target}: {echo}")
        finish(lab)


@case("an SA without esp_ping answers nothing: status 1, ping_disabled at the far end")
def disabled():
    with running() as lab:
        echoes, summary = pinged(lab, "quiet", "count", 2, "interval", "0.05", "timeout", "0.3")
        same((summary["answered"], summary["lost"]), (0, 2), f"{echoes}\n")
        check("ping_disabled" in json.dumps(drops(lab)), "ping_disabled")
        done = ping(lab, "nobody")
        check(done.returncode == 1 and "there is no SA nobody" in done.stderr, done.stderr)
        finish(lab)


@case("probes have the outer size asked for, with DF, and come back whole up to the link's MTU; larger ones are refused")
def probes():
    with running() as lab:
        for name, size, outer in (("gcm", 1500, 1500), ("six", 1500, 1500), ("udp", 1280, 1280), ("host", 1400, 1400),
                                  ("cbc", 1500, 1492), ("padded", 600, 600)):
            echoes, summary = pinged(lab, name, "count", 2, "interval", "0.05", "size", size, "mtu")
            same(summary["answered"], 2, f"{name}: {echoes}\n")
            for echo in echoes:
                check(abs(echo["outer_bytes"] - outer) < 16 and echo["outer_bytes"] <= size, f"{name}: {echo}")
                check(echo["data_bytes"] > 512, f"{name}: {echo}")
        for name, size, says in (("gcm", 1501, "the link takes 1500"), ("gcm", 40, "no echo is so small")):
            done = ping(lab, name, "size", size, "mtu")
            check(done.returncode == 1 and says in done.stderr, done.stderr)
        done = ping(lab, "gcm", "size", 1450)
        check(done.returncode == 1 and "octets of data: the SA takes" in done.stderr, done.stderr)
        finish(lab)


@case("echoes go on while both ends are rekeyed")
def rekeying():
    with running() as lab:
        child = subprocess.Popen(espctl(lab, "ping", "gcm", "count", 40, "interval", "0.1", "--json"), stdout=subprocess.PIPE, text=True)
        for generation in (1, 2):
            time.sleep(1.2)
            for side in (1, 0):
                lab.gateways[NAMES[side]].write(config(side, generation))
                lab.gateways[NAMES[side]].signal(signal.SIGHUP)
        said, _ = child.communicate(timeout=60 * SLOWER)
        summary = json.loads(said.splitlines()[-1])
        same(summary["sent"], 40, said)
        check(summary["answered"] >= 25, said)
        echoes = [json.loads(line) for line in said.splitlines()[:-1]]
        check(len({e["spi_in"] for e in echoes if e["result"] == "answered"}) == 3, "by each generation's SA")
        finish(lab)


@case("^C ends a ping with its summary, a client that goes ends it too, and text is as of ping(8)")
def interrupted():
    with running() as lab:
        child = subprocess.Popen(espctl(lab, "ping", "gcm", "count", 0, "interval", "0.1"), stdout=subprocess.PIPE, text=True)
        lines = [child.stdout.readline() for _ in range(3)]
        check(all("seq" in line and "octets of data by SPI" in line and " ms" in line for line in lines), lines)
        child.send_signal(signal.SIGINT)
        rest = child.communicate(timeout=20 * SLOWER)[0]
        same(child.returncode, 0, rest)
        check("answered, 0 % lost, min/avg/max" in rest, rest)
        child = subprocess.Popen(espctl(lab, "ping", "gcm", "count", 0), stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        child.kill()
        child.wait()
        # Whoever comes next is served at once.
        begin = time.monotonic()
        drops(lab, "gw-a")
        check(time.monotonic() - begin < 5 * SLOWER, "the control loop waits")
        finish(lab)


@case("plain ESP echo is answered where the port is asked to, and not elsewhere")
def plain():
    with running(esp_echo=True) as lab:
        for address in (BLACK4[1], BLACK6[1]):
            echoes, summary = pinged(lab, "--plain", address, "count", 2, "interval", "0.2")
            same(summary["answered"], 2, f"{address}: {echoes}\n")
        for words, says in ((("plain", "10.1.0.2"), "which is red"), (("plain", "224.0.0.1"), "another station"),
                            (("plain", BLACK4[0]), "another station"), (("plain", "x"), "no address")):
            done = ping(lab, *words)
            check(done.returncode == 1 and says in done.stderr, f"{words}: {done.stderr}")
        lab.gateways["gw-b"].write(config(1))
        lab.gateways["gw-b"].signal(signal.SIGHUP)
        wait_for("the port to be silent", lambda: ping(lab, "plain", BLACK4[1], "count", 1, "timeout", "0.3").returncode == 1, 10)
        finish(lab)


ESP_PING = attribute(0x2008, b"\1")


def install(daemons, number, reqid, answers=True, **more):
    """A pair of SAs from a key exchange, at both ends. SPIs: 0x1000 + number to b, 0x2000 + number to a."""
    for side, daemon in enumerate(daemons):
        for way in (0, 1):
            src, dst = BLACK4[way], BLACK4[1 - way]
            body = sa(src, dst, 0x1000 * (way + 1) + number, reqid, bytes.fromhex(key(f"{way} {number}")[4:]),
                      direction=2 if way == side else 1, window=0 if way == side else 32, **more)
            daemon.ask(NEWSA, body + (ESP_PING if answers else b""))


@case("a key daemon's SAs: answered with the attribute, by the pair of their reqid and mode, of a bundle by that of the worker")
def of_daemons():
    with running(workers=2) as lab:
        for side, name in enumerate(NAMES):
            lab.gateways[name].write(site(side, af_packet(0, "black"), af_packet(1, "red"), []))
            lab.gateways[name].signal(signal.SIGHUP)
        daemons = [Daemon(lab.gateways[name].socket) for name in NAMES]
        wait_for("the file's SAs to go", lambda: ping(lab, "gcm", "count", 1).returncode == 1, 10)
        for number, reqid, more in ((1, 1, {}), (2, 2, {"mode": TRANSPORT}), (3, 3, {"mode": TRANSPORT, "encap": (4500, 4500)}),
                                    (4, 4, {"mode": TUNNEL, "encap": (4500, 4500)}), (5, 5, {"pcpu": 0}), (6, 5, {"pcpu": 1})):
            install(daemons, number, reqid, **more)
        install(daemons, 9, 9, answers=False)
        for number in range(1, 7):
            for of, out, into in (("gw-a", 0x1000, 0x2000), ("gw-b", 0x2000, 0x1000)):
                target = f"xfrm:{out + number:#010x}@{BLACK4[1 - NAMES.index(of)]}"
                echoes, summary = pinged(lab, target, "count", 2, "interval", "0.05", of=of)
                same(summary["answered"], 2, f"{target}: {echoes}\n")
                same([(e["spi_in"], e["path_differs"]) for e in echoes], [(into + number, False)] * 2, f"{target}: SPI")
        _, summary = pinged(lab, f"xfrm:0x00001009@{BLACK4[1]}", "count", 1, "timeout", "0.5")
        same(summary["answered"], 0, "without the attribute")
        got = attributes(daemons[1].ask(GETSA, sa_id(BLACK4[1], 0x1001))[0].body[224:])
        same(got.get(0x2008), b"\1", "the attribute of GETSA")
        # A rekey: the new pair is the one that answers come by; the old SA may still be asked by.
        install(daemons, 11, 1)
        echoes, _ = pinged(lab, f"xfrm:0x00001001@{BLACK4[1]}", "count", 1)
        same(echoes[0]["spi_in"], 0x200b, "the answer of the newest")
        for daemon in daemons:
            for way in (0, 1):
                daemon.ask(DELSA, sa_id(BLACK4[1 - way], 0x1000 * (way + 1) + 1))
        echoes, _ = pinged(lab, f"xfrm:0x0000100b@{BLACK4[1]}", "count", 1)
        same(echoes[0]["spi_in"], 0x200b, "the answer behind the rekey")
        shown = [json.loads(subprocess.run(espctl(lab, "--json", "show", "echo", of=of), capture_output=True, text=True,
                                           check=True).stdout) for of in NAMES]
        check(shown[0]["ours"]["sent"] == shown[0]["ours"]["answered"] + shown[0]["ours"]["lost"], shown)
        check(shown[1]["peers"]["asked"] == shown[1]["peers"]["replied"] >= shown[0]["ours"]["answered"], shown)
        same(shown[1]["peers"]["ping_cut"], 0, f"{shown}")
        for daemon in daemons:
            daemon.close()
        finish(lab)


if __name__ == "__main__":
    sys.exit(main())
