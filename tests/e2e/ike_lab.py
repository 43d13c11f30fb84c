"""Two sites whose tunnels IKE daemons negotiate, and a router between them that sees all that crosses the black side.

    host a -- gateway a == router == gateway b -- host b

Each gateway is an espgw with two workers over veths, and a kernel that knows only its mirrors; the daemons run in that
network namespace under the preload library, each in a mount namespace of its own with the files of config/ where the
guides there say to put them.
"""
import json
import os
import re
import signal
import subprocess

import yaml

from lab import Lab, sh, wait_for
from gw import TOP
from sites import af_packet
from tap import Failure, Skip, check

BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))
PRELOAD = os.path.join(BUILD, "app/xfrm_preload/libespgw_xfrm.so")
ESPCTL = os.path.join(BUILD, "app/espctl/espctl")
LIBRESWAN = os.path.join(TOP, "build-peers/libreswan")
STRONGSWAN6 = os.path.join(TOP, "build-peers/strongswan6")

# Site a, site b: what the guides call them.
BLACK4, BLACK6 = ("192.0.2.1", "198.51.100.1"), ("2001:db8::1", "2001:db8:0:1::1")
ROUTER4, ROUTER6 = ("192.0.2.254", "198.51.100.254"), ("2001:db8::fe", "2001:db8:0:1::fe")
RED4, RED6 = ("10.1.0.1", "10.2.0.1"), ("2001:db8:a::1", "2001:db8:b::1")
HOST4, HOST6 = ("10.1.0.2", "10.2.0.2"), ("2001:db8:a::2", "2001:db8:b::2")
NET4, NET6 = ("10.1.0.0/16", "10.2.0.0/16"), ("2001:db8:a::/48", "2001:db8:b::/48")
ID = ("site-a.example", "site-b.example")
SECRET = "example secret, make your own"
LOGGING = """
charon-systemd {
	send_vendor_id = yes # BEET is agreed on between strongSwans only
	filelog {
		stderr {
			default = 1
			knl = 2
			flush_line = yes
			time_format = %H:%M:%S
		}
	}
}
swanctl {
	load = random openssl
}
"""


def guide(name):
    with open(os.path.join(TOP, "config", name), encoding="utf-8") as f:
        return f.read()


def mirrored(text, side):
    """A guide's file as it is for site a; for site b with the two ends exchanged."""
    if side == 0:
        return text
    pairs = [*zip(BLACK4, BLACK4[::-1]), *zip(BLACK6, BLACK6[::-1]), *zip(ID, ID[::-1])]
    pairs += [("10.1.", "10.2."), ("10.2.", "10.1."), ("2001:db8:a::", "2001:db8:b::"), ("2001:db8:b::", "2001:db8:a::")]
    # In two steps, so that nothing is exchanged twice; the longest first, since 2001:db8::1 starts others.
    for i, (old, _) in sorted(enumerate(pairs), key=lambda p: -len(p[1][0])):
        text = text.replace(old, f"\0{i}\0")
    for i, (_, new) in enumerate(pairs):
        text = text.replace(f"\0{i}\0", new)
    return text


def connection(outer=4, inner=4, esp="aes128gcm16-esn", child="", conn="", remote=None, ah=None):
    """A swanctl.conf of site a; see mirrored() for the other end's."""
    black, net = ((BLACK4, BLACK6)[outer == 6], (NET4, NET6)[inner == 6])
    if "beet" in child:
        net = (HOST4, HOST6)[inner == 6]
    networks = "" if "transport" in child else f"local_ts = {net[0]}\n remote_ts = {net[1]}\n"
    return f"""
connections {{
	site {{
		version = 2
		local_addrs = {black[0]}
		remote_addrs = {remote or black[1]}
		proposals = aes128gcm16-prfsha256-x25519
		{conn}
		local {{
			auth = psk
			id = {ID[0]}
		}}
		remote {{
			auth = psk
			id = {ID[1]}
		}}
		children {{
			net {{
				{networks}
				{f"ah_proposals = {ah}" if ah else f"esp_proposals = {esp}"}
				{child}
			}}
		}}
	}}
}}
secrets {{
	ike-site {{
		secret = "{SECRET}"
	}}
}}
"""


class Daemon:
    """A program under the preload library, in the namespaces of a gateway, with files of its own laid over /etc."""

    def __init__(self, lab, side, kind, files):
        self.lab, self.side, self.name = lab, side, f"{kind}-{'ab'[side]}"
        self.folder, self.process, self.namespace = f"{lab.folder}/{self.name}", None, lab.gw(side)
        self.log = f"{self.folder}/log"
        for path, text in files.items():
            place = f"{self.folder}/etc/{path}"
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
                f.write(text)

    def mounts(self):
        """Its own /run, but for the lab's folder; and what it writes to /etc and /var/lib goes with it."""
        folder = self.lab.folder
        made = ["mount --make-rprivate /", f"mount --bind {folder} /mnt", "mount -t tmpfs none /run", f"mkdir -p {folder}",
                f"mount --move /mnt {folder}"]
        for place, below in (("/etc", f"{self.folder}/etc:/etc"), ("/var/lib", "/var/lib")):
            own = "/run/lay" + place.replace("/", "-")
            made += [f"mkdir -p {own}/up {own}/work",
                     f"mount -t overlay overlay -o lowerdir={below},upperdir={own}/up,workdir={own}/work {place}"]
        return made

    def launch(self, command, prepare=()):
        preload = f"LD_PRELOAD={PRELOAD} ESPGW_SOCKET={self.lab.socket(self.side)}"
        script = " && ".join([*self.mounts(), *prepare, f"exec env {preload} {command}"])
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, "unshare", "-m", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self.lab.children.append(self.process)

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def alive(self):
        check(self.process.poll() is None, f"{self.name} ended with {self.process.poll()}\n{self.said()[-4000:]}")

    def up(self, condition):
        def ready():
            self.alive()
            return condition()
        try:
            wait_for(f"{self.name} is up", ready)
        except Failure as error:
            raise Failure(f"{error}\n{self.said()[-4000:]}") from None

    def inside(self, *argv, quiet=False, timeout=60):
        """Runs a program beside the daemon, in its namespaces; what it said."""
        self.alive()
        return sh("nsenter", "-t", self.process.pid, "-m", "-n", *argv, quiet=quiet, timeout=timeout)

    def stop(self, number=signal.SIGTERM):
        self.lab.finish(self.process, number)


class Charon(Daemon):
    """strongSwan, driven by swanctl."""

    def __init__(self, lab, side, swanctl, options=""):
        super().__init__(lab, side, "charon", {
            "swanctl/conf.d/site.conf": swanctl,
            "strongswan.d/espgw.conf": guide("strongswan/strongswan.conf"),
            "strongswan.d/zz-test.conf": LOGGING + options})

    def start(self):
        before = self.said().count("spawning") if os.path.exists(self.log) else 0
        self.launch("/usr/sbin/charon-systemd")
        self.up(lambda: self.said().count("spawning") > before)
        self.lab.espctl(self.side, "wait-client", "--pid", self.process.pid)
        wait_for(f"{self.name} takes its configuration", self.loads)
        return self

    def loads(self):
        self.alive()
        return "successfully loaded" in self.swanctl("--load-all", "--noprompt", quiet=True)

    def swanctl(self, *argv, quiet=False):
        return self.inside("/usr/sbin/swanctl", *argv, quiet=quiet)

    def initiate(self, child, timeout=20):
        self.swanctl("--initiate", "--child", child, "--timeout", timeout)

    def configure(self, text):
        """Takes another swanctl.conf in place of what it has."""
        file = f"{self.folder}/other.conf"
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
            f.write(mirrored(text, self.side))
        self.swanctl("--load-all", "--clear", "--noprompt", "--file", file)

    def sas(self):
        return self.swanctl("--list-sas")

    def packets(self):
        """What the installed children have carried, by charon's account: (way, packets)."""
        return [(way, int(n)) for way, n in re.findall(r"^    (in|out) .* (\d+) packets", self.sas(), re.M)]


def established(charons):
    """How many children and IKE SAs came up, on both sides."""
    return sum(len(re.findall(r" established with SPIs |IKE_SA .* rekeyed between", charon.said())) for charon in charons)


def rekeyed(charons, by, *what):
    """One rekey, done on both sides."""
    count = established(charons)
    charons[by].swanctl("--rekey", *what)
    wait_for(f"a rekey: {what}", lambda: established(charons) >= count + 2, 10)


class LaterCharon(Charon):
    """A later charon than the machine's, with its C library, laid over /usr and /etc where it runs."""

    def mounts(self):
        own, etc = f"lowerdir={self.folder}/etc:", "/etc"
        return [*(m.replace(own + etc, f"{own}{STRONGSWAN6}/etc:{etc}") for m in super().mounts()),
                f"mount -t overlay overlay -o lowerdir={STRONGSWAN6}/usr:/usr /usr"]


def later_charon():
    """Skip where it is not there."""
    if not os.access(f"{STRONGSWAN6}/usr/sbin/charon-systemd", os.X_OK):
        raise Skip("there is no later strongSwan in build-peers/strongswan6 (scripts/setup --peers)")


class Pluto(Daemon):
    """libreswan, unpacked beside the build and laid over /usr."""

    def __init__(self, lab, side, conf, secrets):
        if not os.access(f"{LIBRESWAN}/usr/libexec/ipsec/pluto", os.X_OK):
            raise Skip("there is no libreswan in build-peers/libreswan (scripts/setup --peers)")
        super().__init__(lab, side, "pluto", {"ipsec.conf": conf, "ipsec.secrets": secrets})

    def mounts(self):
        return [*super().mounts(), f"mount -t overlay overlay -o lowerdir={LIBRESWAN}/usr:/usr /usr", "mkdir -p /run/pluto",
                "rm -rf /var/lib/ipsec/nss && mkdir -p /var/lib/ipsec/nss",
                "certutil -N -d sql:/var/lib/ipsec/nss --empty-password"]

    def start(self):
        """As ipsec.service does: both flushes, then the daemon."""
        self.flush()
        self.launch("/usr/libexec/ipsec/pluto --config /etc/ipsec.conf --nofork --stderrlog")
        self.lab.espctl(self.side, "wait-client", "--pid", self.process.pid)
        self.up(self.answers)
        return self

    def flush(self):
        for what in ("policy", "state"):
            self.lab.ip_xfrm(self.side, what, "flush")

    def answers(self):
        self.alive()
        return "whack: " not in self.whack("--status", quiet=True) and "loading secrets" in self.said()

    def whack(self, *argv, quiet=False):
        return self.inside("timeout", "20", "/usr/libexec/ipsec/whack", *argv, quiet=quiet)


class IkeLab(Lab):
    """The five namespaces, joined; gateways and daemons are started by who uses it."""

    def __init__(self, prefix, folder):
        super().__init__(prefix, folder)
        self.daemons = []
        for name in ("host-a", "gw-a", "router", "gw-b", "host-b"):
            self.namespace(name, True)
        for side, name in enumerate("ab"):
            self.join(side, name)
        for setting in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"):
            sh("sysctl", "-qw", setting, ns=self.ns("router"))

    def join(self, side, name):
        router, gateway = self.ns("router"), self.gw(side)
        self.veth((router, f"to-{name}", f"02:e5:00:00:03:0{side}"), (gateway, "black", f"02:e5:00:00:00:0{side}"))
        deafen(gateway, "black")
        for address in (f"{ROUTER4[side]}/24", f"{ROUTER6[side]}/64"):
            sh("ip", "addr", "add", address, "dev", f"to-{name}", ns=router)
        self.join_host(side, name)

    def join_host(self, side, name):
        gateway, host = self.gw(side), self.ns(f"host-{name}")
        self.veth((host, "eth0", f"02:e5:00:00:02:0{side}"), (gateway, "red", f"02:e5:00:00:01:0{side}"))
        deafen(gateway, "red")
        for address in (f"{HOST4[side]}/16", f"{HOST6[side]}/48"):
            sh("ip", "addr", "add", address, "dev", "eth0", ns=host)
        for family, via in (("-4", RED4[side]), ("-6", RED6[side])):
            sh("ip", family, "route", "add", "default", "via", via, ns=host)

    def gw(self, side):
        return self.ns(f"gw-{'ab'[side]}")

    def socket(self, side):
        return f"{self.folder}/gw-{'ab'[side]}.sock"

    def start_gateway(self, side, text=None, change=lambda config: None, **more):
        """espgw with a guide's file, on the lab's devices; its mirrors are the kernel's way out."""
        config = yaml.safe_load(mirrored(text or guide("strongswan/site-to-site/espgw.yaml"), side))
        config["gateway"] |= {"idle": "sleep", "max_sas": 1024, "key_cache": "1Mi"}
        if "state_file" in config["gateway"]:
            config["gateway"]["state_file"] = f"{self.folder}/state-{'ab'[side]}"
        for number, (port, interface) in enumerate(zip(config["ports"], ("black", "red"))):
            port["device"] = af_packet(number, interface)
        change(config)
        gateway = self.gateway(f"gw-{'ab'[side]}", config, ns=self.gw(side), workers=2, **more)
        self.routes(side, gateway, config["ports"][0]["addresses"])
        return gateway

    def routes(self, side, gateway, addresses):
        """The default routes that the guide tells the reader to set, once the mirror is there."""
        def there():
            gateway.alive()
            shown = sh("ip", "addr", "show", "dev", "wan0", ns=self.gw(side), quiet=True)
            return all(a in shown for a in addresses)
        wait_for(f"gateway {gateway.name} makes its mirror", there)
        wait_for(f"gateway {gateway.name} answers at its control socket", lambda: self.espctl(side, "show", "drops", quiet=True))
        for via in [ROUTER6[side] if ":" in a else ROUTER4[side] for a in addresses]:
            sh("ip", "route", "replace", "default", "via", via, "dev", "wan0", ns=self.gw(side))

    def charon(self, side, swanctl=None, options=""):
        text = swanctl or guide("strongswan/site-to-site/swanctl.conf")
        self.daemons.append(Charon(self, side, mirrored(text, side), options))
        return self.daemons[-1]

    def ip_xfrm(self, side, *argv):
        """What `ip xfrm` does under the library."""
        return sh("env", f"LD_PRELOAD={PRELOAD}", f"ESPGW_SOCKET={self.socket(side)}", "ip", "xfrm", *argv, ns=self.gw(side))

    def xfrm_sas(self, side):
        """(source, destination, SPI) of every SA that a daemon has on a gateway, larval ones too."""
        return sorted(re.findall(r"^src (\S+) dst (\S+)\n\tproto \S+ spi (\S+)", self.ip_xfrm(side, "state"), re.M))

    def drops(self, side):
        """Packets dropped so far, by reason."""
        said = json.loads(self.espctl(side, "--json", "show", "drops"))
        return {name: n["total"] for name, n in said["drops"].items() if n["total"]}

    def espctl(self, side, *argv, quiet=False):
        return sh(ESPCTL, "--socket", self.socket(side), *argv, quiet=quiet)


def deafen(ns, interface):
    """The kernel takes nothing from the wire: espgw reads it by AF_PACKET, and answers by its mirrors."""
    sh("sysctl", "-qw", f"net.ipv6.conf.{interface}.disable_ipv6=1", ns=ns)
    sh("sysctl", "-qw", f"net.ipv4.conf.{interface}.rp_filter=1", ns=ns)
    sh("ip", "link", "set", interface, "arp", "off", ns=ns)
