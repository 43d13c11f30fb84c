#!/usr/bin/python3
"""gateway.state_file, in packets: numbers go on over restarts, and what is wrong with the file ends the start."""
import fcntl
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

import yaml
from control import ESPCTL, SECONDS
from gw import BLACK, Tunnel, aged, execute, from_far, from_lan, run, same_packets, to_lan, to_wan, with_tunnels

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from lab import Gateway, wait_for  # noqa: E402
from tap import case, check, main, same  # noqa: E402


def config(folder, *tunnels, **gateway):
    made = with_tunnels(*tunnels)
    made["gateway"].update(state_file=f"{folder}/state", **gateway)
    return made


def numbers(packets):
    return [struct.unpack("!I", p[24:28])[0] for p in packets]


def start(made, folder, *arguments):
    """A start that is expected to be refused: status and what it said."""
    made = {**made, "ports": [{**port, "device": f"net_null{i},no-rx=1"} for i, port in enumerate(made["ports"])]}
    with open(os.open(f"{folder}/gw.yaml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
        yaml.safe_dump(made, f)
    done = execute(["--config", f"{folder}/gw.yaml", "--exit-when-idle", "1", "--control-socket", "none", *arguments])
    return done.returncode, done.stderr.decode() + done.stdout.decode()


def lan(t, n):
    return [to_lan(from_lan(t.n, b"%d" % i)) for i in range(n)]


SUITES = [dict(), dict(aead="chacha20-poly1305", esn=False), dict(cipher="aes-cbc-128", auth="hmac-sha256-128")]


@case("after a clean stop an SA goes on with the very next number")
def goes_on():
    for more in SUITES:
        with tempfile.TemporaryDirectory() as folder:
            t = Tunnel(1, **more)
            for first in (1, 11, 21):
                out = run(config(folder, t), lan=lan(t, 10))
                same(numbers(out.wan), list(range(first, first + 10)), f"numbers {more}")
                same(out.drops, {}, "drops")


@case("after a clean stop an old capture is replayed in vain, and the peer is heard at once")
def no_replay():
    for more in SUITES:
        with tempfile.TemporaryDirectory() as folder:
            t = Tunnel(1, **more)
            first = [to_wan(t.seal(from_far(1, b"%d" % i), i)) for i in range(1, 21)]
            then = [to_wan(t.seal(from_far(1, b"%d" % i), i)) for i in range(21, 31)]
            same(len(run(config(folder, t), wan=first).lan), 20, "packets")
            out = run(config(folder, t), wan=first + then)
            same_packets(out.lan, [aged(from_far(1, b"%d" % i)) for i in range(21, 31)], "after the restart")
            same(sum(out.drops.values()), 20, f"drops {out.drops}")


@case("numbers belong to the key: under another name, SPI and peer they go on")
def renamed():
    with tempfile.TemporaryDirectory() as folder:
        t, other = Tunnel(1), Tunnel(2)
        other.keys = t.keys
        run(config(folder, t), lan=lan(t, 10))
        same(numbers(run(config(folder, other), lan=lan(other, 5)).wan), [11, 12, 13, 14, 15], "numbers")


@case("a key that was received by goes on above when it is sent by")
def turned():
    with tempfile.TemporaryDirectory() as folder:
        t, other = Tunnel(1), Tunnel(2)
        run(config(folder, t), wan=[to_wan(t.seal(from_far(1), i)) for i in range(1, 21)])
        other.keys = {"out": t.keys["in"], "in": t.keys["out"]}
        check(min(numbers(run(config(folder, other), lan=lan(other, 5)).wan)) > 20, "numbers of the other direction again")


@case("without the file numbers start again, and a warning says so of each SA")
def laboratory():
    with tempfile.TemporaryDirectory() as folder:
        t = Tunnel(1)
        run(config(folder, t), lan=lan(t, 10))
        out = run(with_tunnels(t), lan=lan(t, 2))
        same(numbers(out.wan), [1, 2], "numbers")
        check("its numbers start again" in out.stderr, f"no warning:\n{out.stderr}")


BROKEN = {
    "a directory": (lambda path: (os.remove(path), os.mkdir(path)), 2, "is a directory"),
    "a link": (lambda path: (os.rename(path, path + "2"), os.symlink(path + "2", path)), 2, "is a symbolic link"),
    "another's": (lambda path: os.chown(path, 4711, 4711), 2, "belongs to user 4711"),
    "others' to read": (lambda path: os.chmod(path, 0o644), 2, "has mode 0644"),
    "too large": (lambda path: os.truncate(path, (1 << 30) + 1), 2, "no state file has more than"),
    "missing": (os.remove, 2, "is missing, and its witness knows it"),
    "cut": (lambda path: os.truncate(path, 128), 2, "or it was cut off"),
    "empty": (lambda path: os.truncate(path, 0), 2, "is empty"),
    "without witness": (lambda path: os.remove(path + ".witness"), 2, "its witness is missing"),
}


@case("a file that cannot be trusted ends the start with a sentence, and so does --check")
def broken():
    for what, (make, status, sentence) in BROKEN.items():
        with tempfile.TemporaryDirectory() as folder:
            made = config(folder, Tunnel(1))
            run(made, lan=lan(Tunnel(1), 3))
            make(f"{folder}/state")
            for arguments in ((), ("--check",)):
                have, said = start(made, folder, *arguments)
                same(have, status, f"{what}, {arguments}: status\n{said}")
                check(sentence in said, f"{what}, {arguments}: no '{sentence}' in\n{said}")


@case("an older copy that was put back is refused")
def rolled_back():
    with tempfile.TemporaryDirectory() as folder:
        made, t = config(folder, Tunnel(1)), Tunnel(1)
        run(made, lan=lan(t, 3))
        with open(f"{folder}/state", "rb") as f:
            old = f.read()
        run(made, lan=lan(t, 3))
        with open(f"{folder}/state", "wb") as f:
            f.write(old)
        status, said = start(made, folder)
        same(status, 2, said)
        check("an older copy was put back" in said and "a new key, then remove" in said, said)


@case("a file in use is refused by the holder's number; --check only says so")
def locked():
    with tempfile.TemporaryDirectory() as folder:
        made, t = config(folder, Tunnel(1)), Tunnel(1)
        run(made, lan=lan(t, 3))
        with open(f"{folder}/state.witness", "rb") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            for arguments, want in (((), 1), (("--check",), 0)):
                status, said = start(made, folder, *arguments)
                same(status, want, said)
                check(f"is in use by process {os.getpid()}" in said, said)
        same(start(made, folder)[0], 0, "status after it is free again")


@case("a directory that is missing ends the start with 1")
def no_place():
    with tempfile.TemporaryDirectory() as folder:
        made = config(f"{folder}/none", Tunnel(1))
        status, said = start(made, folder)
        same(status, 1, said)
        check("No such file or directory: make its directory" in said, said)


@case("--check says what the file costs, and how many lanes it has")
def costs():
    with tempfile.TemporaryDirectory() as folder:
        made = config(folder, Tunnel(1), Tunnel(2), Tunnel(3, lanes=4))
        run(made, lan=lan(Tunnel(1), 3))
        status, said = start(made, folder, "--check")
        line = next(line for line in said.splitlines() if line.startswith("gateway.state_file: "))
        same(status, 0, said)
        # Of lanes inbound the configuration does not know how many come to be used.
        check(line.startswith("gateway.state_file: 9 lanes of this file's SAs: 0.0 MiB of disk"), line)
        check(line.endswith("; the file has 1 lanes now"), line)


@case("20,000 SAs of the configuration wait for one commit, and for as many fsyncs as two do")
def crowd():
    count = 20000
    made = with_tunnels()
    made["gateway"].update(max_sas=32768)
    del made["tunnels"]
    made["sas"] = [{
        "name": f"s{n}", "direction": "in" if n % 2 else "out", "mode": "tunnel", "spi": 0x10000 + n,
        "src": ("198.51.100.1", BLACK[4])[n % 2 == 0], "dst": (BLACK[4], "198.51.100.1")[n % 2 == 0],
        "aead": "aes-gcm-128", "key": "hex:" + hashlib.shake_256(b"%d" % n).hexdigest(20)} for n in range(count)]
    for i, port in enumerate(made["ports"]):
        port["device"] = f"net_null{i},no-rx=1"
    states = []
    for n in (2, count):
        with tempfile.TemporaryDirectory() as folder:
            made["gateway"]["state_file"] = f"{folder}/state"
            gateway = Gateway(folder, "crowd", json.dumps({**made, "sas": made["sas"][:n]}))
            try:
                wait_for("the control socket", lambda: gateway.alive() or os.path.exists(gateway.socket), 30)
                states.append(json.loads(subprocess.run([ESPCTL, "-s", gateway.socket, "show", "state", "json"], check=True,
                                                        capture_output=True, timeout=SECONDS).stdout)["state"])
                gateway.stop(30)
            finally:
                gateway.kill()
    same([s["numbers_written"] for s in states], [2, count], "numbers written")
    same([s["records"] for s in states], [2, count], "records")
    same([(s["commits"], s["fsyncs"], s["waiting"]) for s in states], [(1, states[0]["fsyncs"], 0)] * 2,
         "commits, fsyncs, and what waits")
    check(states[0]["fsyncs"] <= 8, f"{states[0]['fsyncs']} fsyncs")


@case("no key is in the file")
def no_keys():
    with tempfile.TemporaryDirectory() as folder:
        t = Tunnel(1)
        run(config(folder, t), lan=lan(t, 3))
        for name in ("state", "state.witness"):
            with open(f"{folder}/{name}", "rb") as f:
                octets = f.read()
            for key, _ in t.keys.values():
                for at in range(0, len(key) - 4):
                    check(key[at:at + 4] not in octets, f"{name} has a part of a key")


if __name__ == "__main__":
    main()
