#!/usr/bin/python3
"""One set of captures through ipsec_mb and through another engine: the octets that leave, both ways, for each way of
wrapping a packet and each kind of suite. ENGINE names the engine; without it openssl is held against ipsec_mb.

Every other program that runs with ENGINE is held against software in the same way, by run() itself (octets.py, which
says what cannot be equal).
"""
import engine
from gw import Tunnel, aged, from_far, from_lan, host, run_once, same_packets, to_lan, to_wan, udp, with_tunnels
from octets import flow_of, same_as_software
from tap import add_case, case, check, main, once, same

OTHER = engine.NAME or "openssl"
SIZES = (0, 1, 15, 16, 33, 64, 500, 1300)
SUITES = {
    "AES-GCM-128": {"aead": "aes-gcm-128"},
    "AES-GCM-256 without ESN": {"aead": "aes-gcm-256", "esn": False},
    "AES-CBC and HMAC-SHA-256": {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"},
    "AES-CTR and CMAC": {"cipher": "aes-ctr-256", "auth": "aes-cmac-96"},
    "ChaCha20-Poly1305": {"aead": "chacha20-poly1305"},
    "AES-GMAC": {"aead": "aes-gmac-256"},
    "AES-CCM": {"aead": "aes-ccm-128", "esn": False},
}
UDP = (4500, 4500)
SHAPES = {
    "tunnel over IPv4": {},
    "tunnel over IPv6": {"outer": 6},
    "tunnel in UDP over IPv4": {"encap": UDP},
    "tunnel in UDP over IPv6": {"outer": 6, "encap": UDP},
    "transport over IPv4": {"mode": "transport"},
    "transport over IPv6": {"outer": 6, "mode": "transport"},
    "transport in UDP over IPv4": {"mode": "transport", "encap": UDP},
}


class Row:
    def __init__(self, n, shape, suite):
        self.transport = "mode" in SHAPES[shape]
        self.version = SHAPES[shape].get("outer", 4)
        self.tunnel = t = Tunnel(n, selectors=not self.transport, **SUITES[suite], **SHAPES[shape])
        if self.transport:
            t.local, t.remote = host(self.version, 1, n), host(self.version, 2, n)
            bits = 32 if self.version == 4 else 128
            t.options.update(local_nets=[f"{t.local}/{bits}"], remote_nets=[f"{t.remote}/{bits}"])

    def inner(self, outbound):
        t = self.tunnel
        if self.transport:
            ends = (t.local, t.remote) if outbound else (t.remote, t.local)
            return [udp(*ends, bytes(size)) for size in SIZES]
        return [(from_lan if outbound else from_far)(t.n, bytes(size), version=version) for size in SIZES for version in (4, 6)]

    def sealed(self):
        for seq, inner in enumerate(self.inner(False), 1):
            if self.transport:
                header = 20 if self.version == 4 else 40
                yield self.tunnel.carry(self.tunnel.esp["in"].seal(seq, inner[header:], 17))
            else:
                yield self.tunnel.seal(inner, seq)


KINDS = [(shape, suite) for shape in SHAPES for suite in SUITES]
ROWS = [Row(n, *kind) for n, kind in enumerate(KINDS, 1)]


@once
def done():
    """(software's run, the other engine's)."""
    captures = {"wan": [to_wan(p) for row in ROWS for p in row.sealed()],
                "lan": [to_lan(p) for row in ROWS for p in row.inner(True)]}
    runs = []
    for name in ("ipsec_mb", OTHER):
        chosen = with_tunnels(*(row.tunnel for row in ROWS))
        engine.choose(chosen, name)
        runs.append(run_once(chosen, captures))
        engine.judge(chosen, runs[-1].report, name)
    return runs


def of_row(frames, row, port):
    """What left a port of one tunnel: by SPI, or by the addresses inside."""
    spi = row.tunnel.spi["out"].to_bytes(4, "big")
    if port == "wan":
        return [f for f in frames if flow_of(f)[1] == spi]
    wanted = {flow_of(to_lan(p)) for p in row.inner(False)}
    return [f for f in frames if flow_of(f) in wanted]


def the_same(row):
    software, other = done()
    for port in ("wan", "lan"):
        want = of_row(software.frames[port], row, port)
        same(len(want), len(row.inner(port == "wan")), f"frames of software, {port}")
        same_as_software({port: of_row(other.frames[port], row, port)}, {port: want}, own_names=engine.judges_itself(OTHER))


for (shape, suite), each in zip(KINDS, ROWS):
    add_case(f"{OTHER} sends and takes the octets that ipsec_mb does: {shape}, {suite}", lambda each=each: the_same(each))


@case(f"{OTHER} drops none of them, and what came in is what the peer sealed")
def whole():
    software, other = done()
    same((software.drops, other.drops), ({}, {}), "drops")
    for row in ROWS:
        if row.transport and row.tunnel.encap:
            continue  # the checksum inside is made anew
        want = [aged(p) for p in row.inner(False)]
        same_packets([f[14:] for f in of_row(other.frames["lan"], row, "lan")], want, f"packets of {row.tunnel.name}")


@case(f"at least one tunnel was {OTHER}'s, if it serves any suite")
def served():
    names = {sa["engine"] for sa in done()[1].report["sas"].values()}
    first = engine.ENGINES[OTHER].crypto[0]
    check(first in names or OTHER == "crypto_null", f"engines: {names}, and not {first}")


if __name__ == "__main__":
    main()
