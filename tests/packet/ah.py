"""AH as an independent peer writes and reads it: RFC 4302 over `hmac` and the `cryptography` package. Shares no code with
the gateway."""
import hmac as py_hmac
import ipaddress
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from esp import AUTHS, BadIcv, cmac, xcbc
from gw import BLACK, PEER, checksum, ip, key_of, net

KEPT = (130, 133, 134, 148, 149)  # appendix A1: options that do not change on the way
ICVS = {**{name: auth.icv for name, auth in AUTHS.items()}, **{f"aes-gmac-{bits}": 16 for bits in (128, 192, 256)}}
KEYS = {**{name: auth.key for name, auth in AUTHS.items()},
        **{f"aes-gmac-{bits}": bits // 8 + 4 for bits in (128, 192, 256)}}


def muted4(header):
    """An IPv4 header with what changes on the way zeroed, and the destination that a source route ends at."""
    size = (header[0] & 15) * 4
    dst, options, at = header[16:20], bytearray(header[20:size]), 0
    while at < len(options) and options[at] != 0:
        kind = options[at]
        if kind == 1:
            at += 1
            continue
        length = options[at + 1]
        if kind in (131, 137) and options[at + 2] <= length:
            dst = bytes(options[at + length - 4:at + length])
        if kind not in KEPT:
            options[at:at + length] = bytes(length)
        at += length
    return header[:1] + b"\0" + header[2:6] + b"\0\0\0" + header[9:10] + b"\0\0" + header[12:16] + dst + bytes(options)


def muted6(header):
    """An IPv6 header with its extension headers, likewise."""
    kind, octets = header[6], bytearray(b"\x60\0\0\0" + header[4:7] + b"\0" + header[8:])
    at = 40
    while at < len(octets):
        following = octets[at]
        size = 8 if kind == 44 else (octets[at + 1] + 1) * 8
        if kind in (0, 60):
            option = at + 2
            while option < at + size:
                if octets[option] == 0:
                    option += 1
                    continue
                if octets[option] & 0x20:
                    octets[option + 2:option + 2 + octets[option + 1]] = bytes(octets[option + 1])
                option += 2 + octets[option + 1]
        elif kind == 43:
            # As every host on the way would do it, one after the other.
            while octets[at + 3] > 0:
                here = at + 8 + 16 * (octets[at + 1] // 2 - octets[at + 3])
                octets[24:40], octets[here:here + 16] = octets[here:here + 16], octets[24:40]
                octets[at + 3] -= 1
        kind, at = following, at + size
    return bytes(octets)


def head_size(packet):
    """Octets of the headers before AH."""
    if packet[0] >> 4 == 4:
        return (packet[0] & 15) * 4
    kind, at = packet[6], 40
    while kind != 51:
        kind, at = packet[at], at + (8 if kind == 44 else (packet[at + 1] + 1) * 8)
    return at


class Ah:
    """One direction of one SA: puts AH into packets and takes it out."""

    def __init__(self, spi, auth, key, esn=True, align=None):
        self.spi, self.auth, self.key, self.esn, self.align = spi, auth, key, esn, align
        self.gmac = auth.startswith("aes-gmac")
        self.iv_len, self.icv_len = 8 if self.gmac else 0, ICVS[auth]

    def size(self, version):
        align = self.align or (4 if version == 4 else 8)
        return (12 + self.iv_len + self.icv_len + align - 1) // align * align

    def icv(self, text, seq, iv):
        if self.esn:
            text += struct.pack("!I", seq >> 32)
        if self.gmac:
            machine = Cipher(algorithms.AES(self.key[:-4]), modes.GCM(self.key[-4:] + iv, None, 16)).encryptor()
            machine.authenticate_additional_data(text)
            machine.finalize()
            return machine.tag
        kind = AUTHS[self.auth].kind
        if kind in ("xcbc", "cmac"):
            return {"xcbc": xcbc, "cmac": cmac}[kind](self.key, text)[:self.icv_len]
        return py_hmac.digest(self.key, text, kind)[:self.icv_len]

    def header(self, next_header, seq, size, words=None):
        return struct.pack("!BBHII", next_header, size // 4 - 2 if words is None else words, 0, self.spi, seq & 0xffffffff)

    def seal(self, head, payload, next_header, seq, iv=None, padding=None, words=None, size=None):
        """The packet of these headers (their length says what will stand behind them) with AH and payload behind."""
        version = head[0] >> 4
        size = self.size(version) if size is None else size
        iv = (struct.pack("!Q", seq) if iv is None else iv) if self.gmac else b""
        pad = bytes(size - 12 - self.iv_len - self.icv_len) if padding is None else padding
        ah = self.header(next_header, seq, size, words)
        muted = (muted4 if version == 4 else muted6)(head)
        icv = self.icv(muted + ah + bytes(self.iv_len + self.icv_len) + pad + payload, seq, iv)
        return head + ah + iv + icv + pad + payload

    def open(self, packet, seq_high=0):
        """(headers, payload, next header, number); BadIcv if forged."""
        version, at = packet[0] >> 4, head_size(packet)
        size = self.size(version)
        next_header, words, reserved, spi, low = struct.unpack("!BBHII", packet[at:at + 12])
        assert (words, reserved, spi) == (size // 4 - 2, 0, self.spi), f"AH header {packet[at:at + 12].hex()}"
        field, payload = packet[at + 12:at + size], packet[at + size:]
        iv, icv = field[:self.iv_len], field[self.iv_len:self.iv_len + self.icv_len]
        pad = field[self.iv_len + self.icv_len:]
        muted = (muted4 if version == 4 else muted6)(packet[:at])
        seq = seq_high << 32 | low
        text = muted + packet[at:at + 12] + bytes(self.iv_len + self.icv_len) + pad + payload
        if self.icv(text, seq, iv) != icv:
            raise BadIcv(f"SPI {spi:#x} number {seq}")
        return packet[:at], payload, next_header, seq


def with_length(head, octets, proto=None):
    """The headers of a packet of so many octets; the last of them names proto."""
    if head[0] >> 4 == 6:
        head = head[:4] + struct.pack("!H", octets - 40) + head[6:]
        if proto is None:
            return head
        kind, name, at = head[6], 6, 40
        while at < len(head):
            kind, name, at = head[at], at, at + (8 if kind == 44 else (head[at + 1] + 1) * 8)
        return head[:name] + bytes([proto]) + head[name + 1:]
    head = head[:2] + struct.pack("!H", octets) + head[4:9] + bytes([head[9] if proto is None else proto]) + b"\0\0" + head[12:]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


class AhTunnel:
    """A tunnel of the gateway with AH and the peer at its far end; the same face as gw.Tunnel's."""

    def __init__(self, n, auth="hmac-sha256-128", outer=4, esn=True, mode="tunnel", selectors=True, align=None, out=None,
                 into=None, local=None, remote=None, **options):
        self.n, self.name, self.outer, self.mode, self.auth = n, f"t{n}", outer, mode, auth
        self.local, self.remote = local or BLACK[outer], remote or PEER[outer]
        self.options, self.own, self.selectors, self.esn = options, {"out": out or {}, "in": into or {}}, selectors, esn
        self.spi = {"out": 0x10000 + n, "in": 0x20000 + n}
        self.keys = {way: key_of(f"{self.name} {way} ah", KEYS[auth]) for way in ("out", "in")}
        self.ah = {way: Ah(self.spi[way], auth, self.keys[way], esn, align) for way in ("out", "in")}

    def yaml(self):
        entry = {"name": self.name, "local": self.local, "remote": self.remote, "proto": "ah", "mode": self.mode,
                 "auth": self.auth, "esn": self.esn, **self.options}
        if self.selectors:
            entry.update(local_nets=[net(4, 1, self.n), net(6, 1, self.n)],
                         remote_nets=[net(4, 2, self.n), net(6, 2, self.n)])
        for way in ("out", "in"):
            entry[way] = {"spi": self.spi[way], "auth_key": "hex:" + self.keys[way].hex(), **self.own[way]}
        return entry

    def outer_head(self, size, **fields):
        """The peer's outer header in tunnel mode, with so many octets behind it."""
        made = ip(fields.pop("src", self.remote), fields.pop("dst", self.local), 51, bytes(size), **fields)
        return made[:len(made) - size]

    def seal(self, inner, seq, outer=None, next_header=None, **fields):
        if next_header is None:
            next_header = 4 if inner[0] >> 4 == 4 else 41
        size = fields.get("size") or self.ah["in"].size(self.outer)
        return self.ah["in"].seal(self.outer_head(size + len(inner), **(outer or {})), inner, next_header, seq, **fields)

    def open(self, packet, seq_high=0):
        head, payload, next_header, seq = self.ah["out"].open(packet, seq_high)
        assert str(ipaddress.ip_address(head[12:16] if self.outer == 4 else head[8:24])) == self.local, "outer source"
        return payload, next_header, seq

    def protect(self, packet, seq, split=None, **fields):
        """Transport mode: the packet with AH behind its headers, which end at split."""
        version = packet[0] >> 4
        split = split or ((packet[0] & 15) * 4 if version == 4 else 40)
        size = fields.get("size") or self.ah["in"].size(version)
        number = packet[9] if version == 4 else packet[6]
        at = 40
        while version == 6 and at < split:
            number, at = packet[at], at + (8 if number == 44 else (packet[at + 1] + 1) * 8)
        head = with_length(packet[:split], len(packet) + size, 51)
        return self.ah["in"].seal(head, packet[split:], number, seq, **fields)

    def bared(self, packet, seq_high=0):
        """What the peer makes of a packet of the gateway's in transport mode."""
        head, payload, number, _ = self.ah["out"].open(packet, seq_high)
        return with_length(head, len(head) + len(payload), number) + payload
