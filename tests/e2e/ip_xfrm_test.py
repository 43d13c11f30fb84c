#!/usr/bin/python3
"""Every verb that `ip xfrm` has for state and policy, and its monitor, over the preload library to the program itself."""
import contextlib
import json
import os
import re
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), d) for d in ("..", "../packet")]
from control import PRELOAD, SECONDS, running  # noqa: E402
from gw import SLOWER  # noqa: E402
from tap import case, check, main, same  # noqa: E402

HERE, PEER = "192.0.2.1", "198.51.100.1"
HERE6, PEER6 = "2001:db8::1", "2001:db8:ffff::1"
OUT = f"src {HERE} dst {PEER} proto esp spi 0xc1000002"
INTO = f"src {PEER} dst {HERE} proto esp spi 0xc1000001"
OUT6 = f"src {HERE6} dst {PEER6} proto esp spi 0xc1000004"
AEAD = "aead rfc4106(gcm(aes)) 0x{} 128"
KEYS = {way: bytes(range(n, n + 20)).hex() for n, way in enumerate(("out", "in", "out6"), 1)}
TO, BACK = "src 10.1.0.0/16 dst 10.9.0.0/16", "src 10.9.0.0/16 dst 10.1.0.0/16"
TO6 = "src fd01::/16 dst fd09::/16"
TMPL = f"tmpl src {HERE} dst {PEER} proto esp reqid 7 mode tunnel"
TMPL_IN = f"tmpl src {PEER} dst {HERE} proto esp reqid 7 mode tunnel"


class Xfrm:
    def __init__(self, gateway):
        self.gateway = gateway

    def run(self, words):
        return self.gateway.preloaded("ip", "xfrm", *words.split())

    def __call__(self, words, status=0):
        done = self.run(words)
        same(done.returncode, status, f"status of ip xfrm {words}\n{done.stdout}{done.stderr}\n")
        return done.stdout

    def refused(self, words, says):
        done = self.run(words)
        check(done.returncode != 0 and re.search(says, done.stderr), f"ip xfrm {words}: {done.returncode} {done.stderr!r}")

    def add(self):
        self(f"state add {OUT} reqid 7 mode tunnel {AEAD.format(KEYS['out'])}")
        self(f"state add {INTO} reqid 7 mode tunnel replay-window 32 {AEAD.format(KEYS['in'])}")

    def spis(self, filters=""):
        return re.findall(r"spi (0x\w+)", self(f"state list {filters}"))

    def policies(self, filters=""):
        return re.findall(r"^src (\S+) dst (\S+)", self(f"policy list {filters}"), re.M)


@contextlib.contextmanager
def xfrm():
    with running() as gateway:
        yield Xfrm(gateway)
        gateway.alive()
        same(gateway.stop(), 0, "exit status")


@case("state add, list, get, count, update, delete: what was installed, without its keys")
def states():
    with xfrm() as x:
        x.add()
        x(f"state add {OUT6} reqid 8 mode tunnel {AEAD.format(KEYS['out6'])}")
        same(sorted(x.spis()), ["0xc1000001", "0xc1000002", "0xc1000004"], "SPIs")
        shown = x(f"state get {OUT}")
        for words in (f"src {HERE} dst {PEER}", "reqid 7 mode tunnel", "rfc4106(gcm(aes)) 0x" + "0" * 40 + " 128"):
            check(words in shown, f"{words!r} is not in\n{shown}")
        check("SAD count 3" in x("state count"), "count")
        x.refused(f"state add {OUT} reqid 7 mode tunnel {AEAD.format(KEYS['out'])}", "is there already|has this selector")
        x(f"state update {OUT} reqid 7 mode tunnel {AEAD.format(KEYS['out'])}")
        x.refused(f"state update {OUT.replace('02', '09')} reqid 7 mode tunnel {AEAD.format(KEYS['in'])}", "no SA with SPI")
        x(f"state delete {OUT}")
        x.refused(f"state delete {OUT}", r"(?i)\bno\b")
        x.refused(f"state get {OUT}", r"(?i)\bno\b")
        same(sorted(x.spis()), ["0xc1000001", "0xc1000004"], "SPIs that are left")
        shown = x.gateway.espctl("show", "sa").stdout
        check(f"xfrm:0xc1000001@{HERE}" in shown, f"not in show sa:\n{shown}")


@case("state list with filters, deleteall, deleteall with a filter, flush with and without a protocol")
def state_sets():
    with xfrm() as x:
        x.add()
        same(x.spis(f"src {HERE}"), ["0xc1000002"], "by source")
        same(x.spis(f"dst {HERE}"), ["0xc1000001"], "by destination")
        same(len(x.spis("proto esp")), 2, "by protocol")
        same(x.spis("reqid 9"), [], "by another reqid")
        x(f"state deleteall src {HERE}")
        same(x.spis(), ["0xc1000001"], "after deleteall of a source")
        x("state deleteall")
        same(x.spis(), [], "after deleteall")
        x.add()
        x("state flush proto ah")
        same(len(x.spis()), 2, "after a flush of another protocol")
        x("state flush proto esp")
        same(x.spis(), [], "after a flush")
        x("state flush")


@case("state allocspi: an SPI of the range, a larval SA which update makes whole")
def allocspi():
    with xfrm() as x:
        spi = re.search(r"spi (0x\w+)", x(f"state allocspi src {PEER} dst {HERE} proto esp reqid 7 mode tunnel min 0xc2000000 "
                                          "max 0xc2ffffff")).group(1)
        check(0xc2000000 <= int(spi, 16) <= 0xc2ffffff, spi)
        same(x.spis(), [spi], "SPIs")
        whole = f"src {PEER} dst {HERE} proto esp spi {spi} reqid 7 mode tunnel replay-window 32 {AEAD.format(KEYS['in'])}"
        x.refused(f"state add {whole}", "is there already|has this selector")
        x(f"state update {whole}")
        check("rfc4106" in x("state list"), "it is larval still")
        x.refused(f"state allocspi src {PEER} dst {HERE} proto esp min {spi} max {spi}", r"(?i)\bno\b")


@case("policy add, list, get, count, update, delete, deleteall, flush; v4 and v6")
def policies():
    with xfrm() as x:
        x(f"policy add {TO} dir out priority 100 {TMPL}")
        x(f"policy add {BACK} dir in priority 100 {TMPL_IN}")
        x(f"policy add {BACK} dir fwd priority 100 {TMPL_IN}")
        x(f"policy add {TO6} dir out priority 200 action block")
        same(len(x.policies()), 4, "policies")
        same(x.policies("dir out"), [tuple(TO.split()[1::2]), tuple(TO6.split()[1::2])], "those out")
        check("reqid 7 mode tunnel" in x(f"policy get {TO} dir out"), "template")
        check(re.search(r"SPD IN +1 OUT +2 FWD +1", x("policy count")), x("policy count"))
        x.refused(f"policy add {TO} dir out priority 100 {TMPL}", "is there already|has this selector")
        x(f"policy update {TO} dir out priority 90 {TMPL}")
        check("priority 90" in x(f"policy get {TO} dir out"), "priority after the update")
        x(f"policy delete {TO} dir out")
        x.refused(f"policy delete {TO} dir out", r"(?i)\bno\b")
        x.refused(f"policy get {TO} dir out", r"(?i)\bno\b")
        x("policy deleteall dir in")
        same(len(x.policies()), 2, "policies that are left")
        x("policy flush")
        same(x.policies(), [], "after a flush")


@case("policy getdefault is block; setdefault block is taken, accept refused with a sentence")
def defaults():
    with xfrm() as x:
        same(re.findall(r"(\w+): +(\w+)", x("policy getdefault")), [("in", "block"), ("fwd", "block"), ("out", "block")], "defaults")
        x("policy setdefault in block fwd block out block")
        x.refused("policy setdefault out accept", "lets nothing pass")


@case("what is refused has a sentence: an unknown algorithm, a key of zeros, an SA of the file")
def refusals():
    with xfrm() as x:
        x.refused(f"state add {OUT} mode tunnel aead frobnicate 0x{KEYS['out']} 128", "frobnicate")
        x.refused(f"state add {OUT} mode tunnel {AEAD.format('00' * 20)}", "zero")
        x.refused("state delete src 192.0.2.1 dst 198.51.100.1 proto esp spi 0x10001", "of the gateway's file")
        same(len(x.spis()), 0, "SAs of ip xfrm")


@contextlib.contextmanager
def monitor(x, objects):
    path = f"{x.gateway.folder}/monitor"
    with open(path, "wb") as out:
        child = subprocess.Popen(["ip", "xfrm", "monitor", *objects.split()], stdout=out, stderr=subprocess.STDOUT,
                                 env=x.gateway.env(LD_PRELOAD=PRELOAD))
    try:
        end = time.monotonic() + SECONDS
        while str(child.pid) not in x.gateway.espctl("show", "clients").stdout:
            check(time.monotonic() < end, "the monitor does not call")
            time.sleep(0.05)
        yield lambda: open(path, encoding="ascii").read()
        child.terminate()  # a SIGINT may be ignored here: a shell starts so what runs behind it
        child.wait(SECONDS)
    finally:
        child.kill()
        child.wait()


def seen(read, *patterns):
    end = time.monotonic() + 5 * SLOWER
    while not all(re.search(p, read()) for p in patterns):
        check(time.monotonic() < end, f"not all of {patterns} are in\n{read()}")
        time.sleep(0.05)


def every_change(x):
    x.add()
    x(f"policy add {TO} dir out priority 100 {TMPL}")
    x(f"policy update {TO} dir out priority 90 {TMPL}")
    x(f"state delete {OUT}")
    x(f"policy delete {TO} dir out")
    x("state flush")
    x("policy flush")


SA_EVENTS = (r"(?m)^src 192.0.2.1 dst 198.51.100.1\n\tproto esp spi 0xc1000002", r"Deleted src 192.0.2.1 dst 198.51.100.1\n\tproto esp spi 0xc1000002")
POLICY_EVENTS = (r"(?m)^src 10.1.0.0/16 dst 10.9.0.0/16", "Updated src 10.1.0.0/16 dst 10.9.0.0/16", "Deleted src 10.1.0.0/16")


@case("monitor shows changes of SAs and policies, without keys")
def monitor_all():
    with xfrm() as x, monitor(x, "") as read:
        every_change(x)
        seen(read, *SA_EVENTS, *POLICY_EVENTS)
        for key in KEYS.values():
            check(key not in read(), "a key is shown")


for what, wanted, unwanted in (("SA", SA_EVENTS, POLICY_EVENTS), ("policy", POLICY_EVENTS, SA_EVENTS),
                               ("acquire expire aevent report", (), SA_EVENTS + POLICY_EVENTS)):
    @case(f"monitor {what} shows that and nothing else")
    def monitor_one(what=what, wanted=wanted, unwanted=unwanted):
        with xfrm() as x, monitor(x, what) as read:
            every_change(x)
            seen(read, *wanted)
            time.sleep(0.2)
            for pattern in unwanted:
                check(not re.search(pattern, read()), f"{pattern} is in\n{read()}")


@case("monitor expire hears of a hard limit in seconds")
def monitor_expire():
    with xfrm() as x, monitor(x, "expire") as read:
        x(f"state add {INTO} reqid 7 mode tunnel replay-window 32 {AEAD.format(KEYS['in'])} limit time-hard 1")
        seen(read, r"(?s)spi 0xc1000001.*hard")
        same(x.spis(), [], "SPIs")


@case("one datagram with many requests, as deleteall sends them: 60 SAs (its buffer holds 68)")
def deleteall():
    with xfrm() as x:
        path = f"{x.gateway.folder}/batch"
        with open(path, "w", encoding="ascii") as f:
            for n in range(60):
                key = (n + 1).to_bytes(20, "little").hex()
                f.write(f"xfrm state add src {HERE} dst {PEER} proto esp spi {0xc1010000 + n} reqid 7 mode tunnel "
                        f"{AEAD.format(key)}\n")
        done = x.gateway.preloaded("ip", "-batch", path)
        same(done.returncode, 0, done.stderr)
        same(len(x.spis()), 60, "SAs")
        x("state deleteall")
        same(len(x.spis()), 0, "SAs after deleteall")


@case("show sa in pages: 700 SAs as text and as JSON, each once")
def pages():
    with xfrm() as x:
        path = f"{x.gateway.folder}/batch"
        with open(path, "w", encoding="ascii") as f:
            for n in range(700):
                key = (n + 1).to_bytes(20, "little").hex()
                f.write(f"xfrm state add src {HERE} dst {PEER} proto esp spi {0xc1010000 + n} reqid 7 mode tunnel "
                        f"{AEAD.format(key)}\n")
        same(x.gateway.preloaded("ip", "-batch", path).returncode, 0, "batch")
        names = [s["name"] for s in json.loads(x.gateway.espctl("--json", "show", "sa").stdout)["sas"]]
        same((len(names), len(set(names))), (706, 706), "SAs as JSON, and names")
        lines = x.gateway.espctl("show", "sa").stdout.splitlines()
        same((lines[0].split()[0], sorted(line.split()[0] for line in lines[1:])), ("SA", sorted(names)), "SAs as text")


if __name__ == "__main__":
    main()
