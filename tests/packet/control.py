"""A running gateway with a control socket, and clients that speak to it octet for octet."""
import contextlib
import os
import socket
import struct
import subprocess
import tempfile
import time

import yaml

import engine
from gw import ESPGW, SLOWER, Tunnel, eal, serial, with_tunnels
from tap import check, same

BUILD = os.path.dirname(os.path.dirname(os.path.dirname(ESPGW)))
ESPCTL = f"{BUILD}/app/espctl/espctl"
PRELOAD = f"{BUILD}/app/xfrm_preload/libespgw_xfrm.so"
SECONDS = 20 * SLOWER
ERROR, DONE, OVERRUN = 2, 3, 4
HELLO, COMMAND, TEXT, END, PIDS = range(0x400, 0x405)
REQUEST, ACK, DUMP = 1, 4, 0x300


def message(kind, body=b"", seq=1, flags=REQUEST, length=None):
    size = 16 + len(body)
    return struct.pack("=IHHII", size if length is None else length, kind, flags, seq, 0) + body + b"\0" * (-size % 4)


def hello(groups=0, instance=7, role=0, program=b"test", pid=0, version=1):
    return struct.pack("=IIIIQ", version, pid or os.getpid(), groups, role, instance) + program + b"\0"


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(SECONDS)
        self.socket.connect(path)

    def send(self, octets):
        self.socket.send(octets)

    def take(self):
        """(type, seq, body) of what comes next."""
        octets = self.socket.recv(1 << 17)
        check(len(octets) >= 16, f"{len(octets)} octets came")
        size, kind, _, seq, _ = struct.unpack("=IHHII", octets[:16])
        same(size, len(octets), "length in the header")
        return kind, seq, octets[16:]

    def error(self, seq=1):
        """(errno, sentence) of the answer to a request."""
        kind, got, body = self.take()
        same((kind, got), (ERROR, seq), "type and number of the answer")
        return -struct.unpack("=i", body[:4])[0], body[24:].rstrip(b"\0").decode()

    def ask(self, octets, seq=1):
        self.send(octets)
        return self.error(seq)

    def close(self):
        self.socket.close()


class Running:
    """espgw over ports on which nothing comes."""

    def __init__(self, folder, arguments=(), group=None, config=None):
        self.folder, self.path = folder, f"{folder}/control.sock"
        self.config = config or with_tunnels(*(Tunnel(n) for n in (1, 2, 3)))
        for i, port in enumerate(self.config["ports"]):
            port["device"] = port["device"] or f"net_ring{i}"
        if group:
            self.config["gateway"]["socket_group"] = group
        engine.choose(self.config)
        self.file = f"{folder}/espgw.yaml"
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            yaml.safe_dump(self.config, f, sort_keys=False)
        self.arguments = arguments
        self.start()

    def start(self):
        argv = [ESPGW, *eal(f"espgw-test-{os.getpid()}-{next(serial)}"), "--log-level=lib.eal:error", "--", "--config",
                self.file, "--control-socket", self.path, *self.arguments]
        with open(f"{self.folder}/err", "ab") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
        end = time.monotonic() + SECONDS
        while not self.answers():
            check(self.process.poll() is None, f"it ended\n{self.said()}")
            check(time.monotonic() < end, f"no control socket\n{self.said()}")
            time.sleep(0.05)

    def answers(self):
        try:
            Client(self.path).close()
        except OSError:
            return False
        return True

    def said(self):
        with open(f"{self.folder}/err", encoding="utf-8", errors="replace") as f:
            return f.read()

    def client(self):
        return Client(self.path)

    def alive(self):
        same(self.process.poll(), None, f"exit status\n{self.said()}\n")

    def stop(self, kill=False):
        if self.process.poll() is None:
            (self.process.kill if kill else self.process.terminate)()
        return self.process.wait(SECONDS)

    def env(self, **more):
        return {**os.environ, "ESPGW_SOCKET": self.path, **more}

    def espctl(self, *words, timeout=SECONDS, **more):
        return subprocess.run([ESPCTL, "-s", self.path, *words], capture_output=True, text=True, timeout=timeout,
                              check=False, **more)

    def preloaded(self, *argv, timeout=SECONDS, **more):
        """A program over the preload library."""
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False,
                              env=self.env(LD_PRELOAD=PRELOAD), **more)


@contextlib.contextmanager
def running(**more):
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        os.chmod(folder, 0o755)
        gateway = Running(folder, **more)
        try:
            yield gateway
        finally:
            gateway.stop(kill=True)
