#!/usr/bin/python3
"""charon rekeys the children of two gateways that each have a NIC, a crypto device and software, one child for each."""
import contextlib
import json
import time

from ike_lab import BLACK4, ID, SECRET, rekeyed
from ike_pump import Pump, answered, sites
from lab import sh, wait_for
from tap import case, check, main, same

# Child, its proposal, what espgw calls that, and the engine that is to serve it.
CHILDREN = [("gcm", "aes128gcm16-esn", "aes-gcm-128", "inline"),
            ("cbc", "aes128-sha256-esn", "aes-cbc-128+hmac-sha256-128", "cryptodev"),
            ("chacha", "chacha20poly1305-esn", "chacha20-poly1305", "ipsec_mb")]
TURNS = 4
EACH = 400  # datagrams a second each way, of each child


def address(side, n):
    return f"10.{side + 1}.{n}.2"


def connection():
    children = "".join(f"""
			{name} {{
				local_ts = 10.1.{n}.0/24
				remote_ts = 10.2.{n}.0/24
				esp_proposals = {proposal}
			}}""" for n, (name, proposal, _, _) in enumerate(CHILDREN, 1))
    return f"""
connections {{
	site {{
		version = 2
		local_addrs = {BLACK4[0]}
		remote_addrs = {BLACK4[1]}
		proposals = aes128gcm16-prfsha256-x25519
		local {{
			auth = psk
			id = {ID[0]}
		}}
		remote {{
			auth = psk
			id = {ID[1]}
		}}
		children {{{children}
		}}
	}}
}}
secrets {{
	ike-site {{
		secret = "{SECRET}"
	}}
}}
"""


def mixed(kind):
    def change(config):
        config["gateway"] |= {"crypto": ["inline", "cryptodev", "ipsec_mb"], "crypto_devices": ["crypto_openssl0"]}
        config["ports"][0]["inline"] = f"emulated,kinds={kind},suites=aes-gcm"
    return change


def served(lab, side):
    """Each SA is its engine's: those of now, and those that are on their way out."""
    wanted = {algorithm: engine for _, _, algorithm, engine in CHILDREN}
    sas = json.loads(lab.espctl(side, "--json", "show", "sa"))["sas"]
    same({(sa["algorithm"], sa["direction"], sa["engine"]) for sa in sas},
         {(algorithm, way, engine) for algorithm, engine in wanted.items() for way in ("in", "out")},
         f"suites, directions and engines, gateway {'ab'[side]}")


def work(lab, side):
    """Packets of the crypto device, and of the NIC."""
    crypto = json.loads(lab.espctl(side, "--json", "show", "crypto"))["crypto"]
    device = next(e for e in crypto["engines"] if e["name"] == "cryptodev")["devices"][0]
    nic = json.loads(lab.espctl(side, "--json", "show", "nic"))["nic"]["wan"]
    return device["packets"], nic["packets"]


def under_rekey(kind):
    with sites(change=mixed(kind)) as lab, contextlib.ExitStack() as stack:
        for side, name in enumerate("ab"):
            for n in range(1, len(CHILDREN) + 1):
                sh("ip", "addr", "add", f"{address(side, n)}/16", "dev", "eth0", ns=lab.ns(f"host-{name}"))
        charons = [lab.charon(side, connection()).start() for side in (0, 1)]
        pumps = []
        for n, (name, *_) in enumerate(CHILDREN, 1):
            charons[0].initiate(name)
            ends = [(lab.ns(f"host-{end}"), address(side, n)) for side, end in enumerate("ab")]
            wait_for(f"a ping through {name}", lambda e=ends: answered(e[0][0], e[1][1], "-I", e[0][1]), 20)
            pumps.append(stack.enter_context(Pump(lab, EACH, ends=ends)))
        before = [(lab.drops(side), work(lab, side)) for side in (0, 1)]
        for turn in range(TURNS):
            for name, *_ in CHILDREN:
                rekeyed(charons, turn % 2, "--child", name)
            if turn == 2:
                rekeyed(charons, turn % 2, "--ike", "site")
            for side in (0, 1):
                served(lab, side)
            time.sleep(0.2)
        for pump in pumps:
            pump.whole(EACH // 2)
        for side, (drops, (by_device, by_nic)) in enumerate(before):
            same(lab.drops(side), drops, f"drops before and after the rekeys, gateway {'ab'[side]}")
            device, nic = work(lab, side)
            check(device - by_device > 1000 and nic - by_nic > 1000, f"packets by the crypto device and by the NIC: {device, nic}")


for kind in ("crypto", "protocol"):
    @case(f"three children by a NIC (inline {kind}), a crypto device and software: charon rekeys each {TURNS} times, both sides by "
          "turns, and not a packet is lost")
    def rekeys(kind=kind):
        under_rekey(kind)


if __name__ == "__main__":
    main()
