"""Network namespaces, veth pairs and running gateways for the end-to-end tests and the demo.

All that a Lab makes, it takes away again in close(): processes by their ids, namespaces by their names.
"""
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../packet")]
import yaml  # noqa: E402

from gw import ESPGW, SLOWER, Run, cpus  # noqa: E402
from tap import Failure, check, same  # noqa: E402

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def sh(*argv, ns=None, quiet=False, timeout=120):
    """Runs a program, in a namespace if one is named; its standard output, or Failure with all it said."""
    argv = [str(a) for a in argv]
    if ns:
        argv = ["ip", "netns", "exec", ns, *argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0 and not quiet:
        raise Failure(f"{' '.join(argv)} ends with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_hugepages():
    try:
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", encoding="ascii") as f:
            return int(f.read())
    except OSError:
        return 0


def memory(huge=False, megabytes=512):
    """EAL's memory options: no hugepage file may outlive the gateway, keys lie in that memory."""
    if huge and free_hugepages() >= 128:
        return ["--in-memory", "-m", "192"]
    return ["--no-huge", "--no-shconf", "-m", str(megabytes)]


class Gateway:
    """One running espgw: configured by a dictionary, stopped by SIGTERM, judged by its exit report."""

    def __init__(self, folder, name, config, ns=None, huge=False, telemetry=False, arguments=(), workers=1,
                 megabytes=512, env=None):
        self.name, self.folder = name, folder
        self.prefix = f"espgw-{os.path.basename(folder)}-{name}"
        self.file, self.socket = f"{folder}/{name}.yaml", f"{folder}/{name}.sock"
        self.write(config)
        argv = ["ip", "netns", "exec", ns] if ns else []
        lcores = ",".join(f"{i}@({cpus()})" for i in range(workers + 1))
        argv += ["env", *(f"{key}={value}" for key, value in env.items())] if env else []
        argv += [ESPGW, "--lcores", lcores, "--no-pci",
                 *([] if telemetry else ["--no-telemetry"]), *memory(huge, megabytes),
                 "--file-prefix", self.prefix, "--", "--config", self.file,
                 "--control-socket", self.socket, "--json", *arguments]
        with open(f"{folder}/{name}.out", "wb") as out, open(f"{folder}/{name}.err", "wb") as err:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                                            cwd=folder)
        with open(f"{folder}/{name}.pid", "w", encoding="ascii") as f:
            f.write(f"{self.process.pid}\n")

    def write(self, config):
        text = config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False)
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
            f.write(text)

    def said(self):
        with open(f"{self.folder}/{self.name}.err", encoding="utf-8", errors="replace") as f:
            return f.read()

    def alive(self):
        check(self.process.poll() is None, f"gateway {self.name} ended with {self.process.poll()}\n{self.said()}")

    def signal(self, number):
        self.alive()
        self.process.send_signal(number)

    def stop(self, within=10.0):
        """The exit report; the gateway must end with status 0 in time."""
        self.signal(signal.SIGTERM)
        begin = time.monotonic()
        try:
            status = self.process.wait(within * SLOWER)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"gateway {self.name} did not end within {within} s of SIGTERM\n{self.said()}") from None
        same(status, 0, f"exit status of gateway {self.name} ({time.monotonic() - begin:.1f} s)\n{self.said()}\n")
        return self.report()

    def report(self):
        with open(f"{self.folder}/{self.name}.out", encoding="utf-8") as f:
            return Report(json.load(f))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Report(Run):
    """An exit report without captures."""

    def __init__(self, report):
        super().__init__(report, {"wan": [], "lan": []}, "")
        self.frames = {}  # nothing to compare tx_packets with
        self.conserve()


class Lab:
    """Namespaces with a common prefix, joined by veth pairs, and the gateways inside."""

    def __init__(self, prefix, folder):
        self.prefix, self.folder, self.names, self.gateways, self.children = prefix, folder, [], {}, []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def ns(self, name):
        return f"{self.prefix}-{name}"

    def namespace(self, name, host):
        """A namespace; a gateway's has no IP stack of its own to answer beside espgw."""
        ns = self.ns(name)
        sh("ip", "netns", "add", ns)
        self.names.append(ns)
        for setting in ("all", "default"):
            sh("sysctl", "-qw", f"net.ipv6.conf.{setting}.disable_ipv6={0 if host else 1}", ns=ns)
            sh("sysctl", "-qw", f"net.ipv6.conf.{setting}.accept_dad=0", ns=ns)
        sh("ip", "link", "set", "lo", "up", ns=ns)
        return ns

    def veth(self, one, other):
        """Joins two ends, each (namespace, interface, MAC). Offloads are off: frames must be whole on the wire."""
        (ns1, if1, mac1), (ns2, if2, mac2) = one, other
        sh("ip", "link", "add", if1, "netns", ns1, "address", mac1, "type", "veth",
           "peer", "name", if2, "netns", ns2, "address", mac2)
        for ns, interface in ((ns1, if1), (ns2, if2)):
            sh("ethtool", "-K", interface, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off", ns=ns,
               quiet=True)
            sh("ip", "link", "set", interface, "up", ns=ns)

    def host(self, name, interface, addresses, gateways):
        """Addresses and default routes; gateways: (address, MAC), since espgw answers no ARP."""
        ns = self.ns(name)
        for address in addresses:
            sh("ip", "addr", "add", address, "dev", interface, ns=ns)
        for address, mac in gateways:
            family = "-6" if ":" in address else "-4"
            sh("ip", family, "neigh", "replace", address, "lladdr", mac, "dev", interface, "nud", "permanent", ns=ns)
            sh("ip", family, "route", "add", "default", "via", address, ns=ns)

    def gateway(self, name, config, **more):
        self.gateways[name] = Gateway(self.folder, name, config, **more)
        return self.gateways[name]

    def start(self, *argv, ns=None, log=None):
        """A program beside, ended with the lab."""
        argv = (["ip", "netns", "exec", ns] if ns else []) + [str(a) for a in argv]
        with open(log or os.devnull, "wb") as out:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                     start_new_session=True)
        self.children.append(child)
        return child

    def finish(self, child, number=signal.SIGINT):
        if child.poll() is None:
            child.send_signal(number)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def pids(self):
        return [p.pid for p in [*self.children, *(g.process for g in self.gateways.values())] if p.poll() is None]

    def close_gateways(self):
        for gateway in self.gateways.values():
            gateway.kill()

    def close(self):
        for child in self.children:
            self.finish(child, signal.SIGTERM)
        self.close_gateways()
        for ns in reversed(self.names):
            sh("ip", "netns", "del", ns, quiet=True)
        self.names = []


def at_once(count, seconds=2):
    """ping's options for so many requests, all of which are to be answered: behind the last one it waits no longer than
    between two, which would be too short on a machine that is busy."""
    return ("-c", count, "-l", count, "-i", seconds, "-W", seconds)


def wait_for(what, condition, seconds=15.0):
    end = time.monotonic() + seconds * SLOWER
    while not condition():
        check(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def entered(ns):
    """What is opened inside belongs to the namespace; this process itself stays where it is."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{ns}", os.O_RDONLY)
    try:
        check(libc.setns(there, CLONE_NEWNET) == 0, f"setns to {ns}")
        yield
    finally:
        libc.setns(here, CLONE_NEWNET)
        os.close(here)
        os.close(there)


def packet_socket(ns, interface):
    """A raw socket on an interface of a namespace."""
    with entered(ns):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        s.bind((interface, 3))
    s.setblocking(False)
    return s
