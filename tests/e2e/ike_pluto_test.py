#!/usr/bin/python3
"""pluto of libreswan drives two gateways as its guide says; and two daemons share one gateway."""
import time

from ike_lab import HOST4, Pluto, guide, mirrored
from ike_pump import RATE, Pump, answered, gone, pinged, pumped, sites
from lab import wait_for
from tap import case, check, main, same

CONFIG = guide("libreswan/espgw.yaml")


def plutos(lab, conf=None):
    """One on each gateway, with the guide's files."""
    made = [Pluto(lab, side, mirrored(conf or guide("libreswan/ipsec.conf"), side), guide("libreswan/ipsec.secrets"))
            for side in (0, 1)]
    lab.daemons += made
    return [pluto.start() for pluto in made]


def rekeyed(ends, what, by):
    """One rekey of the Child SA or the IKE SA, done on both sides."""
    def count():
        return sum(pluto.said().count("rekeyed") for pluto in ends)
    before = count()
    ends[by].whack(what, "--name", "site-b", "--asynchronous")
    wait_for(f"a rekey: {what}", lambda: count() >= before + 2, 10)


@case("site-to-site as the guide says: up by itself; through rekeys both ways nothing is lost but what pluto's responder "
      "sends by an SA that the other end has not installed yet, nothing doubled or clear; counted by pluto; deleted")
def tunnel():
    with sites(CONFIG) as lab:
        ends = plutos(lab)
        pinged(lab)
        before = [lab.drops(side) for side in (0, 1)]
        with Pump(lab, RATE) as pump:
            rekeys = [("--rekey-ipsec", turn % 2) for turn in range(6)] + [("--rekey-ike", 0)]
            for what, by in rekeys:
                rekeyed(ends, what, by)
                time.sleep(0.5)
            pump.stop()
        after = [lab.drops(side) for side in (0, 1)]
        early = [now.pop("no_sa", 0) for now in after]
        same(after, before, "drops before and after the rekeys, but for no_sa")
        same([len(flow.lost()) for flow in reversed(pump.flows)], early, "lost, and dropped as no_sa")
        check(max(early) <= 50 * len(rekeys), f"{early} lost in {len(rekeys)} rekeys")
        same([flow.twice for flow in pump.flows], [0, 0], "duplicates")
        status = ends[0].whack("--trafficstatus")
        check("inBytes=0," not in status and "outBytes=0," not in status, status)
        for pluto in reversed(ends):  # auto=start: whom the other end leaves, he calls again
            pluto.whack("--delete", "--name", "site-b")
        gone(lab)
        check(not answered(lab.ns("host-a"), HOST4[1]), "an answer after the tunnel is deleted")


@case("pluto restarts: its flush stops traffic, in clear goes nothing, and the tunnel comes back by itself")
def restart():
    with sites(CONFIG) as lab:
        ends = plutos(lab)
        pinged(lab)
        ends[0].stop(9)
        pumped(lab)
        ends[0].flush()
        same(lab.xfrm_sas(0), [], "SAs of the dead pluto after its flush")
        check(not answered(lab.ns("host-a"), HOST4[1]), "an answer though the SAs are flushed")
        ends[0].start()
        pinged(lab)
        pumped(lab)


@case("the gateway restarts under pluto: the library connects again, and pluto negotiates what was lost")
def gateway_restart():
    with sites(CONFIG) as lab:
        plutos(lab)
        pinged(lab)
        lab.gateways["gw-a"].stop()
        lab.start_gateway(0, CONFIG)
        wait_for("new SAs on the new gateway", lambda: lab.xfrm_sas(0), 15)
        pinged(lab)
        pumped(lab)


@case("two daemons on one gateway: pluto's flush at its start leaves the SAs of charon, and its traffic, alone")
def two_daemons():
    with sites() as lab:
        charons = [lab.charon(side).start() for side in (0, 1)]
        pinged(lab)
        mine = lab.xfrm_sas(0)
        other = Pluto(lab, 0, guide("libreswan/ipsec.conf"), guide("libreswan/ipsec.secrets"))
        other.namespace = lab.ns("router")  # where no other daemon has the ports
        lab.daemons.append(other)
        with Pump(lab, RATE) as pump:
            other.start()
            time.sleep(1)
            other.stop()
            other.flush()
            pump.whole(2000)
        same(lab.xfrm_sas(0), mine, "SAs of charon")
        for charon in charons:
            charon.alive()


if __name__ == "__main__":
    main()
