#!/usr/bin/python3
"""libespgw_xfrm.so: over a server that misbehaves, and over gateways that come and go."""
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from control import DONE, ERROR, HELLO, OVERRUN, PRELOAD, SECONDS, message, running
from gw import SLOWER
from tap import case, check, main, same

NOBODY = 65534
ENETDOWN, ENOBUFS, ETIMEDOUT = 100, 105, 110

# What runs over the library, as children: `s` is bound to groups, `ask` sends a GETSADINFO (35).
CHILD = """
import os, select, socket, struct, sys, threading, time
def open_socket(groups=0, kind=socket.SOCK_RAW):
    s = socket.socket(socket.AF_NETLINK, kind, 6)
    s.bind((0, groups))
    return s
def ask(s, seq, kind=35, flags=1, fill=b""):
    return s.send(struct.pack("=IHHII", 20 + len(fill), kind, flags, seq, 0) + bytes(4) + fill)
def head(octets):
    return struct.unpack("=IHHII", octets[:16])
def errno_of(octets):
    kind = head(octets)[1]
    return -struct.unpack("=i", octets[16:20])[0] if kind == 2 else None
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def line():
    return sys.stdin.readline()
"""


class Server:
    """A control socket that answers hellos, and all else as it is told."""

    def __init__(self, path):
        self.path, self.hellos, self.requests, self.clients = path, [], [], []
        self.answer = lambda kind, seq, pid: message(36, bytes(4), seq)[:12] + struct.pack("=I", pid) + bytes(4)
        self.open()

    def open(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self.run, args=(self.listener,), daemon=True)
        self.thread.start()

    def run(self, listener):
        sockets = {listener: 0}
        while listener.fileno() >= 0:
            try:
                ready = select.select(list(sockets), [], [], 0.05)[0]
            except (OSError, ValueError):
                break
            for s in ready:
                if s is listener:
                    try:
                        client = s.accept()[0]
                    except OSError:
                        return
                    sockets[client] = 0
                    self.clients.append(client)
                    continue
                try:
                    octets = s.recv(1 << 17)
                except OSError:
                    octets = b""
                if not octets:
                    sockets.pop(s)
                    continue
                self.serve(s, octets, sockets)

    def serve(self, s, octets, sockets):
        _, kind, _, seq, _ = struct.unpack("=IHHII", octets[:16])
        if kind == HELLO:
            version, pid, groups, role, instance = struct.unpack("=IIIIQ", octets[16:40])
            same(version, 1, "version")
            sockets[s] = pid
            self.hellos.append((pid, groups, role, instance, octets[40:].split(b"\0")[0].decode()))
            s.send(message(ERROR, struct.pack("=i", 0) + octets[:16], seq))
            return
        self.requests.append((kind, seq))
        reply = self.answer(kind, seq, sockets[s])
        if reply:
            s.send(reply)

    def close(self):
        """As a gateway that ends: all connections, too."""
        self.listener.close()
        self.thread.join(2)
        for client in self.clients:
            client.close()
        self.clients = []
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


class Child:
    def __init__(self, path, script):
        self.said = b""
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", CHILD + script], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                                        env={**os.environ, "ESPGW_SOCKET": path, "LD_PRELOAD": PRELOAD})

    def line(self, seconds=SECONDS):
        while b"\n" not in self.said:
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                self.process.kill()
                check(False, f"nothing is said\n{self.process.stderr.read().decode()}")
            octets = os.read(self.process.stdout.fileno(), 4096)
            check(octets, f"it ended\n{self.process.stderr.read().decode() if not octets else None}")
            self.said += octets
        line, self.said = self.said.split(b"\n", 1)
        return line.decode()

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def child(script, server=True):
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        path = f"{folder}/control.sock"
        s = Server(path) if server else None
        c = Child(path, script)
        try:
            yield s, c, path
        finally:
            c.end()
            if s:
                s.close()


@case("hello: the first socket has the process's id, the next others; groups, role, one instance, the program's name")
def hellos():
    with child("""
s, t, u = open_socket(), open_socket(0xc3), socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 6)
ask(u, 5)
say(os.getpid(), head(u.recv(100))[3], *[x.getsockname()[0] for x in (s, t, u)], t.getsockname()[1])
u.setsockopt(270, 1, 3)
say(u.getsockopt(1, 38), u.getsockopt(1, 39), socket.socket(socket.AF_UNIX).getsockopt(1, 38))
line()
""") as (server, c, _):
        pid, seq, first, second, third, groups = map(int, c.line().split())
        same((seq, first, groups), (5, pid, 0xc3), "number, first id, groups")
        same(len({first, second, third}), 3, "ids")
        same(c.line(), "6 16 0", "protocol, domain; the protocol of another socket")
        same([h[:3] for h in server.hellos],
             [(first, 0, 0), (second, 0xc3, 1), (third, 0, 1), (third, 4, 1)], "hellos")
        same(len({h[3] for h in server.hellos}), 1, "instances")
        same({h[4] for h in server.hellos}, {"python3"}, "programs")
        check(server.hellos[0][3] != 0, "the instance is 0")


@case("end of file: outstanding requests get ENETDOWN, nothing spins, the next gateway hears hello and requests")
def end_of_file():
    with child("""
s, e = open_socket(), open_socket(3)
p = select.epoll(); p.register(e, select.EPOLLIN)
say("bound")
ask(s, 7)
say(errno_of(s.recv(100)))
line()
say(len(select.select([s, e], [], [], 1)[0]), len(p.poll(0.2)))
try:
    ask(s, 8); say("sent")
except ConnectionRefusedError:
    say("refused")
line()
got = p.poll(10)
say(len(got), head(e.recv(100))[1])
ask(s, 9); say(head(s.recv(100))[3])
""") as (server, c, path):
        answer, server.answer = server.answer, lambda *_: None
        same(c.line(), "bound", "child")
        while not server.requests:
            time.sleep(0.01)
        instance = server.hellos[0][3]
        server.close()
        same(c.line(), str(ENETDOWN), "answer to the outstanding request")
        time.sleep(0.5)
        before = c.cpu()
        c.go()
        same(c.line(), "0 0", "descriptors that are ready")
        same(c.line(), "refused", "a request meanwhile")
        check(c.cpu() - before < 0.5, "it spins")
        server.hellos, server.answer = [], answer
        server.open()
        end = time.monotonic() + SECONDS
        while not any(h[1] == 3 for h in server.hellos):
            check(time.monotonic() < end, "it does not call again")
            time.sleep(0.05)
        same({h[3] for h in server.hellos}, {instance}, "instance")
        time.sleep(0.2)
        for client in server.clients:
            client.send(message(23, bytes(8), 0))
        c.go()
        same(c.line(), "1 23", "event, by an epoll that was made before")
        same(int(c.line()), 9, "answer")


@case("a gateway that starts anew hears of policies again, and the daemon a soft expire for each SA; one that goes on, nothing")
def again():
    with child("""
def request(kind, body):
    s.send(struct.pack("=IHHII", 16 + len(body), kind, 5, kind, 0) + body); s.recv(200)
def sa(spi, reqid, key):
    b = bytearray(224); b[56:60] = bytes([192, 0, 2, 1]); b[72:76] = struct.pack(">I", spi); b[76] = 50
    struct.pack_into("=IHB", b, 208, reqid, 2, 1)
    return bytes(b) + key
def policy(dst, reqid, spi):
    t = bytearray(64); t[16:20] = struct.pack(">I", spi); struct.pack_into("=I", t, 44, reqid)
    b = bytearray(168); b[:2] = bytes(dst); b[160] = 1
    return bytes(b) + struct.pack("=HH", 68, 5) + bytes(t)
s, e = open_socket(), open_socket(3)
request(16, sa(0xc1, 1, b"a secret of length 23.."))
request(26, sa(0xc2, 1, b"")); request(16, sa(0xc3, 3, b""))
request(17, sa(0xc3, 3, b"")[56:72] + struct.pack(">IHBB", 0xc3, 2, 50, 0)[:4] + struct.pack("=HBB", 2, 50, 0))
request(19, policy([10, 1], 1, 0xc1)); request(25, policy([10, 2], 1, 0)); request(19, policy([10, 3], 2, 0))
request(19, policy([10, 4], 2, 0))
request(20, policy([10, 4], 2, 0)[:56] + bytes([0, 0, 0, 0, 1, 0, 0, 0]))
for turn in range(2):
    say("ready")
    line()
    spis = []
    end = time.monotonic() + 3
    while time.monotonic() < end:
        select.select([e], [], [], 0.1)
        try:
            octets = e.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue
        spis.append(octets[16 + 72:16 + 76].hex()); assert head(octets)[1:] == (24, 0, 0, 0) and len(octets) == 248
        assert b"secret" not in octets
    say(*sorted(spis))
""") as (server, c, _):
        lost, datagrams, serve = [False], [], server.serve

        def answer(kind, seq, pid):
            lost[0] &= kind != 25
            error = -3 if lost[0] and kind in (18, 21) else 0
            return struct.pack("=IHHIIi", 36, ERROR, 0, seq, pid, error) + bytes(16)
        server.answer = answer
        server.serve = lambda s, octets, sockets: (datagrams.append(octets), serve(s, octets, sockets))
        for is_new, told, policies in ((False, "", set()), (True, "000000c1 000000c2", {b"\n\2", b"\n\3"})):
            same(c.line(), "ready", "child")
            server.close()
            lost[0] = is_new
            del datagrams[:]
            server.open()
            c.go()
            same(c.line(), told, f"SAs told, with a gateway that is {'new' if is_new else 'the same'}")
            again = [d for d in datagrams if struct.unpack("=IH", d[:6])[1] == 25]
            same({d[16:18] for d in again}, policies, "policies installed again")
            same(len(again), len(policies), "and each once")


@case("a thread that sleeps in recv, and one in poll, wake and go on with the next gateway")
def sleepers():
    with child("""
s, e = open_socket(1), open_socket(2)
def reader():
    say("recv", head(s.recv(100))[1])
def poller():
    while True:
        select.select([e], [], [])
        try:
            say("poll", head(e.recv(100, socket.MSG_DONTWAIT))[1]); break
        except BlockingIOError:
            pass
threading.Thread(target=reader).start(); threading.Thread(target=poller).start()
say("bound")
""") as (server, c, _):
        same(c.line(), "bound", "child")
        time.sleep(0.3)
        server.close()
        time.sleep(0.5)
        server.hellos = []
        server.open()
        end = time.monotonic() + SECONDS
        while len(server.hellos) < 2:
            check(time.monotonic() < end, "it does not call again")
            time.sleep(0.05)
        time.sleep(0.3)
        for client in server.clients:
            client.send(message(24, bytes(8), 0))
        same(sorted([c.line(), c.line()]), ["poll 24", "recv 24"], "events")
        check(c.cpu() < 1.5, "it spins")


@case("a server that never answers: ETIMEDOUT within 15 s, for blocking and for polling clients")
def never():
    with child("""
s, t = open_socket(), open_socket()
ask(s, 1); ask(t, 2)
b = time.monotonic()
say(errno_of(s.recv(100)))
select.select([t], [], [])
say(errno_of(t.recv(100)), time.monotonic() - b < 15)
""") as (server, c, _):
        server.answer = lambda *_: None
        same(c.line(20 * SLOWER), str(ETIMEDOUT), "blocking")
        same(c.line(20 * SLOWER), f"{ETIMEDOUT} True", "polling")


@case("events that were lost are ENOBUFS, with the next event behind it; replies and events come from port 0")
def overrun():
    with child("""
s = open_socket(3)
say("bound")
buf, more, flags, name = s.recvmsg(100, 100)
say(head(buf)[1], name, more)
try:
    s.recv(100, socket.MSG_PEEK)
except OSError as error:
    say(error.errno)
say(head(s.recvfrom(100)[0])[1], s.recvfrom(100)[1])
""") as (server, c, _):
        same(c.line(), "bound", "child")
        for kind in (16, OVERRUN, 17, 18):
            server.clients[0].send(message(kind, bytes(4), 0))
        same(c.line(), "16 (0, 0) []", "the first event")
        same(c.line(), str(ENOBUFS), "errno")
        same(c.line(), "17 (0, 0)", "the events behind it")


@case("half messages, and a hello that gets no or a wrong answer, harm nobody")
def halves():
    with child("""
s = open_socket(1)
say("bound")
for _ in range(3):
    say(len(s.recv(100)))
""") as (server, c, _):
        same(c.line(), "bound", "child")
        for size in (1, 15, 17):
            server.clients[0].send(message(16, bytes(40), 0)[:size])
        same([c.line() for _ in range(3)], ["1", "15", "17"], "lengths")
    for answer in (b"x", message(DONE, bytes(40)), message(ERROR, struct.pack("=i", -1) + bytes(16))):
        with child("""
b = time.monotonic()
s = open_socket(1)
try:
    ask(s, 1)
except ConnectionRefusedError:
    say("refused", time.monotonic() - b < 10)
""", server=False) as (_, c, path):
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind(path)
            listener.listen(5)
            end = time.monotonic() + 1
            listener.settimeout(0.2)
            while time.monotonic() < end:
                with contextlib.suppress(TimeoutError, OSError):
                    client = listener.accept()[0]
                    client.send(answer)
            same(c.line(), "refused True", "child")
            listener.close()


@case("a server that is not root's is told nothing")
def wrong_user():
    with child("""
s = open_socket(1)
try:
    ask(s, 1)
except ConnectionRefusedError:
    say("refused")
""", server=False) as (_, c, path):
        os.chmod(os.path.dirname(path), 0o777)
        heard = os.path.dirname(path) + "/heard"
        code = (f"import socket\ns=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\ns.bind({path!r})\ns.listen(5)\n"
                f"while True:\n c=s.accept()[0]\n d=c.recv(99)\n d and open({heard!r},'a').write('x')\n")
        server = subprocess.Popen(["/usr/bin/python3", "-c", code], user=NOBODY, group=NOBODY)
        try:
            same(c.line(), "refused", "child")
            time.sleep(0.5)
            check(not os.path.exists(heard), "something was said to it")
        finally:
            server.kill()
            server.wait()


@case("fork, dup, dup2, fcntl, O_NONBLOCK, closing: descriptors stay what they were over a restart")
def descriptors():
    with child("""
import fcntl
s = open_socket()
d = socket.socket(fileno=os.dup(s.fileno()))
os.dup2(s.fileno(), 40); f = fcntl.fcntl(s.fileno(), fcntl.F_DUPFD_CLOEXEC, 50)
s.setblocking(False)
say("bound"); line()
for fd in (d.fileno(), 40, f):
    os.write(fd, struct.pack("=IHHII", 20, 35, 1, fd, 0) + bytes(4))
    select.select([fd], [], [])
    say(head(os.read(fd, 100))[3] == fd)
say(os.get_inheritable(40), os.get_inheritable(f), not os.get_blocking(40), fcntl.fcntl(f, fcntl.F_GETFD))
pid = os.fork()
if pid == 0:
    ask(s, 99); select.select([s], [], []); say("child", head(s.recv(100))[3])
    t = open_socket(); ask(t, 98); say("child", head(t.recv(100))[3], t.getsockname()[0] == os.getpid()); os._exit(0)
os.waitpid(pid, 0)
s.close(); d.close(); os.close(40); ask2 = os.write(f, struct.pack("=IHHII", 20, 35, 1, 3, 0) + bytes(4))
select.select([f], [], []); say(head(os.read(f, 100))[3]); os.close(f)
try:
    os.write(f, b"x")
except OSError as error:
    say(error.errno)
""") as (server, c, _):
        same(c.line(), "bound", "child")
        server.close()
        time.sleep(0.3)
        server.open()
        c.go()
        same([c.line() for _ in range(3)], ["True"] * 3, "answers by each descriptor")
        same(c.line(), "True False True 1", "flags of the descriptors")
        same([c.line() for _ in range(4)], ["child 99", "child 98 True", "3", "9"], "after a fork, and after closing")


@case("many threads, each with a socket and a thousand requests; two processes have two instances")
def threads():
    script = """
def work():
    s = open_socket()
    for i in range(1000):
        ask(s, i)
        if head(s.recv(100))[3] != i: say("wrong"); os._exit(1)
ts = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
say("done"); line()
"""
    with child(script) as (server, c, path):
        other = Child(path, script)
        try:
            same([c.line(), other.line()], ["done", "done"], "children")
        finally:
            other.end()
        same((len(server.requests), len({h[3] for h in server.hellos})), (16_000, 2), "requests, instances")


@case("over the gateway: a daemon that is there before it, and stays when it is killed and comes again")
def gateway():
    with running() as g:
        g.stop(kill=True)
        c = Child(g.path, """
s = open_socket(3)
try:
    ask(s, 1)
except ConnectionRefusedError:
    say("refused")
for i in (2, 3):
    line(); ask(s, i); say(head(s.recv(200))[3])
""")
        try:
            same(c.line(), "refused", "before")
            for number in (2, 3):
                g.start()
                same(g.espctl("wait-client", "--pid", str(c.process.pid), "--timeout", "15").returncode, 0, "wait-client")
                c.go()
                same(c.line(), str(number), "answer")
                g.stop(kill=True)
        finally:
            c.end()


@case("children that close all: by fork, and by vfork, which leaves them their parent's memory")
def children():
    with running() as g:
        c = Child(g.path, """
import subprocess
s = open_socket(3)
for enter in (None, lambda: None):
    subprocess.run(["true"], preexec_fn=enter, check=True)
    ask(s, 1)
    say(*head(s.recv(200))[3:4], *s.getsockname()[1:])
""")
        try:
            for how in ("vfork", "fork"):
                same(c.line(), "1 3", how)
        finally:
            c.end()


if __name__ == "__main__":
    main()
