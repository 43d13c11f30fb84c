"""Cutting packets as another sender would, by hand."""
import struct

from gw import ip, parse


def cut(packet, sizes, ident=7, unfragmentable=b"", first_header=None):
    """Fragments of a packet; sizes: octets of each but the last, multiples of 8. IPv6 extension headers that each
    fragment repeats: unfragmentable, whose first kind of header is first_header."""
    fields = parse(packet)
    body, at, pieces = fields["payload"], 0, []
    for size in [*sizes, None]:
        end = len(body) if size is None else at + size
        more = 0 if size is None else 1
        if fields["version"] == 4:
            pieces.append(ip(fields["src"], fields["dst"], fields["proto"], body[at:end], tos=fields["tos"], ttl=fields["ttl"],
                             ident=ident, mf=more, offset=at // 8))
        else:
            header = struct.pack("!BBHI", fields["proto"], 0, at | more, ident)
            pieces.append(ip(fields["src"], fields["dst"], first_header if unfragmentable else 44,
                             unfragmentable + header + body[at:end], tos=fields["tos"], ttl=fields["ttl"]))
        at = end
    return pieces


def even(packet, size):
    """Sizes for cut(): all alike."""
    length = len(parse(packet)["payload"])
    return [size] * ((length - 1) // size)
