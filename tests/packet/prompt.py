"""A gateway with a prompt: what it answers to a pipe, and a session with it over pipes or a terminal."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import subprocess
import tempfile
import termios
import time

import yaml

from gw import ESPGW, SLOWER, Tunnel, eal, serial, with_tunnels
from tap import check, same

SECONDS = 20 * SLOWER
PROMPT = b"espgw> "


def config_text(config=None):
    """Ports without packets, so that nothing moves while it is looked at."""
    config = config or with_tunnels(
        Tunnel(1), Tunnel(2, cipher="aes-cbc-128", auth="hmac-sha256-128", encap=(4500, 4501)),
        Tunnel(3, mode="transport", lifetime={"soft_packets": 5, "hard_bytes": 1000}))
    for i, port in enumerate(config["ports"]):
        port["device"] = f"net_ring{i}"
    return yaml.safe_dump(config, sort_keys=False)


@contextlib.contextmanager
def files(text=None):
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        path = f"{folder}/espgw.yaml"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(text or config_text())
        yield path


def argv_of(path, *arguments):
    return [ESPGW, *eal(f"espgw-test-{os.getpid()}-{next(serial)}"), "--log-level=lib.eal:error", "--",
            "--config", path, "-i", *arguments]


def answer(*commands, text=None, arguments=()):
    """What the prompt answers to commands (or octets) from a pipe, `quit` behind them; without the exit report."""
    stdin = b"".join(c if isinstance(c, bytes) else c.encode() + b"\n" for c in commands)
    with files(text) as path:
        done = subprocess.run(argv_of(path, *arguments), input=stdin + b"quit\n", capture_output=True,
                              timeout=SECONDS, check=False)
    same(done.returncode, 0, f"exit status\n{done.stderr.decode(errors='replace')}\n")
    return done.stdout.decode(errors="replace").split("port               ")[0]


class Session:
    """A gateway with a prompt to talk to. stdin and stdout are a pipe each, or a terminal."""

    def __init__(self, path, *arguments, terminal=False):
        self.stderr = tempfile.TemporaryFile()
        self.text = b""
        if terminal:
            self.reader, self.tty = pty.openpty()
            self.writer = self.reader
            self.process = subprocess.Popen(argv_of(path, *arguments), stdin=self.tty, stdout=self.tty,
                                            stderr=self.stderr, start_new_session=True, preexec_fn=self.take_terminal)
        else:
            self.process = subprocess.Popen(argv_of(path, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.stderr, bufsize=0)
            self.writer, self.reader = self.process.stdin.fileno(), self.process.stdout.fileno()

    def take_terminal(self):
        fcntl.ioctl(self.tty, termios.TIOCSCTTY, 0)

    def send(self, octets):
        os.write(self.writer, octets if isinstance(octets, bytes) else octets.encode())

    def expect(self, pattern):
        """Reads until the pattern comes; gives back all up to its end, and forgets that."""
        end = time.monotonic() + SECONDS
        while True:
            found = re.search(pattern, self.text, re.S)
            if found:
                before, self.text = self.text[:found.end()], self.text[found.end():]
                return before.decode(errors="replace")
            check(time.monotonic() < end, f"{pattern!r} does not come, but {self.text[-2000:]!r}\n{self.errors()}")
            if select.select([self.reader], [], [], 0.2)[0]:
                octets = os.read(self.reader, 65536)
                check(octets, f"the gateway has ended: {self.text[-2000:]!r}\n{self.errors()}")
                self.text += octets

    def ask(self, command):
        """A command that answers with one line of JSON."""
        self.send(command + "\n")
        return json.loads(self.expect(rb"\n"))

    def until(self, command, wanted):
        end = time.monotonic() + SECONDS
        while not wanted(got := self.ask(command)):
            check(time.monotonic() < end, f"{command} stays at {json.dumps(got)[:3000]}")
            time.sleep(0.05)
        return got

    def errors(self):
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")

    def ends(self, status=0):
        same(self.process.wait(SECONDS), status, f"exit status\n{self.errors()}\n")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.stderr):
            if pipe:
                pipe.close()
        if self.process.stdout is None:
            os.close(self.reader)
            os.close(self.tty)


@contextlib.contextmanager
def session(*arguments, text=None, terminal=False):
    with files(text) as path:
        s = Session(path, *arguments, terminal=terminal)
        s.path = path
        try:
            if terminal:
                s.expect(PROMPT)
            yield s
        finally:
            s.close()
