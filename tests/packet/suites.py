"""Every algorithm, tag length, IV form and ESN choice, and a tunnel for each."""
from esp import AEAD_KINDS, AUTHS, CIPHERS
from gw import Tunnel

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
