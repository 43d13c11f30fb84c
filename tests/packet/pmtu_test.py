#!/usr/bin/python3
"""Path MTUs by the control socket: a key daemon and an operator set them, who listens hears of it, SAs that come have them."""
import json
import struct

from control import running
from tap import case, check, main, same
from xfrm import IN, NEWSA, OUT, REQUEST, ACK, UPDSA, Daemon, address, attribute, attributes, family, sa, sa_id

NEWAE, REPLACE = 30, 0x100
PATH, SET, CHANGED = 0x2009, 0, 1
DAEMON_SAYS = 3
ERANGE, EINVAL, ESRCH = -34, -22, -3
US, PEER = "192.0.2.1", "198.51.100.9"
OUTBOUND, INBOUND = OUT + 1, IN + 1
KEY = bytes(range(20))


def path(mtu, kind=SET):
    return attribute(PATH, struct.pack("=BBHII", kind, 0, mtu, 0, 0))


def ae(spi, *attrs, dst=PEER, src=US):
    """The body of NEWAE."""
    return sa_id(dst, spi) + address(src) + struct.pack("=II", 0, 0) + b"".join(attrs)


def key(n):
    return bytes([n]) + KEY[1:]


def ask(daemon, body, want=0):
    daemon.send(NEWAE, body, REQUEST | ACK | REPLACE)
    while True:
        for m in daemon.receive(10):
            if m.kind == 2 and m.seq == daemon.seq:
                same(struct.unpack_from("=i", m.body)[0], want, "answer to NEWAE")
                return
            daemon.events.append(m)


def shown(gateway, name):
    done = gateway.espctl("--json", "show", "sa", name)
    same(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def of_daemon(spi):
    return f"xfrm:0x{spi:08x}@{PEER}"


def changed(daemon):
    """(SPI, source, MTU) of the next event about a path."""
    found = None
    while found is None:  # a NEWAE is told of as such, too
        m = daemon.wait(NEWAE)
        found = attributes(m.body[48:]).get(PATH)
    kind, source, mtu = struct.unpack_from("=BBH", found)
    same(kind, CHANGED, "kind")
    return struct.unpack("!I", m.body[16:20])[0], source, mtu


def path_of(gateway, name):
    s = shown(gateway, name)
    return s["path_mtu"], s["path_mtu_from"]


@case("a daemon sets a path's MTU: SAs that come later have it, listeners hear of it, 0 takes it back")
def by_daemon():
    with running() as gateway:
        daemon, other = Daemon(gateway.path), Daemon(gateway.path, groups=("aevents",))
        daemon.ask(NEWSA, sa(US, PEER, 0x5001, 1, key(1), OUTBOUND, window=0))
        name = of_daemon(0x5001)
        before = shown(gateway, name)
        same((before["path_mtu"], before["path_mtu_from"]), (1500, "configured"), "before")
        ask(daemon, ae(0x5001, path(1400)))
        same(changed(other), (0x5001, DAEMON_SAYS, 1400), "what a listener hears")
        after = shown(gateway, name)
        same((after["path_mtu"], after["path_mtu_from"], before["mtu"] - after["mtu"]), (1400, "daemon", 100), "after")
        check(590 <= after["path_mtu_seconds"] <= 600, f"for {after['path_mtu_seconds']} s")
        # A rekey, and an update of the SA itself.
        daemon.ask(NEWSA, sa(US, PEER, 0x5002, 1, key(2), OUTBOUND, window=0))
        same(path_of(gateway, of_daemon(0x5002)), (1400, "daemon"), "of the SA that comes")
        daemon.ask(UPDSA, sa(US, PEER, 0x5001, 1, key(1), OUTBOUND, window=0))
        same(path_of(gateway, name), (1400, "daemon"), "of the SA that is updated")
        ask(daemon, ae(0x5002, path(0)))
        same(changed(other)[1:], (0, 0), "what a listener hears")
        for spi in (0x5001, 0x5002):
            same(path_of(gateway, of_daemon(spi)), (1500, "configured"), "in the end")
        daemon.close()
        other.close()


@case("what makes no sense is refused and changes nothing")
def refused():
    with running() as gateway:
        daemon = Daemon(gateway.path)
        daemon.ask(NEWSA, sa(US, PEER, 0x5001, 1, key(1), OUTBOUND, window=0))
        daemon.ask(NEWSA, sa(PEER, US, 0x6001, 1, key(3), INBOUND))
        for mtu in (1, 68, 1279, 1501, 65535):
            ask(daemon, ae(0x5001, path(mtu)), ERANGE)
        ask(daemon, ae(0x5001, path(1400, kind=CHANGED)), EINVAL)
        ask(daemon, ae(0x5001, attribute(PATH, bytes(11))), EINVAL)
        ask(daemon, ae(0x5001, attribute(PATH, bytes(13))), EINVAL)
        ask(daemon, ae(0x5009, path(1400)), ESRCH)
        ask(daemon, ae(0x6001, path(1400), dst=US, src=PEER), EINVAL)
        state = json.loads(gateway.espctl("--json", "show", "pmtu").stdout)
        same((state["n_paths"], state["counters"]["daemon_set"]), (0, 0), "paths, and settings")
        daemon.close()


@case("an operator does the same to an SA of the file, and a reload that renews the SA leaves it")
def by_operator():
    with running() as gateway:
        done = gateway.espctl("set", "sa", "t1.out", "path-mtu", "1400")
        same(done.returncode, 0, done.stderr)
        same(path_of(gateway, "t1.out"), (1400, "operator"), "t1.out")
        # They have one peer, so it is one path.
        same(path_of(gateway, "t2.out"), (1400, "operator"), "t2.out")
        with open(gateway.file, encoding="ascii") as f:
            text = f.read()
        with open(gateway.file, "w", encoding="ascii") as f:
            f.write(text.replace("name: t1\n", "name: t1\n  ttl: 9\n"))
        done = gateway.espctl("reload")
        check("ttl" in done.stdout, done.stdout + done.stderr)
        same(path_of(gateway, "t1.out"), (1400, "operator"), "after the reload")
        for words, what in ((("path-mtu", "1279"), "1280"), (("path-mtu", "x"), "octets"), (("path-mtu", "70000"), "octets"),
                            (("mtu", "1400"), "path-mtu")):
            done = gateway.espctl("set", "sa", "t1.out", *words)
            check(done.returncode == 1 and what in done.stderr, f"{words}: {done.stderr}")
        done = gateway.espctl("set", "sa", "t1.in", "path-mtu", "1400")
        check(done.returncode == 1 and "inbound" in done.stderr, done.stderr)
        same(gateway.espctl("set", "sa", "t2.out", "path-mtu", "auto").returncode, 0, "auto")
        same(path_of(gateway, "t1.out"), (1500, "configured"), "in the end")
        said = gateway.espctl("show", "pmtu").stdout
        check("0 paths" in said and "icmp_ignored_spi" in said, said)


if __name__ == "__main__":
    main()
