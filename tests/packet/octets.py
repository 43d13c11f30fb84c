"""What software makes of the same captures, to hold every other engine against it octet for octet.

run() of gw.py asks same_as_software() after each run with another engine than ipsec_mb: the same configuration and the same
captures went through ipsec_mb once (a run serves all engines; it is kept beside the program that made it, until that is
built anew), and what left both ports is compared. IVs are counters or derived from the key, so all octets can be equal.

What is not compared, and why:
* The order of packets of different SAs: a device is not waited for, and software overtakes it. Of one SA it is compared.
* With a NIC that does all of ESP, the identification of IPv4 headers: such a device counts its own, from where it likes.
"""
import hashlib
import json
import os
import pickle
import shutil
import struct
import tempfile

from tap import check, same

SOFTWARE = "ipsec_mb"


def program_id(program):
    found = os.stat(program)
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"


def place(program, what):
    """The file for this run's reference. Those of an older program go."""
    top = os.path.join(os.path.dirname(program), "octets")
    mine = os.path.join(top, program_id(program))
    if not os.path.isdir(mine):
        shutil.rmtree(top, ignore_errors=True)
        os.makedirs(mine, exist_ok=True)
    return os.path.join(mine, hashlib.sha256(json.dumps(what, default=repr, sort_keys=True).encode()).hexdigest()[:32])


def keep(path, frames):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as f:
        pickle.dump(frames, f)
    os.rename(f.name, path)


def software(program, what, make):
    """The frames of software's run: those kept, or what make() gives."""
    path = place(program, what)
    try:
        with open(path, "rb") as f:
            return pickle.load(f)
    except FileNotFoundError:
        frames = make()
        keep(path, frames)
        return frames


def flow_of(frame):
    """Whose packet it is, as far as its order matters: of an SA by its SPI, else of two addresses."""
    packet = frame[14:]
    if len(packet) < 20 or packet[0] >> 4 not in (4, 6):
        return "other"
    v4 = packet[0] >> 4 == 4
    size, proto = ((packet[0] & 15) * 4, packet[9]) if v4 else (40, packet[6])
    addresses = packet[12:20] if v4 else packet[8:40]
    if proto == 17 and packet[size + 2:size + 4] == struct.pack("!H", 4500) and packet[size + 8:size + 12] != bytes(4):
        size, proto = size + 8, 50
    return addresses, packet[size:size + 4] if proto == 50 else proto


def flows(frames):
    made = {}
    for frame in frames:
        made.setdefault(flow_of(frame), []).append(frame)
    return made


def nameless(frame):
    """Without the identification of an IPv4 header, and the checksum over it."""
    return frame[:18] + frame[20:24] + frame[26:] if frame[12:14] == b"\x08\x00" else frame


def same_frames(have, want, own_names, what):
    if own_names:
        have, want = [nameless(f) for f in have], [nameless(f) for f in want]
    for i, (a, b) in enumerate(zip(have, want)):
        check(a == b, f"{what}: frame {i} of {len(want)} is not software's:\n  have {a.hex()}\n  want {b.hex()}")
    same(len(have), len(want), f"{what}: frames")


def same_as_software(have, want, own_names=False):
    """have, want: frames by port."""
    for port, frames in want.items():
        a, b = flows(have[port]), flows(frames)
        check(a.keys() == b.keys(), f"{port}: not the flows of software: {a.keys() ^ b.keys()}")
        for flow, theirs in b.items():
            same_frames(a[flow], theirs, own_names and port == "wan", f"{port}, {flow}")
