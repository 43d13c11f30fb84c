#!/usr/bin/python3
"""The outer header by the tables: ECN of RFC 6040, DSCP, DF, TTL, flow label, identification; and TFC padding."""
from gw import Tunnel, aged, from_far, from_lan, parse, run, same_packets, to_lan, to_wan, with_tunnels
from rows import Row, add_rows
from tap import add_case, case, check, main, same

NOT_ECT, ECT1, ECT0, CE = 0, 1, 2, 3
NAMES = {NOT_ECT: "not-ECT", ECT0: "ECT(0)", ECT1: "ECT(1)", CE: "CE"}
# RFC 6040 figure 4: inner, then by outer; None = drop.
EGRESS = {
    NOT_ECT: {NOT_ECT: NOT_ECT, ECT0: NOT_ECT, ECT1: NOT_ECT, CE: None},
    ECT0: {NOT_ECT: ECT0, ECT0: ECT0, ECT1: ECT1, CE: CE},
    ECT1: {NOT_ECT: ECT1, ECT0: ECT1, ECT1: ECT1, CE: CE},
    CE: {NOT_ECT: CE, ECT0: CE, ECT1: CE, CE: CE},
}
AF41 = 34 << 2


def egress(inner, outer, want, version):
    def build(t):
        packet = from_far(t.n, version=version, tos=AF41 | inner)
        red = [] if want is None else [aged(from_far(t.n, version=version, tos=AF41 | want))]
        return [t.seal(packet, 1, outer={"tos": 46 << 2 | outer})], red
    return build


def ecn_rows():
    for version, outside in ((4, 4), (6, 6), (6, 4)):
        for inner, outers in EGRESS.items():
            for outer, want in outers.items():
                result = "drops ecn" if want is None else f"gives {NAMES[want]}"
                yield Row(f"A1.12 IPv{version} in IPv{outside}, inner {NAMES[inner]}, outer {NAMES[outer]}: {result}",
                          egress(inner, outer, want, version), {"ecn": 1} if want is None else {}, outer=outside)


add_rows("A1.12", list(ecn_rows()))


def sent(t, *packets, mtu=1500):
    config = with_tunnels(t)
    for port in config["ports"]:
        port["mtu"] = mtu
    done = run(config, lan=[to_lan(p) for p in packets])
    same(done.drops, {}, "drops")
    same_packets([t.open(p)[0] for p in done.wan], [aged(p) for p in packets], "inner packets")
    return [parse(p) for p in done.wan]


def outer_tos(what, tos_in, want, **options):
    def body():
        for outer in (4, 6):
            t = Tunnel(1, outer=outer, **options)
            packets = [from_lan(1, version=version, tos=tos) for version in (4, 6) for tos in tos_in]
            same([h["tos"] for h in sent(t, *packets)], want * 2, f"outer traffic class, IPv{outer} outside")
    add_case(what, body)


ALL = [dscp << 2 | ecn for dscp in (0, 10, 46, 63) for ecn in range(4)]
outer_tos("by default the outer header has the inner DSCP and ECN", ALL, ALL)
outer_tos("outer_dscp: 12 sets it, ECN is still the inner one", ALL, [12 << 2 | tos & 3 for tos in ALL], outer_dscp=12)
outer_tos("outer_dscp as a map: 46 becomes 40, 10 becomes 0, others are copied", ALL,
          [{46: 40, 10: 0}.get(tos >> 2, tos >> 2) << 2 | tos & 3 for tos in ALL], outer_dscp={46: 40, 10: 0})
outer_tos("ecn: false sends not-ECT outside", ALL, [tos & ~3 for tos in ALL], ecn=False)


def outer_df(choice, want):
    def body():
        t = Tunnel(1, df=choice)
        headers = sent(t, from_lan(1, df=0), from_lan(1, df=1), from_lan(1, version=6))
        same([h["df"] for h in headers], want, "outer DF for inner DF 0, DF 1, IPv6")
    add_case(f"df: {choice}", body)


outer_df("copy", [0, 1, 1])
outer_df("set", [1, 1, 1])
outer_df("clear", [0, 0, 0])


@case("an outer IPv4 header without DF has an identification of its own")
def identification():
    idents = [h["ident"] for h in sent(Tunnel(1, df="clear"), *[from_lan(1, bytes([i])) for i in range(200)])]
    same(len(set(idents)), 200, "different identifications")


def outer_ttl(choice):
    def body():
        for outer in (4, 6):
            t = Tunnel(1, outer=outer, **({"ttl": choice} if choice != 64 else {}))
            same([h["ttl"] for h in sent(t, from_lan(1, ttl=9), from_lan(1, version=6, ttl=200))], [choice] * 2, "outer TTL")
    add_case(f"ttl: {choice} whatever the inner one is", body)


outer_ttl(64)
outer_ttl(255)


@case("flow_label: hash, the default, gives a flow one label and flows different ones")
def flow_hash():
    flows = [from_lan(1, version=6, sport=port, flow=5) for port in range(1, 33)] + [from_lan(1, sport=7)]
    labels = [h["flow"] for h in sent(Tunnel(1, outer=6), *flows, *flows)]
    same(labels[:33], labels[33:], "labels of the same flows again")
    check(0 not in labels, "a label of 0 says nothing about the flow")
    check(len(set(labels[:32])) >= 30, f"32 flows have {len(set(labels[:32]))} labels")


@case("flow_label: hash gives small and large packets of a flow one label, whatever buffers they lie in")
def flow_hash_sizes():
    for mark in range(8):
        flow = [from_lan(1, bytes(size), version=6, sport=40000 + mark) for size in (10, 3000, 11, 5000)]
        labels = [h["flow"] for h in sent(Tunnel(1, outer=6, path_mtu=9000), *flow, mtu=9000)]
        same(labels, labels[:1] * 4, "labels of one flow")


@case("flow_label: copy takes the inner IPv6 label")
def flow_copy():
    labels = [h["flow"] for h in sent(Tunnel(1, outer=6, flow_label="copy"), from_lan(1, version=6, flow=0xabcde),
                                      from_lan(1, version=6, flow=0))]
    same(labels, [0xabcde, 0], "outer flow labels")


@case("flow_label: 1234 is always that")
def flow_fixed():
    labels = [h["flow"] for h in sent(Tunnel(1, outer=6, flow_label=1234), from_lan(1, version=6, flow=9), from_lan(1))]
    same(labels, [1234, 1234], "outer flow labels")


@case("tfc pad_to: every packet up to that size leaves with the same size")
def padded():
    t = Tunnel(1, tfc={"pad_to": 500})
    packets = [from_lan(1, bytes(n), version=v) for n in (0, 1, 17, 400) for v in (4, 6)] + [from_lan(1, bytes(800))]
    done = run(with_tunnels(t), lan=[to_lan(p) for p in packets])
    same(done.drops, {}, "drops")
    inner = [t.open(p)[0] for p in done.wan]
    same([p[:len(q)] for p, q in zip(inner, packets)], [aged(p) for p in packets], "inner packets")
    same(len({len(p) for p in done.wan[:-1]}), 1, "sizes of the padded ones")
    same(len(inner[0]), 500, "octets inside a padded one")
    same(len(inner[-1]), 828, "octets inside the large one, which is not padded")


if __name__ == "__main__":
    main()
