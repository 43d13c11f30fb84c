#!/usr/bin/python3
"""charon of Debian drives two gateways: every kind of child, rekeys under load, restarts, and the guides as written."""
import contextlib
import json
import re
import time

from ike_lab import BLACK4, BLACK6, HOST4, ID, connection, established, guide, rekeyed
from ike_pump import RATE, Pump, answered, gone, pinged, pumped, sites
from lab import sh, wait_for
from tap import case, check, main, once, same


def start(lab, text=None, options=""):
    """A charon on each gateway, with the guide's configuration or this one."""
    return [lab.charon(side, text, options).start() for side in (0, 1)]


resources = contextlib.ExitStack()


@once
def pair():
    """Two gateways and charons for the cases that leave nothing behind."""
    lab = resources.enter_context(sites())
    return lab, start(lab, connection())


def child_case(what, shown, ends=None, inner=4, **more):
    """A child of one kind: negotiated, what goes through it is whole, both sides count it, rekeyed, deleted."""
    @case(what)
    def run():
        lab, charons = pair()
        with configured(charons, connection(inner=inner, **more)):
            charons[0].initiate("net")
            sas = charons[0].sas()
            check(re.search(shown, sas), f"{shown!r} is not in\n{sas}")
            pinged(lab, inner, ends and ends(lab))
            pump = pumped(lab, family=inner, ends=ends and ends(lab))
            for charon in charons:
                for way, packets in charon.packets():
                    check(packets >= pump.got(), f"{charon.name}: {packets} packets {way}, and {pump.got()} datagrams")
            rekeyed(charons, 0, "--child", "net")
            pumped(lab, family=inner, ends=ends and ends(lab))
            charons[1].swanctl("--terminate", "--ike", "site")
            gone(lab)


@contextlib.contextmanager
def configured(charons, text):
    """Another configuration for two charons that go on, and nothing of it left."""
    for charon in charons:
        charon.configure(text)
    try:
        yield
    finally:
        for charon in charons:
            charon.swanctl("--terminate", "--ike", "site", "--force", "--timeout", 2, quiet=True)


def gateways(family):
    return lambda lab: [(lab.gw(side), (BLACK4, BLACK6)[family == 6][side]) for side in (0, 1)]


child_case("AES-GCM with ESN: IPv4 in IPv4", "AES_GCM_16-128/ESN")
child_case("AES-GCM-256 with ESN: IPv6 in IPv6", "AES_GCM_16-256/ESN", outer=6, inner=6, esp="aes256gcm16-esn")
child_case("ChaCha20-Poly1305 with ESN: IPv6 in IPv4", "CHACHA20_POLY1305/ESN", inner=6, esp="chacha20poly1305-esn")
child_case("AES-CBC with HMAC-SHA-256, 32-bit numbers: IPv4 in IPv6", "AES_CBC-128/HMAC_SHA2_256_128", outer=6,
           esp="aes128-sha256-noesn")
child_case("AES-CBC with HMAC-SHA-512 and ESN: IPv4 in IPv4", "AES_CBC-256/HMAC_SHA2_512_256/ESN", esp="aes256-sha512-esn")
child_case("forced UDP encapsulation over IPv4", "TUNNEL-in-UDP", conn="encap = yes")
child_case("forced UDP encapsulation over IPv6", "TUNNEL-in-UDP", outer=6, conn="encap = yes")
child_case("transport mode between the gateways, IPv4", "TRANSPORT, ESP", gateways(4), child="mode = transport")
child_case("transport mode between the gateways, IPv6", "TRANSPORT, ESP", gateways(6), 6, outer=6, child="mode = transport")
child_case("an IPComp child: the pair is one SA", r"in  [0-9a-f]+/[0-9a-f]{4},", child="ipcomp = yes")


def compressed(lab):
    """Packets that the SAs there are now compressed and inflated, by gateway."""
    sas = [json.loads(lab.espctl(side, "--json", "show", "sa"))["sas"] for side in (0, 1)]
    return [tuple(sum(sa["ipcomp"].get(name, 0) for sa in side if "ipcomp" in sa) for name in ("comp_ok", "decomp_ok"))
            for side in sas]


@case("an IPComp child, tunnel and transport mode: text goes compressed both ways, after a rekey too")
def compression():
    lab, charons = pair()
    for mode in ("tunnel", "transport"):
        with configured(charons, connection(child=f"ipcomp = yes\n mode = {mode}")):
            charons[0].initiate("net")
            ns, address = (lab.ns("host-a"), HOST4[1]) if mode == "tunnel" else (lab.gw(0), BLACK4[1])
            for _ in range(2):
                wait_for("a ping through the tunnel", lambda n=ns, a=address: answered(n, a), 20)
                before = compressed(lab)
                sh("ping", "-c", 5, "-i", "0.2", "-s", 900, "-p", "41", address, ns=ns)
                for (ok, inflated), (ok_now, inflated_now) in zip(before, compressed(lab)):
                    check(ok_now >= ok + 5 and inflated_now >= inflated + 5,
                          f"{mode} mode: {ok_now - ok} compressed, {inflated_now - inflated} inflated, of 5")
                rekeyed(charons, 0, "--child", "net")
            charons[1].swanctl("--terminate", "--ike", "site")
            gone(lab)


@case("site-to-site as the guide says: traffic brings the tunnel up, and through 20 rekeys and more not one packet of 2000 "
      "a second each way is lost, doubled or clear")
def rekeys():
    with sites() as lab:
        charons = start(lab)
        pinged(lab)
        pinged(lab, 6)
        before = [lab.drops(side) for side in (0, 1)]
        with Pump(lab, RATE) as pump:
            for turn in range(24):
                what = ("--ike", "site-b") if turn % 6 == 5 else ("--child", "net")
                rekeyed(charons, turn % 2, *what)
                time.sleep(0.3)
            pump.whole(2000)
        same([lab.drops(side) for side in (0, 1)], before, "drops before and after the rekeys")


@case("soft and hard expiry: espgw tells charon, which rekeys in time; nothing is lost")
def expires():
    with sites() as lab:
        limits = "rekey_packets = 2000\n life_packets = 20000\n rand_packets = 0"
        charons = start(lab, connection(child=limits))
        charons[0].initiate("net")
        pinged(lab)
        count = established(charons)
        with Pump(lab, RATE) as pump:
            wait_for("three rekeys by packets", lambda: established(charons) >= count + 3 * 2, 20)
            pump.whole(2000)


@case("delete: what comes after it is dropped with a name, and nothing leaves in clear")
def deletes():
    lab, charons = pair()
    with configured(charons, connection()):
        charons[0].initiate("net")
        pinged(lab)
        pumped(lab)
        charons[0].swanctl("--terminate", "--ike", "site")
        gone(lab)
    before = sum(lab.drops(0).values())
    said = sh("ping", "-n", "-c", 3, "-i", "0.2", "-W", 1, HOST4[1], ns=lab.ns("host-a"), quiet=True)
    check("100% packet loss" in said, said)
    check(sum(lab.drops(0).values()) >= before + 3, f"drops: {lab.drops(0)}")


@case("DPD: a dead peer is found, its trap stays, and the first packet after its return brings the tunnel back")
def dead_peer():
    with sites() as lab:
        fast = "charon-systemd {\n retransmit_tries = 2\n retransmit_timeout = 0.5\n retransmit_base = 1\n}\n"
        trap = "start_action = trap\n dpd_action = trap\n close_action = trap"
        charons = start(lab, connection(child=trap, conn="dpd_delay = 1s"), fast)
        pinged(lab)
        wait_for("DPD", lambda: "sending DPD request" in charons[0].said(), 10)
        charons[1].stop(9)
        wait_for("the peer counts as dead", lambda: "giving up after" in charons[0].said(), 15)
        wait_for("its SAs go", lambda: not lab.xfrm_sas(0), 10)
        charons[1].start()
        pinged(lab)


@case("charon restarts under traffic: its orphans forward without loss until the new one has replaced them")
def charon_restart():
    with sites() as lab:
        charons = start(lab)
        pinged(lab)
        with Pump(lab, RATE) as pump:
            charons[0].stop(9)
            wait_for("the SAs are orphans", lambda: "orphan" in lab.espctl(0, "show", "sa"), 10)
            time.sleep(1)
            pump.whole(2000)
        charons[0].start()
        charons[0].initiate("net")
        pinged(lab)
        pumped(lab)
        wait_for("the orphans are replaced", lambda: "orphan" not in lab.espctl(0, "show", "sa"), 10)


@case("the gateway restarts under charon: the library connects again, charon negotiates what was lost, and traps ask again")
def gateway_restart():
    with sites() as lab:
        charons = start(lab)
        pinged(lab)
        spis = lab.xfrm_sas(0)
        lab.gateways["gw-a"].stop()
        lab.start_gateway(0)
        wait_for("new SAs on the new gateway", lambda: lab.xfrm_sas(0), 15)
        check(not set(spis) & set(lab.xfrm_sas(0)), "an SA of the old gateway on the new one")
        pinged(lab)
        pumped(lab)
        # Both ends lose all SAs, and keep their traps: traffic brings the tunnel back.
        charons[0].swanctl("--terminate", "--ike", "site-b")
        gone(lab)
        lab.gateways["gw-a"].stop()
        lab.start_gateway(0)
        wait_for("the traps on the new gateway", lambda: "dir out" in lab.ip_xfrm(0, "policy"), 10)
        pinged(lab)
        pumped(lab)


@case("road warriors as the guide says: a client gets an address of the pool, and its host talks with the network behind")
def road_warrior():
    client = connection(child="start_action = none").replace(f"id = {ID[0]}", "id = ann@warriors.example") \
        .replace(f"id = {ID[1]}", "id = gate.example").replace("version = 2", "version = 2\n vips = 0.0.0.0")
    client = re.sub(r"local_ts = .*\n *remote_ts = .*\n", "remote_ts = 10.2.0.0/16\n", client)  # of the other site, as ann sees it
    with sites(guide("strongswan/road-warrior/espgw.yaml")) as lab:
        gate = lab.charon(0, guide("strongswan/road-warrior/swanctl.conf")).start()
        ann = lab.charon(1, client).start()
        ann.initiate("net")
        check("10.3.0.1/32" in gate.sas(), gate.sas())
        wait_for("a ping from the client", lambda: answered(lab.gw(1), HOST4[0], "-I", "10.3.0.1"))
        check(answered(lab.ns("host-a"), "10.3.0.1"), "no answer to a ping from the network to the client")
        ann.swanctl("--terminate", "--ike", "site")
        gone(lab)


@case("MOBIKE: a gateway changes its address under traffic, and goes on with the same keys and numbers")
def mobike():
    with sites() as lab:
        charons = start(lab)
        pinged(lab)
        spis = sorted(spi for _, _, spi in lab.xfrm_sas(0))
        for argv in (("sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=1"),
                     ("ip", "addr", "add", "192.0.2.77/24", "dev", "wan0"),
                     ("ip", "route", "replace", "default", "via", "192.0.2.254", "dev", "wan0", "src", "192.0.2.77"),
                     ("ip", "addr", "del", "192.0.2.1/24", "dev", "wan0")):
            sh(*argv, ns=lab.gw(0))
        # To the other IPv4 address, or over IPv6, which these sites speak, too: that is charon's to choose.
        wait_for("the IKE SA has moved", lambda: "192.0.2.1[4500]" not in charons[1].sas(), 20)
        pinged(lab)
        pumped(lab)
        same(sorted(spi for _, _, spi in lab.xfrm_sas(0)), spis, "SPIs before and after the move")


@case("a NAT gives another address and port under traffic: the gateway tells charon, which follows")
def mapping_change():
    with sites() as lab:
        router = lab.ns("router")
        for address in ("198.51.100.250/24", "198.51.100.251/24"):
            sh("ip", "addr", "add", address, "dev", "to-b", ns=router)
        sh("nft", "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }; "
           "add rule ip nat out oif to-b ip saddr 192.0.2.0/24 snat to 198.51.100.250", ns=router)
        charons = [lab.charon(0, connection()), lab.charon(1, connection(remote="%any"))]
        for charon in charons:
            charon.start()
        charons[0].initiate("net")
        check("TUNNEL-in-UDP" in charons[0].sas(), charons[0].sas())
        pinged(lab)
        pumped(lab)
        sh("nft", "flush chain ip nat out; add rule ip nat out oif to-b ip saddr 192.0.2.0/24 ip protocol udp "
           "snat to 198.51.100.251:20000-30000", ns=router)
        sh("conntrack", "-F", ns=router)
        with Pump(lab, RATE):
            wait_for("charon b follows the NAT", lambda: "198.51.100.251" in charons[1].sas(), 20)
        pumped(lab)


if __name__ == "__main__":
    with resources:
        main()
