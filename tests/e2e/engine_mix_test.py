#!/usr/bin/python3
"""A NIC, a crypto device and software on one gateway, each with its tunnels, rekeyed while packets flow: none is lost."""
import time

from engine_lab import SUITES, half, sites, unhurt
from sites import BLACK4
from tap import case, check, main, same

# Which engine each tunnel has: the NIC does AES-GCM with its IV in the packet alone, the device what OpenSSL has.
TUNNELS = {1: ("gcm", "inline"), 2: ("cbc", "cryptodev"), 3: ("chacha", "ipsec_mb"), 4: ("implicit", "cryptodev")}
WAYS = ("out", "in")


def sa(side, n, way, generation):
    suite = SUITES[TUNNELS[n][0]]
    ends = (BLACK4[side], BLACK4[1 - side])
    src, dst = ends if way == "out" else ends[::-1]
    return {"name": f"t{n}.{way}.{generation}", "direction": way, "src": src, "dst": dst, **suite,
            **half(side if way == "out" else 1 - side, n, suite, generation)}


def policy(side, n, way, generations):
    here, there = f"10.{side + 1}.{n}.0/24", f"10.{2 - side}.{n}.0/24"
    src, dst = (here, there) if way == "out" else (there, here)
    return {"name": f"t{n}.{way}", "direction": way, "src": src, "dst": dst, "action": "protect",
            "sa": [f"t{n}.{way}.{g}" for g in generations]}


def parts(side, out, into):
    """out: the generation that is sent by; into: those that are taken."""
    generations = {"out": [out], "in": into}
    return {"tunnels": [],
            "sas": [sa(side, n, way, g) for n in TUNNELS for way in WAYS for g in generations[way]],
            "policies": [policy(side, n, way, generations[way]) for n in TUNNELS for way in WAYS]}


def served(s, generation):
    for n, (_, engine) in TUNNELS.items():
        for way in WAYS:
            same(s.sa(f"t{n}.{way}.{generation}")["engine"], engine, f"engine of tunnel {n}, {way}, rekey {generation}")


def rekeyed(kind):
    with sites(len(TUNNELS), crypto=("inline", "cryptodev", "ipsec_mb", "openssl"),
               inline=f"emulated,kinds={kind},suites=aes-gcm", devices=["crypto_openssl0"]) as s:
        s.start(lambda side: parts(side, 0, [0]), at_once=True)
        served(s, 0)
        with s.pumps(rate=200) as pumps:
            for generation in range(1, 6):
                for out, into in ((generation - 1, [generation - 1, generation]), (generation, [generation - 1, generation]),
                                  (generation, [generation])):
                    for side in (0, 1):
                        s.reload(side, parts(side, out, into))
                    time.sleep(0.2)
                served(s, generation)
            for pump in pumps:
                pump.whole(at_least=100)
        for n in TUNNELS:
            packets = s.sa(f"t{n}.out.5")["packets"]
            check(packets > 0, f"tunnel {n}: the last SA has sent nothing")
        offload = s.sa("t1.out.5")["offload"]
        check(offload["kind"] == kind and offload["packets"] > 0, f"the NIC: {offload}")
        device = next(e for e in s.show("crypto")["crypto"]["engines"] if e["name"] == "cryptodev")["devices"][0]
        check(device["packets"] > 1000, f"the crypto device: {device}")
        for report in s.stop():
            unhurt(report)


for kind in ("crypto", "protocol"):
    @case(f"four tunnels by a NIC (inline {kind}), a crypto device and software: five rekeys by reloads lose no packet")
    def mixed(kind=kind):
        rekeyed(kind)


if __name__ == "__main__":
    main()
