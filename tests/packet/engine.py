"""Which crypto engine the gateway of a packet test has, and whether it was that engine that did the work.

ENGINE in the environment names one of ENGINES. gw.py then gives every gateway that engine, with the synchronous ones
behind it, and looks at the exit report of each run: every SA that the engine can serve names it, and its packets are
in the engine's own count; every other SA names the engine that stands in. What an engine can serve is written down here
once more, from what DPDK says of its drivers, so that a gateway that passes an engine over is found out. A test that
chooses engines itself (gateway.crypto) is left alone.
A NIC that does all of ESP judges by itself: there the packets that pass are compared, not the names of the drops.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from esp import AEAD_KINDS, CIPHERS  # noqa: E402
from tap import check, same  # noqa: E402

NAME = os.environ.get("ENGINE", "")
SOFTWARE = ["ipsec_mb", "openssl"]
GCM = {"aes-gcm-128", "aes-gcm-192", "aes-gcm-256"}
GMAC = {"aes-gmac-128", "aes-gmac-192", "aes-gmac-256"}
CCM = {"aes-ccm-128", "aes-ccm-192", "aes-ccm-256"}
CCM_MB = CCM - {"aes-ccm-192"}
CHACHA = {"chacha20-poly1305"}
HMACS = {"hmac-sha1-96", "hmac-sha256-128", "hmac-sha384-192", "hmac-sha512-256"}
MACS = {"aes-xcbc-96", "aes-cmac-96"}
# What DPDK does in software of AES: CBC, CTR, and no cipher at all.
SEPARATE = {name for name, cipher in CIPHERS.items() if cipher.kind not in AEAD_KINDS}


class Engine:
    """crypto: the list of the file; aeads, ciphers, auths: what it does; whole_tags: of AES-GCM no shorter ones."""

    def __init__(self, crypto, aeads=(), ciphers=(), auths=(), devices=None, vdevs=(), inline=None, whole_tags=False):
        self.crypto, self.aeads, self.ciphers, self.auths = crypto, set(aeads), set(ciphers), set(auths)
        self.whole_tags = whole_tags
        self.devices, self.vdevs, self.inline = devices, vdevs, inline

    def does_suite(self, entry):
        if "aead" in entry:
            return entry["aead"] in self.aeads and not (self.whole_tags and entry["aead"] in GCM and entry.get("icv", 16) != 16)
        return entry.get("cipher", "") in self.ciphers and entry.get("auth", "") in self.auths

    def serves(self, entry, outbound):
        """Whether this SA (the tunnel's entry in the file) is the engine's."""
        if entry.get("proto", "esp") == "ah" or "ah" in entry:
            return False
        return self.does_suite(entry) and (self.inline is None or inline_serves(self, entry, outbound))


def inline_serves(engine, entry, outbound):
    """What rte_security has words for."""
    if entry.get("implicit_iv") or entry.get("subspaces") or entry.get("lanes", 1) != 1:
        return False
    if entry.get("mode") not in ("tunnel", "transport") or "ipcomp" in entry or "iptfs" in entry or "tfc" in entry:
        return False
    v6 = ":" in entry.get("local", entry.get("src", ""))
    if "kinds=crypto" in engine.inline:
        return not (outbound and v6 and "encap" in entry)  # UDP's checksum covers what the device enciphers
    if entry["mode"] == "transport":
        return outbound or "encap" not in entry  # behind a NAT the checksums inside are mended in software
    # Words for one DSCP or a copy, for one flow label.
    return not outbound or not (isinstance(entry.get("outer_dscp"), dict) or
                                (v6 and not isinstance(entry.get("flow_label"), int)))


def judges_itself(name=NAME):
    """Whether the device does all of ESP: what it drops it drops by itself, or under another name than software."""
    return name == "inline_protocol"


def infers(name=NAME):
    """Whether it is the device that infers the upper half of a number: the nearest one to what it knows."""
    return name.startswith("inline_")


def device(name, **more):
    return Engine(["cryptodev", *SOFTWARE], devices=[name], **more)


ENGINES = {
    "ipsec_mb": Engine(["ipsec_mb", "openssl"], GCM | GMAC | CCM | CHACHA, SEPARATE, HMACS | MACS),
    "openssl": Engine(["openssl"], GCM | GMAC | CCM | CHACHA, SEPARATE, HMACS | MACS),
    "crypto_aesni_gcm": device("crypto_aesni_gcm0", aeads=GCM | GMAC),
    "crypto_aesni_mb": device("crypto_aesni_mb0", aeads=GCM | GMAC | CCM_MB | CHACHA, ciphers=SEPARATE, auths=HMACS | MACS),
    "crypto_openssl": device("crypto_openssl0", aeads=GCM | GMAC | CCM, ciphers=SEPARATE,
                            auths=HMACS | {"aes-cmac-96"}, whole_tags=True),
    "crypto_null": device("crypto_null0"),
    # By EAL's arguments, and all that there is.
    "crypto_scheduler": Engine(
        ["cryptodev", *SOFTWARE], GCM | GMAC | CCM_MB | CHACHA, SEPARATE, HMACS | MACS,
        vdevs=["crypto_aesni_mb0", "crypto_aesni_mb1",
               "crypto_scheduler0,worker=crypto_aesni_mb0,worker=crypto_aesni_mb1,mode=round-robin,ordering=enable"]),
    "inline_crypto": Engine(["inline", *SOFTWARE], GCM | GMAC | CCM | CHACHA, SEPARATE, HMACS | MACS,
                            inline="emulated,kinds=crypto"),
    "inline_protocol": Engine(["inline", *SOFTWARE], GCM | GMAC | CCM | CHACHA, SEPARATE, HMACS | MACS,
                              inline="emulated,kinds=protocol"),
}


def eal(name=NAME):
    """EAL's arguments for the engine's devices."""
    return [word for vdev in ENGINES[name].vdevs for word in ("--vdev", vdev)] if name else []


def choose(config, name=NAME):
    """Gives a configuration the engine; False if there is none to give, or the test has chosen."""
    if not name or "crypto" in config["gateway"]:
        return False
    engine = ENGINES[name]
    config["gateway"]["crypto"] = list(engine.crypto)
    if engine.devices:
        config["gateway"]["crypto_devices"] = list(engine.devices)
    if engine.inline:
        for port in config["ports"]:
            if port["side"] == "black":
                port["inline"] = engine.inline
    return True


def sas_of(config):
    """(name, whether outbound, entry) of every SA that the file names one by one."""
    for tunnel in config.get("tunnels", []):
        for way in ("out", "in"):
            if way in tunnel:
                yield f"{tunnel['name']}.{way}", way == "out", tunnel
    for entry in config.get("sas", []):
        yield entry["name"], entry["direction"] == "out", entry


def work_of(report):
    """Packets that crypto devices gave back."""
    return sum(d["packets"] for e in report["crypto"]["engines"] for d in e.get("devices", []))


def is_copied(entry):
    """GMAC with ESN goes to crypto devices by way of a copy; when copies run short software does it."""
    return entry.get("aead", "") in GMAC and entry.get("esn", True)


def has_headers(entry):
    """Transport mode: packets with options or extension headers are software's, and tests send such."""
    return entry.get("mode") == "transport"


def judge_inline(name, sa, packets):
    done = sa.get("offload")
    check(done is not None, f"SA {name}: nothing is said of its port's device: {sa}")
    check(done["packets"] >= packets, f"SA {name} had {packets} packets, and the port's device {done}")


def judge(config, report, name=NAME):
    """The SAs of the file, each with its engine; and that their packets went there."""
    engine = ENGINES[name]
    first, through = engine.crypto[0], 0
    for sa_name, outbound, entry in sas_of(config):
        sa = report["sas"][sa_name]
        check("engine" in sa, f"the report says no engine of SA {sa_name}: {sa}")
        if not engine.serves(entry, outbound):
            check(sa["engine"] != first or first == "ipsec_mb", f"SA {sa_name} names {first}, which cannot serve it: {entry}")
            check(sa["engine"] in SOFTWARE, f"SA {sa_name} names {sa['engine']}")
            continue
        same(sa["engine"], first, f"engine of SA {sa_name}")
        through += 0 if is_copied(entry) else sa["packets"]
        if engine.inline:
            judge_inline(sa_name, sa, 0 if name == "inline_protocol" and has_headers(entry) else sa["packets"])
    if first == "cryptodev":
        check(work_of(report) >= through, f"SAs of {first} had {through} packets, its devices {report['crypto']}")
