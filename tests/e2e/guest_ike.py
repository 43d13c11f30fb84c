"""charon on a guest's own kernel at site b, and espgw with a charon over it at site a; see ike_lab.py for the sites.

host a -- gateway a == tap == guest: the router between the sites, site b's gateway and its host, all in one.
"""
import contextlib
import tempfile

from guest import Guest
from ike_lab import BLACK4, BLACK6, HOST4, HOST6, NET4, NET6, ROUTER4, ROUTER6, IkeLab, connection, deafen, mirrored
from lab import Lab, wait_for

BLACK_MAC, GUEST_MAC = "02:e5:00:00:00:00", "02:e5:00:00:03:00"


class GuestCharon:
    """charon in the guest, on the guest's kernel; always site b."""

    def __init__(self, guest):
        self.guest, self.name = guest, "charon of the guest"

    def start(self):
        self.guest.sh("charon-systemd >/run/charon.err 2>&1 &")
        wait_for("charon of the guest is up", lambda: "version" in self.swanctl("--version --raw", quiet=True), 30)
        return self

    def swanctl(self, arguments, quiet=False):
        return self.guest.sh(f"swanctl {arguments}", 30, quiet)

    def configure(self, text):
        self.guest.put("/etc/swanctl/conf.d/site.conf", mirrored(text, 1))
        self.swanctl("--load-all --clear --noprompt")

    def sas(self):
        return self.swanctl("--list-sas")

    def said(self):
        return self.guest.sh("cat /run/charon.err /run/charon.log", quiet=True)


class GuestIkeLab(IkeLab):
    """Host a and gateway a as in IkeLab, and a guest in place of the rest."""

    def __init__(self, prefix, folder):
        Lab.__init__(self, prefix, folder)
        self.daemons, self.guest = [], None
        for name in ("host-a", "gw-a"):
            self.namespace(name, True)
        self.join_host(0, "a")
        self.guest = Guest(folder, self.gw(0), "black", BLACK_MAC, GUEST_MAC)

    def __enter__(self):
        try:
            deafen(self.gw(0), "black")
            self.guest.__enter__()
            self.guest_setup()
        except BaseException:
            self.close()
            raise
        return self

    def guest_setup(self):
        """The router's addresses to the gateway; those of site b and its host on the loopback."""
        lines = ["link set eth0 up", f"addr add {ROUTER4[0]}/24 dev eth0", f"addr add {ROUTER6[0]}/64 dev eth0 nodad",
                 *(f"addr add {address}/32 dev lo" for address in (BLACK4[1], HOST4[1])),
                 *(f"addr add {address}/128 dev lo nodad" for address in (BLACK6[1], HOST6[1])),
                 f"route add {NET4[0]} via {BLACK4[0]} src {HOST4[1]}", f"route add {NET6[0]} via {BLACK6[0]} src {HOST6[1]}"]
        self.guest.batch(lines)
        self.guest.sh("answer")
        # Loads the modules that take an emulated machine seconds, which the first exchange has not.
        self.guest.sh("""
			ip xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 mode tunnel \
				aead 'rfc4106(gcm(aes))' 0x0001020304050607080910111213141516171819 128
			ip xfrm state flush""")

    def close(self):
        super().close()
        self.guest.close()


@contextlib.contextmanager
def guest_sites(name):
    """The lab, its gateway running, and a charon on each side."""
    with tempfile.TemporaryDirectory(prefix=f"espgw-{name}-") as folder, GuestIkeLab(f"espgw-{name}", folder) as lab:
        lab.start_gateway(0)
        lab.near, lab.far = lab.charon(0, connection()), GuestCharon(lab.guest)
        lab.far.start()
        lab.near.start()
        yield lab
