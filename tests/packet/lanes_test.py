#!/usr/bin/python3
"""Subspaces: the wire format against an independent peer, in all forms of an SA, and what a receiver refuses."""
import struct

from esp import BadIcv, xsn
from gw import (Tunnel, aged, from_far, from_lan, host, ip, laboratory, run, same_packets, tcp, to_lan, to_wan, udp,
                with_tunnels)
from lanes import LAST, check_numbers
from rows import Row, add_rows
from tap import Failure, add_case, case, check, main, once, same

LENGTHS = [*range(9), 63, 64, 65, 512, 1000, 1300]

# Made by an independent AES-256-GCM: key 00 01 .. 1f, salt a0a1a2a3, ESP's padding 1, 2, 3.
VECTOR_KEY = bytes(range(32)) + bytes.fromhex("a0a1a2a3")
VECTOR_INNER = bytes.fromhex("450000241234400040113c43c000020ac63364141388177000103ed47375627370616365")
VECTOR_HEAD = bytes.fromhex("112233440005000000000001")
VECTOR_REST = bytes.fromhex("7aa295229b170c7ab21f803963847d10693a1eea3db418ea075945b191373ed6fe01947fc85192e6ec4c75685aed"
                            "24abd36d9ec62566308b")
VECTOR_LANES = 8  # of which the vector's flow goes by lane 5
VECTORS = {True: VECTOR_HEAD + VECTOR_REST, False: VECTOR_HEAD + VECTOR_HEAD[4:] + VECTOR_REST}


def vector_config(implicit_iv, way, lanes, here, there, lane_by="flow"):
    """One SA that is the vector's, in a tunnel between its two hosts."""
    config = laboratory()
    ends = {"src": "192.0.2.1", "dst": "198.51.100.1"} if way == "out" else {"src": "198.51.100.1", "dst": "192.0.2.1"}
    config["sas"] = [{"name": "vector", "direction": way, "spi": 0x11223344, **ends, "aead": "aes-gcm-256",
                      "key": "hex:" + VECTOR_KEY.hex(), "implicit_iv": implicit_iv, "subspaces": True, "lanes": lanes,
                      **({"lane_by": lane_by} if way == "out" else {})}]
    config["policies"] = [{"name": "p", "direction": way, "src": here, "dst": there, "action": "protect", "sa": "vector"}]
    config["routes"].append({"to": "198.51.100.20/32", "via": "10.254.0.2", "port": "lan"})
    return config


def vector_in(implicit_iv):
    config = vector_config(implicit_iv, "in", 8, "192.0.2.10/32", "198.51.100.20/32")
    outer = ip("198.51.100.1", "192.0.2.1", 50, VECTORS[implicit_iv])
    done = run(config, wan=[to_wan(outer), to_wan(outer)])
    same_packets(done.lan, [aged(VECTOR_INNER)], "packets on the red side")
    same(done.drops, {"replay_dup": 1}, "drops")


def vector_out(implicit_iv):
    config = vector_config(implicit_iv, "out", VECTOR_LANES, "192.0.2.10/32", "198.51.100.20/32")
    younger = VECTOR_INNER[:8] + bytes([VECTOR_INNER[8] + 1]) + VECTOR_INNER[9:10] + b"\0\0" + VECTOR_INNER[12:]
    header = udp("192.0.2.10", "198.51.100.20", b"subspace", sport=5000, dport=6000, ttl=65, ident=0x1234, df=1)
    same(header[:10] + b"\0\0" + header[12:20], younger[:20], "the inner header")
    done = run(config, lan=[to_lan(header[:20] + VECTOR_INNER[20:])])
    same(done.drops, {}, "drops")
    same([packet[20:].hex() for packet in done.wan], [VECTORS[implicit_iv].hex()], "packets sent")


for iiv in (True, False):
    add_case(f"the vector of ID 5, number 1, {'implicit' if iiv else 'explicit'} IV is read, once",
             lambda i=iiv: vector_in(i))
    add_case(f"and is what is sent, {'implicit' if iiv else 'explicit'} IV", lambda i=iiv: vector_out(i))


def forms():
    """(label, arguments of Tunnel)"""
    for name in ("aes-gcm-128", "aes-gcm-192", "aes-gcm-256", "chacha20-poly1305", "aes-ccm-128", "aes-ccm-256",
                 "aes-gmac-128", "aes-gmac-256"):
        yield name, {"aead": name}
        if "gmac" not in name:
            yield f"{name}, implicit IV", {"aead": name, "implicit_iv": True, "icv": 8 if "ccm" in name else None}
    for icv in (8, 12):
        yield f"aes-gcm-128, {icv}-octet tag", {"aead": "aes-gcm-128", "icv": icv}
    for implicit_iv in (False, True):
        tail = ", implicit IV" if implicit_iv else ""
        yield f"IPv6 outside{tail}", {"outer": 6, "implicit_iv": implicit_iv}
        for outer in (4, 6):
            yield (f"UDP over IPv{outer}{tail}",
                   {"outer": outer, "encap": (4500, 61234), "implicit_iv": implicit_iv})
        yield f"padded to 300 octets{tail}", {"tfc": {"pad_to": 300}, "implicit_iv": implicit_iv}


FORMS = [(label, Tunnel(n, lanes=5, **arguments)) for n, (label, arguments) in enumerate(forms(), 1)]


def arrivals_of(t):
    """A length for each packet, and the subspace number that the peer sends it by: ids in turn."""
    return [(length, xsn(i % 5, 1 + i // 5)) for i, length in enumerate(LENGTHS)]


@once
def all_forms():
    lan, wan = [], []
    for _, t in FORMS:
        for i, length in enumerate(LENGTHS):
            lan.append(to_lan(from_lan(t.n, bytes(length), version=4 if length % 2 else 6, number=i + 1)))
        for length, seq in arrivals_of(t):
            wan.append(to_wan(t.seal(from_far(t.n, bytes(length), version=4 if length % 2 else 6), seq)))
    done = run(with_tunnels(*(t for _, t in FORMS)), wan=wan, lan=lan)
    same(done.drops, {}, "drops")
    return done


def slice_of(packets, t):
    begin = (t.n - 1) * len(LENGTHS)
    return packets[begin:begin + len(LENGTHS)]


def form_out(t):
    numbers = []
    for i, (length, packet) in enumerate(zip(LENGTHS, slice_of(all_forms().wan, t))):
        want = aged(from_lan(t.n, bytes(length), version=4 if length % 2 else 6, number=i + 1))
        payload, next_header, seq, _ = t.open(packet)
        same((payload[:len(want)], next_header), (want, 4 if length % 2 else 41), f"inner packet of payload {length}")
        same(payload[len(want):], bytes(len(payload) - len(want)), "what hides its length")
        if "tfc" not in t.options:
            same(len(t.strip(packet)), t.esp["out"].length(len(want)), f"ESP length of payload {length}")
        numbers.append(seq)
    check(len(check_numbers(numbers, 5, t.name)) > 1, "all flows go by one lane")
    same(all_forms().sa(f"{t.name}.out")["packets"], len(LENGTHS), "packets counted on the SA")


def form_in(t):
    want = [aged(from_far(t.n, bytes(length), version=4 if length % 2 else 6)) for length in LENGTHS]
    same_packets(slice_of(all_forms().lan, t), want, "packets inside")
    same(all_forms().sa(f"{t.name}.in")["packets"], len(LENGTHS), "packets counted on the SA")


for label, tunnel in FORMS:
    add_case(f"{label}: the peer reads all that the gateway sends", lambda t=tunnel: form_out(t))
    add_case(f"{label}: the gateway reads all that the peer sends", lambda t=tunnel: form_in(t))


def transport(version, implicit_iv, **more):
    t = Tunnel(1, mode="transport", selectors=False, lanes=4, implicit_iv=implicit_iv, **more)
    t.local, t.remote = host(version, 1, 1), host(version, 2, 1)
    t.outer = version
    bits = 32 if version == 4 else 128
    t.options.update(local_nets=[f"{t.local}/{bits}"], remote_nets=[f"{t.remote}/{bits}"])
    return t


def transport_both(version, implicit_iv, **more):
    t = transport(version, implicit_iv, **more)
    here = [udp(t.local, t.remote, b"here"), tcp(t.local, t.remote, b"here")]
    there = [udp(t.remote, t.local, b"there"), tcp(t.remote, t.local, b"there")]
    size = 20 if version == 4 else 40
    into = [t.seal(p[size:], xsn(3 - i, 7), next_header=17 if i == 0 else 6) for i, p in enumerate(there)]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in here], wan=[to_wan(p) for p in into])
    same(done.drops, {}, "drops")
    want = [p if "encap" in more and p[6 if version == 6 else 9] == 17 else p for p in (aged(p) for p in there)]
    if "encap" in more and version == 4:
        want[0] = want[0][:26] + b"\0\0" + want[0][28:]  # RFC 3948 section 3.1.2: UDP's may be left out
    same_packets(done.lan, want, "packets from the peer")
    opened = [t.open(p) for p in done.wan]
    same([p[0] for p in opened], [p[size:] for p in here], "payloads to the peer")
    same([p[1] for p in opened], [17, 6], "next headers")
    check_numbers([p[2] for p in opened], 4, "transport")


for version in (4, 6):
    for iiv in (False, True):
        for more in ({}, {"encap": (4500, 4500)}):
            add_case(f"transport mode, IPv{version}{', implicit IV' if iiv else ''}{', in UDP' if more else ''}: both ways",
                     lambda v=version, i=iiv, m=more: transport_both(v, i, **m))


def inner(t, seq):
    return from_far(t.n, b"number %x" % seq)


def arrivals(*steps):
    """steps: (id, number) in the order of arrival; one in a list must not pass."""
    def build(t):
        into, red = [], []
        for step in steps:
            seq = xsn(*(step[0] if isinstance(step, list) else step))
            into.append(t.seal(inner(t, seq), seq))
            if not isinstance(step, list):
                red.append(aged(inner(t, seq)))
        return into, red
    return build


def changed(seq, change, *good):
    """A packet of that number that somebody on the way changed; those after it pass."""
    def build(t):
        esp = bytearray(t.esp["in"].seal(seq, inner(t, seq), 4))
        change(esp)
        return [t.carry(bytes(esp)), *(t.seal(inner(t, g), g) for g in good)], [aged(inner(t, g)) for g in good]
    return build


def put(at, octets):
    def change(esp):
        esp[at:at + len(octets)] = octets
    return change


def cut_to(size):
    def change(esp):
        del esp[size:]
    return change


def cut_by(size):
    def change(esp):
        del esp[-size:]
    return change


def forged_ids(t):
    """Packets of a thousand ids with an ICV that does not hold; then a good one of each of the first ten."""
    def forged(lane):
        esp = bytearray(t.esp["in"].seal(xsn(lane, 1), inner(t, xsn(lane, 1)), 4))
        esp[-1] ^= 1
        return t.carry(bytes(esp))
    good = [xsn(lane, 1) for lane in range(10)]
    return ([forged(lane) for lane in range(1000)] + [t.seal(inner(t, seq), seq) for seq in good],
            [aged(inner(t, seq)) for seq in good])


def edges(size):
    """The window of one id at its left edge, while another's stands elsewhere."""
    top = 5 * size
    return Row(f"window {size}: T-W+1 passes and T-W drops, for each id by itself",
               arrivals((3, top), (4, 7), (3, top - size + 1), [(3, top - size)], (4, 1), (3, top - size + 2),
                        [(3, top - size + 1)], [(4, 7)], (4, 6)),
               {"replay_old": 1, "replay_dup": 2}, sa_packets=6, lanes=8, replay_window=size)


for implicit_iv in (True, False):
    some = {"lanes": 8, "implicit_iv": implicit_iv}
    tail = ", implicit IV" if implicit_iv else ""
    least = 12 + (0 if implicit_iv else 8) + 2 + 16
    add_rows(f"subspaces{tail}", [
        Row(f"ids 0 to 7 of 8 pass, in any order{tail}", arrivals(*((i * 3 % 8, n) for n in (1, 2, 900) for i in range(8))),
            sa_packets=24, **some),
        Row(f"id 8 of 8 drops subspace_unknown{tail}", arrivals((0, 1), [(8, 1)], [(8, 1)], (7, 1)),
            {"subspace_unknown": 2}, **some),
        Row(f"id 65535 drops subspace_unknown{tail}", arrivals([(65535, 1)], [(65535, 0)], (0, 1)),
            {"subspace_unknown": 2}, **some),
        Row(f"number 0 of an id drops replay_zero, before its window is there and after{tail}",
            arrivals([(2, 0)], (2, 1), [(2, 0)], [(0, 0)]), {"replay_zero": 3}, **some),
        Row(f"a packet again drops replay_dup, and the same number of another id passes{tail}",
            arrivals((1, 5), [(1, 5)], (2, 5), [(2, 5)], (0, 5)), {"replay_dup": 2}, sa_packets=3, **some),
        Row(f"the first packet of an id again in one burst passes once{tail}",
            arrivals((6, 77), [(6, 77)], [(6, 77)], (6, 76), (6, 78)), {"replay_dup": 2}, sa_packets=3, **some),
        Row(f"numbers before the first that came pass, as far as the window reaches{tail}",
            arrivals((5, 1024), (5, 1), [(5, 1)], (5, 1025), [(5, 1)], (5, 2)), {"replay_dup": 1, "replay_old": 1},
            **some),
        Row(f"the last number of an id passes, none is behind it{tail}",
            arrivals((4, LAST - 1), (4, LAST), [(4, LAST)], (5, 1), [(4, 1)]), {"replay_dup": 1, "replay_old": 1}, **some),
        Row(f"an id changed on the way drops icv_fail{tail}", changed(
            xsn(1, 5), put(4, struct.pack("!H", 2) if implicit_iv else b"\0\2"), xsn(1, 5), xsn(2, 5)),
            {"icv_fail" if implicit_iv else "sub_iv_mismatch": 1}, **some),
        Row(f"an id changed in every place drops icv_fail{tail}", changed(
            xsn(1, 5), lambda esp, i=implicit_iv: (put(4, b"\0\2")(esp), None if i else put(12, b"\0\2")(esp)),
            xsn(1, 5), xsn(2, 5)), {"icv_fail": 1}, **some),
        Row(f"a number changed in every place drops icv_fail{tail}", changed(
            xsn(1, 5), lambda esp, i=implicit_iv: (put(11, b"\6")(esp), None if i else put(19, b"\6")(esp)),
            xsn(1, 6), xsn(1, 5)), {"icv_fail": 1}, **some),
        Row(f"a forged number far ahead does not move its window{tail}", changed(
            xsn(1, 1 << 40), lambda esp: put(len(esp) - 1, bytes([esp[-1] ^ 1]))(esp), xsn(1, 1), xsn(1, 2)),
            {"icv_fail": 1}, **some),
        *[Row(f"{size} octets of ESP drop {why}{tail}", changed(xsn(1, 1), cut_to(size), xsn(1, 1)), {why: 1}, **some)
          for size, why in [(8, "sub_short"), (11, "sub_short"), (12, "sub_short"), (13, "sub_short"),
                            (least - 1, "sub_short"), (least, "esp_length"), (least + 1, "esp_length"),
                            (least + 2, "icv_fail")]],
        Row(f"an octet too few drops esp_length{tail}", changed(xsn(1, 1), cut_by(1), xsn(1, 1)), {"esp_length": 1}, **some),
        edges(32), edges(33), edges(64), edges(1024), edges(4096), edges(65536),
        Row(f"window 0 takes what comes, but no id beyond{tail}",
            arrivals((1, 5), (1, 5), (1, 4), (0, 900), (0, 3), [(8, 1)]), {"subspace_unknown": 1}, sa_packets=5,
            replay_window=0, **some),
        Row(f"replay_top is of id 0 alone{tail}", arrivals([(0, 100)], [(0, 99)], (0, 101), (1, 99), (1, 100)),
            {"replay_dup": 2}, into={"replay_top": 100}, **some),
        Row(f"a thousand forged ids, and the good ones behind them{tail}", forged_ids, {"icv_fail": 1000}, sa_packets=10,
            lanes=1000, implicit_iv=implicit_iv),
    ])

add_rows("explicit IV", [
    Row("an IV that is not the number drops sub_iv_mismatch", changed(xsn(2, 9), put(12, bytes(8)), xsn(2, 9)),
        {"sub_iv_mismatch": 1}, lanes=4),
    Row("nor one that the sender made so, under a good ICV", lambda t: (
        [t.carry(t.esp["in"].seal(xsn(2, 9), inner(t, xsn(2, 9)), 4, iv=bytes(8))), t.seal(inner(t, 1), 1)],
        [aged(inner(t, 1))]), {"sub_iv_mismatch": 1}, lanes=4),
])

# A packet at a time: the window is there when the second one comes.
add_rows("one by one", [
    Row("a replay is told as one, whatever its IV says", lambda t: (
        [t.seal(inner(t, 5), 5), t.carry(t.esp["in"].seal(5, inner(t, 5), 4, iv=bytes(8)))], [aged(inner(t, 5))]),
        {"replay_dup": 1}, lanes=4),
], arguments=["--burst", "1"])


@case("a classic packet on an SA with subspaces, and the reverse, drop")
def formats_apart():
    for lanes, want in ((4, {"sub_iv_mismatch"}), (None, {"icv_fail", "esp_length", "replay_zero"})):
        t, other = Tunnel(1, lanes=lanes), Tunnel(1, lanes=None if lanes else 4)
        done = run(with_tunnels(t), wan=[to_wan(other.seal(inner(t, n), n)) for n in range(1, 9)])
        same((done.lan, sum(done.drops.values())), ([], 8), "packets on the red side, and drops")
        check(set(done.drops) <= want, f"drops {done.drops}")


@case("the other end of a tunnel does not open what names an id that is not its own")
def changed_id_out():
    t = Tunnel(1, lanes=4)
    done = run(with_tunnels(t), lan=[to_lan(from_lan(1))])
    esp = bytearray(t.strip(done.wan[0]))
    esp[5] ^= 1
    esp[13] ^= 1
    try:
        t.esp["out"].open(bytes(esp))
    except BadIcv:
        return
    raise Failure("opened under another id")


if __name__ == "__main__":
    main()
