"""The Linux kernel as the far end of the laboratory's tunnels: what `ip xfrm` is told, and a bed to run them in.

host (an IP stack) -- veth -- espgw -- tap -- guest. The guest has the peer's outer addresses and, on its loopback,
a host of each tunnel's far network.
"""
import contextlib
import tempfile

from guest import Guest
from lab import Lab, sh, wait_for
from esp import AUTHS, CIPHERS
from gw import BLACK, LAN_MAC, LAN_NEXT, PEER, RED, WAN_MAC, WAN_NEXT, Tunnel, host, with_tunnels
from sites import af_packet

AEADS = {"gcm": "rfc4106(gcm(aes))", "ccm": "rfc4309(ccm(aes))", "gmac": "rfc4543(gcm(aes))",
         "chacha": "rfc7539esp(chacha20,poly1305)"}
ENCS = {"cbc": "cbc(aes)", "ctr": "rfc3686(ctr(aes))", "null": "ecb(cipher_null)"}
INNER = ("tunnel", "iptfs")  # modes that carry packets of any host
MACS = {"sha1": "hmac(sha1)", "sha256": "hmac(sha256)", "sha384": "hmac(sha384)", "sha512": "hmac(sha512)",
        "xcbc": "xcbc(aes)", "cmac": "cmac(aes)"}


class Pair(Tunnel):
    """A tunnel of the gateway whose far end is the kernel."""

    def __init__(self, n, label, version=4, mode="tunnel", start=0, kernel="", **more):
        """version: the family of transport mode; start: numbers already used, both ways; kernel: more for its SAs."""
        if start:
            more.update(out={"oseq": start}, into={"replay_top": start})
        if mode == "transport":
            bits = 32 if version == 4 else 128
            more.update(selectors=False, outer=version, local_nets=[f"{host(version, 1, n)}/{bits}"],
                        remote_nets=[f"{host(version, 2, n)}/{bits}"])
        super().__init__(n, mode=mode, **more)
        self.label, self.start, self.kernel, self.inner = label, start, kernel, (4, 6)
        if mode == "transport":
            self.local, self.remote, self.inner = host(version, 1, n), host(version, 2, n), (version,)

    def algorithms(self, way):
        """What the kernel calls the suite, with the keys of that way, as the gateway names ways."""
        key, auth_key = (f"0x{k.hex()}" if k else '""' for k in self.keys[way])
        cipher = CIPHERS[self.suite.get("aead") or self.suite["cipher"]]
        if cipher.kind in AEADS:
            return f"aead {AEADS[cipher.kind]} {key} {8 * self.choices.get('icv', cipher.icv)}"
        auth = AUTHS[self.suite["auth"]]
        return f"enc {ENCS[cipher.kind]} {key} auth-trunc {MACS[auth.kind]} {auth_key} {8 * auth.icv}"

    def state(self, way):
        """The kernel's SA; its outbound one is the gateway's inbound one."""
        src, dst = (self.local, self.remote) if way == "out" else (self.remote, self.local)
        flags = (["af-unspec"] if self.mode in INNER else []) + (["esn"] if self.choices["esn"] else [])
        line = (f"xfrm state add src {src} dst {dst} proto esp spi {self.spi[way]:#x} reqid {self.n} mode {self.mode}"
                f" replay-window {128 if self.choices['esn'] else 32}")
        if self.start:
            name = "oseq" if way == "in" else "seq"
            line += f" replay-{name} {self.start & 0xffffffff:#x} replay-{name}-hi {self.start >> 32:#x}"
        if flags:
            line += " flag " + " ".join(flags)
        if self.encap:
            ports = self.encap if way == "out" else self.encap[::-1]
            line += f" encap espinudp {ports[0]} {ports[1]} {'::' if self.outer == 6 else '0.0.0.0'}"
        return f"{line} {self.kernel} {self.algorithms(way)}"

    def policies(self):
        for near, far in zip(*(self.nets(side) if self.mode in INNER else self.options[name]
                               for side, name in ((1, "local_nets"), (2, "remote_nets")))):
            ends = {"in": (self.local, self.remote), "out": (self.remote, self.local)}
            for way, (src, dst) in (("out", (far, near)), ("in", (near, far))):
                template = "tmpl proto esp reqid {} mode {}".format(self.n, self.mode)
                if self.mode in INNER:
                    template = "tmpl src {} dst {} proto esp reqid {} mode {}".format(*ends[way], self.n, self.mode)
                yield f"xfrm policy add src {src} dst {dst} dir {way} {template}"


def guest_setup(guest, ports=(4500,)):
    """The addresses of the peer and the way to the gateway; the programs that answer."""
    lines = ["link set eth0 up"]
    for version, bits in ((4, 24), (6, 64)):
        lines += [f"addr add {PEER[version]}/{bits} dev eth0 {'nodad' if version == 6 else ''}",
                  f"neigh add {BLACK[version]} lladdr {WAN_MAC} dev eth0 nud permanent",
                  f"route add {'::/0' if version == 6 else '0.0.0.0/0'} via {BLACK[version]} dev eth0 onlink"]
    # One queue: of the three there are by default, packets of one SA would overtake each other.
    guest.sh("echo pfifo >/proc/sys/net/core/default_qdisc")
    guest.batch(lines)
    guest.sh(f"/sbin/answer {' '.join(map(str, ports))}")


def guest_add(guest, pairs, program="ip -batch"):
    """The kernel's half of these pairs; `program` is told of SAs and policies."""
    lines = []
    for pair in pairs:
        lines += [pair.state(way) for way in ("out", "in")] + list(pair.policies())
    guest.batch(lines, program)
    lines = []
    for pair in pairs:
        lines += [f"addr add {host(v, 2, pair.n)}/{'32 dev lo' if v == 4 else '128 dev lo nodad'}" for v in pair.inner]
    guest.batch(lines)


def guest_clear(guest):
    guest.sh("ip xfrm policy flush; ip xfrm state flush; ip addr flush dev lo scope global;"
             "ip -4 route flush cache; ip -6 route flush cache")


def gateway_config(pairs, **parts):
    """The laboratory, with the guest and the host as the next hops. Through the qdisc, or no one sees what is sent."""
    config = with_tunnels(*pairs, **parts)
    config["ports"][0]["device"] = af_packet(0, "black") + ",qdisc_bypass=0"
    config["ports"][1]["device"] = af_packet(1, "red")
    return config


def host_setup(lab, pairs):
    """The near host of every pair, in place of those before."""
    ns = lab.ns("host")
    for family in ("-4", "-6"):
        sh("ip", family, "addr", "flush", "dev", "lo", "scope", "global", ns=ns)
        sh("ip", family, "route", "flush", "cache", ns=ns)  # the MTUs that the last ones' paths had
    for version in (4, 6):
        lines = [f"addr add {host(version, 1, p.n)}/{32 if version == 4 else 128} dev lo"
                 for p in pairs if version in p.inner]
        with open(f"{lab.folder}/addresses", "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")
        sh("ip", "-batch", f"{lab.folder}/addresses", ns=ns)


@contextlib.contextmanager
def bed(name, image=None):
    """The namespaces, the veth and a booted guest, of this image; a gateway comes with run_gateway()."""
    with tempfile.TemporaryDirectory(prefix=f"espgw-{name}-") as folder, Lab(f"espgw-{name}", folder) as lab:
        lab.namespace("host", True)
        lab.namespace("gw", False)
        sh("sysctl", "-qw", "net.ipv6.conf.default.router_solicitations=0", ns=lab.ns("host"))
        lab.veth((lab.ns("host"), "eth0", LAN_NEXT), (lab.ns("gw"), "red", LAN_MAC))
        lab.host("host", "eth0", ["10.254.0.2/24", "fd00::2/64"], [(RED[4], LAN_MAC), (RED[6], LAN_MAC)])
        with Guest(folder, lab.ns("gw"), "black", WAN_MAC, WAN_NEXT, more=image) as lab.guest:
            guest_setup(lab.guest)
            yield lab


def run_gateway(lab, pairs, change=lambda config: None, **more):
    """A gateway with these pairs, up when this returns."""
    config = gateway_config(pairs)
    change(config)
    gateway = lab.gateway("gw", config, ns=lab.ns("gw"), **more)
    first = pairs[0]
    version = first.inner[0]
    wait_for("the first ping", lambda: gateway.alive() or "1 received" in sh(
        "ping", "-c", 1, "-W", 1, "-I", host(version, 1, first.n), host(version, 2, first.n), ns=lab.ns("host"),
        quiet=True), 20)
    return gateway
