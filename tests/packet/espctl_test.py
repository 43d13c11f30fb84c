#!/usr/bin/python3
"""espctl and the control socket of the program itself: commands, rights, rows A9.2, A9.7, A9.8 and A9.10."""
import grp
import json
import os
import signal
import socket
import struct
import subprocess
import time

from control import COMMAND, END, ESPCTL, HELLO, PIDS, PRELOAD, SECONDS, TEXT, Running, hello, message, running
from gw import SLOWER
from tap import case, check, main, same

NOBODY = 65534
SHOWS = ["port", "sa", "policy", "route", "drops", "pipeline", "reassembly", "state", "config", "clients"]


def command(line, flags=0):
    return message(COMMAND, struct.pack("=I", flags) + line.encode() + b"\0")


def demote(uid, gid, groups=()):
    """A process of that user and those groups alone."""
    def enter():
        os.setgroups(list(groups))
        os.setgid(gid)
        os.setuid(uid)
    return enter


def some_group():
    """A group of this machine that neither root nor nobody is in."""
    return next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY) and not g.gr_mem)


@case("espctl shows what the prompt shows, as text and as JSON")
def shows():
    with running() as gateway:
        for what in SHOWS:
            text, as_json = gateway.espctl("show", what), gateway.espctl("--json", "show", what)
            same((text.returncode, text.stderr, as_json.returncode, as_json.stderr), (0, "", 0, ""), what)
            check(text.stdout and json.loads(as_json.stdout), what)
        names = [s["name"] for s in json.loads(gateway.espctl("show", "sa", "--json").stdout)["sas"]]
        same(names, [f"t{n}.{way}" for n in (1, 2, 3) for way in ("out", "in")], "SAs")
        check("show clients" in gateway.espctl("help").stdout, "help")
        same(gateway.stop(), 0, "exit status")
        check(not os.path.exists(gateway.path), "the socket is still there")


@case("espctl: 1 and a sentence when refused, 2 for bad usage")
def statuses():
    with running() as gateway:
        for words, status, says in (
                (("show", "sa", "nobody"), 1, "no SA"), (("frobnicate",), 1, "frobnicate"), (("sh",), 1, "missing"),
                (("set", "log", "loud"), 1, "loud"), (("x" * 600,), 1, "octets"), (("x" * 2000,), 2, "octets"), ((), 2, "usage"),
                (("-x", "show"), 2, "-x"), (("wait-client",), 2, "--pid"), (("wait-client", "--pid", "0"), 2, "number")):
            done = gateway.espctl(*words)
            same(done.returncode, status, f"status of {words}")
            check(says in done.stderr and not done.stdout, f"{words}: {done.stdout!r} {done.stderr!r}")
        done = subprocess.run([ESPCTL, "-s", gateway.folder + "/none", "show", "sa"], capture_output=True, text=True,
                              check=False, timeout=SECONDS)
        same((done.returncode, "no gateway runs there" in done.stderr), (1, True), done.stderr)


@case("espctl changes: stop, start, set, reload, and quit ends the gateway")
def changes():
    with running() as gateway:
        for words, reading in (("stop", False), ("start", True)):
            same(gateway.espctl(words).returncode, 0, words)
            same(json.loads(gateway.espctl("show", "pipeline", "json").stdout)["reading"], reading, f"reading after {words}")
        same(gateway.espctl("reload", "--dry-run").returncode, 0, "reload --dry-run")
        same(gateway.espctl("quit").returncode, 0, "quit")
        same(gateway.process.wait(SECONDS), 0, "exit status")


@case("a broken pipe harms neither espctl nor the gateway")
def broken_pipe():
    with running() as gateway:
        done = subprocess.run(f"{ESPCTL} -s {gateway.path} show config | head -n 1; echo ${{PIPESTATUS[0]}}", shell=True,
                              executable="/bin/bash", capture_output=True, text=True, check=False, timeout=SECONDS)
        same(done.stdout.splitlines()[1:], ["0"], "status of espctl")
        same(done.stderr, "", "standard error")
        same(gateway.espctl("show", "sa").returncode, 0, "afterwards")


@case("a closed standard output is not taken for the socket")
def closed_output():
    with running() as gateway:
        waiter = subprocess.Popen(f"exec {ESPCTL} -s {gateway.path} wait-client --pid 1 --timeout 30 >&-",
                                  shell=True, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + SECONDS
            while "espctl" not in os.readlink(f"/proc/{waiter.pid}/exe") or "1" not in os.listdir(f"/proc/{waiter.pid}/fd"):
                check(time.monotonic() < end and waiter.poll() is None, "espctl does not wait")
                time.sleep(0.05)
            # It calls again and again: whenever it does, the socket lies elsewhere.
            for _ in range(40):
                same(os.readlink(f"/proc/{waiter.pid}/fd/1"), "/dev/null", "what lies under standard output")
                time.sleep(0.01)
        finally:
            waiter.kill()
            waiter.wait()


@case("A9.7 who is in no group is refused with a sentence; a member may read; espgw-admin may change")
def rights():
    group = some_group()
    with running(group=group.gr_name) as gateway:
        os.chmod(gateway.path, 0o666)  # so that it is the gateway which refuses
        done = gateway.espctl("show", "sa", preexec_fn=demote(NOBODY, NOBODY))
        same((done.returncode, "gateway.socket_group" in done.stderr), (1, True), done.stderr)
        for groups, gid in (((group.gr_gid,), NOBODY), ((), group.gr_gid)):
            done = gateway.espctl("show", "sa", preexec_fn=demote(NOBODY, gid, groups))
            same((done.returncode, "t1.out" in done.stdout), (0, True), done.stderr)
            done = gateway.espctl("stop", preexec_fn=demote(NOBODY, gid, groups))
            same((done.returncode, "espgw-admin" in done.stderr), (1, True), done.stderr)
        same(json.loads(gateway.espctl("show", "pipeline", "json").stdout)["reading"], True, "reading")


@case("the socket's group and mode are those of who may read")
def modes():
    group = some_group()
    with running(group=group.gr_name) as gateway:
        status = os.stat(gateway.path)
        same((status.st_gid, status.st_mode & 0o700), (group.gr_gid, 0o600), "group and mode")
        check(status.st_mode & 0o060 == 0o060, "the group may not write")


@case("a second gateway at the same socket does not start; one after a kill -9 does")
def second():
    with running() as gateway:
        try:
            os.makedirs(gateway.folder + "/two")
            Running.start(second_of(gateway))
            check(False, "it started")
        except AssertionError as error:
            check("answers there already" in str(error), str(error))
        gateway.alive()
        gateway.stop(kill=True)
        check(os.path.exists(gateway.path), "nothing is left of a killed gateway")
        gateway.start()
        same(gateway.espctl("show", "sa").returncode, 0, "after the restart")


def second_of(gateway):
    """A gateway that is not started yet, at the socket of one that runs."""
    other = Running.__new__(Running)
    other.folder, other.file, other.arguments = gateway.folder + "/two", gateway.file, ()
    other.path = gateway.path
    other.answers = lambda: False
    return other


@case("none, or an empty path, is no socket")
def none():
    for path in ("none", ""):
        with running() as gateway:
            gateway.stop()
            gateway.path, gateway.answers = path, lambda: True
            gateway.start()
            time.sleep(1 * SLOWER)
            gateway.alive()
            same(gateway.stop(), 0, "exit status")


@case("A9.2 messages cut at each octet, one octet at a time, 1 GB announced: others are served")
def cut():
    whole = message(HELLO, hello(), 1) + message(PIDS, b"", 2)
    with running() as gateway:
        client = gateway.client()
        client.socket.setblocking(False)
        for size in range(1, len(whole)):
            client.send(whole[:size])
        for octet in whole:
            client.send(bytes([octet]))
        client.send(message(HELLO, hello(), length=1 << 30))
        client.send(message(HELLO, hello(), length=0xffffffff))
        time.sleep(0.3)
        same(gateway.client().ask(message(HELLO, hello()))[0], 0, "another's hello")
        client.socket.settimeout(SECONDS)
        client.send(whole)
        while client.take()[0] != PIDS:  # its own are still answered, all those before in their order
            pass
        client.close()
        gateway.alive()


@case("A9.7 a thousand clients, a client that dies in mid command, one that never reads")
def many():
    with running() as gateway:
        clients = [gateway.client() for _ in range(1000)]
        same({c.ask(message(HELLO, hello(instance=i + 1)))[0] for i, c in enumerate(clients)}, {0}, "hellos")
        same(len(json.loads(gateway.espctl("--json", "show", "clients").stdout)["clients"]), 1001, "clients")
        for client in clients[:500]:
            client.send(command("show config"))
            client.close()
        deaf = clients[-1]
        deaf.socket.setblocking(False)
        try:
            for _ in range(100_000):
                deaf.send(command("show config"))
        except BlockingIOError:
            pass
        begin = time.monotonic()
        same(gateway.espctl("show", "sa").returncode, 0, "another's command")
        check(time.monotonic() - begin < 2 * SLOWER, "it took too long")
        for client in clients[500:]:
            client.close()
        time.sleep(0.3)
        same(len(json.loads(gateway.espctl("--json", "show", "clients").stdout)["clients"]), 1, "clients that are left")


@case("A9.8 a number of 0, and one that wraps, come back as they were")
def numbers():
    with running() as gateway:
        client = gateway.client()
        for seq in (0xffffffff, 0, 1):
            same(client.ask(message(HELLO, hello(), seq), seq)[0], 0, f"number {seq}")


@case("A9.10 a storm of requests: others are answered within a second, and control goes on")
def storm():
    with running() as gateway:
        storms = [gateway.client() for _ in range(8)]
        for s in storms:
            s.socket.setblocking(False)
        other, slowest, end = gateway.client(), 0, time.monotonic() + 2 * SLOWER
        while time.monotonic() < end:
            for s in storms:
                for step in (lambda s=s: s.send(message(PIDS)), lambda s=s: s.socket.recv(65536)):
                    try:
                        for _ in range(200):
                            step()
                    except BlockingIOError:
                        pass
            begin = time.monotonic()
            same(other.ask(message(HELLO, hello()))[0], 0, "hello")
            slowest = max(slowest, time.monotonic() - begin)
        check(slowest < 1 * SLOWER, f"an answer took {slowest:.2f} s")
        same(gateway.stop(), 0, "exit status")


@case("wait-client: a daemon that called, one that did not, one that has ended, one without a gateway")
def wait_client():
    daemon = ("import socket,sys,time\ns=socket.socket(socket.AF_NETLINK,socket.SOCK_RAW,6)\ns.bind((0,int(sys.argv[1])))\n"
              "print('bound',flush=True)\ntime.sleep(60)\n")
    with running() as gateway:
        env = gateway.env(LD_PRELOAD=PRELOAD)
        for groups, wrap, status in (("3", False, 0), ("3", True, 0), ("0", False, 1)):
            argv = ["/usr/bin/python3", "-c", daemon, groups]
            if wrap:  # a starter's child
                argv = ["/bin/sh", "-c", '"$@"; true', "sh", *argv]
            child = subprocess.Popen(argv, stdout=subprocess.PIPE, env=env, start_new_session=True)
            try:
                child.stdout.readline()
                done = gateway.espctl("wait-client", "--pid", str(child.pid), "--timeout", "5" if status == 0 else "1")
            finally:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            same(done.returncode, status, f"groups {groups}, in a shell {wrap}\n{done.stderr}")
            same("LD_PRELOAD" in done.stderr, status != 0, done.stderr)
        done = gateway.espctl("wait-client", "--pid", str(child.pid), "--timeout", "5")
        same((done.returncode, "has ended" in done.stderr), (1, True), done.stderr)
        gateway.stop()
        done = gateway.espctl("wait-client", "--pid", str(os.getpid()), "--timeout", "1")
        same((done.returncode, "does the gateway run" in done.stderr), (1, True), done.stderr)


@case("show clients tells process, program, role, rights and groups")
def clients():
    with running() as gateway:
        one = gateway.client()
        same(one.ask(message(HELLO, hello(groups=0x83, role=1, program=b"cha\x1bron")))[0], 0, "hello")
        shown = json.loads(gateway.espctl("--json", "show", "clients").stdout)["clients"]
        shown = next(c for c in shown if c["pid"] == os.getpid())
        same({k: shown[k] for k in ("pid", "uid", "program", "role", "may_change", "groups", "requests")},
             {"pid": os.getpid(), "uid": 0, "program": "cha?ron", "role": "daemon", "may_change": True,
              "groups": ["acquire", "expire", "mapping"], "requests": 1}, "client")


@case("bad hellos are refused with a sentence; a request before one is served")
def hellos():
    with running() as gateway:
        one = gateway.client()
        one.send(message(COMMAND, struct.pack("=I", 0) + b"help quit\0"))
        same([one.take()[0], one.take()[0]], [TEXT, END], "answers")
        for body, says in ((b"", "0 octets"), (hello(version=9), "version 9"), (hello(role=7), "role 7")):
            error, sentence = one.ask(message(HELLO, body))
            check(error != 0 and says in sentence, f"{error} {sentence}")
        same(one.ask(message(HELLO, hello(instance=1)))[0], 0, "hello")
        check(one.ask(message(HELLO, hello(instance=2)))[0] != 0, "another instance is taken")


@case("passed descriptors are closed, a datagram of more than 64 KiB is refused")
def descriptors():
    with running() as gateway:
        one = gateway.client()
        same(one.ask(message(HELLO, hello()))[0], 0, "hello")
        before = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
        for _ in range(20):
            socket.send_fds(one.socket, [message(HELLO, hello())], [0, 1, 2])
            same(one.error()[0], 0, "hello")
        same(len(os.listdir(f"/proc/{gateway.process.pid}/fd")), before, "descriptors of the gateway")
        error, sentence = one.ask(message(HELLO, bytes(70_000), 9), 9)
        check(error == 90 and "65536" in sentence, f"{error} {sentence}")


if __name__ == "__main__":
    main()
