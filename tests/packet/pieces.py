"""Fragments as a test sees them: what is one, and what a receiver makes of them, naively and by scapy."""
import collections

from scapy.layers.inet import IP, defragment
from scapy.layers.inet6 import IPv6, defragment6

from gw import ip, parse
from tap import check, same

LINK = 9600


def jumbo(config):
    """Ports, and buffers, for frames of LINK octets."""
    for port in config["ports"]:
        port["mtu"] = LINK
    config["gateway"].update(mbufs=12288, burst=1)  # a burst has one time
    return config


def is_fragment(packet):
    header = parse(packet)
    return header["proto"] == 44 if header["version"] == 6 else header["mf"] or header["offset"]


def is_last(packet):
    """The last piece of a datagram."""
    if packet[0] >> 4 == 6:
        return packet[6] == 44 and packet[43] & 1 == 0
    return parse(packet)["offset"] > 0 and not parse(packet)["mf"]


def put_together(pieces):
    """scapy's view of outer packets, those in pieces made whole."""
    v4 = [IP(p) for p in pieces if p[0] >> 4 == 4]
    whole = [bytes(p) for p in defragment(v4)]
    v6 = collections.defaultdict(list)
    for p in pieces:
        if p[0] >> 4 == 6 and parse(p)["proto"] == 44:
            v6[p[8:40] + p[44:48]].append(IPv6(p))
        elif p[0] >> 4 == 6:
            whole.append(p)
    return whole + [bytes(IPv6(bytes(defragment6(group)))) for group in v6.values()]


def naive4(pieces):
    """What a host puts together of IPv4 fragments, by source, destination, protocol and identification."""
    groups, whole = collections.OrderedDict(), []
    for p in pieces:
        h = parse(p)
        if h["version"] == 6 or not (h["mf"] or h["offset"]):
            whole.append(p)
        else:
            groups.setdefault((h["src"], h["dst"], h["proto"], h["ident"]), []).append((h, p))
    for group in groups.values():
        data, end = bytearray(), None
        for h, p in sorted(group, key=lambda one: one[0]["offset"]):
            same(h["offset"] * 8, len(data), "where a piece begins, and where the one before it ended")
            data += h["payload"]
            end = end or not h["mf"]
        check(end, "the last piece is missing")
        h = group[0][0]
        whole.append(ip(h["src"], h["dst"], h["proto"], bytes(data), tos=h["tos"], ttl=h["ttl"], ident=h["ident"], df=h["df"]))
    return whole
