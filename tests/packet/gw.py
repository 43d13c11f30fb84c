"""The gateway as a program from captures to captures, for the packet tests.

run() writes a configuration and a capture per port, runs espgw over them until it is idle, and gives back
the frames that came out and the exit report. Every run is checked for conservation: no packet may vanish.

The laboratory: `wan` (black) is 192.0.2.1 and 2001:db8::1, `lan` (red) is 10.254.0.1 and fd00::1. Tunnel n
joins 10.1.n.0/24 and fd01:0:0:n::/64 here to 10.2.n.0/24 and fd02:0:0:n::/64 there.
"""
import copy
import hashlib
import ipaddress
import itertools
import json
import os
import struct
import subprocess
import sys
import tempfile

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import engine  # noqa: E402
import octets  # noqa: E402
from esp import AUTHS, CIPHERS, Esp  # noqa: E402
from tap import Failure, check, same  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ESPGW = os.path.abspath(os.environ.get("ESPGW") or os.path.join(TOP, "build/app/espgw/espgw"))
SLOWER = float(os.environ.get("SLOWER", "1"))
WORKERS = int(os.environ.get("WORKERS", "1"))

# net_pcap numbers its ports' addresses in the order in which they are made.
WAN_MAC, LAN_MAC = "02:70:63:61:70:00", "02:70:63:61:70:01"
WAN_NEXT, LAN_NEXT = "02:00:00:00:00:fe", "02:00:00:00:01:fe"
BLACK = {4: "192.0.2.1", 6: "2001:db8::1"}
PEER = {4: "198.51.100.1", 6: "2001:db8:ffff::1"}
RED = {4: "10.254.0.1", 6: "fd00::1"}
START_US = 1_700_000_000_000_000
STEP_US = 100

serial = itertools.count()


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def frame(packet, dst, src, kind=None):
    """An Ethernet frame around an IP packet (or around anything, with its EtherType)."""
    if kind is None:
        kind = 0x86dd if packet[:1] and packet[0] >> 4 == 6 else 0x0800
    return mac(dst) + mac(src) + struct.pack("!H", kind) + packet


def to_wan(packet, **more):
    return frame(packet, WAN_MAC, WAN_NEXT, **more)


def to_lan(packet, **more):
    return frame(packet, LAN_MAC, LAN_NEXT, **more)


def write_pcap(path, frames):
    """Each frame is octets, sent STEP_US after the one before, or (microseconds from the start, octets)."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        at = 0
        for item in frames:
            at, octets = item if isinstance(item, tuple) else (at + STEP_US, item)
            f.write(struct.pack("<IIII", *divmod(START_US + at, 1_000_000), len(octets), len(octets)) + octets)


def read_pcap(path):
    with open(path, "rb") as f:
        octets = f.read()
    if not octets:
        return []
    order = "<" if octets[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    frames, at = [], 24
    while at + 16 <= len(octets):
        kept, real = struct.unpack(order + "II", octets[at + 8:at + 16])
        check(kept == real, f"{path}: a frame of {real} octets is cut to {kept}")
        frames.append(octets[at + 16:at + 16 + kept])
        at += 16 + kept
    return frames


def laboratory():
    """The configuration all tests start from: two ports, their routes and neighbours, no tunnel."""
    return {
        "version": 1,
        "gateway": {"name": "test", "idle": "sleep", "max_sas": 1024, "key_cache": "1Mi"},
        "ports": [
            {"name": "wan", "device": "", "side": "black", "addresses": [BLACK[4] + "/24", BLACK[6] + "/64"]},
            {"name": "lan", "device": "", "side": "red", "addresses": [RED[4] + "/24", RED[6] + "/64"]},
        ],
        "routes": [
            {"to": "0.0.0.0/0", "via": "192.0.2.254", "port": "wan"},
            {"to": "::/0", "via": "2001:db8::fe", "port": "wan"},
            {"to": "10.1.0.0/16", "via": "10.254.0.2", "port": "lan"},
            {"to": "fd01::/16", "via": "fd00::2", "port": "lan"},
        ],
        "neighbours": [
            {"ip": "192.0.2.254", "mac": WAN_NEXT, "port": "wan"},
            {"ip": "2001:db8::fe", "mac": WAN_NEXT, "port": "wan"},
            {"ip": "10.254.0.2", "mac": LAN_NEXT, "port": "lan"},
            {"ip": "fd00::2", "mac": LAN_NEXT, "port": "lan"},
        ],
    }


def key_of(what, size):
    """A key of its own for each purpose: one counter-mode key on two SAs is refused, and rightly."""
    return hashlib.shake_256(what.encode()).digest(size)


def net(version, side, n):
    return f"10.{side}.{n}.0/24" if version == 4 else f"fd0{side}:0:0:{n:x}::/64"


def host(version, side, n, number=5):
    return f"10.{side}.{n}.{number}" if version == 4 else f"fd0{side}:0:0:{n:x}::{number:x}"


class Tunnel:
    """A tunnel of the gateway and, at once, the peer at its far end.

    seal() makes what the peer sends to the gateway; open() reads what the gateway sends to the peer.
    """

    def __init__(self, n, aead="aes-gcm-128", cipher=None, auth=None, outer=4, esn=True, icv=None,
                 implicit_iv=False, mode="tunnel", encap=None, out=None, into=None, selectors=True, lanes=None, **options):
        self.n, self.name, self.outer, self.mode, self.encap = n, f"t{n}", outer, mode, encap
        self.local, self.remote = BLACK[outer], PEER[outer]
        self.suite = {"cipher": cipher, "auth": auth} if cipher else {"aead": aead}
        self.choices = {"esn": esn, **({"icv": icv} if icv else {}), **({"implicit_iv": True} if implicit_iv else {})}
        if lanes:
            self.choices.update(subspaces=True, lanes=lanes)
        self.options, self.own = options, {"out": out or {}, "in": into or {}}
        self.selectors = selectors
        self.spi = {"out": 0x10000 + n, "in": 0x20000 + n}
        self.keys, self.esp = {}, {}
        name = cipher or aead
        for way in ("out", "in"):
            key = key_of(f"{self.name} {way} cipher", CIPHERS[name].key + CIPHERS[name].salt)
            auth_key = key_of(f"{self.name} {way} auth", AUTHS[auth].key) if auth else b""
            self.keys[way] = (key, auth_key)
            self.esp[way] = Esp(self.spi[way], name, key, auth, auth_key, esn, icv, implicit_iv, bool(lanes))

    def nets(self, side):
        return [net(4, side, self.n), net(6, side, self.n)]

    def yaml(self):
        entry = {"name": self.name, "local": self.local, "remote": self.remote, "mode": self.mode}
        if self.selectors:
            entry.update(local_nets=self.nets(1), remote_nets=self.nets(2))
        entry.update(self.suite)
        entry.update(self.choices)
        entry.update(self.options)
        if self.encap:
            entry["encap"] = {"udp": list(self.encap)}
        for way in ("out", "in"):
            key, auth_key = self.keys[way]
            entry[way] = {"spi": self.spi[way], **({"key": "hex:" + key.hex()} if key else {}),
                          **({"auth_key": "hex:" + auth_key.hex()} if auth_key else {}), **self.own[way]}
            if self.encap and way == "in":
                entry[way].setdefault("encap", {"udp": [self.encap[1], self.encap[0]]})
        return copy.deepcopy(entry)  # options that several share must not become an anchor

    def sas(self):
        """The long form: an SA each way, no policies."""
        entry = self.yaml()
        common = {key: value for key, value in entry.items()
                  if key not in ("name", "local", "remote", "local_nets", "remote_nets", "out", "in")}
        ends = {"out": (self.local, self.remote), "in": (self.remote, self.local)}
        return [{"name": f"{self.name}.{way}", "direction": way, "src": src, "dst": dst, **common, **entry[way]}
                for way, (src, dst) in ends.items()]

    def carry(self, esp, **fields):
        """The outer packet around ESP, from the peer to the gateway. fields: tos, ttl, src, dst, id, df, flow."""
        if self.encap:
            esp = udp_header(self.remote, self.local, self.encap[1], self.encap[0], esp, self.outer) + esp
        return ip(fields.pop("src", self.remote), fields.pop("dst", self.local), 17 if self.encap else 50, esp, **fields)

    def seal(self, inner, seq, next_header=None, outer=None, **fields):
        if next_header is None:
            next_header = 4 if inner[0] >> 4 == 4 else 41
        return self.carry(self.esp["in"].seal(seq, inner, next_header, **fields), **(outer or {}))

    def strip(self, packet):
        """The ESP packet in what the gateway sent; its outer header is looked at on the way."""
        outer = parse(packet)
        same((outer["src"], outer["dst"]), (self.local, self.remote), "outer addresses")
        if not self.encap:
            same(outer["proto"], 50, "outer protocol")
            return outer["payload"]
        same(outer["proto"], 17, "outer protocol")
        sport, dport, length, checksum = struct.unpack("!HHHH", outer["payload"][:8])
        same((sport, dport, length), (*self.encap, len(outer["payload"])), "UDP ports and length")
        if self.outer == 6:
            same(checksum, struct.unpack("!H", udp_header(self.local, self.remote, sport, dport,
                                                          outer["payload"][8:], 6)[6:])[0], "UDP checksum")
        return outer["payload"][8:]

    def open(self, packet, seq_high=0):
        return self.esp["out"].open(self.strip(packet), seq_high)


def checksum(octets):
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pseudo(src, dst, proto, length):
    packed = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    return packed + struct.pack("!II", length, proto)  # the sum does not mind IPv4's narrower fields


def upper_sum(src, dst, proto, segment):
    return checksum(pseudo(src, dst, proto, len(segment)) + segment)


def udp_header(src, dst, sport, dport, payload, version):
    header = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    if version == 4:
        return header
    return header[:6] + struct.pack("!H", upper_sum(src, dst, 17, header + payload) or 0xffff)


def ip(src, dst, proto, payload, tos=0, ttl=64, ident=0, df=0, flow=0, mf=0, offset=0, options=b"", total=None,
       ihl=None, wrong_sum=False):
    """An IP packet of the addresses' family."""
    if ":" in src:
        return (struct.pack("!IHBB", 6 << 28 | tos << 20 | flow, len(payload) if total is None else total, proto, ttl)
                + ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed + payload)
    words = 5 + len(options) // 4 if ihl is None else ihl
    size = 20 + len(options) + len(payload) if total is None else total
    header = struct.pack("!BBHHHBBH", 0x40 | words, tos, size, ident, df << 14 | mf << 13 | offset, ttl, proto, 0)
    header += ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed + options
    header = header[:10] + struct.pack("!H", checksum(header) ^ (0x5555 if wrong_sum else 0)) + header[12:]
    return header + payload


def udp(src, dst, payload=b"", sport=1000, dport=2000, **fields):
    """A UDP datagram with a right checksum."""
    header = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    total = upper_sum(src, dst, 17, header + payload) or 0xffff
    return ip(src, dst, 17, header[:6] + struct.pack("!H", total) + payload, **fields)


def tcp(src, dst, payload=b"", sport=1000, dport=80, **fields):
    header = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, 0x18, 1000, 0, 0)
    total = upper_sum(src, dst, 6, header + payload)
    return ip(src, dst, 6, header[:16] + struct.pack("!H", total) + header[18:] + payload, **fields)


def from_lan(n, payload=b"payload", version=4, number=5, **fields):
    """What a host behind the gateway sends into tunnel n."""
    return udp(host(version, 1, n, number), host(version, 2, n, number), payload, **fields)


def from_far(n, payload=b"payload", version=4, number=5, **fields):
    """What a host behind the peer sends into tunnel n."""
    return udp(host(version, 2, n, number), host(version, 1, n, number), payload, **fields)


def parse(packet):
    """The fields of an IP header that tests look at; lengths and checksum must fit."""
    if packet[0] >> 4 == 6:
        first, length, proto, ttl = struct.unpack("!IHBB", packet[:8])
        same(length, len(packet) - 40, "IPv6 payload length")
        return {"version": 6, "tos": first >> 20 & 255, "flow": first & 0xfffff, "proto": proto, "ttl": ttl,
                "src": str(ipaddress.ip_address(packet[8:24])), "dst": str(ipaddress.ip_address(packet[24:40])),
                "payload": packet[40:]}
    words, tos, length, ident, frag, ttl, proto = struct.unpack("!BBHHHBB", packet[:10])
    size = (words & 15) * 4
    same(length, len(packet), "IPv4 total length")
    same(checksum(packet[:size]), 0, "IPv4 header checksum, summed")
    return {"version": 4, "tos": tos, "ident": ident, "df": frag >> 14 & 1, "mf": frag >> 13 & 1,
            "offset": frag & 0x1fff, "ttl": ttl, "proto": proto, "src": str(ipaddress.ip_address(packet[12:16])),
            "dst": str(ipaddress.ip_address(packet[16:20])), "payload": packet[size:]}


def aged(packet, hops=1):
    """The packet after some routers: TTL or hop limit counted down."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([packet[7] - hops]) + packet[8:]
    size = (packet[0] & 15) * 4
    header = packet[:8] + bytes([packet[8] - hops]) + packet[9:10] + b"\0\0" + packet[12:size]
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + packet[size:]


def same_packets(have, want, what):
    """Compares lists of packets; shows how many there are and the first that differs, octet for octet."""
    if have == want:
        return
    first = next((i for i, (a, b) in enumerate(zip(have, want)) if a != b), min(len(have), len(want)))
    shown = [packets[first].hex() if first < len(packets) else "none" for packets in (have, want)]
    raise Failure(f"{what}: have {len(have)}, want {len(want)}; the first that differs is number {first}:\n"
                  f"  have {shown[0]}\n  want {shown[1]}")


def total(value):
    """A counter of the report that may be split by cause."""
    return sum(value.values()) if isinstance(value, dict) else value


class Run:
    """What came of a run: .wan and .lan are the IP packets sent there, .report the exit report."""

    def __init__(self, report, frames, stderr):
        self.report, self.frames, self.stderr = report, frames, stderr
        self.wan, self.lan = ([f[14:] for f in frames[port]] for port in ("wan", "lan"))

    @property
    def drops(self):
        return {name: n for name, n in self.report["drops"].items() if n}

    def sa(self, name):
        return self.report["sas"][name]

    def sa_drops(self, name):
        return {why: n for why, n in self.report["sas"].get(name, {}).get("drops", {}).items() if n}

    def conserve(self):
        r = self.report
        came = r["rx"] + total(r["generated"]) + total(r["split"])
        went = r["tx"] + total(r["consumed"]) + total(r["held"]) + sum(r["drops"].values()) + total(r["merged"])
        check(came == went, f"conservation: {came} came in and {went} are accounted for: {json.dumps(r)}")
        same(sum(p["rx_packets"] for p in r["ports"].values()), r["rx"], "rx, summed over the ports")
        same(sum(p["tx_packets"] for p in r["ports"].values()), r["tx"], "tx, summed over the ports")
        for name, frames in self.frames.items():
            same(r["ports"][name]["tx_packets"], len(frames), f"tx_packets of {name} and frames in its capture")


def cpus():
    return ",".join(str(c) for c in sorted(os.sched_getaffinity(0))[:2])


def eal(prefix, workers=None):
    """EAL's arguments: a control lcore and the workers (1, or WORKERS), floating over two CPUs at most."""
    lcores = ",".join(f"{i}@({cpus()})" for i in range((workers or WORKERS) + 1))
    return ["--lcores", lcores, "--no-pci", "--no-huge", "-m", "512", "--no-shconf",
            "--no-telemetry", "--file-prefix", prefix, *engine.eal()]


def execute(arguments, timeout=60, workers=None, **more):
    """Runs espgw with arguments behind `--`; gives back the finished process, whatever its status."""
    argv = [ESPGW, *eal(f"espgw-test-{os.getpid()}-{next(serial)}", workers), "--", *arguments]
    check(os.access(ESPGW, os.X_OK), f"{ESPGW} is not there: build first")
    return subprocess.run(argv, capture_output=True, timeout=timeout * SLOWER, check=False, **more)


def run_once(config, captures, arguments=(), folder=None, idle=100, workers=None, queues=1, env=None):
    """Runs espgw over captures, by port, with the engines that the configuration names. env: more of the environment."""
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as made:
        work = folder or made
        config = copy.deepcopy(config)
        for i, (name, frames) in enumerate(captures.items()):
            device = f"net_pcap{i}"
            for q in range(queues):
                write_pcap(f"{work}/{name}.in{q}.pcap", frames[q::queues])
                device += f",rx_pcap={work}/{name}.in{q}.pcap"
            config["ports"][i]["device"] = f"{device},tx_pcap={work}/{name}.out.pcap"
        file = f"{work}/espgw.yaml"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f, sort_keys=False)
        done = execute(["--config", file, "--exit-when-idle", str(idle), "--json",
                        "--control-socket", f"{work}/control.sock", *arguments], workers=workers,
                       env={**os.environ, **(env or {})})
        stderr = done.stderr.decode(errors="replace")
        if done.returncode != 0:
            raise Failure(f"espgw ends with {done.returncode}\n{stderr}\n{done.stdout.decode(errors='replace')[:2000]}")
        try:
            report = json.loads(done.stdout)
        except ValueError as error:
            raise Failure(f"the exit report is not JSON ({error}): {done.stdout[:2000]!r}\n{stderr}") from error
        result = Run(report, {name: read_pcap(f"{work}/{name}.out.pcap") for name in captures}, stderr)
    result.conserve()
    return result


def run(config, wan=(), lan=(), **more):
    """Runs espgw over captures. config has `ports` named wan and lan, as laboratory() gives it. more: of run_once().

    queues: of each port, which get their frames in turn; each is read by another worker.
    """
    captures = {"wan": wan, "lan": lan}
    chosen = copy.deepcopy(config)
    if not engine.choose(chosen):
        return run_once(config, captures, **more)
    result = run_once(chosen, captures, **more)
    engine.judge(chosen, result.report)
    if "folder" not in more and "state_file" not in config["gateway"]:
        same_as_software(config, captures, result, more)
    return result


def same_as_software(config, captures, result, more):
    """What left the ports is what it would have been with software, octet for octet. What lies in a folder from an
    earlier run would be another one the second time: such runs are not repeated."""
    what = [config, {name: [f if isinstance(f, tuple) else f.hex() for f in frames] for name, frames in captures.items()}, more]
    alone = copy.deepcopy(config)
    alone["gateway"]["crypto"] = list(engine.SOFTWARE)
    octets.same_as_software(result.frames, octets.software(ESPGW, what, lambda: run_once(alone, captures, **more).frames),
                            own_names=engine.judges_itself())


def skewed(packets, classes_first, delay):
    """What (packet, DSCP) come in, over two paths: packets of those classes overtake up to `delay` others."""
    waiting, left = [], []
    for packet, dscp in packets:
        if dscp in classes_first:
            left.append(packet)
            continue
        waiting.append(packet)
        if len(waiting) > delay:
            left.append(waiting.pop(0))
    return left + waiting


def far_end(*tunnels):
    """The configuration of the gateway at the other end of these tunnels; its ports have the same names."""
    config = laboratory()
    config["ports"][0]["addresses"] = [PEER[4] + "/24", PEER[6] + "/64"]
    config["ports"][1]["addresses"] = ["10.253.0.1/24", "fd10::1/64"]
    for entry, (to, via) in zip(config["routes"], (
            ("0.0.0.0/0", "198.51.100.254"), ("::/0", "2001:db8:ffff::fe"), ("10.2.0.0/16", "10.253.0.2"),
            ("fd02::/16", "fd10::2"))):
        entry.update(to=to, via=via)
    for entry, address in zip(config["neighbours"], ("198.51.100.254", "2001:db8:ffff::fe", "10.253.0.2", "fd10::2")):
        entry["ip"] = address
    config["tunnels"] = []
    for tunnel in tunnels:
        entry = tunnel.yaml()
        for one, other in (("local", "remote"), ("local_nets", "remote_nets"), ("out", "in")):
            if one in entry:
                entry[one], entry[other] = entry[other], entry[one]
        if "inner" in entry:
            entry["inner"] = {"src": entry["inner"]["dst"], "dst": entry["inner"]["src"]}
        config["tunnels"].append(entry)
    return config


def with_tunnels(*tunnels, **parts):
    """The laboratory with these tunnels, and with whole sections replaced."""
    config = laboratory()
    config["tunnels"] = [t.yaml() for t in tunnels]
    config.update(parts)
    return config
