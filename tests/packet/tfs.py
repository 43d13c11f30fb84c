"""IP-TFS tunnels for the packet tests: what their peer sends, and what it makes of what the gateway sends."""
import random
import struct

import aggfrag
from gw import Tunnel, host, ip, parse, run, to_lan, to_wan, udp, with_tunnels
from tap import check, same

SECOND = 1_000_000  # stamps are in microseconds


def tfs(n, outer=4, out=None, into=None, more=None, **keys):
    """A tunnel with mode: iptfs. keys: of its iptfs block; out, into: keys of that block for one direction; more: keys of
    the tunnel itself."""
    ways = {"out": {"iptfs": {**keys, **out}} if out else {}, "into": {"iptfs": {**keys, **into}} if into else {}}
    return Tunnel(n, outer=outer, mode="iptfs", iptfs=keys, **ways, **(more or {}))


def noise(size, seed=0):
    return random.Random(f"{size} {seed}").randbytes(size)


def far(n, size, version=4, seed=0, **fields):
    """An inner packet of so many octets in all, from behind the peer: UDP, or where there is no room for it a header alone
    or with some octets."""
    return sized(host(version, 2, n), host(version, 1, n), size, version, seed, **fields)


def near(n, size, version=4, seed=0, **fields):
    """The same from behind the gateway."""
    return sized(host(version, 1, n), host(version, 2, n), size, version, seed, **fields)


def sized(src, dst, size, version, seed, **fields):
    head = (20 if version == 4 else 40) + len(fields.get("options", b""))
    if size < head + 8:
        return ip(src, dst, 253, noise(size - head, seed), **fields)
    return udp(src, dst, noise(size - head - 8, seed), **fields)


class Peer:
    """Numbers what it seals, payload after payload."""

    def __init__(self, tunnel, number=1):
        self.tunnel, self.number, self.sent = tunnel, number, []

    def send(self, payload, number=None, next_header=aggfrag.NEXT_HEADER, **more):
        self.number = number or self.number
        self.sent.append((self.number, payload if next_header == aggfrag.NEXT_HEADER else None))
        packet = self.tunnel.seal(payload, self.number, next_header, **more)
        self.number += 1
        return packet

    def all(self, payloads, **more):
        return [self.send(p, **more) for p in payloads]


def opened(tunnel, packets, seq_high=0):
    """(number, payload) of the outer packets that are this tunnel's; each has to be AGGFRAG."""
    found = []
    for packet in packets:
        outer = parse(packet)
        if outer["dst"] != tunnel.remote or outer["proto"] != (17 if tunnel.encap else 50):
            continue
        esp = tunnel.strip(packet)
        if len(esp) < 8 or struct.unpack("!I", esp[:4])[0] != tunnel.spi["out"]:
            continue
        payload, next_header, number, _ = tunnel.open(packet, seq_high)
        same(next_header, aggfrag.NEXT_HEADER, "next header of what left")
        found.append((number, payload))
    return found


class Far:
    """The far end of a tunnel as a strict receiver: numbers rise by 1 from `first`, and nothing is malformed or missing."""

    def __init__(self, tunnel, packets, first=1, complete=True):
        self.numbered = opened(tunnel, packets)
        self.payloads = [payload for _, payload in self.numbered]
        same([number for number, _ in self.numbered], list(range(first, first + len(self.numbered))), "numbers that left")
        model = aggfrag.Receiver(window=0, first=first)
        self.headers = [aggfrag.read(p) for p in self.payloads]
        self.inner = [p for number, payload in self.numbered for p in model.take(number, payload)]
        self.blocks = [list(blocks) for blocks in self.walk()]
        if complete:
            check(model.next is None, f"{len(model.partial)} octets of a packet whose rest never left")
        same(dict(model.drops), {}, "what a receiver drops")
        self.all_pads = model.all_pads

    def walk(self):
        """The blocks of each payload; a runt's length is not known where it begins."""
        for payload in self.payloads:
            yield aggfrag.blocks(payload)

    def pads(self):
        """Octets of padding in each payload."""
        return [sum(len(b.octets) for b in blocks if b.kind == "pad") for blocks in self.blocks]


def lost_and_swapped(rng, sealed, loss=0.0, swap=0.0, twice=0.0, reach=3):
    """What a bad path makes of packets: some lost, some late by up to `reach` places, some twice."""
    keyed = []
    for i, packet in enumerate(sealed):
        if rng.random() < loss:
            continue
        late = rng.randint(1, reach) + 0.5 if rng.random() < swap else 0
        keyed.append((i + late, packet))
        if rng.random() < twice:
            keyed.append((i + late + rng.randint(0, reach) + 0.25, packet))
    return [packet for _, packet in sorted(keyed, key=lambda one: one[0])]


CLOCK = {"name": "clock", "direction": "out", "src": "10.1.250.0/24", "dst": "203.0.113.0/24", "action": "bypass"}


def stamp(at):
    """A packet that passes in clear, and carries its time."""
    return at, udp("10.1.250.5", "203.0.113.5", struct.pack("!I", at))


def ticks(milliseconds, step=1000):
    """Marks every `step` microseconds of so many milliseconds."""
    return [stamp(at) for at in range(0, milliseconds * 1000 + 1, step)]


def timeline(t, lan, marks, wan=(), more=(), patch=None, **options):
    """Runs with inner packets (microseconds, packet) and marks. Gives (mark before it, outer packet) of all that left by the
    tunnels, and the run. A mark that leaves before an outer packet came in before it was sent: with bursts of 1 no time
    passes between marks but that of other packets."""
    config = with_tunnels(t, *more)
    config["policies"] = [CLOCK]
    config["gateway"].update(idle="poll")
    if patch:
        patch(config)
    # Of what comes at one time the mark is the first.
    frames = sorted([*((at, 0, p) for at, p in marks), *((at, 1, p) for at, p in lan)], key=lambda one: one[:2])
    done = run(config, lan=[(at, to_lan(p)) for at, _, p in frames], wan=[(at, to_wan(p)) for at, p in wan],
               arguments=["--burst", "1"], workers=1, **options)
    now, found = None, []
    for packet in done.wan:
        header = parse(packet)
        if header["src"] == "10.1.250.5":
            now = struct.unpack("!I", header["payload"][8:12])[0]
        else:
            found.append((now, packet))
    return found, done
