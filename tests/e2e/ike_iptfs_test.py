#!/usr/bin/python3
"""charon 6.1 has two gateways carry its children by IP-TFS (RFC 9347), asking for it as it asks Linux: datagrams and
streams through it, rekeys under load without loss, fragments refused by one end; and constant rates that are changed
while streams run."""
import json
import re
import time

from ike_lab import HOST4, HOST6, LaterCharon, connection, later_charon, mirrored
from ike_pump import Pump, gone, pinged, pumped, sites
from lab import sh, wait_for
from tap import add_case, case, check, main, same

RATE = 1500  # datagrams a second each way
OPTIONS = """
charon-systemd {{
	iptfs {{
		{}
	}}
}}
"""


def start(lab, text, options=("", "")):
    """A charon on each gateway; options: what each says of IP-TFS."""
    for side in (0, 1):
        more = OPTIONS.format(options[side]) if options[side] else ""
        lab.daemons.append(LaterCharon(lab, side, mirrored(text, side), more))
        lab.daemons[-1].start()
    return lab.daemons


def drops(lab):
    """What was dropped for a reason that has to do with packets of the tunnel."""
    return [{why: n for why, n in lab.drops(side).items() if why.startswith(("aggfrag", "too_big", "replay", "no_sa"))}
            for side in (0, 1)]


def iperf(lab, seconds, to, *arguments):
    """What iperf3 says at its end, of a stream from host a to host b."""
    server = lab.start("iperf3", "-s", "-1", ns=lab.ns("host-b"), log=f"{lab.folder}/iperf3.log")
    wait_for("iperf3 listens", lambda: "5201" in sh("ss", "-ltn", ns=lab.ns("host-b")))
    said = json.loads(sh("iperf3", "-c", to, "-t", seconds, "-J", *arguments, ns=lab.ns("host-a"), timeout=120))
    lab.finish(server)
    with open(f"{lab.folder}/iperf3.log", encoding="utf-8", errors="replace") as log:
        check("error" not in said, f"iperf3 to {to}: {said.get('error')}; its server: {log.read()[-2000:]}")
    return said["end"]


def rekeyed(charon):
    """A new child takes the place of the one there is; its id."""
    before = re.search(r"net: #(\d+),", charon.sas()).group(1)
    charon.swanctl("--rekey", "--child", "net")
    found = []

    def there():
        found[:] = [n for n in re.findall(r"net: #(\d+), reqid \d+, INSTALLED", charon.sas()) if n != before]
        return found
    wait_for("the new child", there)
    return found[0]


def child(what, family=4, inner=4, conn="", esp="aes128gcm16-esn", options=("", ""), shown="IPTFS, ESP"):
    def run():
        later_charon()
        text = connection(outer=family, inner=inner, child="mode = iptfs\n start_action = trap", conn=conn, esp=esp)
        with sites() as lab:
            charons = start(lab, text, options)
            pinged(lab, inner)
            check(shown in charons[0].sas(), f"{shown} is not in\n{charons[0].sas()}")
            before = drops(lab)
            with Pump(lab, RATE, inner) as pump:
                for charon in (*charons, *charons):
                    time.sleep(0.7)
                    rekeyed(charon)
                time.sleep(0.7)
                pump.whole()
            done = iperf(lab, 2, (HOST4, HOST6)[inner == 6][1])
            check(done["sum_received"]["bytes"] > 1_000_000, f"{done['sum_received']['bytes']} octets of TCP in 2 s")
            pumped(lab, family=inner)
            same(drops(lab), before, "drops before and after")
            for charon in charons:
                used = [n for _, n in charon.packets()]
                check(used and min(used) > 10, f"packets, by charon's account: {charon.sas()}")
            charons[0].swanctl("--terminate", "--ike", "site")
            gone(lab)
    add_case(f"mode = iptfs, {what}: four rekeys under load and a stream, not a packet is lost", run)


child("IPv4")
child("IPv6 in IPv6", family=6, inner=6)
child("IPv4 in IPv6, CBC and HMAC", family=6, esp="aes128-sha256")
child("in UDP", conn="encap = yes", shown="IPTFS-in-UDP, ESP")
child("options of its own", options=("init_delay = 3000\n packet_size = 1200\n reorder_window = 10\n drop_time = 2000000",) * 2)


@case("mode = iptfs where one end takes no fragments: the other sends none, and says what fits")
def no_fragments():
    later_charon()
    text = connection(child="mode = iptfs\n start_action = trap")
    with sites() as lab:
        start(lab, text, ("", "accept_fragments = no"))
        pinged(lab)
        pumped(lab)
        said = sh("ping", "-n", "-c", 2, "-i", "0.2", "-W", 1, "-M", "do", "-s", 1472, HOST4[1], ns=lab.ns("host-a"), quiet=True)
        check(re.search(r"mtu\s*=\s*1[34]\d\d\b", said), f"1500 octets with DF towards the end that takes no fragments:\n{said}")
        said = sh("ping", "-n", "-c", 2, "-i", "0.2", "-W", 1, "-M", "do", "-s", 1472, HOST4[0], ns=lab.ns("host-b"), quiet=True)
        check("mtu" not in said, f"1500 octets with DF from there:\n{said}")


if __name__ == "__main__":
    main()
