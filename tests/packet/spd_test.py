#!/usr/bin/python3
"""Policies in packets: order and overlap, every selector, bypass, discard, the default, and ICMP errors."""
import struct

from gw import (Tunnel, aged, checksum, from_far, from_lan, host, ip, laboratory, parse, run, tcp, to_lan, to_wan, udp,
                upper_sum)
from tap import add_case, case, main, once, same

SAS = [Tunnel(1), Tunnel(2, cipher="aes-cbc-128", auth="hmac-sha256-128")]


def configuration(policies):
    named = [{"name": f"p{i}", **policy} for i, policy in enumerate(policies)]
    return {**laboratory(), "sas": [sa for t in SAS for sa in t.sas()], "policies": named}


def out(action, **selectors):
    """An outbound policy; action is an SA's number, "bypass" or "discard"."""
    chosen = {"action": "protect", "sa": f"t{action}.out"} if isinstance(action, int) else {"action": action}
    return {"direction": "out", "src": "0.0.0.0/0", "dst": "0.0.0.0/0", **selectors, **chosen}


def inbound(action, **selectors):
    chosen = {"action": "protect", "sa": f"t{action}.in"} if isinstance(action, int) else {"action": action}
    return {"direction": "in", "src": "0.0.0.0/0", "dst": "0.0.0.0/0", **selectors, **chosen}


def verdicts(done):
    """Inner packet -> the SA that carried it, or "bypass"."""
    seen = {}
    for packet in done.wan:
        if parse(packet)["proto"] != 50:
            seen[packet] = "bypass"
            continue
        spi = struct.unpack("!I", packet[20:24])[0]
        tunnel = next(t for t in SAS if t.spi["out"] == spi)
        seen[tunnel.open(packet)[0]] = tunnel.n
    return seen


def group(title, policies, cases):
    """cases: (sentence, packet, verdict); a verdict is an SA's number, "bypass" or the name of a drop."""
    @once
    def everything():
        done = run(configuration(policies), lan=[to_lan(packet) for _, packet, _ in cases])
        return done, verdicts(done)

    def judge(packet, want):
        same(everything()[1].get(aged(packet), "dropped"), want if want in (1, 2, "bypass") else "dropped", "verdict")

    def totals():
        want = {}
        for _, _, verdict in cases:
            if verdict not in (1, 2, "bypass"):
                want[verdict] = want.get(verdict, 0) + 1
        same(everything()[0].drops, want, "drops")

    for sentence, packet, want in cases:
        add_case(f"{title}: {sentence}: {want if isinstance(want, str) else f'SA {want}'}",
                 lambda p=packet, w=want: judge(p, w))
    add_case(f"{title}: each packet that no SA took has its one counter", totals)


def p4(src="10.1.0.5", dst="10.2.0.5", make=udp, **more):
    return make(src, dst, b"some text", **more)


group("order", [
    out("discard", src="10.1.3.0/24", dst="10.2.3.7/32"),
    out(1, src="10.1.3.0/24", dst="10.2.3.0/24"),
    out("bypass", src="10.1.0.0/16", dst="10.2.3.0/24"),
    out(2, src="10.1.0.0/16", dst="10.2.0.0/16"),
    out(1, src="10.1.0.0/16", dst="10.0.0.0/8"),
], [
    ("the first of four that match", p4("10.1.3.1", "10.2.3.7"), "policy_discard"),
    ("the second of four that match", p4("10.1.3.1", "10.2.3.8"), 1),
    ("a narrower source fails, the wider one below takes it", p4("10.1.4.1", "10.2.3.7"), "bypass"),
    ("the wide one", p4("10.1.3.1", "10.2.4.7"), 2),
    ("the widest, last", p4("10.1.3.1", "10.3.4.7"), 1),
    ("nothing matches the source", p4("10.9.3.1", "10.2.4.7"), "no_policy"),
    ("nothing matches the destination", p4("10.1.3.1", "192.168.0.1"), "no_policy"),
    ("nothing matches the family", udp("fd01::1", "fd02::1", b"x"), "no_policy"),
])

group("a wide policy before a narrow one wins", [
    out(2, dst="10.2.0.0/16"), out("discard", dst="10.2.3.0/24"),
], [("inside both", p4(dst="10.2.3.4"), 2)])

group("ports", [
    out(1, protocol="udp", dst_port=53),
    out(2, protocol="tcp", dst_port="1000-2000"),
    out("bypass", protocol="tcp", src_port=22),
    out("discard", protocol="udp", src_port="5000-5001", dst_port="6000-6001"),
], [
    ("one UDP port", p4(dport=53, sport=1), 1),
    ("the port below", p4(dport=52, sport=2), "no_policy"),
    ("the port above", p4(dport=54, sport=3), "no_policy"),
    ("the same port of another protocol", p4(dport=53, sport=4, make=tcp), "no_policy"),
    ("the low end of a range", p4(dport=1000, sport=5, make=tcp), 2),
    ("the high end of a range", p4(dport=2000, sport=6, make=tcp), 2),
    ("below the range", p4(dport=999, sport=7, make=tcp), "no_policy"),
    ("above the range", p4(dport=2001, sport=8, make=tcp), "no_policy"),
    ("a source port", p4(dport=9, sport=22, make=tcp), "bypass"),
    ("both ports in range", p4(sport=5001, dport=6000), "policy_discard"),
    ("one of two ports out of range", p4(sport=5001, dport=6002), "no_policy"),
    ("a later fragment has no ports and matches none of these",
     ip("10.1.0.5", "10.2.0.5", 17, struct.pack("!HHHH", 1, 53, 16, 0) + bytes(8), offset=10, ident=3), "frag_ports"),
    ("a packet too short for its ports", ip("10.1.0.5", "10.2.0.5", 17, b"\0\1\0"), "no_policy"),
])

group("protocols and DSCP", [
    out(1, protocol="icmp"), out(2, protocol=47), out("bypass", dscp=[46, 34]), out("discard", protocol="any", src="10.1.9.0/24"),
], [
    ("icmp", ip("10.1.0.5", "10.2.0.5", 1, bytes([8, 0]) + struct.pack("!H", checksum(bytes([8, 0, 0, 0, 0, 1, 0, 1])))
                + bytes([0, 1, 0, 1])), 1),
    ("a protocol by number", ip("10.1.0.5", "10.2.0.5", 47, b"greg"), 2),
    ("the first of two classes", p4(tos=46 << 2), "bypass"),
    ("the second of two classes, with ECN", p4(tos=34 << 2 | 1), "bypass"),
    ("a class that is not listed", p4(tos=45 << 2), "no_policy"),
    ("any protocol", p4("10.1.9.1", make=tcp), "policy_discard"),
])

group("ranges and lists of addresses", [
    out(1, dst="10.2.0.10-10.2.0.20"), out(2, src=["10.1.7.0/24", "10.1.9.3-10.1.9.4"], dst=["10.3.0.0/16", "10.5.0.0/16"]),
], [
    ("below the range", p4(dst="10.2.0.9"), "no_policy"),
    ("its low end", p4(dst="10.2.0.10"), 1),
    ("its high end", p4(dst="10.2.0.20"), 1),
    ("above it", p4(dst="10.2.0.21"), "no_policy"),
    ("the first of a list, to the second of another", p4("10.1.7.1", "10.5.1.1"), 2),
    ("a range in a list, to the first of another", p4("10.1.9.4", "10.3.1.1"), 2),
    ("outside the list", p4("10.1.9.5", "10.3.1.1"), "no_policy"),
])

group("IPv6", [
    out(1, src="fd01::/16", dst="fd02::/16", protocol="tcp"),
    out(2, src="fd01::/16", dst="fd02::10-fd02::20"),
    out("bypass", src="::/0", dst="fd03::/64"),
], [
    ("prefix and protocol", tcp("fd01::1", "fd02::1"), 1),
    ("a range's low end", udp("fd01::1", "fd02::10"), 2),
    ("a range's high end", udp("fd01::1", "fd02::20"), 2),
    ("above the range", udp("fd01::1", "fd02::21"), "no_policy"),
    ("a prefix of 64", udp("fd09::1", "fd03::1"), "bypass"),
    ("next to that prefix", udp("fd09::1", "fd03:0:0:1::1"), "no_policy"),
])


def came_in(what, policies, packets, red, drops):
    add_case(what, lambda: same((lambda done: (done.lan, done.drops))(run(configuration(policies), wan=packets)),
                                ([aged(p) for p in red], drops), "packets on the red side and drops"))


BOTH = [inbound(1, src="10.2.1.0/24", dst="10.1.1.0/24"), inbound(2, src="10.2.0.0/16", dst="10.1.0.0/16"),
        inbound("bypass", src="10.8.0.0/16", dst="10.1.0.0/16"), inbound("discard", src="10.7.0.0/16")]
came_in("inbound: what its SA may carry passes", BOTH,
        [to_wan(SAS[0].seal(from_far(1), 1)), to_wan(SAS[1].seal(from_far(2), 1))], [from_far(1), from_far(2)], {})
came_in("inbound: by the SA of a lower policy drops policy_selector", BOTH,
        [to_wan(SAS[1].seal(from_far(1), 1))], [], {"policy_selector": 1})
came_in("inbound: by the SA of a higher policy drops policy_selector", BOTH,
        [to_wan(SAS[0].seal(from_far(2), 1))], [], {"policy_selector": 1})
came_in("inbound: protected though the policy bypasses drops policy_selector", BOTH,
        [to_wan(SAS[0].seal(udp("10.8.0.1", "10.1.1.5"), 1))], [], {"policy_selector": 1})
came_in("inbound: in clear where a policy bypasses passes", BOTH,
        [to_wan(udp("10.8.0.1", "10.1.1.5", b"clear"))], [udp("10.8.0.1", "10.1.1.5", b"clear")], {})
came_in("inbound: in clear where a policy protects drops policy_cleartext", BOTH,
        [to_wan(from_far(1)), to_wan(from_far(2))], [], {"policy_cleartext": 2})
came_in("inbound: in clear where a policy discards drops policy_discard", BOTH,
        [to_wan(udp("10.7.0.1", "10.1.1.5"))], [], {"policy_discard": 1})


def icmp_error(src, dst, about, kind=3, code=1):
    body = struct.pack("!BBHI", kind, code, 0, 0) + about
    version = about[0] >> 4
    if version == 4:
        total = checksum(body[:28 + 8])
        body = body[:36]
        return ip(src, dst, 1, body[:2] + struct.pack("!H", total) + body[4:])
    total = upper_sum(src, dst, 58, body)
    return ip(src, dst, 58, body[:2] + struct.pack("!H", total) + body[4:])


ROUTED = [out(1, src="10.1.1.0/24", dst="10.2.1.0/24"), inbound(1, src="10.2.1.0/24", dst="10.1.1.0/24"),
          out(1, src="fd01::/16", dst="fd02::/16"), inbound(1, src="fd02::/16", dst="fd01::/16")]
ERROR4 = icmp_error("10.77.0.1", host(4, 2, 1), aged(from_far(1)))
ERROR6 = icmp_error("fd77::1", host(6, 2, 1), aged(from_far(1, version=6)), kind=1)


def errors_out(policies, packets, carried, drops):
    done = run(configuration(policies), lan=[to_lan(p) for p in packets])
    same((done.drops, verdicts(done)), (drops, {aged(p): 1 for p in carried}), "drops and what the SA carried")


add_case("an ICMP error from a router on the red side goes by the SA of the packet it quotes",
         lambda: errors_out(ROUTED, [ERROR4, ERROR6], [ERROR4, ERROR6], {}))
add_case("with icmp: false it does not",
         lambda: errors_out([{**p, "icmp": False} for p in ROUTED], [ERROR4, ERROR6], [], {"no_policy": 2}))
add_case("an ICMP error that quotes a packet of nobody's policy is no policy's",
         lambda: errors_out(ROUTED, [icmp_error("10.77.0.1", host(4, 2, 1), from_far(3))], [], {"no_policy": 1}))
add_case("an echo request is no error: its own addresses count",
         lambda: errors_out(ROUTED, [icmp_error("10.77.0.1", host(4, 2, 1), from_far(1), kind=8, code=0)], [],
                            {"no_policy": 1}))

REMOTE_ERROR = icmp_error("10.88.0.1", host(4, 1, 1), aged(from_lan(1)))
came_in("A8.3 an ICMP error out of the tunnel, about a packet of its policy, passes", ROUTED,
        [to_wan(SAS[0].seal(REMOTE_ERROR, 1))], [REMOTE_ERROR], {})
came_in("A8.3 an ICMP error out of the tunnel whose quoted packet is outside the selectors drops policy_selector", ROUTED,
        [to_wan(SAS[0].seal(icmp_error("10.88.0.1", host(4, 1, 1), from_lan(3)), 1))], [], {"policy_selector": 1})
came_in("A8.3 an ICMP error out of the tunnel that quotes too little to judge drops policy_selector", ROUTED,
        [to_wan(SAS[0].seal(ip("10.88.0.1", host(4, 1, 1), 1, b"\3\1\xfc\xfe" + bytes(8)), 1))], [],
        {"policy_selector": 1})


@case("no policy at all: nothing goes out")
def no_policy():
    done = run(laboratory(), lan=[to_lan(from_lan(1)), to_lan(from_lan(1, version=6))])
    same((done.drops, done.wan), ({"no_policy": 2}, []), "drops and packets sent")


if __name__ == "__main__":
    main()
