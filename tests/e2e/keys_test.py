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
from gw import BLACK, PEER, laboratory
from tap import Skip, case, check, main, same

MARK = bytes.fromhex("c0ffee5eedc0de99a11ce0fbadf00d")
CONFIGS = {"gcm": {"aead": "aes-gcm-128"}, "cbc": {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}}


def material(number, size):
    """A key that holds the mark, and no two the same."""
    return "hex:" + (MARK + bytes([number]) * size)[:size].hex()


def tunnels():
    made, number = [], 0
    for n, (name, suite) in enumerate(CONFIGS.items()):
        entry = {"name": name, "local": BLACK[4], "remote": PEER[4], "local_nets": [f"10.1.{n}.0/24"],
                 "remote_nets": [f"10.2.{n}.0/24"], **suite}
        for way in ("out", "in"):
            number += 1
            entry[way] = {"spi": 0x1000 + number, "key": material(number, 20 if "aead" in suite else 16)}
            if "auth" in suite:
                entry[way]["auth_key"] = material(number + 8, 32)
        made.append(entry)
    return made


def config(with_tunnels=True):
    made = laboratory()
    for i, port in enumerate(made["ports"]):
        port["device"] = f"net_null{i}"
    if with_tunnels:
        made["tunnels"] = tunnels()
    return made


# In every key; raw, and as the digits of the file in either case.
PIECE = 1 << 24
SHADOW = 1 << 33  # larger maps are a sanitizer's own
PATTERNS = [MARK, MARK.hex().encode(), MARK.hex().upper().encode()]


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
def running(huge=False):
    with tempfile.TemporaryDirectory(prefix="espgw-keys-") as folder:
        gateway = Gateway(folder, "gw", config(), huge=huge)
        try:
            wait_for("the gateway has the keys", lambda: gateway.alive() or found_in_memory(gateway.process.pid))
            time.sleep(0.5 * SLOWER)
            yield folder, gateway
        finally:
            gateway.kill()


@case("keys of SAs that a reload took away are nowhere in the gateway's memory")
def freed():
    with running() as (_, gateway):
        check(found_in_memory(gateway.process.pid), "the keys of live SAs are not found: the search is broken")
        gateway.write(config(False))
        gateway.signal(signal.SIGHUP)
        # Grace periods first; then not one copy, of the file's text either.
        end = time.monotonic() + 10 * SLOWER
        while found_in_memory(gateway.process.pid):
            check(time.monotonic() < end, f"keys left in {found_in_memory(gateway.process.pid)}")
            time.sleep(0.2)
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
