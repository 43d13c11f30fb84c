#!/usr/bin/python3
"""Packets that are authentic but wrong inside: the peer is broken or hostile (rows A2)."""
import struct

from gw import (BLACK, Tunnel, aged, checksum, from_far, host, ip, laboratory, parse, run, same_packets, to_wan, udp,
                with_tunnels)
from rows import Row, add_rows
from tap import case, check, main, same


def then_good(tunnel, seq, *bad):
    """A bad packet or some, then a good one: the bad ones leave nothing behind that harms it."""
    good = from_far(tunnel.n, b"and a good one")
    return [*bad, tunnel.seal(good, seq)], [aged(good)]


def bad(make, **seal):
    """A row's packets from one inner packet; what `seal` says is done to its ESP."""
    def build(tunnel):
        inner = make(tunnel.n)
        chosen = {"next_header": 41 if inner[:1] >= b"\x60" else 4, **seal}
        return then_good(tunnel, 2, tunnel.seal(inner, 1, **chosen))
    return build


def cut_total(value):
    """An inner IPv4 packet whose total length says `value`, with a right checksum."""
    def make(n):
        packet = bytearray(from_far(n, b"0123456789"))
        packet[2:4] = struct.pack("!H", value)
        packet[10:12] = b"\0\0"
        packet[10:12] = struct.pack("!H", checksum(bytes(packet[:20])))
        return bytes(packet)
    return make


def with_ihl(words):
    def make(n):
        packet = bytearray(from_far(n, b"0123456789"))
        packet[0] = 0x40 | words
        packet[10:12] = b"\0\0"
        size = min(max(words * 4, 20), len(packet))
        packet[10:12] = struct.pack("!H", checksum(bytes(packet[:size])))
        return bytes(packet)
    return make


def long_v6(n):
    packet = bytearray(from_far(n, b"0123456789", version=6))
    packet[4:6] = struct.pack("!H", len(packet) - 40 + 1)
    return bytes(packet)


def wrong_sum(n):
    packet = bytearray(from_far(n))
    packet[10] ^= 0x40
    return bytes(packet)


def dummy(tunnel):
    packets, red = then_good(tunnel, 2, tunnel.seal(b"any octets at all", 1, 59))
    return [*packets, tunnel.seal(b"again", 1, 59)], red


def both_families(tunnel):
    inner = [from_far(tunnel.n), from_far(tunnel.n, version=6)]
    return [tunnel.seal(p, i) for i, p in enumerate(inner, 1)], [aged(p) for p in inner]


def trailing(version):
    """Octets behind the inner packet: traffic flow confidentiality, up to what a segment holds."""
    def build(tunnel):
        inner = from_far(tunnel.n, b"short", version=version)
        sizes = [1, 2, 3, 7, 40, 255, 256, 1000, 1446 - len(inner)]
        kind = 4 if version == 4 else 41
        return ([tunnel.seal(inner + b"\xa5" * size, i, kind) for i, size in enumerate(sizes, 1)],
                [aged(inner)] * len(sizes))
    return build


def of(src, dst):
    """An inner packet with these addresses; None = the row's own."""
    def make(n):
        version = 6 if ":" in (src or "") + (dst or "") else 4
        return udp(src or host(version, 2, n), dst or host(version, 1, n), b"payload")
    return make


add_rows("A2", [
    Row("A2.1 a pad length beyond the packet drops esp_padding",
        bad(from_far, pad_len=255), {"esp_padding": 1}),
    Row("A2.1 a pad length one more than all that is left drops esp_padding",
        lambda t: then_good(t, 2, t.seal(b"", 1, 4, padding=b"\1\2", pad_len=3)), {"esp_padding": 1}),
    Row("A2.2 padding that is not 1, 2, 3 … drops esp_padding",
        bad(lambda n: from_far(n, b"1"), padding=b"\1\2\4\4\5"), {"esp_padding": 1}),
    Row("A2.2 padding of zeros drops esp_padding",
        bad(lambda n: from_far(n, b"1"), padding=bytes(5)), {"esp_padding": 1}),
    Row("A2.2 more padding than needed, 1 to 253, is fine",
        lambda t: ([t.seal(from_far(t.n, b"1"), 1, padding=bytes(range(1, 254)))], [aged(from_far(t.n, b"1"))])),
    Row("A2.3 a dummy packet is consumed, counts in the window, and its replay drops replay_dup",
        dummy, {"replay_dup": 1}, consumed=1),
    *[Row(f"A2.4 next header {number} ({name}) on a tunnel SA drops next_header",
          bad(from_far, next_header=number), {"next_header": 1})
      for number, name in ((6, "TCP"), (17, "UDP"), (50, "ESP"), (51, "AH"), (1, "ICMP"), (58, "ICMPv6"),
                           (144, "AGGFRAG"), (108, "IPComp"), (0, "hop-by-hop"), (255, "reserved"))],
    Row("A2.5 next header 4 with version 6 inside drops inner_malformed",
        bad(lambda n: from_far(n, version=6), next_header=4), {"inner_malformed": 1}),
    Row("A2.5 next header 41 with version 4 inside drops inner_malformed",
        bad(from_far, next_header=41), {"inner_malformed": 1}),
    Row("A2.5 both families through one SA that allows both are accepted", both_families),
    Row("A2.6 an inner total length of 0 drops inner_malformed", bad(cut_total(0)), {"inner_malformed": 1}),
    Row("A2.6 an inner total length of 19 drops inner_malformed", bad(cut_total(19)), {"inner_malformed": 1}),
    Row("A2.6 an inner total length one over the data drops inner_malformed", bad(cut_total(39)), {"inner_malformed": 1}),
    Row("A2.6 an inner total length of 65535 drops inner_malformed", bad(cut_total(65535)), {"inner_malformed": 1}),
    Row("A2.6 an inner header length of 4 words drops inner_malformed", bad(with_ihl(4)), {"inner_malformed": 1}),
    Row("A2.6 an inner header longer than the packet drops inner_malformed", bad(with_ihl(15)), {"inner_malformed": 1}),
    Row("A2.6 an inner IPv6 payload length over the data drops inner_malformed", bad(long_v6), {"inner_malformed": 1}),
    Row("A2.6 an inner IPv4 header cut short drops inner_malformed",
        bad(lambda n: from_far(n)[:19]), {"inner_malformed": 1}),
    Row("A2.6 an inner IPv6 header cut short drops inner_malformed",
        bad(lambda n: from_far(n, version=6)[:39]), {"inner_malformed": 1}),
    Row("A2.6 an empty payload drops inner_malformed", bad(lambda n: b""), {"inner_malformed": 1}),
    Row("A2.6 an inner packet of version 5 drops inner_malformed",
        bad(lambda n: b"\x55" + from_far(n)[1:], next_header=4), {"inner_malformed": 1}),
    Row("A2.7 octets behind an inner IPv4 packet are cut off", trailing(4)),
    Row("A2.7 octets behind an inner IPv6 packet are cut off", trailing(6), outer=4),
    Row("A2.8 a wrong inner IPv4 checksum drops inner_checksum", bad(wrong_sum), {"inner_checksum": 1}),
    Row("A2.9 an inner source outside the SA's networks drops policy_selector",
        bad(of("10.3.0.1", None)), {"policy_selector": 1}),
    Row("A2.9 an inner destination outside the SA's networks drops policy_selector",
        bad(of(None, "10.3.0.1")), {"policy_selector": 1}),
    Row("A2.9 an inner IPv6 source outside the SA's networks drops policy_selector",
        bad(of("fd03::1", None)), {"policy_selector": 1}),
    Row("A2.9 a loopback source inside drops policy_selector", bad(of("127.0.0.1", None)), {"policy_selector": 1}),
    Row("A2.9 a loopback destination inside drops policy_selector", bad(of(None, "127.0.0.1")), {"policy_selector": 1}),
    Row("A2.9 the gateway's own address as inner destination drops policy_selector",
        bad(of(None, BLACK[4])), {"policy_selector": 1}),
    Row("A2.9 the gateway's own address as inner source drops policy_selector",
        bad(of(BLACK[4], None)), {"policy_selector": 1}),
    Row("A2.9 source and destination of another SA's networks drop policy_selector",
        bad(of(host(4, 2, 1), host(4, 1, 1))), {"policy_selector": 1}),
    Row("A2.13 an inner ESP packet to the gateway itself is not opened again: policy_selector",
        lambda t: then_good(t, 2, t.seal(t.seal(from_far(t.n), 5), 1)), {"policy_selector": 1}),
])


@case("A2.10 a later inner fragment, where the policy asks for ports, gets what its first one got; with none it drops frag_ports")
def fragments_and_ports():
    tunnel = Tunnel(1, selectors=False)
    policy = {"name": "dns", "direction": "in", "src": "10.2.1.0/24", "dst": "10.1.1.0/24", "protocol": "udp",
              "dst_port": 53, "action": "protect", "sa": "t1.in"}
    config = {**laboratory(), "sas": tunnel.sas(), "policies": [policy]}
    first = udp(host(4, 2, 1), host(4, 1, 1), bytes(24), dport=53, mf=1, ident=7)
    later = ip(host(4, 2, 1), host(4, 1, 1), 17, b"\0\x35\0\x35" * 6, offset=4, ident=7)
    stray = ip(host(4, 2, 1), host(4, 1, 1), 17, b"\0\x35\0\x35" * 6, offset=4, ident=8)
    whole = udp(host(4, 2, 1), host(4, 1, 1), b"ask", dport=53)
    other = udp(host(4, 2, 1), host(4, 1, 1), b"ask", dport=54)
    done = run(config, wan=[to_wan(tunnel.seal(p, i)) for i, p in enumerate((first, later, stray, whole, other), 1)])
    same(done.drops, {"frag_ports": 1, "policy_selector": 1}, "drops")
    same_packets(sorted(done.lan), sorted(aged(p) for p in (first, later, whole)), "packets on the red side")


def ttl_used_up(version, ttl):
    tunnel = Tunnel(1)
    inner = from_far(1, version=version, ttl=ttl)
    done = run(with_tunnels(tunnel), wan=[to_wan(tunnel.seal(inner, 1))])
    same(done.drops, {"ttl": 1}, "drops")
    same_packets(done.lan, [], "packets on the red side")
    same(len(done.wan), 1, "packets on the black side")
    answer = parse(tunnel.open(done.wan[0])[0])
    same((answer["dst"], answer["proto"]), (host(version, 2, 1), 1 if version == 4 else 58), "the answer's addressee")
    same(answer["payload"][:2], b"\x0b\0" if version == 4 else b"\3\0", "ICMP type and code")
    check(inner[:40 if version == 6 else 28] in answer["payload"], "the answer does not quote the packet")


@case("A2.11 an inner TTL of 1 drops ttl, and time exceeded goes back through the tunnel")
def ttl_one():
    ttl_used_up(4, 1)


@case("A2.11 an inner hop limit of 1 drops ttl, and time exceeded goes back through the tunnel")
def hop_limit_one():
    ttl_used_up(6, 1)


@case("A2.11 an inner TTL of 0 drops ttl")
def ttl_zero():
    tunnel = Tunnel(1)
    done = run(with_tunnels(tunnel), wan=[to_wan(tunnel.seal(from_far(1, ttl=0), 1))])
    same((done.drops, done.lan), ({"ttl": 1}, []), "drops and packets on the red side")


def too_big_for_red(version):
    tunnel = Tunnel(1)
    config = with_tunnels(tunnel)
    config["ports"][1]["mtu"] = 1400
    inner = from_far(1, bytes(1401 - (28 if version == 4 else 48)), version=version, df=1)
    fits = from_far(1, bytes(1400 - (28 if version == 4 else 48)), version=version, df=1)
    done = run(config, wan=[to_wan(tunnel.seal(p, i)) for i, p in enumerate((inner, fits), 1)])
    same(done.drops, {"too_big": 1}, "drops")
    same_packets(done.lan, [aged(fits)], "packets on the red side")
    same(len(done.wan), 1, "packets on the black side")
    answer = parse(tunnel.open(done.wan[0])[0])
    same(answer["dst"], host(version, 2, 1), "the answer's addressee")
    same(answer["payload"][:2], b"\3\4" if version == 4 else b"\2\0", "ICMP type and code")
    same(struct.unpack("!I", answer["payload"][4:8])[0] & 0xffff, 1400, "MTU in the answer")


@case("A2.12 an inner IPv4 packet with DF over the red port's MTU drops too_big and is answered through the tunnel")
def too_big_v4():
    too_big_for_red(4)


@case("A2.12 an inner IPv6 packet over the red port's MTU drops too_big and is answered through the tunnel")
def too_big_v6():
    too_big_for_red(6)


if __name__ == "__main__":
    main()
