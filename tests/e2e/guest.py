"""A guest: the Linux kernel's own IPsec, in an emulated machine whose network card is a tap of a namespace.

    with Lab(...) as lab, Guest(folder, lab.ns("gw"), "black", tap_mac, guest_mac) as guest:
        guest.sh("ip xfrm state")

The tap lives as long as the guest and this object do, and the guest ends with its process: nothing is left over.
"""
import base64
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
import time

from lab import HERE, SLOWER, entered, sh
from tap import Failure, Skip, check, once

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
BOOT_SECONDS = 60
# No mitigations: the guest runs nobody's code but ours, and an emulated CPU has nothing to leak to.
CMDLINE = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off random.trust_cpu=on net.ifnames=0"


def built(*options):
    """The folder of the kernel and the initramfs; Skip where this machine cannot have them."""
    done = subprocess.run([f"{HERE}/guest-image", *options], capture_output=True, text=True, timeout=600, check=False)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode == 3:
        raise Skip(last)
    check(done.returncode == 0, f"guest-image ends with {done.returncode}\n{done.stdout}{done.stderr}")
    return last


image = once(built)
iptfs_image = once(lambda: built("--iptfs"))


def make_tap(ns, interface, mac):
    """A tap in a namespace; closing what this gives back removes it. Without virtio headers, so frames are whole."""
    with entered(ns):
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TAP | IFF_NO_PI))
    sh("ip", "link", "set", "dev", interface, "address", mac, "up", ns=ns)
    return fd


class Guest:
    """One booted guest. Its eth0 is the far end of the tap."""

    def __init__(self, folder, ns, interface, tap_mac, mac, memory=256, more=None):
        self.folder, self.log, self.process = folder, f"{folder}/guest-{interface}.log", None
        where = more or image()
        self.tap = make_tap(ns, interface, tap_mac)
        self.port, theirs = socket.socketpair()
        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "1", "-m", str(memory),
                "-kernel", f"{where}/vmlinuz", "-initrd", f"{where}/initramfs", "-append", CMDLINE,
                "-serial", f"file:{self.log}", "-device", "virtio-serial-pci",
                "-chardev", f"socket,id=port,fd={theirs.fileno()}", "-device", "virtserialport,chardev=port",
                "-netdev", f"tap,id=net,fd={self.tap}", "-device", f"virtio-net-pci,netdev=net,mac={mac},romfile="]
        with open(f"{folder}/qemu-{interface}.err", "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                            pass_fds=(self.tap, theirs.fileno()), start_new_session=True)
        theirs.close()
        self.unread = b""

    def __enter__(self):
        try:
            begin = time.monotonic()
            check(self.line(BOOT_SECONDS) == "ready", "the guest says something else than ready")
            self.booted_in = time.monotonic() - begin
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def said(self):
        """The end of the guest's console, for a failure's text."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                lines = [line.strip() for line in f]  # the firmware clears a screen
                return "\n".join([line for line in lines if line][-30:])
        except OSError:
            return ""

    def line(self, seconds):
        """What the guest says next."""
        end = time.monotonic() + seconds * SLOWER
        while b"\n" not in self.unread:
            left = end - time.monotonic()
            check(left > 0, f"the guest says nothing for {seconds} s\n{self.said()}")
            if select.select([self.port], [], [], min(left, 1.0))[0]:
                octets = self.port.recv(1 << 16)
                check(octets, f"the guest is gone ({self.process.poll()})\n{self.said()}")
                self.unread += octets
        first, self.unread = self.unread.split(b"\n", 1)
        return first.decode()

    def sh(self, script, seconds=20, quiet=False):
        """Runs a shell script in the guest; its output, or Failure with all it said."""
        text = base64.b64encode(script.encode()).decode()
        self.port.sendall(f"{int(seconds * SLOWER)} {text}\n".encode())
        status, _, output = self.line(seconds + 10).partition(" ")
        output = base64.b64decode(output).decode(errors="replace")
        if status != "0" and not quiet:
            raise Failure(f"in the guest: {script[:2000]}\nends with {status}\n{output[-4000:]}\n{self.said()}")
        return output

    def put(self, path, text):
        """Writes a file into the guest."""
        self.sh(f"cat >{path} <<'END OF FILE'\n{text}\nEND OF FILE")

    def batch(self, lines, program="ip -batch"):
        """Runs ip(8), or another program, once for many of its commands."""
        self.put("/run/batch", "\n".join(lines))
        self.sh(f"{program} /run/batch", 60)

    def inject(self, octets):
        """A frame as if the guest had sent it."""
        os.write(self.tap, octets)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.port.close()
        if self.tap is not None:
            os.close(self.tap)
            self.tap = None


STATE = re.compile(r"^src (\S+) dst (\S+)$", re.M)


def xfrm_states(guest):
    """The kernel's SAs by SPI: packets, bytes, the newest number received and sent, and what it refused."""
    states = {}
    parts = STATE.split(guest.sh("ip -s xfrm state", 60))[1:]
    for src, dst, text in zip(parts[::3], parts[1::3], parts[2::3]):
        spi = int(re.search(r"spi (0x[0-9a-f]+)", text).group(1), 16)
        current = re.search(r"lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)", text)
        replay = re.search(r"stats:\s+replay-window (\d+) replay (\d+) failed (\d+)", text)
        states[spi] = {"src": src, "dst": dst, "bytes": int(current.group(1)), "packets": int(current.group(2)),
                       "replays": int(replay.group(2)), "failed": int(replay.group(3)), **numbers(text)}
    return states


def numbers(text):
    """The last number received and sent, 64 bits of it with ESN."""
    found = {name: int(value, 16) for name, value in re.findall(r"\b(seq-hi|oseq-hi|seq|oseq) (0x[0-9a-f]+)", text)}
    return {"seq": found.get("seq-hi", 0) << 32 | found.get("seq", 0),
            "oseq": found.get("oseq-hi", 0) << 32 | found.get("oseq", 0)}


def xfrm_errors(guest):
    """The kernel's counters of packets it refused, those that are not 0."""
    lines = guest.sh("cat /proc/net/xfrm_stat").split()
    return {name: int(n) for name, n in zip(lines[::2], lines[1::2]) if int(n)}
