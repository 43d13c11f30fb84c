"""scapy as a second, independent peer of ESP and AH."""
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import AH, ESP, SecurityAssociation

SCAPY_CIPHER = {"gcm": "AES-GCM", "ccm": "AES-CCM", "cbc": "AES-CBC", "ctr": "AES-CTR"}
SCAPY_AUTH = {"hmac-sha1-96": "HMAC-SHA1-96", "hmac-sha256-128": "SHA2-256-128", "hmac-sha384-192": "SHA2-384-192",
              "hmac-sha512-256": "SHA2-512-256", "aes-cmac-96": "AES-CMAC-96"}


def scapy_cipher(name):
    """scapy's name of the cipher, or None if it has no such."""
    if name in ("null", "chacha20-poly1305"):
        return name.upper()
    return SCAPY_CIPHER.get(name.split("-")[1])


def packet_of(octets):
    return (IPv6 if octets[0] >> 4 == 6 else IP)(octets)


class Peer:
    """Seals and opens packets given as octets."""

    def __init__(self, association):
        self.association = association

    def seal(self, packet, seq):
        """The whole packet as scapy sends it, outer header and all."""
        whole = self.association.encrypt(packet_of(packet), seq_num=seq)
        if UDP in whole:
            whole[UDP].len = 8 + len(whole[UDP].payload)  # scapy counts the header alone
        return bytes(whole)

    def open(self, packet):
        """The packet inside a whole one."""
        return bytes(self.association.decrypt(packet_of(packet)))


def scapy_sa(spi, cipher, key, auth, auth_key, src, dst, esn=False, esn_high=0, tunnel=True, nat_t=None):
    outer = (IPv6 if ":" in src else IP)(src=src, dst=dst)
    return Peer(SecurityAssociation(
        ESP, spi=spi, crypt_algo=scapy_cipher(cipher), crypt_key=key or None,
        auth_algo=SCAPY_AUTH[auth] if auth else None, auth_key=auth_key or None,
        tunnel_header=outer if tunnel else None, nat_t_header=UDP(sport=nat_t[0], dport=nat_t[1]) if nat_t else None,
        esn_en=esn, esn=esn_high))


def scapy_ah(spi, auth, key, src, dst, tunnel=True):
    """The same for AH. scapy pads the ICV as RFC 4302 says."""
    outer = (IPv6 if ":" in src else IP)(src=src, dst=dst)
    return Peer(SecurityAssociation(AH, spi=spi, auth_algo=SCAPY_AUTH[auth], auth_key=key,
                                    tunnel_header=outer if tunnel else None))
