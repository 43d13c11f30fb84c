"""Every algorithm, tag length, IV form and ESN choice, and a tunnel for each."""
from esp import AEAD_KINDS, AUTHS, CIPHERS
from gw import Tunnel
from rows import number_of

LENGTHS = [*range(65), 127, 512, 1000, 1391]


def combinations():
    """(label, arguments of Tunnel): every row of the algorithm table, in each form it has."""
    for name, cipher in CIPHERS.items():
        for esn in (True, False):
            tail = ", ESN" if esn else ""
            if cipher.kind not in AEAD_KINDS:
                for auth in AUTHS:
                    yield f"{name}+{auth}{tail}", {"cipher": name, "auth": auth, "esn": esn}
                continue
            for icv in (16, 12, 8) if cipher.kind in ("gcm", "ccm") else (16,):
                yield f"{name}, {icv}-octet tag{tail}", {"aead": name, "icv": icv if icv != 16 else None, "esn": esn}
            if cipher.kind != "gmac":
                icv = 8 if cipher.kind == "ccm" else None
                yield (f"{name}, implicit IV{tail}",
                       {"aead": name, "icv": icv, "implicit_iv": True, "esn": esn})


LABELS, TUNNELS = [], []
for number, (label, arguments) in enumerate(combinations(), 1):
    LABELS.append(label)
    TUNNELS.append(Tunnel(number, **arguments))


def parts(packets, key):
    made = {}
    for packet in packets:
        made.setdefault(key(packet), []).append(packet)
    return made


class Parts:
    """What a run sent, by tunnel, in its order there. A gateway keeps the order of an SA's packets; that of SAs to each
    other, only with an engine that is waited for."""

    def __init__(self, done):
        self.out = parts(done.wan, lambda p: int.from_bytes(p[20:24], "big"))  # by SPI; the outer packets are IPv4
        self.into = parts(done.lan, number_of)

    def left(self, tunnel):
        return self.out.get(tunnel.spi["out"], [])

    def came(self, tunnel):
        return self.into.get(tunnel.n, [])
