#!/usr/bin/python3
"""Frames and outer headers that are wrong, and ESP that is not authentic (rows A1, A7)."""
import struct

from esp import Esp
from gw import (BLACK, PEER, WAN_MAC, WAN_NEXT, Tunnel, aged, frame, from_far, from_lan, host, ip, key_of, run, same_packets,
                to_lan, to_wan, udp, udp_header, with_tunnels)
from rows import Row, add_rows
from tap import add_case, case, main, same

GOOD = from_far(1, b"a good one")


def drops_alone(what, make, want, tunnel=None, patch=None, **more):
    """A case of its own run: the frames that make(tunnel) gives move just these counters, and a good packet passes."""
    def body():
        chosen = tunnel() if tunnel else Tunnel(1)
        config = with_tunnels(chosen)
        if patch:
            patch(config)
        frames = make(chosen)
        done = run(config, wan=[*frames, to_wan(chosen.seal(GOOD, 1000))], **more)
        same(done.drops, want, "drops")
        same_packets(done.lan, [aged(GOOD)], "packets on the red side")
        same_packets(done.wan, [], "packets on the black side")
    add_case(what, body)


def sealed(t, seq=1):
    return t.seal(from_far(t.n, b"payload"), seq)


def esp_of(t, seq=1, **more):
    return t.esp["in"].seal(seq, from_far(t.n, b"payload"), 4, **more)


def outer(t, esp=None, **fields):
    return to_wan(ip(t.remote, t.local, 50, esp_of(t) if esp is None else esp, **fields))


def v6():
    return Tunnel(1, outer=6)


def ext(next_header, octets=6):
    """An IPv6 extension header of options: padding only."""
    size = (octets + 2 + 7) // 8 * 8
    pad = size - 4
    return bytes([next_header, size // 8 - 1, 1, pad]) + bytes(pad)


def later(config):
    config["ports"][0]["addresses"].append("192.0.2.7/24")


MALFORMED = {"outer_malformed": 1}
drops_alone("A1.1 an IPv4 header length of 4 words drops outer_malformed", lambda t: [outer(t, ihl=4)], MALFORMED)
drops_alone("A1.1 an IPv4 header longer than its packet drops outer_malformed",
            lambda t: [to_wan(ip(t.remote, t.local, 50, b"", ihl=15) + bytes(20))], MALFORMED)
drops_alone("A1.1 a total length below the header's drops outer_malformed", lambda t: [outer(t, total=19)], MALFORMED)
drops_alone("A1.1 a total length of 0 drops outer_malformed", lambda t: [outer(t, total=0)], MALFORMED)
drops_alone("A1.1 a total length over the frame drops outer_malformed",
            lambda t: [outer(t, total=20 + len(esp_of(t)) + 1)], MALFORMED)
drops_alone("A1.1 a wrong IPv4 header checksum drops outer_checksum",
            lambda t: [outer(t, wrong_sum=True)], {"outer_checksum": 1})
drops_alone("A1.1 an IPv6 payload longer than the frame drops outer_malformed",
            lambda t: [outer(t, total=len(esp_of(t)) + 1)], MALFORMED, tunnel=v6)
drops_alone("A1.1 an IPv4 header cut short by the frame drops outer_malformed",
            lambda t: [to_wan(sealed(t)[:n]) for n in (0, 1, 10, 19)], {"outer_malformed": 4})
drops_alone("A1.1 an IPv6 header cut short by the frame drops outer_malformed",
            lambda t: [frame(sealed(t)[:n], WAN_MAC, WAN_NEXT, kind=0x86dd) for n in (0, 1, 39)],
            {"outer_malformed": 3}, tunnel=v6)
drops_alone("A1.1 an EtherType of IPv4 around version 6 drops outer_malformed",
            lambda t: [frame(sealed(t), WAN_MAC, WAN_NEXT, kind=0x0800)], MALFORMED, tunnel=v6)
drops_alone("a frame for another station drops not_ours",
            lambda t: [frame(sealed(t), "02:00:00:00:00:99", WAN_NEXT)], {"not_ours": 1})
drops_alone("a VLAN-tagged frame drops vlan",
            lambda t: [frame(struct.pack("!HH", 5, 0x0800) + sealed(t), WAN_MAC, WAN_NEXT, kind=0x8100)], {"vlan": 1})
drops_alone("a QinQ-tagged frame drops vlan",
            lambda t: [frame(struct.pack("!HH", 5, 0x0800) + sealed(t), WAN_MAC, WAN_NEXT, kind=0x88a8)], {"vlan": 1})
drops_alone("ARP, which nobody here wants, drops not_ip",
            lambda t: [frame(bytes(28), "ff:ff:ff:ff:ff:ff", WAN_NEXT, kind=0x0806)], {"not_ip": 1})
drops_alone("an unknown EtherType drops not_ip",
            lambda t: [frame(bytes(46), WAN_MAC, WAN_NEXT, kind=0x88cc)], {"not_ip": 1})

drops_alone("A1.3 a chain of IPv6 headers without end drops outer_malformed",
            lambda t: [to_wan(ip(t.remote, t.local, 60, ext(60) * 60 + ext(50) + esp_of(t)))], MALFORMED, tunnel=v6)
drops_alone("A1.3 an IPv6 header whose length runs over the packet drops outer_malformed",
            lambda t: [to_wan(ip(t.remote, t.local, 60, bytes([50, 255]) + bytes(30)))], MALFORMED, tunnel=v6)
drops_alone("A1.4 ESP of 0 to 33 octets, shorter than header, IV, trailer and ICV, drops esp_short",
            lambda t: [outer(t, esp_of(t)[:n]) for n in range(34)], {"esp_short": 34})
drops_alone("A1.4 likewise inside IPv6",
            lambda t: [outer(t, esp_of(t)[:n]) for n in range(34)], {"esp_short": 34}, tunnel=v6)
for name, spi in (("0", 0), ("1", 1), ("255", 255), ("unknown", 0x77777777),
                  ("byte-swapped", int.from_bytes((0x20001).to_bytes(4, "little"), "big")),
                  ("of the outbound SA", 0x10001)):
    drops_alone(f"A1.6 SPI {name} drops no_sa",
                lambda t, spi=spi: [outer(t, struct.pack("!I", spi) + esp_of(t)[4:])], {"no_sa": 1})
drops_alone("A1.6 a known SPI at another of our addresses drops no_sa",
            lambda t: [to_wan(t.carry(esp_of(t), dst="192.0.2.7"))], {"no_sa": 1}, patch=later)
drops_alone("A1.6 a known SPI at our address of the other family drops no_sa",
            lambda t: [to_wan(ip(PEER[6], BLACK[6], 50, esp_of(t)))], {"no_sa": 1})
drops_alone("a first and a later fragment of ESP that are not of one datagram drop frag_timeout",
            lambda t: [outer(t, mf=1, ident=1), outer(t, offset=2, ident=2)], {"frag_timeout": 2})
drops_alone("a first and a later IPv6 fragment of ESP that are not of one datagram drop frag_timeout",
            lambda t: [to_wan(ip(t.remote, t.local, 44, struct.pack("!BBHI", 50, 0, bits, bits) + esp_of(t)))
                       for bits in (1, 16)], {"frag_timeout": 2}, tunnel=v6)


CLEAR = {"policy_cleartext": 1}
drops_alone("A1.13 a clear packet on the black port that a protect policy covers drops policy_cleartext",
            lambda t: [to_wan(from_far(1))], CLEAR)
drops_alone("A1.13 likewise for IPv6", lambda t: [to_wan(from_far(1, version=6))], CLEAR)
drops_alone("A1.13 a clear packet for an inner address, from anywhere, drops policy_cleartext",
            lambda t: [to_wan(udp("203.0.113.9", host(4, 1, 1)))], CLEAR)
drops_alone("A1.13 a clear packet with an inner source drops policy_cleartext",
            lambda t: [to_wan(udp(host(4, 1, 1), host(4, 1, 2)))], CLEAR)
drops_alone("A1.13 a clear multicast packet on the black port drops policy_cleartext",
            lambda t: [frame(udp("203.0.113.9", "224.0.0.251"), "01:00:5e:00:00:fb", WAN_NEXT)], CLEAR)
drops_alone("A1.13 a clear broadcast packet on the black port drops policy_cleartext",
            lambda t: [frame(udp("203.0.113.9", "255.255.255.255"), "ff:ff:ff:ff:ff:ff", WAN_NEXT)], CLEAR)
drops_alone("A1.13 a clear packet with our own source on the black port drops policy_cleartext",
            lambda t: [to_wan(udp(BLACK[4], host(4, 1, 1)))], CLEAR)


def accepted(tunnel, packets, want):
    done = run(with_tunnels(tunnel), wan=packets)
    same((done.drops, done.lan), ({}, want), "drops and packets on the red side")


@case("A1.2 octets behind the IP packet in its frame are no part of it, IPv4 and IPv6")
def ethernet_padding():
    for t in (Tunnel(1), v6()):
        accepted(t, [to_wan(sealed(t, n)) + b"\xee" * n for n in (1, 6, 46, 100)], [aged(from_far(1, b"payload"))] * 4)


@case("A1.7 a flood of unknown SPIs, 50 to one, costs the good packets between them nothing")
def flood():
    t = Tunnel(1)
    unknown = to_wan(ip(t.remote, t.local, 50, struct.pack(">II", 0xDEADBEEF, 1) + bytes(64)))
    frames = []
    for seq in range(1, 201):
        frames += [unknown] * 50 + [to_wan(sealed(t, seq))]
    done = run(with_tunnels(t), wan=frames)
    same(done.drops, {"no_sa": 10_000}, "drops")
    same_packets(done.lan, [aged(from_far(1, b"payload"))] * 200, "packets on the red side")


@case("A1.3 ESP behind IPv4 options is found")
def ipv4_options():
    t = Tunnel(1)
    options = [b"\1" * 4, b"\x94\4\0\0", b"\1" * 40]
    accepted(t, [outer(t, esp_of(t, i), options=o) for i, o in enumerate(options, 1)],
             [aged(from_far(1, b"payload"))] * len(options))


@case("A1.3 ESP behind hop-by-hop and destination options is found")
def ipv6_options():
    t = v6()
    chains = [(0, ext(50)), (60, ext(50)), (0, ext(60) + ext(50)), (0, ext(60, 200) + ext(60) + ext(50, 30))]
    accepted(t, [to_wan(ip(t.remote, t.local, proto, chain + esp_of(t, i))) for i, (proto, chain) in enumerate(chains, 1)],
             [aged(from_far(1, b"payload"))] * len(chains))


def jumbo(version):
    t = Tunnel(1, outer=version, path_mtu=9000)
    config = with_tunnels(t)
    for port in config["ports"]:
        port["mtu"] = 9000
    sizes = [1, 1472, 1473, 1900, 2000, 2020, 2048, 2176, 4000, 8000, 8890]
    lan = [to_lan(from_lan(1, bytes(s % 256 for s in range(size)))) for size in sizes]
    wan = [to_wan(t.seal(from_far(1, bytes(s % 256 for s in range(size))), i)) for i, size in enumerate(sizes, 1)]
    done = run(config, wan=wan, lan=lan)
    same(done.drops, {}, "drops")
    same_packets([t.open(p)[0] for p in done.wan], [aged(p[14:]) for p in lan], "packets through the tunnel")
    same_packets(done.lan, [aged(from_far(1, bytes(s % 256 for s in range(size)))) for size in sizes], "packets out of it")


@case("A1.11 packets of up to 8,890 octets of data pass both ways on ports with an MTU of 9000")
def jumbo_v4():
    jumbo(4)


@case("A1.11 likewise with IPv6 outside")
def jumbo_v6():
    jumbo(6)


SUITES = [{"aead": "aes-gcm-128"}, {"aead": "aes-ccm-128"}, {"aead": "chacha20-poly1305"}, {"aead": "aes-gmac-128"},
          {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}, {"cipher": "aes-ctr-256", "auth": "aes-xcbc-96"},
          {"cipher": "null", "auth": "hmac-sha1-96"}, {"cipher": "aes-cbc-256", "auth": "aes-cmac-96"}]
# Two SPIs here differ in two bits at least: no flip of one bit makes another SA's.
APART = [1, 2, 4, 7, 8, 11, 13, 14]


def flip(packet, bit):
    changed = bytearray(packet)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flipped_bits():
    tunnels = [Tunnel(n, **suite) for n, suite in zip(APART, SUITES)]
    frames, want, bits = [], [], {}
    for t in tunnels:
        inner = from_far(t.n, b"flip me")
        esp = t.esp["in"].seal(100_000, inner, 4)
        bits[t.name] = len(esp) * 8
        frames += [to_wan(t.carry(flip(esp, bit))) for bit in range(len(esp) * 8)]
        frames.append(to_wan(t.carry(esp)))
        want.append(aged(inner))
    done = run(with_tunnels(*tunnels), wan=frames)
    same_packets(done.lan, want, "packets on the red side: the genuine one of each SA, after all its forgeries")
    for t in tunnels:
        same(done.sa_drops(f"{t.name}.in"), {"icv_fail": bits[t.name] - 32}, f"drops of {t.suite}")
    same(done.drops["no_sa"], 32 * len(tunnels), "flips in an SPI")


add_case("A1.8 a bit flipped anywhere, in eight suites: no_sa or icv_fail, and the genuine packet still passes", flipped_bits)


def other_key(t):
    forger = Esp(t.spi["in"], "aes-gcm-128", key_of("somebody else", 20))
    return [t.carry(forger.seal(1, from_far(t.n), 4)), t.seal(from_far(t.n), 1)], [aged(from_far(t.n))]


def other_layout(t):
    forger = Esp(t.spi["in"], "aes-cbc-128", key_of("somebody", 16), "hmac-sha256-128", key_of("else", 32))
    return [t.carry(forger.seal(1, from_far(t.n), 4)), t.seal(from_far(t.n), 1)], [aged(from_far(t.n))]


def changed(change):
    def build(t):
        return [t.carry(change(esp_of(t))), t.seal(from_far(t.n), 1)], [aged(from_far(t.n))]
    return build


CBC = {"cipher": "aes-cbc-128", "auth": "hmac-sha256-128"}
add_rows("A1", [
    Row("A1.5 CBC text that is not whole blocks drops esp_length", changed(lambda e: e[:-4]), {"esp_length": 1}, **CBC),
    Row("A1.5 CBC text one octet too long drops esp_length", changed(lambda e: e + b"x"), {"esp_length": 1}, **CBC),
    Row("A1.5 counter-mode text that is not a multiple of 4 drops esp_length", changed(lambda e: e[:-1]), {"esp_length": 1}),
    Row("A1.9 an ICV cut to 12 octets drops icv_fail", changed(lambda e: e[:-4]), {"icv_fail": 1}),
    Row("A1.9 an ICV cut to 8 octets drops icv_fail", changed(lambda e: e[:-8]), {"icv_fail": 1}),
    Row("A1.9 octets appended drop icv_fail", changed(lambda e: e + b"more"), {"icv_fail": 1}),
    Row("A1.9 another SA's key drops icv_fail", other_key, {"icv_fail": 1}),
    Row("A1.9 another algorithm's layout drops icv_fail or esp_length", other_layout, {("icv_fail", "esp_length"): 1}),
])


def nat(version=4):
    return lambda: Tunnel(1, outer=version, encap=(4500, 4500))


def datagram(t, payload, sport=4500, dport=4500, length=None, total=None):
    """UDP from the peer; length and checksum as they should be unless said."""
    header = bytearray(udp_header(t.remote, t.local, sport, dport, payload, t.outer))
    if length is not None:
        header[4:6] = struct.pack("!H", length)
    if total is not None:
        header[6:8] = struct.pack("!H", total)
    return to_wan(ip(t.remote, t.local, 17, bytes(header) + payload))


def consumed(what, make, version=4):
    def body():
        t = nat(version)()
        done = run(with_tunnels(t), wan=[make(t), to_wan(t.seal(GOOD, 1))])
        same((done.drops, done.lan), ({}, [aged(GOOD)]), "drops and packets on the red side")
        have = done.report["consumed"]
        same(have if isinstance(have, int) else sum(have.values()), 1, "packets consumed")
    add_case(what, body)


consumed("A7.1 one octet 0xff is a NAT keepalive and consumed", lambda t: datagram(t, b"\xff"))
consumed("A7.1 likewise over IPv6", lambda t: datagram(t, b"\xff"), version=6)
consumed("A7.1 likewise from a port that we never saw", lambda t: datagram(t, b"\xff", sport=33333))
drops_alone("A7.2 four zero octets first are IKE: not decrypted, and with nobody to give it to, no_listener",
            lambda t: [datagram(t, bytes(4) + sealed(t)), datagram(t, bytes(4))], {"no_listener": 2}, tunnel=nat())
drops_alone("A7.3 UDP payloads of 0 to 7 octets that are no keepalive drop esp_short",
            lambda t: [datagram(t, b"\xfe" * n) for n in range(8)], {"esp_short": 8}, tunnel=nat())
drops_alone("A7.3 a UDP length below 8 drops udp_malformed",
            lambda t: [datagram(t, esp_of(t), length=n) for n in (0, 7)], {"udp_malformed": 2}, tunnel=nat())
drops_alone("A7.3 a UDP length over the IP payload drops udp_malformed",
            lambda t: [datagram(t, esp_of(t), length=len(esp_of(t)) + 9)], {"udp_malformed": 1}, tunnel=nat())
drops_alone("A7.4 a wrong UDP checksum drops udp_checksum",
            lambda t: [datagram(t, esp_of(t), total=1)], {"udp_checksum": 1}, tunnel=nat())
drops_alone("A7.4 a wrong UDP checksum over IPv6 drops udp_checksum",
            lambda t: [datagram(t, esp_of(t), total=1)], {"udp_checksum": 1}, tunnel=nat(6))
drops_alone("A7.4 no UDP checksum over IPv6 drops udp_checksum",
            lambda t: [datagram(t, esp_of(t), total=0)], {"udp_checksum": 1}, tunnel=nat(6))
drops_alone("A7.5 plain ESP on an SA with UDP encapsulation drops encap_mismatch",
            lambda t: [to_wan(ip(t.remote, t.local, 50, esp_of(t)))], {"encap_mismatch": 1}, tunnel=nat())
drops_alone("A7.5 UDP-encapsulated ESP on an SA without drops encap_mismatch",
            lambda t: [datagram(t, esp_of(t))], {"encap_mismatch": 1})
drops_alone("A7.5 UDP to a port where nobody takes ESP is no ESP: no_listener",
            lambda t: [datagram(t, esp_of(t), dport=4501)], {"no_listener": 1}, tunnel=nat())
drops_alone("A7.6 a forged packet from a new address and port drops icv_fail and moves no answer",
            lambda t: [to_wan(ip("198.51.100.99", t.local, 17, udp_header("198.51.100.99", t.local, 4500, 4500,
                                                                          esp_of(t)[:-1] + b"x", 4) + esp_of(t)[:-1] + b"x"))],
            {"icv_fail": 1}, tunnel=nat())


@case("A7.6 an authentic packet from another port or address of the peer's is accepted, IPv4 and IPv6")
def moved_peer():
    for version, elsewhere in ((4, "198.51.100.99"), (6, "2001:db8:ffff::99")):
        t = nat(version)()
        inner = from_far(1, b"payload")
        esp = esp_of(t, 2)
        there = ip(elsewhere, t.local, 17, udp_header(elsewhere, t.local, 4500, 4500, esp, version) + esp)
        accepted(t, [datagram(t, esp_of(t, 1), sport=61000), to_wan(there), datagram(t, esp_of(t, 3))], [aged(inner)] * 3)


@case("A7.4 a right, non-zero UDP checksum on IPv4 is accepted, and so is none")
def udp_checksums():
    t = nat()()
    with_sum = esp_of(t, 1)
    plain = udp(t.remote, t.local, with_sum, sport=4500, dport=4500)
    accepted(t, [to_wan(plain), datagram(t, esp_of(t, 2), total=0)], [aged(from_far(1, b"payload"))] * 2)


if __name__ == "__main__":
    main()
