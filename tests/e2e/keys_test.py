#!/usr/bin/python3
"""Keys of a known pattern: not in freed memory, not in a core image, not in what hugepages leave behind."""
import contextlib
import glob
import os
import re
import resource
import signal
import tempfile
import time

from lab import Gateway, SLOWER, free_hugepages, wait_for
from gw import BLACK, PEER, host, laboratory, to_lan, udp, write_pcap
from tap import Skip, add_case, case, check, main, same

MARK = bytes.fromhex("c0ffee5eedc0de99a11ce0fbadf00d")
CONFIGS = {"gcm": {"aead": "aes-gcm-128"}, "cbc": {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}}


def material(number, size, mark, folder, hexadecimal=True):
    """A key that holds the mark, and no two the same; in the configuration, or with folder in a file of its own."""
    key = (mark + bytes([number]) * size)[:size]
    if folder is None:
        return "hex:" + key.hex()
    with open(os.open(f"{folder}/{number}.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
        f.write(key.hex().encode() + b"\n" if hexadecimal else key)
    return f"file:{folder}/{number}.key"


def tunnels(folder=None, mark=MARK):
    made, number = [], 0
    for n, (name, suite) in enumerate(CONFIGS.items()):
        entry = {"name": name, "local": BLACK[4], "remote": PEER[4], "local_nets": [f"10.1.{n}.0/24"],
                 "remote_nets": [f"10.2.{n}.0/24"], **suite}
        for way in ("out", "in"):
            number += 1
            entry[way] = {"spi": 0x1000 + number, "key": material(number, 20 if "aead" in suite else 16, mark, folder)}
            if "auth" in suite:
                entry[way]["auth_key"] = material(number + 8, 32, mark, folder, hexadecimal=False)
        made.append(entry)
    return made


def config(capture, made_tunnels=(), **gateway):
    """Nothing comes from the black side; from the red one a capture again and again."""
    made = laboratory()
    made["gateway"].update(gateway)
    made["ports"][0]["device"] = "net_null0,no-rx=1"
    made["ports"][1].update(device=f"net_pcap0,rx_pcap={capture},infinite_rx=1", promiscuous=True)
    made["tunnels"] = list(made_tunnels)
    return made


def traffic(folder):
    """A packet for each tunnel: keys in use are in caches, as schedules that begin with the key."""
    write_pcap(f"{folder}/lan.pcap", [to_lan(udp(host(4, 1, n), host(4, 2, n), bytes(100))) for n in range(len(CONFIGS))])
    return f"{folder}/lan.pcap"


# In every key; raw, and as the digits of the file in either case.
PIECE = 1 << 24
SHADOW = 1 << 33  # larger maps are a sanitizer's own
OTHER = bytes(0xff - octet for octet in MARK)


def patterns(mark):
    return [mark, mark.hex().encode(), mark.hex().upper().encode()]


PATTERNS = patterns(MARK)


def memory_of(pid):
    """(where, octets) of all that the process can write to. Pieces overlap, so that no pattern hides between two."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            low, high, mode, name = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+\s*(.*)", line).groups()
            low, high = int(low, 16), int(high, 16)
            if "w" not in mode or name.startswith("[v") or high - low > SHADOW:
                continue
            for at in range(low, high, PIECE):
                try:
                    mem.seek(at)
                    yield f"{name or 'anonymous memory'} at {at:#x}", mem.read(min(PIECE + 64, high - at))
                except OSError:
                    break  # a device, or a guard


def found_in_memory(pid, patterns=None):
    return [where for where, octets in memory_of(pid) if any(p in octets for p in patterns or PATTERNS)]


@contextlib.contextmanager
def running(huge=False, files=False, **more):
    with tempfile.TemporaryDirectory(prefix="espgw-keys-") as folder:
        made = config(traffic(folder), tunnels(folder if files else None), **more)
        gateway = Gateway(folder, "gw", made, huge=huge)
        try:
            wait_for("the gateway has the keys", lambda: gateway.alive() or found_in_memory(gateway.process.pid))
            time.sleep(0.5 * SLOWER)
            yield folder, gateway
        finally:
            gateway.kill()


def reload(gateway, made):
    gateway.write(made)
    gateway.signal(signal.SIGHUP)


def vanish(gateway, which):
    """Grace periods first; then not one copy, of the file's text either."""
    end = time.monotonic() + 10 * SLOWER
    while found_in_memory(gateway.process.pid, which):
        check(time.monotonic() < end, f"keys left in {found_in_memory(gateway.process.pid, which)}")
        time.sleep(0.2)


def freed(files=False, **more):
    with running(files=files, **more) as (folder, gateway):
        check(found_in_memory(gateway.process.pid), "the keys of live SAs are not found: the search is broken")
        reload(gateway, config(f"{folder}/lan.pcap", **more))
        vanish(gateway, PATTERNS)
        check(gateway.stop().report["tx"] > 0, "no packet was enciphered")


for engine in ("ipsec_mb", "openssl"):
    add_case(f"keys of SAs that a reload took away are nowhere in the gateway's memory, {engine}",
             lambda e=engine: freed(crypto=[e]))
add_case("keys from files that a reload took away are nowhere in the gateway's memory", lambda: freed(files=True))


@case("keys that a reload replaced are nowhere in memory while the others are in use")
def replaced():
    with running() as (folder, gateway):
        reload(gateway, config(f"{folder}/lan.pcap", tunnels(mark=OTHER)))
        wait_for("the other keys are there", lambda: found_in_memory(gateway.process.pid, [OTHER]))
        vanish(gateway, PATTERNS)
        gateway.stop()


@case("a reload that is refused leaves nothing of its keys in memory")
def refused():
    with running() as (folder, gateway):
        wrong = config(f"{folder}/lan.pcap", tunnels(mark=OTHER))
        wrong["tunnels"][0]["nonsense"] = 1
        reload(gateway, wrong)
        wait_for("the refusal", lambda: "nonsense" in gateway.said())
        vanish(gateway, patterns(OTHER))
        check(found_in_memory(gateway.process.pid, [MARK]), "the keys in use went with them")
        gateway.stop()


@case("when the file is read its text is nowhere in memory any more")
def no_text():
    with running() as (_, gateway):
        same(found_in_memory(gateway.process.pid, PATTERNS[1:]), [], "keys as text")
        gateway.stop()


@case("a crash leaves no core image with a key in it")
def core():
    # The gateway starts with leave to write one, and must give it up itself.
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with running() as (folder, gateway):
        gateway.process.send_signal(signal.SIGABRT)
        same(gateway.process.wait(20), -signal.SIGABRT, "how it ended")
        for file in glob.glob(f"{folder}/core*"):
            with open(file, "rb") as f:
                same([p for p in PATTERNS if p in f.read()], [], f"keys in {file}")


@case("kill -9 leaves no hugepage file behind")
def hugepage_files():
    if free_hugepages() < 128:
        raise Skip("fewer than 128 free hugepages")
    with running(huge=True) as (_, gateway):
        gateway.process.kill()
        gateway.process.wait()
        for mount in {line.split()[1] for line in open("/proc/mounts", encoding="ascii") if " hugetlbfs " in line}:
            for file in glob.glob(f"{mount}/**", recursive=True):
                check(not os.path.isfile(file) or "espgw" not in file, f"left: {file}")


if __name__ == "__main__":
    main()
