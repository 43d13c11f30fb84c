#!/usr/bin/python3
"""Recorded sessions of charon, pluto and `ip xfrm`, replayed against the program's control socket.

Every request of a recording goes out as it was sent, but for SPIs that were asked for: those are the gateway's own. Every
answer must be of the recorded kind with the recorded errno, and an SA that is asked for must be the one installed, key
and all. See xfrm_sessions/README.md for what is in the recordings.
"""
import contextlib
import errno
import json
import os
import socket
import struct
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../e2e")]
import gw  # noqa: E402
from lab import Gateway, wait_for  # noqa: E402
from tap import case, check, main, same  # noqa: E402

ERROR, DONE, NEWSA, GETSA, NEWPOLICY, GETPOLICY, ALLOCSPI, UPDSA = 2, 3, 16, 18, 19, 21, 22, 26
HELLO = 0x0400
MULTI, ACK, DUMP = 2, 4, 0x300
LASTUSED, REPLAY_VAL, REPLAY_ESN, LTIME = 15, 10, 23, 9
ALGORITHMS = (1, 2, 3, 18, 20)
HEAD, SA_BODY = 16, 224


def load(name):
    with open(f"{HERE}/xfrm_sessions/{name}.jsonl", encoding="ascii") as f:
        return [json.loads(line) for line in f]


def messages(octets):
    """(type, flags, seq, the whole message) of each in a datagram."""
    at = 0
    while at < len(octets):
        size, kind, flags, seq = struct.unpack_from("<IHHI", octets, at)
        check(HEAD <= size <= len(octets) - at, f"a message of {size} octets at {at} of {len(octets)}")
        yield kind, flags, seq, octets[at:at + size]
        at += size + 3 & ~3


def attributes(message, body):
    """{type: octets}"""
    at, found = HEAD + body, {}
    while at < len(message):
        size, kind = struct.unpack_from("<HH", message, at)
        check(4 <= size <= len(message) - at, f"an attribute of {size} octets at {at} of {len(message)}")
        found[kind & 0x3fff] = message[at + 4:at + size]
        at += size + 3 & ~3
    return found


def canonical(kind, octets):
    """An algorithm under Linux's own name: it answers with that whatever it was asked by."""
    names = {b"aes": b"cbc(aes)", b"cipher_null": b"ecb(cipher_null)", b"sha1": b"hmac(sha1)"}
    if kind not in ALGORITHMS:
        return octets
    name = octets[:64].rstrip(b"\0")
    return names.get(name, name).ljust(64, b"\0") + octets[64:]


def errno_of(message):
    return struct.unpack_from("<i", message, HEAD)[0]


def sentence_of(message):
    return attributes(message, 20).get(1, b"").rstrip(b"\0").decode() if len(message) > 36 else ""


class Client:
    """One connection, with a port id and an instance of its own."""

    def __init__(self, path, program, instance, groups=0, role=1):
        self.pid, self.events = 4242, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10 * gw.SLOWER)
        self.socket.connect(path)
        body = struct.pack("<IIIIQ", 1, self.pid, groups, role, instance) + program.encode() + b"\0"
        self.socket.send(struct.pack("<IHHII", HEAD + len(body), HELLO, 5, 1, 0) + body)
        same(errno_of(self.socket.recv(65536)), 0, "the answer to the hello")

    def ask(self, datagram):
        """All messages that answer one request; what else comes are events."""
        (kind, flags, seq, _), *more = messages(datagram)
        self.socket.send(datagram)
        answers = []
        wanted = flags & ACK or kind in (GETSA, GETPOLICY, ALLOCSPI) or kind >= 0x1f
        while wanted and not more:
            for got, its_flags, its_seq, message in messages(self.socket.recv(65536)):
                if struct.unpack_from("<I", message, 12)[0] != self.pid or its_seq != seq:
                    self.events.append(message)
                    continue
                answers.append(message)
                if got in (ERROR, DONE) or not its_flags & MULTI:
                    wanted = False
        return answers


class Session:
    """A recording as it is replayed: SPIs that the gateway chose stand for the recorded ones."""

    def __init__(self, name, client, differs=None):
        self.name, self.client, self.spis = name, client, {}
        self.differs = differs or {}
        self.installed = {}

    def renamed(self, octets):
        for was, now in self.spis.items():
            at = octets.find(was)
            while at >= 0:
                if at % 4 == 0:
                    octets = octets[:at] + now + octets[at + 4:]
                at = octets.find(was, at + 4)
        return octets

    def key(self, message, body):
        """What an SA is known by: address, SPI, protocol."""
        at = HEAD + (56 if body == SA_BODY else 0)
        return message[at:at + 20], message[at + (20 if body == SA_BODY else 22)]

    def note(self, request):
        if request[4] in (NEWSA, UPDSA):
            self.installed[self.key(request, SA_BODY)] = request

    def same_sa(self, where, request, answer):
        """GETSA's answer against what was installed: identity, addresses, mode, algorithms with their keys, encapsulation."""
        was = self.installed.get(self.key(request, 24))
        check(was is not None, f"{where}: the recording asks for what it never installed")
        for what, at, size in ("identity", 56, 21), ("source", 80, 16), ("reqid", 208, 4), ("family, mode", 212, 3):
            same(answer[HEAD + at:HEAD + at + size], was[HEAD + at:HEAD + at + size], f"{where}: {what}")
        had, has = attributes(was, SA_BODY), attributes(answer, SA_BODY)
        for kind in set(had) - {REPLAY_VAL, REPLAY_ESN, LASTUSED, LTIME}:
            same(has.get(kind), canonical(kind, had[kind]), f"{where}: attribute {kind}")

    def judge(self, where, request, recorded, answers):
        want = [(m[4], errno_of(m) if m[4] == ERROR else 0) for m in recorded]
        got = [(m[4], errno_of(m) if m[4] == ERROR else 0) for m in answers]
        want = self.differs.get(where.split(": ")[0], want)
        said = "; ".join(filter(None, (sentence_of(m) for m in answers if m[4] == ERROR)))
        if request[4] in (GETSA, GETPOLICY) and struct.unpack_from("<H", request, 6)[0] & DUMP:
            want, got = want[-1:], got[-1:]  # of a dump, that it ends
        same(got, want, f"{where}: answers (type, errno) {said}")
        for was, now in zip(recorded, answers):
            if request[4] == ALLOCSPI and now[4] == NEWSA:
                self.spis[was[HEAD + 72:HEAD + 76]] = now[HEAD + 72:HEAD + 76]
            if request[4] == GETSA and now[4] == NEWSA and len(answers) == 1:
                self.same_sa(where, request, now)

    def run(self):
        lines, at, asked = load(self.name), 0, 0
        while at < len(lines):
            number, line = at + 1, lines[at]
            at += 1
            if line["way"] != "request":
                continue
            recorded = []
            while at < len(lines) and lines[at]["way"] == "reply":
                recorded += [m for *_, m in messages(bytes.fromhex(lines[at]["hex"]))]
                at += 1
            request = self.renamed(bytes.fromhex(line["hex"]))
            answers = self.client.ask(request)
            self.judge(f"{self.name}:{number}: {line['what']}", request, recorded, answers)
            self.note(request)
            asked += 1
        return asked


@contextlib.contextmanager
def gateway(addresses):
    """A gateway that owns these addresses, with no traffic, and its control socket's path."""
    config = gw.laboratory()
    config["ports"][0].update(device="net_null0", addresses=[a + "/24" for a in addresses] + ["2001:db8::1/64"])
    config["ports"][1].update(device="net_null1")
    with tempfile.TemporaryDirectory(prefix="espgw-xfrm-") as folder:
        running = Gateway(folder, "xfrm", config)
        try:
            wait_for("the control socket is there", lambda: running.alive() or os.path.exists(running.socket))
            yield running
            running.stop()
        finally:
            running.kill()


def dump(client, kind):
    """How many entries a dump lists."""
    answers = client.ask(struct.pack("<IHHII", HEAD, kind, 1 | DUMP, 99, 0))
    same(answers[-1][4], DONE, "the end of the dump")
    return len(answers) - 1


def replay(name, addresses, least, left=0, differs=None):
    with gateway(addresses) as running:
        client = Client(running.socket, name, 7)
        asked = Session(name, client, differs).run()
        check(asked >= least, f"only {asked} requests")
        same(dump(client, GETSA), left, "SAs that are left")


@case("charon, initiator: every request of the recording is answered as recorded, keys come back as installed")
def charon_initiator():
    replay("charon-initiator", ["192.0.2.1", "192.0.2.77"], 200)


@case("charon, responder: likewise")
def charon_responder():
    replay("charon-responder", ["192.0.2.2"], 150)


@case("charon 6.1 with mode = iptfs, initiator: likewise, the options of both directions too")
def charon6_iptfs_initiator():
    replay("charon6-iptfs-initiator", ["192.0.2.1"], 30)


@case("charon 6.1 with mode = iptfs, responder: likewise")
def charon6_iptfs_responder():
    replay("charon6-iptfs-responder", ["198.51.100.1"], 30)


@case("pluto, initiator: likewise")
def pluto_initiator():
    replay("pluto-initiator", ["192.0.2.1"], 100)


@case("pluto, responder: likewise")
def pluto_responder():
    replay("pluto-responder", ["192.0.2.2"], 100)


@case("ip xfrm: every verb it has for states and policies")
def ip_xfrm():
    taken, shown = [(ERROR, 0)], [(NEWSA, 0)]
    # That kernel has no ESP, and lets in what no policy names.
    differs = {f"ip:{line}": taken for line in (1, 3, 5, 7, 9, 13, 27)}
    differs |= {"ip:11": [(ERROR, -errno.EINVAL)], "ip:17": shown, "ip:62": [(ERROR, -errno.EPERM)]}
    replay("ip", ["192.0.2.1"], 31, differs=differs)


if __name__ == "__main__":
    main()
