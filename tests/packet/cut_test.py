#!/usr/bin/python3
"""What is cut besides an SA's own sizes: at the egress, out in clear, fragments again; DF of what is cut; the MSS of TCP."""
import struct

from gw import (RED, Tunnel, aged, far_end, from_far, from_lan, host, ip, laboratory, parse, run, same_packets, to_lan,
                to_wan, udp, upper_sum, with_tunnels)
from pieces import LINK, jumbo, naive4
from tap import add_case, case, main, same

SPACED_US = 200_000  # no rate limit holds an answer back


def sized(packet_of, size, version=4, **fields):
    body = bytes(i % 251 for i in range(size - (28 if version == 4 else 48)))
    return packet_of(1, body, version=version, **fields)


def small_lan(config, mtu=1500):
    """Black takes large packets, red does not."""
    jumbo(config)["ports"][1]["mtu"] = mtu
    return config


@case("A2.12 out of a tunnel, too large for the port: cut there where DF is clear, in order and to the last octet")
def egress():
    t = Tunnel(1)
    inner = [sized(from_far, size, ident=i) for i, size in enumerate((1500, 1501, 2980, 2981, 9000), 7)]
    done = run(small_lan(with_tunnels(t)), wan=[to_wan(t.seal(p, seq)) for seq, p in enumerate(inner, 1)])
    same(done.drops, {}, "drops")
    same([len(p) for p in done.lan], [1500, 1500, 21, 1500, 1500, 1500, 1500, 21] + [1500] * 6 + [120], "sizes")
    same_packets(naive4(done.lan), [aged(p) for p in inner], "the packets, put together")
    same(done.report["split"], 10, "split")


@case("A2.12 likewise with DF, and IPv6: too big, through the tunnel, from our address on the red side")
def egress_told():
    t = Tunnel(1)
    inner = [sized(from_far, 1501, df=1), sized(from_far, 1501, 6)]
    done = run(small_lan(with_tunnels(t)), wan=[(1000 + i * SPACED_US, to_wan(t.seal(p, 1 + i))) for i, p in enumerate(inner)])
    same((done.drops, done.lan), ({"too_big": 2}, []), "drops and packets on the red side")
    for answer, version, kind in zip([t.open(p)[0] for p in done.wan], (4, 6), ((3, 4), (2, 0))):
        header = parse(answer)
        same((header["src"], header["dst"]), (RED[version], host(version, 2, 1)), "from and to")
        same(tuple(header["payload"][:2]) + struct.unpack("!I", header["payload"][4:8]), (*kind, 1500), "message and MTU")


def clear(policies):
    config = jumbo(laboratory())
    config["ports"][0]["mtu"] = 1500
    config["policies"] = policies
    return config


BYPASS = [{"name": "clear", "direction": "out", "action": "bypass", "src": ["10.1.0.0/16"], "dst": ["203.0.113.0/24"]}]


@case("out in clear by a policy: cut for the black port, or answered")
def bypass():
    packets = [udp(host(4, 1, 1, 5 + df), "203.0.113.9", bytes(i % 251 for i in range(4000)), df=df, ident=9) for df in (0, 1)]
    done = run(clear(BYPASS), lan=[(1000 + i * SPACED_US, to_lan(p)) for i, p in enumerate(packets)])
    same(done.drops, {"too_big": 1}, "drops")
    same_packets(naive4(done.wan), [aged(packets[0])], "the packet, put together")
    same([len(p) for p in done.wan], [1500, 1500, 1068], "sizes")
    same(parse(done.lan[0])["payload"][:8][:2] + parse(done.lan[0])["payload"][6:8], b"\3\4" + struct.pack("!H", 1500), "answer")


@case("out in clear by no policy: dropped whole, whatever its size; no piece of it leaves")
def no_policy():
    packets = [udp(host(4, 1, 1, 5 + df), "203.0.113.9", bytes(4000), df=df) for df in (0, 1)]
    done = run(clear([]), lan=[to_lan(p) for p in packets])
    same((done.drops, done.wan, done.lan), ({"no_policy": 2}, [], []), "drops and packets")


# RFC 791: a router alert, which every piece has, a timestamp, which the first one has, and the end of the list.
ALERT, STAMP = b"\x94\4\0\0", b"\x44\x0c\5\0" + bytes(8)


@case("a fragment of a fragment: offsets go on, the last says what it said, later pieces have the options that are copied")
def again():
    t, payload = Tunnel(1), bytes(i % 251 for i in range(4000))
    common = {"ident": 77, "options": ALERT + STAMP}
    ends = host(4, 1, 1), host(4, 2, 1)
    pieces = [ip(*ends, 17, payload[:2400], mf=1, **common), ip(*ends, 17, payload[2400:], offset=300, **common)]
    done = run(jumbo(with_tunnels(Tunnel(1, path_mtu=9000))), lan=[to_lan(p) for p in pieces])
    short = run(with_tunnels(t, **{"ports": jumbo_lan()}), lan=[to_lan(p) for p in pieces])
    same_packets([t.open(p)[0] for p in done.wan], [aged(p) for p in pieces], "what fits")
    inner = [t.open(p)[0] for p in short.wan]
    same([(parse(p)["offset"], parse(p)["mf"], p[20:-len(parse(p)["payload"])]) for p in inner],
         [(0, 1, ALERT + STAMP), (176, 1, ALERT), (300, 1, ALERT + STAMP), (476, 0, ALERT)], "offset, MF and options")
    same(b"".join(parse(p)["payload"] for p in inner), payload, "all of the datagram")
    same((short.drops, short.report["split"]), ({}, 2), "drops and pieces")


def jumbo_lan():
    ports = laboratory()["ports"]
    ports[1]["mtu"] = LINK
    return ports


def df_of(df, inner_df, frag, size):
    def body():
        t = Tunnel(1, df=df, frag=frag)
        done = run(with_tunnels(t, ports=jumbo_lan()), lan=[to_lan(sized(from_lan, size, df=inner_df))])
        large = size > 1446
        want = 0 if large and frag == "post" else {"set": 1, "clear": 0, "copy": inner_df}[df]
        same({parse(p)["df"] for p in done.wan}, {want}, "outer DF")
        same(done.drops, {}, "drops")
        ids = {parse(p)["ident"] for p in done.wan}
        same(len(ids), 1 if frag == "post" else len(done.wan) if want == 0 else 1, "identifications")
    add_case(f"outer DF: {df}, inner DF {inner_df}, frag {frag}, {size} octets", body)


for choice in ("copy", "set", "clear"):
    df_of(choice, 0, "post", 4000)
    df_of(choice, 0, "pre", 4000)
    df_of(choice, 0, "post", 1000)
    df_of(choice, 1, "post", 1000)


def syn(src, dst, mss, flags=2, options=b"\1\1\4\2"):
    """A TCP SYN, its MSS option behind others."""
    choice = options + (struct.pack("!BBH", 2, 4, mss) if mss else b"")
    header = struct.pack("!HHIIBBHHH", 1000, 80, 1, 0, (20 + len(choice)) // 4 << 4, flags, 1000, 0, 0) + choice
    return ip(src, dst, 6, header[:16] + struct.pack("!H", upper_sum(src, dst, 6, header)) + header[18:])


def clamped(outer, encap, mtu, more=None):
    """Both ways, both families: what is lowered, to what, and what stays."""
    def body():
        t = Tunnel(1, outer=outer, encap=encap, mss_clamp=True, **(more or {}))
        for version in (4, 6):
            fits = mtu - (40 if version == 4 else 60)
            said = (9000, fits + 1, fits, fits - 1, 536, 0)
            want = (fits, fits, fits, fits - 1, 536, 0)
            here, there = host(version, 1, 1), host(version, 2, 1)
            done = run(with_tunnels(t), lan=[to_lan(syn(here, there, mss)) for mss in said] + [to_lan(syn(here, there, 9000, 0x10))],
                       wan=[to_wan(t.seal(syn(there, here, mss, 0x12), 1 + i)) for i, mss in enumerate(said)])
            same_packets([t.open(p)[0] for p in done.wan], [aged(syn(here, there, mss)) for mss in want]
                         + [aged(syn(here, there, 9000, 0x10))], f"IPv{version} out")
            same_packets(done.lan, [aged(syn(there, here, mss, 0x12)) for mss in want], f"IPv{version} in")
            same(done.drops, {}, "drops")
    add_case(f"mss_clamp over IPv{outer}{' and UDP' if encap else ''}{more or ''}: a SYN says at most what {mtu} octets hold", body)


clamped(4, None, 1446)
clamped(4, (4500, 4500), 1438)
clamped(6, None, 1426)
clamped(4, None, 1246, {"path_mtu": 1300})


@case("without mss_clamp a SYN is left alone, both ways")
def not_clamped():
    t, here, there = Tunnel(1), host(4, 1, 1), host(4, 2, 1)
    done = run(with_tunnels(t), lan=[to_lan(syn(here, there, 9000))], wan=[to_wan(t.seal(syn(there, here, 9000), 1))])
    same_packets([t.open(p)[0] for p in done.wan], [aged(syn(here, there, 9000))], "out")
    same_packets(done.lan, [aged(syn(there, here, 9000))], "in")


def workers(frag):
    """Pieces are made by who picks the SA, and numbered by its owner."""
    def body():
        ts = [Tunnel(n, frag=frag) for n in range(1, 9)]
        sent = [from_lan(t.n, bytes(i % 251 for i in range(8000)), number=5 + k, ident=k) for k in range(32) for t in ts]
        first = run(with_tunnels(*ts, ports=jumbo_lan(), gateway={**laboratory()["gateway"], "mbufs": 12288}),
                    lan=[to_lan(p) for p in sent], workers=2, queues=2)
        same(first.drops, {}, "drops of the first")
        same(max(len(p) for p in first.wan), 1500, "the largest of what the link takes")
        config = far_end(*ts)
        config["gateway"]["mbufs"] = 12288
        config["ports"][1]["mtu"] = LINK
        second = run(config, wan=[to_wan(p) for p in first.wan])
        same(second.drops, {}, "drops of the second")
        same_packets(sorted(naive4(second.lan)), sorted(aged(p, 2) for p in sent), "packets that came through")
    add_case(f"two workers, eight SAs, frag {frag}: every packet of 8,000 octets comes through, whoever cuts it", body)


workers("pre")
workers("post")

if __name__ == "__main__":
    main()
