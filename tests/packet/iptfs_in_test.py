#!/usr/bin/python3
"""What comes by an IP-TFS SA: payloads taken apart, lost, late, malformed (rows A5); the peer is aggfrag.py."""
import itertools
import struct

from aggfrag import Feedback, head, pack, room
from fragments import cut
from gw import aged, host, ip
from rows import Row, add_rows
from tap import main
from tfs import Peer, far, noise

MORE = 0xffff
ROOM = room(1400)
TOGETHER = 200  # rows in one run: each has a network of its own
LOST = 6  # so many payloads later nobody with a window of 3 waits any more


class Made:
    """What a row's peer sends, and what has to come out."""

    def __init__(self, tunnel, version):
        self.t, self.v, self.peer, self.into, self.red = tunnel, version, Peer(tunnel), [], []
        self.seeds = itertools.count()

    def packet(self, size, **fields):
        return far(self.t.n, size, self.v, next(self.seeds), **fields)

    def packets(self, *sizes):
        return [self.packet(size) for size in sizes]

    def send(self, payload, **more):
        self.into.append(self.peer.send(payload, **more))

    def sends(self, payloads):
        for p in payloads:
            self.send(p)

    def want(self, *packets):
        self.red += [aged(p) for p in packets]

    def good(self, n=1):
        """Payloads of a packet each, which have to get through."""
        for _ in range(n):
            packet = self.packet(100)
            self.send(head(0) + packet)
            self.want(packet)


FAMILIES = ((4, 4), (6, 6), (4, 6), (6, 4))  # outer, inner
ROWS, JUMPS = [], []


def row(what, drops=None, consumed=0, families=FAMILIES, more=None, rows=None, **keys):
    """A row for each pair of families; build(made) sends and says what has to come of it."""
    def add(build):
        for outer, version in families:
            def both(tunnel, version=version):
                made = Made(tunnel, version)
                build(made)
                return made.into, made.red
            (ROWS if rows is None else rows).append(Row(f"{what}; IPv{version} in IPv{outer}", both, drops, consumed, outer=outer,
                                                        mode="iptfs", iptfs=keys, **(more or {})))
        return build
    return add


EACH = ((4, 4), (6, 6))
V4, V6 = ((4, 4), (6, 4)), ((6, 6), (4, 6))


@row("RFC 9347 appendix A: 750, 750, 60, 240 and 3000 octets in payloads of 1404")
def worked_example(m):
    inner = m.packets(750, 750, 60, 240, 3000)
    m.sends(pack(inner, [1400]))
    m.want(*inner)


@row("many sizes from a header alone to 9,000 octets, each cut where payloads end")
def sizes(m):
    inner = m.packets(*(20 if m.v == 4 else 40, 41, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1341, 1342, 1343, 2684, 9000, 50))
    m.sends(pack(inner, [ROOM]))
    m.want(*inner)


@row("payloads no longer than what they hold, of changing sizes")
def unpadded(m):
    inner = m.packets(100, 60, 1500, 700, 3000, 90)
    m.sends(pack(inner, [160, 700, 33, 900, 1000, 5, 800, 1400], fill=False))
    m.want(*inner)


@row("sub-type 1: the packets behind a header of 24 octets")
def controlled(m):
    inner = m.packets(750, 750, 60, 240, 3000)
    m.sends(pack(inner, [1380], feedback=Feedback(loss=100, rtt=50000, transmit_delay=1000, tval=7)))
    m.want(*inner)


@row("sub-types 0 and 1 by turns on one SA, in the middle of a packet too")
def both_kinds(m):
    inner = m.packets(3000, 800, 4000)
    plain, with_feedback = pack(inner, [900]), pack(inner, [900], feedback=Feedback(tval=1))
    m.sends([(plain, with_feedback)[i % 2][i] for i in range(len(plain))])
    m.want(*inner)


for length in range(4):
    @row(f"A5.1 a payload of {length} octets drops aggfrag_short, and its number is used",
         {"aggfrag_short": 1, "replay_dup": 1}, families=EACH)
    def short(m, length=length):
        m.good()
        m.send(bytes(length))
        m.into.append(m.into[-1])
        m.good()


for length in (4, 5, 23):
    @row(f"A5.1 sub-type 1 in a payload of {length} octets drops aggfrag_short", {"aggfrag_short": 1, "replay_dup": 1},
         families=EACH)
    def short_controlled(m, length=length):
        m.send(head(0, Feedback())[:length])
        m.into.append(m.into[-1])
        m.good()


for sub_type in (4, 5, 127, 128, 255):
    @row(f"A5.1 sub-type {sub_type} drops aggfrag_subtype, and its number is used",
         {"aggfrag_subtype": 1, "replay_dup": 1}, families=EACH)
    def subtype(m, sub_type=sub_type):
        m.send(head(0, sub_type=sub_type) + m.packet(100))
        m.into.append(m.into[-1])
        m.good()


@row("A5.2 reserved bits of sub-type 0 are not looked at")
def reserved_plain(m):
    inner = m.packets(750, 750, 60, 240, 3000)
    m.sends(pack(inner, [1400], reserved=0xff))
    m.want(*inner)


@row("A5.2 reserved bits of sub-type 1 are not looked at, P and E are taken")
def reserved_controlled(m):
    inner = m.packets(750, 750, 60, 240, 3000)
    m.sends(pack(inner, [1400], feedback=Feedback(p=1, e=1), reserved=0xfc))
    m.want(*inner)


def v4_head(total, ihl=5):
    return struct.pack("!BBH", 0x40 | ihl, 0, total) + noise(60)


for what, octets in [
    ("total length 0", v4_head(0)), ("total length 1", v4_head(1)), ("total length 19", v4_head(19)),
    ("IHL 0", v4_head(64, 0)), ("IHL 4", v4_head(64, 4)), ("a total length under its IHL", v4_head(59, 15)),
    ("a run of total lengths 0", v4_head(0)[:4] * 300), ("a run of IHL 0", v4_head(64, 0)[:4] * 300),
]:
    @row(f"A5.3 {what}: blocks before it are delivered, the rest drops aggfrag_inner once", {"aggfrag_inner": 1})
    def bad_inner(m, octets=octets):
        before, behind = m.packets(200, 100)
        m.send(head(0) + before + octets + behind)
        m.want(before)
        m.good()


@row("A5.3 an IPv6 packet over 65535 octets in all drops aggfrag_inner", {"aggfrag_inner": 1}, families=V6)
def too_long(m):
    before = m.packet(200)
    m.send(head(0) + before + struct.pack("!IHBB", 6 << 28, 65496, 17, 64) + noise(400))
    m.want(before)
    m.good()


@row("A5.3 IPv4 headers with options, of 6 to 15 words, are packets")
def options(m):
    inner = [far(m.t.n, 120, 4, words, options=b"\1" * 4 * (words - 5)) for words in range(6, 16)]
    m.sends(pack(inner, [ROOM]))
    m.want(*inner)


@row("A5.3 an IPv6 payload length of 0 is a packet of 40 octets, and the next block follows", families=V6)
def no_payload(m):
    empty = ip(host(6, 2, m.t.n), host(6, 1, m.t.n), 59, b"")
    behind = m.packet(100)
    m.send(head(0) + empty + behind + empty)
    m.want(empty, behind, empty)
    m.good()


for nibble in (1, 2, 3, 5, 7, 8, 9, 15):
    @row(f"A5.4 a block of type {nibble} drops aggfrag_type with all behind it; blocks before it are delivered",
         {"aggfrag_type": 1}, families=EACH if nibble != 5 else FAMILIES)
    def bad_type(m, nibble=nibble):
        before, behind = m.packets(200, 100)
        m.send(head(0) + before + bytes([nibble << 4 | 5]) + noise(99) + behind)
        m.want(before)
        m.good()


@row("A5.4 a bad block behind the rest of a packet: that packet is delivered", {"aggfrag_type": 1})
def bad_behind_rest(m):
    inner = m.packets(2000)
    first, last = pack(inner, [1400])
    m.sends([first, last[:604] + b"\x50" + noise(50)])
    m.want(*inner)
    m.good()


@row("A5.5 all-pads between the pieces of a packet, one and several, are stepped over", consumed=6)
def all_pads(m):
    inner = m.packets(6000)
    made = pack(inner, [1400])
    for payload, pads in zip(made, ([bytes(1400)], [bytes(1), bytes(7), bytes(1399), b"\x0f" + noise(9)], [], [bytes(2)], [])):
        m.sends([payload, *(head(0) + pad for pad in pads)])
    m.want(*inner)


@row("A5.5 all-pads of sub-type 1 likewise", consumed=2)
def all_pads_controlled(m):
    inner = m.packets(3000)
    made = pack(inner, [1400])
    m.sends([made[0], head(0, Feedback()) + bytes(500), head(0, Feedback()) + bytes(1), *made[1:]])
    m.want(*inner)


@row("A5.5 dummies, next header 59, between the pieces of a packet are stepped over", consumed=2)
def dummies(m):
    inner = m.packets(3000)
    made = pack(inner, [1400])
    m.send(made[0])
    m.send(noise(100), next_header=59)
    m.send(b"", next_header=59)
    m.sends(made[1:])
    m.want(*inner)


@row("A5.6 a real block at offset 0 while a packet is not whole: that one drops aggfrag_offset, the block is delivered",
     {"aggfrag_offset": 1})
def offset_zero(m):
    inner = m.packets(3000)
    m.send(pack(inner, [1400])[0])
    m.good(3)


for change in (-1, 1, -200, 4000):
    @row(f"A5.6 an offset {change:+} from what is missing drops aggfrag_offset, and the next block is found where it says",
         {"aggfrag_offset": 1}, families=EACH)
    def offset_wrong(m, change=change):
        inner = m.packets(2000)
        m.send(pack(inner, [1400])[0])
        offset = 600 + change
        if offset > 1400:
            m.send(head(offset) + noise(1400))
        else:
            behind = m.packet(90)
            m.send(head(offset) + noise(offset) + behind)
            m.want(behind)
        m.good(2)


@row("A5.7 an offset with nothing begun drops aggfrag_orphan, and the block behind it is delivered", {"aggfrag_orphan": 1})
def orphan(m):
    behind = m.packet(90)
    m.send(head(300) + noise(300) + behind)
    m.want(behind)
    m.good()


@row("A5.7 offsets past the end over several payloads are orphans, until a block begins", {"aggfrag_orphan": 4})
def long_orphan(m):
    m.good()
    inner = m.packets(5000, 100)
    m.sends(pack(inner, [1400])[1:])
    m.send(head(1400) + noise(1400))
    m.want(inner[1])
    m.good()


@row("A5.7 an offset of 65535 with nothing begun", {"aggfrag_orphan": 1})
def largest_orphan(m):
    m.send(head(MORE) + noise(1000))
    m.good()


@row("A5.8 a payload is lost whose neighbours fit together by length: nothing is joined",
     {"aggfrag_gap": 1, "aggfrag_orphan": 1})
def fitting_neighbours(m):
    one, two = m.packets(1000, 1000)
    m.send(head(0) + one[:500])
    m.peer.number += 1  # lost: the rest of one, and the first half of two
    m.send(head(500) + two[500:])
    m.good(LOST)


@row("A5.8 the middle of a packet of five payloads is lost", {"aggfrag_gap": 1, "aggfrag_orphan": 2})
def lost_middle(m):
    inner = m.packets(200, 6500, 100)
    made = pack(inner, [1400])
    m.sends(made[:2])
    m.peer.number += 1
    m.sends(made[3:])
    m.want(inner[0], inner[2])
    m.good(LOST)


@row("A5.8 the last piece of a packet is lost, and the next one begins at once", {"aggfrag_gap": 1})
def lost_last(m):
    m.send(pack(m.packets(2000), [1400])[0])
    m.peer.number += 1
    m.good(LOST)


for octets in range(1, 6):
    @row(f"A5.9 a packet that begins in the last {octets} octets is completed from the next payload")
    def runt(m, octets=octets):
        inner = m.packets(1400 - octets, 700, 100)
        m.sends(pack(inner, [1400]))
        m.want(*inner)

    @row(f"A5.9 one that begins in the last {octets} octets, with an all-pad behind it", consumed=1, families=EACH)
    def runt_pad(m, octets=octets):
        inner = m.packets(1400 - octets, 2700, 100)
        first, *others = pack(inner, [1400])
        m.sends([first, head(0) + bytes(30), *others])
        m.want(*inner)

    @row(f"A5.9 one that begins in the last {octets} octets, whose rest is lost", {"aggfrag_gap": 1}, families=EACH)
    def runt_lost(m, octets=octets):
        inner = m.packets(1400 - octets, 700)
        m.send(pack(inner, [1400])[0])
        m.want(inner[0])
        m.peer.number += 1
        m.good(LOST)

    @row(f"A5.9 one that begins in the last {octets} octets, and a real block at offset 0", {"aggfrag_offset": 1}, families=EACH)
    def runt_cut(m, octets=octets):
        inner = m.packets(1400 - octets, 700)
        m.send(pack(inner, [1400])[0])
        m.want(inner[0])
        m.good(2)


@row("A5.9 a packet of which each payload brings one octet")
def octet_by_octet(m):
    inner = m.packets(70, 60)
    m.sends(pack(inner, [1], fill=False))
    m.want(*inner)


@row("A5.9 a beginning of 3 octets whose rest is longer than its length says drops aggfrag_offset", {"aggfrag_offset": 1})
def runt_disagrees(m):
    packet, behind = m.packets(300, 90)
    m.send(head(0) + packet[:3])
    m.send(head(400) + packet[3:] + noise(103) + behind)
    m.want(behind)
    m.good()


@row("A5.9 a beginning of 3 octets whose rest is shorter than its length says drops aggfrag_offset", {"aggfrag_offset": 1})
def runt_falls_short(m):
    packet, behind = m.packets(300, 90)
    m.send(head(0) + packet[:3])
    m.send(head(200) + packet[3:203] + behind)
    m.want(behind)
    m.good()


@row("A5.9 a beginning of 1 octet whose length turns out 0 drops aggfrag_inner or aggfrag_offset",
     {("aggfrag_inner", "aggfrag_offset"): 1}, families=V4)
def runt_of_nothing(m):
    behind = m.packet(90)
    m.send(head(0) + b"\x45")
    m.send(head(20) + bytes(20) + behind)
    m.want(behind)
    m.good()


def in_order(m, order, sizes=(100,) * 8, room_=1400):
    inner = m.packets(*sizes)
    made = m.peer.all([head(0) + p for p in inner] if room_ is None else pack(inner, [room_]))
    m.into += [made[i] for i in order]
    return inner


for order in itertools.permutations(range(1, 4)):
    @row(f"A5.10 the order 0, {', '.join(map(str, order))}, 4 … inside a window of 3 is mended", families=EACH)
    def mended(m, order=order):
        m.want(*in_order(m, [0, *order, 4, 5, 6, 7], room_=None))


@row("A5.10 pieces of a packet in any order inside the window are put together")
def mended_pieces(m):
    m.want(*in_order(m, [0, 3, 1, 2, 4], (400, 6000, 500, 70)))


@row("A5.10 what comes when a window of 3 has gone on drops aggfrag_late", {"aggfrag_late": 1})
def late(m):
    inner = in_order(m, [0, 2, 3, 4, 5, 1, 6, 7], room_=None)
    m.want(*inner[:1], *inner[2:])


@row("A5.10 a window of 1 waits for one", {"aggfrag_late": 1}, reorder_window=1)
def window_of_one(m):
    inner = in_order(m, [0, 2, 1, 4, 5, 3, 6, 7], room_=None)
    m.want(*inner[:3], *inner[4:])


@row("A5.10 a window of 0 waits for none", {"aggfrag_late": 1}, reorder_window=0)
def window_of_none(m):
    inner = in_order(m, [0, 2, 1, 3, 4, 5, 6, 7], room_=None)
    m.want(inner[0], *inner[2:])


@row("A5.10 a window of 100 waits for 100", reorder_window=100)
def window_of_many(m):
    m.want(*in_order(m, [0, *range(101, 1, -1), 1, 102], (60,) * 103, room_=None))


@row("A5.10 a duplicate of what waits is the replay window's: replay_dup", {"replay_dup": 2})
def duplicates(m):
    m.want(*in_order(m, [0, 2, 2, 3, 1, 1, 4, 5, 6, 7], room_=None))


@row("A5.10 a number that never comes: what waits behind it is delivered once the window is passed, in order")
def never(m):
    inner = in_order(m, [0, 3, 2, 4, 5, 6, 7], room_=None)
    m.want(inner[0], *inner[2:])


for window in (0, 3, 1024):
    @row(f"A5.11 jumps of the number by 2^31, window {window}: nothing is lost but what was begun, and the run ends",
         {"aggfrag_gap": 1}, families=EACH, rows=JUMPS, reorder_window=window)
    def jumps(m, window=window):
        m.send(pack(m.packets(2000), [1400])[0])
        for _ in range(9):
            m.peer.number += 1 << 31
            m.good()
        m.good(window)


@row("A5.13 67 packets that are a header alone in one payload, all delivered", families=V4)
def header_only(m):
    inner = m.packets(*[20] * 67)
    m.send(head(0) + b"".join(inner))
    m.want(*inner)
    m.good()


@row("A5.13 33 of IPv6, in 40 payloads one after the other", families=V6)
def header_only_v6(m):
    inner = m.packets(*[40] * (33 * 40))
    m.sends(pack(inner, [ROOM]))
    m.want(*inner)


@row("A5.14 an inner packet outside the selectors between good ones is the only one dropped", {"policy_selector": 1})
def selectors(m):
    one, two = m.packets(100, 200)
    m.send(head(0) + one + far(m.t.n + 1, 100, m.v) + two)
    m.want(one, two)
    m.good()


@row("A5.14 and one in pieces", {"policy_selector": 1})
def selectors_pieces(m):
    one, two = m.packets(100, 200)
    m.sends(pack([one, far(m.t.n + 1, 3000, m.v), two], [ROOM]))
    m.want(one, two)


@row("A2.9 an inner IPv4 packet with a wrong checksum between good ones drops inner_checksum alone", {"inner_checksum": 1},
     families=V4)
def wrong_sum(m):
    one, two = m.packets(100, 200)
    m.send(head(0) + one + ip(host(4, 2, m.t.n), host(4, 1, m.t.n), 253, b"wrong", wrong_sum=True) + two)
    m.want(one, two)


@row("A5.15 a beginning on an SA that takes no pieces drops aggfrag_nofrag, its rest is an orphan",
     {"aggfrag_nofrag": 1, "aggfrag_orphan": 1}, more={"into": {"iptfs": {"dont_frag": True}}})
def no_pieces(m):
    before, cut, behind = m.packets(100, 2000, 90)
    m.sends(pack([before, cut, behind], [ROOM]))
    m.want(before, behind)
    m.good()


for number, inner in ((4, lambda m: far(m.t.n, 100)), (41, lambda m: far(m.t.n, 100, 6)), (50, lambda m: noise(40)),
                      (6, lambda m: noise(40)), (0, lambda m: noise(40)), (255, lambda m: noise(40))):
    @row(f"A2.4 next header {number} on an IP-TFS SA drops next_header, and its number is used",
         {"next_header": 1, "replay_dup": 1}, families=EACH)
    def next_header(m, number=number, inner=inner):
        m.good()
        m.send(inner(m), next_header=number)
        m.into.append(m.into[-1])
        m.good()


@row("A2.3 a dummy before, between and behind payloads is consumed", consumed=3)
def dummies_between(m):
    for _ in range(3):
        m.send(noise(33), next_header=59)
        m.good()


@row("a pad of exactly 1 octet at the end of a payload")
def one_pad(m):
    inner = m.packets(1399, 500)
    m.sends([head(0) + inner[0] + b"\0", head(0) + inner[1]])
    m.want(*inner)


@row("padding is not looked at, but for its first four bits")
def odd_padding(m):
    inner = m.packet(100)
    m.send(head(0) + inner + b"\x0f" + b"\x45\0\0\x14" * 100)
    m.want(inner)
    m.good()


for sizes_ in ([8], [16, 8, 8], [48], [64, 24, 512], [8] * 12):
    @row(f"outer packets in fragments of {', '.join(map(str, sizes_[:3]))} … octets: payloads in many segments", families=EACH,
         reorder_window=64)  # several workers may put them together
    def segments(m, sizes_=sizes_):
        m.good()  # where the stream begins
        inner = m.packets(750, 61, 20 if m.v == 4 else 40, 2000, 1100, 1390)
        for i, payload in enumerate(pack(inner, [1400])):
            m.send(payload)
            m.into[-1:] = cut(m.into[-1], sizes_, 100 * m.t.n + i)
        m.want(*inner)


@row("outer packets in UDP", more={"encap": (4500, 4500)})
def in_udp(m):
    inner = m.packets(750, 750, 60, 240, 3000)
    m.sends(pack(inner, [1400]))
    m.want(*inner)


for suite in ({"aead": "chacha20-poly1305"}, {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}, {"aead": "aes-gmac-256"},
              {"cipher": "null", "auth": "hmac-sha1-96"}, {"esn": False}):
    @row(f"with {' and '.join(map(str, suite.values()))}", families=EACH, more=suite)
    def suites(m):
        inner = m.packets(750, 750, 60, 240, 3000)
        m.sends(pack(inner, [1400]))
        m.want(*inner)


def jumbo(config):
    """What comes out of an SA may be larger than what came in."""
    config["ports"][1]["mtu"] = 9600


for at in range(0, len(ROWS), TOGETHER):
    add_rows(f"A5, run {at // TOGETHER + 1}", ROWS[at:at + TOGETHER], patch=jumbo)
# The upper half of a number is inferred once for a burst.
add_rows("A5.11", JUMPS, patch=jumbo, arguments=["--burst", "1"])
if __name__ == "__main__":
    main()
