#!/usr/bin/python3
"""charon over espgw on one side and charon over the Linux kernel on the other: what the two negotiate, both datapaths
must do. Each child is brought up, carries pings, datagrams and streams, and is rekeyed by both ends under a stream of
datagrams that loses none.

FULL=1 in the environment negotiates every algorithm.
"""
import contextlib
import os
import re
import shutil
import time

import echo
from guest import image, xfrm_errors, xfrm_states
from guest_ike import guest_sites
from ike_lab import BLACK4, BLACK6, HOST4, HOST6, connection
from lab import sh, wait_for
from tap import Skip, add_case, case, check, main, once, same

FULL = os.environ.get("FULL", "") not in ("", "0")
# A packet that the kernel was about to send by an SA as a rekey took that away; the echo sends it again.
ITS_OWN = {"XfrmOutStateInvalid"}
resources = contextlib.ExitStack()


@once
def sites():
    """The lab with everything running, for all cases."""
    image()
    if not shutil.which("charon-systemd"):
        raise Skip("charon-systemd is not installed (scripts/setup)")
    return resources.enter_context(guest_sites("gike"))


def configure(lab, text):
    lab.far.configure(text)
    lab.near.configure(text)
    for family in ("-4", "-6"):
        sh("ip", family, "route", "flush", "cache", ns=lab.ns("host-a"))
    lab.guest.sh("ip -4 route flush cache; ip -6 route flush cache")


def explain(lab, why):
    """The failure with what both daemons said last."""
    said = [f"{who.name}:\n" + "\n".join(who.said().splitlines()[-25:]) for who in (lab.near, lab.far)]
    return AssertionError("\n".join([str(why), *said]))


@contextlib.contextmanager
def configured(text, may_count=frozenset()):
    """Both ends with this configuration, and nothing of it left behind; what errors the kernel may count."""
    lab = sites()
    lab.gateways["gw-a"].alive()
    before = xfrm_errors(lab.guest)
    try:
        configure(lab, text)
        yield lab
        more = {name: n for name, n in xfrm_errors(lab.guest).items()
                if n != before.get(name) and name not in ITS_OWN | may_count}
        same(more, {}, "the kernel's counters of errors")
    except (AssertionError, OSError) as why:
        raise explain(lab, why) from None
    finally:
        lab.near.swanctl("--terminate", "--ike", "site", "--force", "--timeout", 5, quiet=True)
        lab.far.swanctl("--terminate --ike site --force --timeout 5", quiet=True)


class Ends:
    """Who talks through the child: the hosts, or in transport mode the gateways themselves."""

    def __init__(self, lab, inner, transport):
        self.ns = lab.gw(0) if transport else lab.ns("host-a")
        pair = {(4, False): HOST4, (6, False): HOST6, (4, True): BLACK4, (6, True): BLACK6}[inner, transport]
        self.src, self.dst = pair
        self.way = (self.ns, self.src, self.dst)
        self.transport = transport

    def carry(self):
        echo.ping(*self.way, (0, 1, 56, 700, 1200))
        if self.transport:
            echo.udp(*self.way, (*echo.SIZES, 1300))
        else:
            echo.udp_to_the_mtu(*self.way, echo.SIZES)
        echo.tcp(*self.way, 30_000)


def established(lab):
    return lab.near.said().count(" established with SPIs ")


def rekey(lab, by_far):
    count = established(lab)
    if by_far:
        lab.far.swanctl("--rekey --child net")
    else:
        lab.near.swanctl("--rekey", "--child", "net")
    wait_for("a rekey", lambda: established(lab) > count, 10)


def rekeyed_under_traffic(lab, ends):
    """A stream over a rekey by either end: nothing is lost."""
    stream = echo.Stream(*ends.way)
    try:
        for by_far in (False, True):
            time.sleep(0.2)
            rekey(lab, by_far)
        time.sleep(0.5)  # the old SAs go
    finally:
        count = stream.stop()
    check(count > 50, f"only {count} datagrams over two rekeys")


def shown(lab, pattern):
    for who, sas in (("charon", lab.near.sas()), ("charon of the guest", lab.far.sas())):
        check(re.search(pattern, sas), f"{who} has no {pattern}:\n{sas}")


def count_both(lab):
    """What the SAs of the kernel carried, and that it refused nothing."""
    states = xfrm_states(lab.guest)
    check(len(states) >= 2, f"{len(states)} SAs in the kernel")
    for spi, state in states.items():
        same((state["replays"], state["failed"]), (0, 0), f"what the kernel refused of SA {spi:#x}")
    check(all(state["packets"] > 10 for state in states.values()) or len(states) > 2, f"SAs that carried nothing: {states}")


def child(pattern, far_first=False, rekeys=True, **arguments):
    transport = "transport" in arguments.get("child", "")
    if transport:
        arguments["inner"] = arguments.get("outer", 4)
    with configured(connection(**arguments)) as lab:
        if far_first:
            lab.far.swanctl("--initiate --child net --timeout 15")
        else:
            lab.near.initiate("net")
        ends = Ends(lab, arguments.get("inner", 4), transport)
        shown(lab, pattern)
        ends.carry()
        count_both(lab)
        if rekeys:
            rekeyed_under_traffic(lab, ends)
            ends.carry()


def child_case(what, pattern, **arguments):
    add_case(what, lambda: child(pattern, **arguments))


child_case("AES-GCM with ESN: IPv4 in IPv4", "AES_GCM_16-128/ESN")
child_case("AES-GCM with 32-bit numbers, the guest initiates", r"AES_GCM_16-128(?!/ESN)\W", esp="aes128gcm16-noesn",
           far_first=True)
child_case("AES-GCM-256: IPv6 in IPv4", "AES_GCM_16-256/ESN", inner=6, esp="aes256gcm16-esn")
child_case("AES-CCM: IPv4 in IPv6", "AES_CCM_16-128/ESN", outer=6, esp="aes128ccm16-esn", far_first=True)
child_case("ChaCha20-Poly1305: IPv6 in IPv6", "CHACHA20_POLY1305/ESN", outer=6, inner=6, esp="chacha20poly1305-esn")
child_case("AES-CBC with HMAC-SHA-256 and ESN", "AES_CBC-128/HMAC_SHA2_256_128/ESN", esp="aes128-sha256-esn")
child_case("forced UDP encapsulation over IPv4", "TUNNEL-in-UDP", conn="encap = yes")
child_case("forced UDP encapsulation over IPv6, the guest initiates", "TUNNEL-in-UDP", outer=6, conn="encap = yes",
           far_first=True)
child_case("transport mode, IPv4", "TRANSPORT, ESP", child="mode = transport")
child_case("transport mode, IPv6, the guest initiates", "TRANSPORT, ESP", outer=6, child="mode = transport", far_first=True)

child_case("AH, tunnel mode: IPv4 in IPv4", "TUNNEL, AH.*HMAC_SHA2_256_128/ESN", ah="sha256-esn")
child_case("AH, tunnel mode: IPv6 in IPv6, the guest initiates", "TUNNEL, AH.*HMAC_SHA1_96", ah="sha1-noesn", outer=6,
           inner=6, far_first=True)
child_case("AH, transport mode, IPv4", "TRANSPORT, AH", child="mode = transport", ah="sha512-esn")
child_case("AH, transport mode, IPv6", "TRANSPORT, AH", outer=6, child="mode = transport", ah="aescmac-noesn")
child_case("BEET, IPv4", "BEET, ESP", child="mode = beet")
child_case("BEET, IPv6 in IPv4, the guest initiates", "BEET, ESP", inner=6, child="mode = beet", far_first=True)

ALGORITHMS = [
    *((f"aes{bits}{mode}{icv}", f"AES_{mode.upper()}_{icv}-{bits}") for mode in ("gcm", "ccm")
      for bits in (128, 192, 256) for icv in (8, 12, 16)),
    *((f"aes{bits}gmac", f"NULL_AES_GMAC-{bits}") for bits in (128, 192, 256)), ("chacha20poly1305", "CHACHA20_POLY1305"),
    *((f"{cipher}-{auth}", f"{name}/{mac}")
      for cipher, name in (("aes192", "AES_CBC-192"), ("aes256ctr", "AES_CTR-256"), ("null", "NULL"))
      for auth, mac in (("sha1", "HMAC_SHA1_96"), ("sha256", "HMAC_SHA2_256_128"), ("sha384", "HMAC_SHA2_384_192"),
                        ("sha512", "HMAC_SHA2_512_256"), ("aesxcbc", "AES_XCBC_96"), ("aescmac", "AES_CMAC_96"))),
]
SHORT = ("aes192gcm12", "aes256gcm8", "aes192ccm8", "aes256ccm12", "aes256gmac", "aes256ctr-sha512", "null-sha1")
for proposal, name in ALGORITHMS:
    for tail in ("-esn", "-noesn") if FULL else ("-esn",) if proposal in SHORT else ():
        child_case(f"{proposal}{tail}", name + ("/ESN" if tail == "-esn" else r"(?!/ESN)\W"), esp=proposal + tail,
                   rekeys=FULL and "-" not in proposal)


TRAP = {"child": "start_action = trap"}


@case("a packet of ours asks for the tunnel, and waits for it")
def trapped_here():
    with configured(connection(**TRAP)) as lab:
        said = sh("ping", "-n", "-c", 5, "-i", 0.5, "-W", 2, HOST4[1], ns=lab.ns("host-a"), quiet=True)
        # The first is held a second; on a slow machine IKE takes longer.
        check(re.search("[45] received", said), said)
        shown(lab, "AES_GCM_16-128/ESN")


@case("a packet of the guest asks for the tunnel")
def trapped_there():
    with configured(connection(**TRAP), {"XfrmOutNoStates"}) as lab:
        said = lab.guest.sh(f"ping -c 5 -W 2 -I {HOST4[1]} {HOST4[0]}", 30, quiet=True)
        check(re.search("[45] packets received", said), said)
        shown(lab, "AES_GCM_16-128/ESN")


@case("the IKE SA is rekeyed by both ends and the child goes on")
def ike_rekey():
    with configured(connection()) as lab:
        lab.near.initiate("net")
        ends = Ends(lab, 4, False)
        for by_far in (False, True):
            count = lab.near.said().count(" rekeyed between ")
            if by_far:
                lab.far.swanctl("--rekey --ike site")
            else:
                lab.near.swanctl("--rekey", "--ike", "site")
            wait_for("a rekey of the IKE SA", lambda n=count: lab.near.said().count(" rekeyed between ") > n, 10)
            ends.carry()
        rekeyed_under_traffic(lab, ends)


@case("nothing was dropped that should not be, and the gateway ends well")
def ended():
    lab = sites()
    report = lab.gateways["gw-a"].stop()
    bad = {why: n for why, n in report.drops.items() if why in ("icv", "replay_dup", "replay_old", "no_sa", "sa_selector")}
    same(bad, {}, f"drops\n{lab.gateways['gw-a'].said()[-2000:]}\n")


if __name__ == "__main__":
    with resources:
        main()
