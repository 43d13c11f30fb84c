#!/usr/bin/python3
"""The whole gateway with a state file, two workers and lanes, killed at random moments and started again: a ledger of
all that it ever sent holds no (key, salt, IV) twice, and nothing that was accepted once is accepted again, whatever
reloads, new names, new keys and old ones come in between.

What the page cache hides, a missing fsync, tests/unit/state_crash_test.c looks for.
"""
import collections
import contextlib
import os
import random
import signal
import struct
import tempfile
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lab import Lab, packet_socket
from gw import LAN_NEXT, WAN_NEXT, frame, key_of, laboratory, udp
from tap import case, check, main, same
from xfrm import DELSA, NEWPOLICY, NEWSA, OUT, Daemon, policy, sa, sa_id, selector, template

FULL = bool(os.environ.get("FULL"))
LIVES = 120 if FULL else 12
SECONDS = (0.1, 0.8)  # of a life, once it sends
BATCH = 24
LANES = 2
WAN_MAC, LAN_MAC = "02:e5:00:00:03:0a", "02:e5:00:00:03:0b"
SPI_FILE, SPI_DAEMON, SPI_IN = 0x10000, 0x50000, 0x2001
PEER, DAEMON_PEER = "198.51.100.1", "198.51.100.9"
JUMP = 1 << 20  # numbers that the peer leaves out after a crash, more than any block holds

Sa = collections.namedtuple("Sa", "key subspaces")


class Ledger:
    """Every (key with salt, IV) that was on the wire."""

    def __init__(self):
        self.by_spi, self.seen, self.n, self.twice = {}, collections.defaultdict(set), 0, []

    def enter(self, packet):
        spi = struct.unpack_from("!I", packet, 20)[0]
        entry = self.by_spi[spi]
        iv_at = 32 if entry.subspaces else 28
        number, iv = packet[24:iv_at], packet[iv_at:iv_at + 8]
        check(iv.endswith(number), f"SPI {spi:#x}: number {number.hex()} under IV {iv.hex()}")
        self.n += 1
        if iv in self.seen[entry.key]:
            self.twice.append(f"SPI {spi:#x}, IV {iv.hex()}")
        self.seen[entry.key].add(iv)


class Peer:
    """Who sends to the gateway, by all lanes in turn, and wants each packet to pass at most once."""

    def __init__(self):
        key = key_of("ledger in", 20)
        self.key, self.cipher, self.salt = key, AESGCM(key[:16]), key[16:]
        self.next, self.history, self.passed, self.again = [0] * LANES, [], set(), []

    def seal(self):
        lane = random.randrange(LANES)
        self.next[lane] += 1
        number = struct.pack("!Q", lane << 48 | self.next[lane])
        inner = udp("10.2.0.1", "10.1.0.1", number)
        pad = -(len(inner) + 2) % 4
        text = inner + bytes(range(1, pad + 1)) + bytes([pad, 4])
        head = struct.pack("!I", SPI_IN) + number
        sealed = head + number + self.cipher.encrypt(self.salt + number, text, head)
        length = 20 + len(sealed)
        packet = bytearray(struct.pack("!BBHIBBH", 0x45, 0, length, 0, 64, 50, 0) + bytes([198, 51, 100, 1, 192, 0, 2, 1]))
        total = sum(struct.unpack("!10H", packet))
        packet[10:12] = struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff)
        made = frame(bytes(packet) + sealed, WAN_MAC, WAN_NEXT)
        self.history.append(made)
        return made

    def enter(self, packet):
        number = packet[28:36]
        if number in self.passed:
            self.again.append(number.hex())
        self.passed.add(number)


class World:
    """The gateway's configuration as it changes, what goes in, and what comes out."""

    def __init__(self, lab, folder):
        self.lab, self.folder, self.ledger, self.peer = lab, folder, Ledger(), Peer()
        self.name, self.generation, self.n_generations, self.there = "site", 0, 1, True
        self.daemon, self.daemon_generation, self.lane_keys = None, 0, set()
        lab.namespace("gw", False)
        lab.namespace("far", False)
        for interface, mac, next_mac in (("black", WAN_MAC, WAN_NEXT), ("red", LAN_MAC, LAN_NEXT)):
            lab.veth((lab.ns("gw"), interface, mac), (lab.ns("far"), interface, next_mac))
        self.wan, self.lan = (packet_socket(lab.ns("far"), i) for i in ("black", "red"))
        self.red = [frame(udp(f"10.1.0.{n}", f"10.2.{9 * (n % 4 == 0)}.{n}", b"ledger", sport=1000 + n), LAN_MAC, LAN_NEXT)
                    for n in range(1, 65)]
        self.gateway = None
        self.files()

    def files(self):
        key = key_of(f"ledger out {self.generation}", 20)
        self.ledger.by_spi[SPI_FILE + self.generation] = Sa(key, True)
        self.lane_keys.add(key)
        config = laboratory()
        config["gateway"].update(state_file=f"{self.folder}/state", state_block=64)
        for i, (port, interface) in enumerate(zip(config["ports"], ("black", "red"))):
            port["device"] = f"net_af_packet{i},iface={interface},qpairs=2,blocksz=65536,framesz=2048,framecnt=4096"
        config["tunnels"] = [{
            "name": self.name, "local": "192.0.2.1", "remote": PEER, "local_nets": ["10.1.0.0/16"],
            "remote_nets": ["10.2.0.0/24"], "aead": "aes-gcm-128", "subspaces": True, "lanes": LANES,
            "out": {"spi": SPI_FILE + self.generation, "key": "hex:" + key.hex()},
            "in": {"spi": SPI_IN, "key": "hex:" + self.peer.key.hex()},
        }] if self.there else []
        return config

    def start(self):
        self.gateway = self.lab.gateway("gw", self.files(), ns=self.lab.ns("gw"), workers=2)

    def reload(self):
        self.gateway.write(self.files())
        self.gateway.signal(signal.SIGHUP)

    def daemon_sa(self):
        """A new key of the daemon's, or after a restart the one of before."""
        spi, key = SPI_DAEMON + self.daemon_generation, key_of(f"ledger daemon {self.daemon_generation}", 20)
        self.ledger.by_spi[spi] = Sa(key, False)
        self.daemon.ask(NEWSA, sa("192.0.2.1", DAEMON_PEER, spi, 9, key, OUT))

    def daemon_start(self):
        self.daemon = Daemon(self.gateway.socket, ("expire",), instance=7)
        self.daemon_sa()
        body = policy(OUT, selector("10.1.0.0/16", "10.2.9.0/24"), template("192.0.2.1", DAEMON_PEER, 9))
        self.daemon.ask(NEWPOLICY, body)

    def exchange(self):
        """Some packets each way; whatever came out goes into the books."""
        for _ in range(BATCH):
            with contextlib.suppress(BlockingIOError):
                self.lan.send(random.choice(self.red))
        for _ in range(BATCH // 4):
            with contextlib.suppress(BlockingIOError):
                self.wan.send(self.peer.seal())
        self.collect()

    def collect(self):
        for s, enter, proto in ((self.wan, self.ledger.enter, 50), (self.lan, self.peer.enter, 17)):
            with contextlib.suppress(BlockingIOError):
                while True:
                    got, (_, _, kind, *_) = s.recvfrom(2048)
                    if kind != 4 and got[12:14] == b"\x08\x00" and got[23] == proto:  # 4: sent by ourselves
                        enter(got[14:])

    def pump(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.exchange()

    def replay(self):
        """All that the peer ever sent, again: none of what passed may pass."""
        for made in self.peer.history[-4000:]:
            with contextlib.suppress(BlockingIOError):
                self.wan.send(made)
            if random.random() < 0.1:
                self.collect()

    def settle(self):
        time.sleep(0.05)
        self.collect()


def rename(world):
    world.name = "site" if world.name == "other" else "other"
    world.reload()


def rekey(world):
    world.generation = world.n_generations
    world.n_generations += 1
    world.reload()


def old_key(world):
    world.generation = random.randrange(world.n_generations)
    world.reload()


def put_back(world):
    world.there = False
    world.reload()
    world.pump(0.05)
    world.there = True
    world.reload()


def daemon_rekey(world):
    old = SPI_DAEMON + world.daemon_generation
    world.daemon_generation += 1
    world.daemon_sa()
    world.daemon.ask(DELSA, sa_id(DAEMON_PEER, old))


def daemon_put_back(world):
    world.daemon.ask(DELSA, sa_id(DAEMON_PEER, SPI_DAEMON + world.daemon_generation))
    world.daemon_sa()


ACTIONS = (rename, rekey, old_key, put_back, daemon_rekey, daemon_put_back)


def live(world, life):
    """One start, some changes, and a kill in the midst of all."""
    world.start()
    if life % 5 == 4:
        world.pump(random.uniform(0, 0.5))  # it may not even have begun
        return
    world.daemon_start()
    sent, passed = world.ledger.n, len(world.peer.passed)
    world.replay()
    world.pump(0.2)
    end = time.monotonic() + random.uniform(*SECONDS)
    while time.monotonic() < end:
        world.pump(random.uniform(0, 0.1))
        random.choice(ACTIONS)(world)
    world.gateway.alive()
    check(world.ledger.n > sent, f"life {life}: nothing was sent\n{world.gateway.said()}")
    check(len(world.peer.passed) > passed, f"life {life}: nothing passed\n{world.gateway.said()}")


def judge(world):
    same(world.ledger.twice[:5], [], f"of {world.ledger.n} packets, (key, IV) that met twice")
    same(world.peer.again[:5], [], f"of {len(world.peer.passed)} packets, accepted twice")


@case(f"{LIVES} lives, each ended by kill -9: no key meets an IV twice, nothing is accepted twice")
def lives():
    with tempfile.TemporaryDirectory(prefix="espgw-ledger-") as folder, Lab("espgw-ledger", folder) as lab:
        world = World(lab, folder)
        for life in range(LIVES):
            live(world, life)
            world.gateway.kill()
            if world.daemon:
                world.daemon.close()
                world.daemon = None
            world.settle()
            judge(world)
            world.peer.next = [n + JUMP for n in world.peer.next]
        world.start()
        world.daemon_start()
        world.replay()
        world.pump(0.5)
        world.gateway.stop()
        world.settle()
        judge(world)
        check(world.n_generations > 1 and world.daemon_generation > 0, "no key was changed")
        lanes = {iv[:2] for key, ivs in world.ledger.seen.items() for iv in ivs if key in world.lane_keys}
        same(len(lanes), LANES, "lanes that were used")
        print(f"# {world.ledger.n} packets under {len(world.ledger.seen)} keys, {len(world.peer.passed)} accepted")


if __name__ == "__main__":
    main()
