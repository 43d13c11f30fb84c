"""Two sites whose gateway a does its crypto with a chosen engine; b is software. Numbered datagrams go both ways through
every tunnel, and nothing may cross the black wire in clear. What arrives and what the gateways say they dropped must
add up to what was sent.
"""
import contextlib
import json
import os
import subprocess
import tempfile
import time

from lab import Lab, packet_socket, sh, wait_for
from control import BUILD, ESPCTL
from esp import AUTHS, CIPHERS
from gw import total
from ike_pump import Pump, attach
from pump import PACKET_IGNORE_OUTGOING, SOL_PACKET
from sites import (BLACK4, HOST_MAC, RED4, RED_MAC, af_packet, black_veth, key, namespaces, red_veths, site)
from tap import check, same

RATE = 400
SUITES = {"gcm": {"aead": "aes-gcm-128"}, "cbc": {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"},
          "chacha": {"aead": "chacha20-poly1305"}, "implicit": {"aead": "aes-gcm-256", "implicit_iv": True}}
CHATTER = {"ttl", "no_route", "not_ip"}  # what the hosts' kernels say by themselves (IGMP, mDNS)
CLEAR = "not (ip proto 50 or arp)"


def address(side, n):
    return f"10.{side + 1}.{n}.2"


def half(way, n, suite, generation):
    """The SA from side `way` of tunnel n."""
    cipher = CIPHERS[suite.get("aead") or suite["cipher"]]
    name = f"{way} {n} {generation}"
    made = {"spi": 0x1000 * (way + 1) + 0x100 * n + generation, "key": key(name, cipher.key + cipher.salt)}
    if "auth" in suite:
        made["auth_key"] = key(f"auth {name}", AUTHS[suite["auth"]].key)
    return made


def tunnel(side, n, suite="gcm", generation=0, same_spi=False, **options):
    out, into = (half(way, n, SUITES[suite], generation) for way in (side, 1 - side))
    if same_spi:
        for way, made in ((side, out), (1 - side, into)):
            made["spi"] = half(way, n, SUITES[suite], 0)["spi"]
    return {"name": f"t{n}", "local": BLACK4[side], "remote": BLACK4[1 - side], "local_nets": [f"10.{side + 1}.{n}.0/24"],
            "remote_nets": [f"10.{2 - side}.{n}.0/24"], **SUITES[suite], **options, "out": out, "in": into}


class Sites:
    """The running pair, its books, and the watch over the wire."""

    def __init__(self, lab, count, crypto, inline, devices):
        self.lab, self.count, self.crypto, self.inline, self.devices = lab, count, crypto, inline, devices
        self.sockets = []
        for name in "ab":
            s = packet_socket(lab.ns(f"gw-{name}"), "black")
            s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            attach(s, CLEAR)
            self.sockets.append(s)

    def config(self, side, tunnels):
        """tunnels: the list, or a dictionary of whole parts of the file."""
        made = site(side, af_packet(0, "black"), af_packet(1, "red"), [])
        made.update(tunnels if isinstance(tunnels, dict) else {"tunnels": tunnels})
        made["neighbours"] += [{"ip": address(side, n), "mac": HOST_MAC[side], "port": "lan"} for n in range(1, self.count + 1)]
        if side == 0:
            made["gateway"]["crypto"] = self.crypto
            if self.devices:
                made["gateway"]["crypto_devices"] = self.devices
            if self.inline:
                made["ports"][0]["inline"] = self.inline
        return made

    def start(self, tunnels, at_once=False, **more):
        """tunnels(side) gives the list, or with at_once a dictionary that has all. more: of gateway a."""
        for side, name in enumerate("ab"):
            self.lab.gateway(f"gw-{name}", self.config(side, tunnels(side)), ns=self.lab.ns(f"gw-{name}"),
                             **(more if side == 0 else {}))
        for gateway in self.lab.gateways.values():
            wait_for("the control socket", lambda g=gateway: g.alive() or os.path.exists(g.socket))
        for n in range(1, self.count + 1):
            if at_once or any(t["name"] == f"t{n}" for t in tunnels(0)):
                self.reached(n)

    def reached(self, n):
        def answered():
            return " 0% packet loss" in sh("ping", "-n", "-c", 1, "-W", 1, "-I", address(0, n), address(1, n),
                                           ns=self.lab.ns("host-a"), quiet=True)
        wait_for(f"a ping through tunnel {n}", answered, 20)

    def espctl(self, *words, side=0):
        gateway = self.lab.gateways[f"gw-{'ab'[side]}"]
        gateway.alive()
        return subprocess.run([ESPCTL, "-s", gateway.socket, *words], capture_output=True, text=True, check=False, timeout=30)

    def show(self, *words, side=0):
        done = self.espctl("--json", "show", *words, side=side)
        check(done.returncode == 0, f"show {words}: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def sa(self, name):
        return self.show("sa", name)

    def drops(self, side=0):
        return {name: n["total"] for name, n in self.show("drops", side=side)["drops"].items() if n["total"]}

    def reload(self, side, tunnels):
        self.lab.gateways[f"gw-{'ab'[side]}"].write(self.config(side, tunnels))
        done = self.espctl("reload", side=side)
        check(done.returncode == 0, f"reload: {done.stderr}{done.stdout}")

    def pump(self, n, rate=RATE):
        """Datagrams through tunnel n, both ways."""
        return Pump(self.lab, rate, ends=[(self.lab.ns(f"host-{name}"), address(side, n)) for side, name in enumerate("ab")])

    @contextlib.contextmanager
    def pumps(self, *which, rate=RATE):
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.pump(n, rate)) for n in which or range(1, self.count + 1)]

    def whole(self, *which, seconds=1.0):
        """Every datagram of some time arrives once."""
        with self.pumps(*which) as pumps:
            time.sleep(seconds)
            for pump in pumps:
                pump.whole(at_least=RATE // 2)

    def clean(self):
        """Nothing of the tunnels crossed the wire in clear."""
        for s in self.sockets:
            frames = []
            while True:
                try:
                    frames.append(s.recv(65536))
                except BlockingIOError:
                    break
            bad = [f.hex() for f in frames if f[12:14] in (b"\x08\x00", b"\x86\xdd")]
            check(not bad, f"{len(bad)} clear packets on the wire, the first: {bad[:1]}")

    def stop(self):
        """The exit reports of both; each balances by itself."""
        self.clean()
        return [self.lab.gateways[f"gw-{name}"].stop() for name in "ab"]


def unhurt(report):
    """Nothing was dropped."""
    same({why: n for why, n in report.drops.items() if why not in CHATTER}, {}, "drops")


def lost(pumps):
    return sum(len(flow.lost()) for pump in pumps for flow in pump.flows)


def balanced(pumps, before, after, reasons):
    """What did not arrive was dropped for one of these reasons, counted one by one; nothing came twice or changed."""
    dropped = {why: n - before.get(why, 0) for why, n in after.items() if n != before.get(why, 0) and why not in CHATTER}
    for pump in pumps:
        pump.stop()
        for flow in pump.flows:
            same((flow.twice, flow.strange), (0, 0), "datagrams that came twice, strange ones")
    check(set(dropped) <= set(reasons), f"drops {dropped}, not only {reasons}")
    same(lost(pumps), total(dropped), f"datagrams lost, and drops {dropped}")
    return dropped


@contextlib.contextmanager
def sites(count=2, crypto=("inline", "ipsec_mb", "openssl"), inline=None, devices=None):
    with tempfile.TemporaryDirectory(prefix="espgw-eng-") as folder, Lab(f"espgw-eng-{os.getpid()}", folder) as lab:
        namespaces(lab)
        black_veth(lab)
        red_veths(lab)
        for side, name in enumerate("ab"):
            lab.host(f"host-{name}", "eth0", [f"{address(side, n)}/16" for n in range(1, count + 1)], [(RED4[side], RED_MAC[side])])
        made = Sites(lab, count, list(crypto), inline, devices)
        try:
            yield made
            made.clean()
        finally:
            for s in made.sockets:
                s.close()
