"""ESP as an independent peer writes and reads it: RFC 4303 over the `cryptography` package.

Shares no code with the gateway. Every field of a packet can be set wrong on purpose.
"""
import hmac as py_hmac
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.cmac import CMAC


@dataclass(frozen=True)
class Cryptor:
    """kind, key and salt in octets, IV on the wire, full ICV, alignment of the text."""
    kind: str
    key: int
    salt: int
    iv: int
    icv: int
    align: int


@dataclass(frozen=True)
class Auth:
    kind: str
    key: int
    icv: int


CIPHERS = {"null": Cryptor("null", 0, 0, 0, 0, 4), "chacha20-poly1305": Cryptor("chacha", 32, 4, 8, 16, 4)}
for bits in (128, 192, 256):
    CIPHERS[f"aes-gcm-{bits}"] = Cryptor("gcm", bits // 8, 4, 8, 16, 4)
    CIPHERS[f"aes-ccm-{bits}"] = Cryptor("ccm", bits // 8, 3, 8, 16, 4)
    CIPHERS[f"aes-gmac-{bits}"] = Cryptor("gmac", bits // 8, 4, 8, 16, 4)
    CIPHERS[f"aes-cbc-{bits}"] = Cryptor("cbc", bits // 8, 0, 16, 0, 16)
    CIPHERS[f"aes-ctr-{bits}"] = Cryptor("ctr", bits // 8, 4, 8, 0, 4)
AEAD_KINDS = ("gcm", "ccm", "gmac", "chacha")
AUTHS = {
    "hmac-sha1-96": Auth("sha1", 20, 12),
    "hmac-sha256-128": Auth("sha256", 32, 16),
    "hmac-sha384-192": Auth("sha384", 48, 24),
    "hmac-sha512-256": Auth("sha512", 64, 32),
    "aes-xcbc-96": Auth("xcbc", 16, 12),
    "aes-cmac-96": Auth("cmac", 16, 12),
}


def xsn(lane, number):
    """The 64-bit number of a subspace's number."""
    return lane << 48 | number


class BadIcv(Exception):
    """The integrity check value does not hold."""


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def aes_block(key, block):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def xcbc(key, text):
    """AES-XCBC-MAC, RFC 3566."""
    k1, k2, k3 = (aes_block(key, bytes([i]) * 16) for i in (1, 2, 3))
    blocks = [text[i:i + 16] for i in range(0, len(text), 16)] or [b""]
    state = bytes(16)
    for block in blocks[:-1]:
        state = aes_block(k1, xor(state, block))
    last = blocks[-1]
    mask = k2 if len(last) == 16 else k3
    if len(last) < 16:
        last = (last + b"\x80").ljust(16, b"\0")
    return aes_block(k1, xor(xor(state, last), mask))


def cmac(key, text):
    mac = CMAC(algorithms.AES(key))
    mac.update(text)
    return mac.finalize()


class Esp:
    """One direction of one SA: seals and opens ESP packets (from the SPI to the ICV)."""

    def __init__(self, spi, cipher, key, auth=None, auth_key=b"", esn=True, icv=None, implicit_iv=False,
                 subspaces=False):
        self.spi, self.esn, self.implicit_iv, self.subspaces = spi, esn, implicit_iv, subspaces
        self.cipher, self.auth = CIPHERS[cipher], AUTHS[auth] if auth else None
        assert len(key) == self.cipher.key + self.cipher.salt, cipher
        assert self.auth is None or len(auth_key) == self.auth.key, auth
        self.key, self.salt, self.auth_key = key[:self.cipher.key], key[self.cipher.key:], auth_key
        self.icv_len = icv or (self.auth.icv if self.auth else self.cipher.icv)
        self.iv_len = 0 if implicit_iv else self.cipher.iv
        self.head = 12 if subspaces else 8
        assert not subspaces or (self.cipher.kind in AEAD_KINDS and esn), "subspaces: AEAD and 64 bits"

    def header(self, seq, seq_low=None):
        """SPI and number; with subspaces all of it, its upper 16 bits being the id."""
        if self.subspaces:
            return struct.pack("!IQ", self.spi, seq)
        return struct.pack("!II", self.spi, seq & 0xffffffff if seq_low is None else seq_low)

    def padding(self, length):
        """1, 2, 3 … so that it and the two trailer octets fill up to the alignment."""
        return bytes(range(1, -(length + 2) % self.cipher.align + 1))

    def default_iv(self, seq):
        return bytes(aes_block(bytes(16), seq.to_bytes(16, "big"))) if self.cipher.kind == "cbc" else seq.to_bytes(8, "big")

    def aad(self, seq):
        return struct.pack("!IQ", self.spi, seq) if self.esn else struct.pack("!II", self.spi, seq & 0xffffffff)

    def nonce_iv(self, seq, wire_iv):
        if not self.implicit_iv:
            return wire_iv
        return (seq if self.esn else seq & 0xffffffff).to_bytes(8, "big")

    def gcm_tag(self, nonce, aad, text, encrypt):
        machine = Cipher(algorithms.AES(self.key), modes.GCM(nonce, None, 8)).encryptor()
        machine.authenticate_additional_data(aad if encrypt else aad + text)
        sealed = machine.update(text) if encrypt else text
        machine.finalize()
        return sealed, machine.tag[:self.icv_len]

    def stream(self, iv, text, decrypt=False):
        """The ciphers that do not authenticate."""
        kind = self.cipher.kind
        if kind == "null":
            return text
        mode = modes.CBC(iv) if kind == "cbc" else modes.CTR(self.salt + iv + b"\0\0\0\1")
        machine = Cipher(algorithms.AES(self.key), mode)
        machine = machine.decryptor() if decrypt else machine.encryptor()
        return machine.update(text) + machine.finalize()

    def mac(self, text, seq):
        text += struct.pack("!I", seq >> 32) if self.esn else b""
        if self.auth.kind in ("xcbc", "cmac"):
            return {"xcbc": xcbc, "cmac": cmac}[self.auth.kind](self.auth_key, text)[:self.icv_len]
        return py_hmac.digest(self.auth_key, text, self.auth.kind)[:self.icv_len]

    def encrypt(self, seq, header, iv, text):
        """Text and ICV as they go on the wire."""
        kind, nonce = self.cipher.kind, self.salt + self.nonce_iv(seq, iv)
        if kind == "gcm":
            return self.gcm_tag(nonce, self.aad(seq), text, True)
        if kind == "gmac":
            return self.gcm_tag(nonce, self.aad(seq) + iv, text, False)
        if kind in ("ccm", "chacha"):
            machine = AESCCM(self.key, self.icv_len) if kind == "ccm" else ChaCha20Poly1305(self.key)
            sealed = machine.encrypt(nonce, text, self.aad(seq))
            return sealed[:-self.icv_len], sealed[-self.icv_len:]
        sealed = self.stream(iv, text)
        return sealed, self.mac(header + iv + sealed, seq)

    def seal(self, seq, payload, next_header, padding=None, pad_len=None, iv=None, seq_low=None):
        """An ESP packet. seq is the 64-bit number; padding, pad_len, iv and seq_low lie where given."""
        padding = self.padding(len(payload)) if padding is None else padding
        pad_len = len(padding) if pad_len is None else pad_len
        iv = b"" if self.implicit_iv else (self.default_iv(seq)[:self.iv_len] if iv is None else iv)
        header = self.header(seq, seq_low)
        sealed, icv = self.encrypt(seq, header, iv, payload + padding + bytes([pad_len, next_header]))
        return header + iv + sealed + icv

    def decrypt(self, seq, header, iv, sealed):
        kind = self.cipher.kind
        if kind in AEAD_KINDS:
            # A counter mode deciphers by enciphering; then what comes out must seal to the same.
            text = sealed if kind == "gmac" else self.encrypt(seq, header, iv, sealed)[0]
            return text, self.encrypt(seq, header, iv, text)[1]
        return self.stream(iv, sealed, True), self.mac(header + iv + sealed, seq)

    def open(self, packet, seq_high=0):
        """(payload with any TFC padding, next header, 64-bit number, IV as on the wire); BadIcv if forged."""
        spi, low = struct.unpack("!II", packet[:8])
        assert spi == self.spi, f"SPI {spi:#x}, not {self.spi:#x}"
        seq = struct.unpack("!Q", packet[4:12])[0] if self.subspaces else seq_high << 32 | low
        iv, icv = packet[self.head:self.head + self.iv_len], packet[len(packet) - self.icv_len:]
        assert not self.subspaces or iv in (b"", packet[4:12]), f"IV {iv.hex()} is not the number {seq:#x}"
        sealed = packet[self.head + self.iv_len:len(packet) - self.icv_len]
        assert len(sealed) % self.cipher.align == 0, f"{len(sealed)} octets are not aligned to {self.cipher.align}"
        text, tag = self.decrypt(seq, packet[:self.head], iv, sealed)
        if tag != icv:
            raise BadIcv(f"SPI {spi:#x} number {seq}")
        pad_len, next_header = text[-2], text[-1]
        body = text[:-2]
        padding = body[len(body) - pad_len:]
        assert padding == bytes(range(1, pad_len + 1)), f"padding {padding.hex()}"
        return body[:len(body) - pad_len], next_header, seq, iv

    def length(self, payload):
        """What a minimal ESP packet with that many octets of payload must measure."""
        return self.head + self.iv_len + payload + len(self.padding(payload)) + 2 + self.icv_len
