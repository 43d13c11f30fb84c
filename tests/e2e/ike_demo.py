"""What scripts/demo --ike shows: two charons negotiate over two gateways, and rekeys in the middle of a transfer."""
import re
import time

from ike_lab import ESPCTL, HOST4, IkeLab
from ike_pump import Pump, Watch
from lab import sh, wait_for
from tap import check

__all__ = ["ESPCTL", "HOST4", "IkeLab", "SUMMARY", "demonstrate"]
RATE, SECONDS = 2500, 12
REKEYS = {2: (0, "--child", "net"), 4: (1, "--child", "net"), 6: (0, "--ike", "site-b"), 8: (1, "--child", "net"),
          10: (0, "--child", "net")}
SUMMARY = "two unmodified charons, their SAs in espgw; nothing was lost, doubled or sent in clear"


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n== {text}")


def spis(charon):
    """The newest child's SPIs, in and out."""
    found = re.findall(r"^    (?:in|out) +([0-9a-f]+)", charon.sas(), re.M)
    return "in {} out {}".format(*found[-2:]) if len(found) >= 2 else "none"


def bring_up(lab):
    for side in (0, 1):
        lab.start_gateway(side)
    charons = [lab.charon(side).start() for side in (0, 1)]
    say("two gateways with their mirrors, a charon on each, no SA yet; host-a -- gw-a == router == gw-b -- host-b")

    def answered():
        return "1 received" in sh("ping", "-n", "-c", 1, "-W", 1, HOST4[1], ns=lab.ns("host-a"), quiet=True)
    begin = time.monotonic()
    wait_for("the first ping through the tunnel", answered, 20)
    say(f"a ping from host-a asked for the tunnel, and came back after {time.monotonic() - begin:.1f} s")
    return charons


def transfer(lab, charons):
    turns = dict(REKEYS)
    with Pump(lab, RATE) as pump:
        while time.monotonic() - pump.begin < SECONDS:
            at = time.monotonic() - pump.begin
            for second in [s for s in turns if s <= at]:
                by, *what = turns.pop(second)
                charons[by].swanctl("--rekey", *what)
                time.sleep(0.3)
                say(f"  {at:4.1f} s  {pump.got():>6} arrived each way; rekey of {what[1]:6} by {charons[by].name}: "
                    f"{spis(charons[0])}")
            time.sleep(0.05)
        pump.stop()
        for way, flow in zip(("a to b", "b to a"), pump.flows):
            say(f"  {way}: {flow.sent} sent ({flow.sent / pump.seconds:.0f} a second), {flow.got} arrived, "
                f"{len(flow.lost())} lost, {flow.twice} twice")
        pump.whole(2000)


def demonstrate(lab):
    with Watch(lab) as watch:
        charons = bring_up(lab)
        title("what charon negotiated, and what espgw has")
        for line in charons[0].sas().splitlines():
            say("  " + line)
        say()
        for line in lab.espctl(0, "show", "sa").splitlines():
            say("  " + line)
        title(f"numbered datagrams both ways, and {len(REKEYS)} rekeys in the middle")
        transfer(lab, charons)
        title("what crossed the black wire")
        esp = watch.count("esp")
        check(esp > 0, "no ESP was seen")
        say(f"  {esp} ESP packets, {watch.count('ike')} of IKE; in clear: none but what keeps a link going")
        watch.clean()
