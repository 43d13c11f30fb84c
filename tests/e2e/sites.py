"""Two sites back to back: host a, gateway a, gateway b, host b, and a tunnel for IPv4 and IPv6 between."""
import hashlib

# Side a, side b.
BLACK4, BLACK6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
RED4, RED6 = ("10.1.0.1", "10.2.0.1"), ("fd01::1", "fd02::1")
HOST4, HOST6 = ("10.1.0.2", "10.2.0.2"), ("fd01::2", "fd02::2")
NET4, NET6 = ("10.1.0.0/16", "10.2.0.0/16"), ("fd01::/16", "fd02::/16")
BLACK_MAC = ("02:e5:00:00:00:0a", "02:e5:00:00:00:0b")
RED_MAC = ("02:e5:00:00:01:0a", "02:e5:00:00:01:0b")
HOST_MAC = ("02:e5:00:00:02:0a", "02:e5:00:00:02:0b")
SPI = (0x1001, 0x2001)  # from a to b, from b to a


def key(way, size=20):
    """The lab's keys: no secret, but no two the same."""
    return "hex:" + hashlib.shake_256(f"laboratory {way}".encode()).digest(size).hex()


def tunnel(side, **options):
    out = {"spi": SPI[side], "key": key(side)}
    into = {"spi": SPI[1 - side], "key": key(1 - side)}
    return {"name": "site", "local": BLACK4[side], "remote": BLACK4[1 - side], "local_nets": [NET4[side], NET6[side]],
            "remote_nets": [NET4[1 - side], NET6[1 - side]], "aead": "aes-gcm-128", **options, "out": out, "in": into}


def site(side, black, red, tunnels=None, black_mac=None):
    """The configuration of gateway a (side 0) or b (side 1) with these two devices."""
    peer = black_mac or BLACK_MAC[1 - side]
    return {
        "version": 1,
        "gateway": {"name": f"site-{'ab'[side]}", "idle": "sleep", "max_sas": 1024, "key_cache": "1Mi"},
        "ports": [
            {"name": "wan", "device": black, "side": "black", "addresses": [f"{BLACK4[side]}/24", f"{BLACK6[side]}/64"]},
            {"name": "lan", "device": red, "side": "red", "addresses": [f"{RED4[side]}/16", f"{RED6[side]}/16"]},
        ],
        "neighbours": [
            {"ip": BLACK4[1 - side], "mac": peer, "port": "wan"}, {"ip": BLACK6[1 - side], "mac": peer, "port": "wan"},
            {"ip": HOST4[side], "mac": HOST_MAC[side], "port": "lan"},
            {"ip": HOST6[side], "mac": HOST_MAC[side], "port": "lan"},
        ],
        "tunnels": tunnels if tunnels is not None else [tunnel(side)],
    }


def black_veth(lab):
    lab.veth((lab.ns("gw-a"), "black", BLACK_MAC[0]), (lab.ns("gw-b"), "black", BLACK_MAC[1]))


def red_veths(lab):
    for side, name in enumerate("ab"):
        lab.veth((lab.ns(f"host-{name}"), "eth0", HOST_MAC[side]), (lab.ns(f"gw-{name}"), "red", RED_MAC[side]))


def namespaces(lab):
    """The four of them; only the hosts have an IP stack."""
    for name in "ab":
        lab.namespace(f"host-{name}", True)
        lab.namespace(f"gw-{name}", False)


def hosts(lab):
    for side, name in enumerate("ab"):
        lab.host(f"host-{name}", "eth0", [f"{HOST4[side]}/16", f"{HOST6[side]}/16"],
                 [(RED4[side], RED_MAC[side]), (RED6[side], RED_MAC[side])])


def af_packet(number, interface):
    return f"net_af_packet{number},iface={interface},blocksz=65536,framesz=2048,framecnt=4096"


def large(number, interface, mtu):
    """Likewise, for packets of such a size."""
    slot = (mtu + 80 + 255) // 256 * 256
    return f"net_af_packet{number},iface={interface},framesz={slot},blocksz={16 * slot},framecnt=1024"


def af_xdp(number, interface):
    return f"net_af_xdp{number},iface={interface}"
