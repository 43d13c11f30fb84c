#!/usr/bin/python3
"""Crypto by devices: a tunnel through a crypto device and through an emulated NIC, and who does what they do not.

That the packets went that way is read from what the devices count.
"""
import os
import re
import tempfile

import yaml

from control import BUILD
from gw import Tunnel, aged, execute, from_far, from_lan, run, same_packets, to_lan, to_wan, with_tunnels
from prompt import answer, config_text
from tap import Skip, add_case, case, check, main, once, same

SIZES = (0, 1, 15, 64, 500, 1300)
GCM, CBC = Tunnel(1), Tunnel(2, cipher="aes-cbc-128", auth="hmac-sha256-128")
ON = {
    "cryptodev": ({"crypto": ["cryptodev", "ipsec_mb"], "crypto_devices": ["crypto_aesni_gcm0"]}, None),
    "inline crypto": ({"crypto": ["inline", "ipsec_mb"]}, "emulated,kinds=crypto,suites=aes-gcm"),
    "inline protocol": ({"crypto": ["inline", "ipsec_mb"]}, "emulated,kinds=protocol,suites=aes-gcm"),
    "software": ({"crypto": ["ipsec_mb"]}, None),
}


def configured(gateway, inline=None, tunnels=(GCM, CBC)):
    config = with_tunnels(*tunnels)
    config["gateway"] = {**config["gateway"], **gateway}
    if inline:
        config["ports"][0]["inline"] = inline
    return config


def frames():
    lan = [to_lan(from_lan(t.n, bytes(n))) for t in (GCM, CBC) for n in SIZES]
    wan = [to_wan(t.seal(from_far(t.n, bytes(n)), seq)) for t in (GCM, CBC) for seq, n in enumerate(SIZES, 1)]
    return lan, wan


@once
def done():
    lan, wan = frames()
    return {name: run(configured(*on), lan=lan, wan=wan) for name, on in ON.items()}


def nameless(packet):
    """Without the identification of its outer IPv4 header, which a device may count its own way, and the checksum."""
    return packet[:4] + packet[6:10] + packet[12:]


def the_same(name):
    result, software = done()[name], done()["software"]
    # In the order in which they came within an SA; what is not the device's overtakes what is.
    for tunnel in (GCM, CBC):
        sent, want = ([nameless(p) for p in r.wan if p[20:24] == tunnel.spi["out"].to_bytes(4, "big")]
                      for r in (result, software))
        same_packets(sent, want, f"ESP packets of {tunnel.name}")
    want = [aged(from_far(t.n, bytes(n))) for t in (GCM, CBC) for n in SIZES]
    same_packets(sorted(result.lan), sorted(want), "packets inside")
    same(result.drops, {}, "drops")


for label in ("cryptodev", "inline crypto", "inline protocol"):
    add_case(f"{label}: the octets are those of software", lambda label=label: the_same(label))


@case("a crypto device has done each packet of the SAs that it serves, both ways; the others are software's")
def lookaside():
    report = done()["cryptodev"].report
    engine = report["crypto"]["engines"][0]
    same((engine["name"], engine["used"], engine["sas"]), ("cryptodev", True, 2), "the engine")
    same([(d["name"], d["packets"], d["inside"]) for d in engine["devices"]],
         [("crypto_aesni_gcm0", 2 * len(SIZES), 0)], "what the device did")
    for way in ("out", "in"):
        same({key: report["sas"][f"t1.{way}"][key] for key in ("engine", "device")},
             {"engine": "cryptodev", "device": "crypto_aesni_gcm0"}, f"t1.{way}")
        same(report["sas"][f"t2.{way}"]["engine"], "ipsec_mb", f"engine of t2.{way}")


def by_nic(kind):
    report = done()[f"inline {kind}"].report
    nic = report["nic"]["wan"]
    same((nic["provider"], nic["sas"], nic["sas_active"], nic["packets"], nic["errors"]),
         ("emulated", 2, 2, 2 * len(SIZES), 0), "what the port did")
    same(report["nic"]["lan"]["inline"], False, "the red port has it")
    for way in ("out", "in"):
        sa = report["sas"][f"t1.{way}"]
        same((sa["engine"], sa["offload"]["kind"], sa["offload"]["port"], sa["offload"]["active"], sa["offload"]["packets"]),
             ("inline", kind, "wan", True, len(SIZES)), f"t1.{way}")
        same(report["sas"][f"t2.{way}"]["engine"], "ipsec_mb", f"engine of t2.{way}")


for label in ("crypto", "protocol"):
    add_case(f"a NIC with inline {label} has done each packet of the SAs that it serves, both ways",
             lambda label=label: by_nic(label))


@case("where the NIC's table is full, the next SAs are software's, and nothing is lost")
def table_full():
    lan, wan = frames()
    result = run(configured({"crypto": ["inline", "ipsec_mb"]}, "emulated,sessions=1"), lan=lan, wan=wan)
    same_packets(result.wan, done()["software"].wan, "ESP packets")
    same(result.drops, {}, "drops")
    nic = result.report["nic"]["wan"]
    same((nic["sas_active"], nic["sessions_refused"] > 0), (1, True), "sessions")
    engines = sorted(sa["engine"] for sa in result.report["sas"].values())
    same(engines, ["inline", "ipsec_mb", "ipsec_mb", "ipsec_mb"], "engines")


@case("without devices nothing is said of them, and all is as with software alone")
def nobody_asked():
    lan, wan = frames()
    config = configured({})
    result = run(config, lan=lan, wan=wan)
    same_packets(result.wan, done()["software"].wan, "ESP packets")
    check("passed over" not in result.stderr, f"engines are talked of:\n{result.stderr}")
    same([(e["name"], e["used"]) for e in result.report["crypto"]["engines"]],
         [("inline", False), ("cryptodev", False), ("ipsec_mb", True), ("openssl", True)], "engines")


MANY = 2000
FAULTS = f"{BUILD}/tests/faults/libcrypto_faults.so"


def many_through(fault):
    """MANY packets each way through a device that fails in this way; with it the most that it had inside."""
    if not os.path.exists(FAULTS):
        raise Skip(f"{FAULTS} is not there")
    numbered = [i.to_bytes(4, "big") for i in range(MANY)]
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        with open(f"{folder}/fault", "w", encoding="ascii") as f:
            f.write(fault)
        done = run(configured({"crypto": ["cryptodev", "ipsec_mb"], "crypto_devices": ["crypto_aesni_gcm0"]}, tunnels=(GCM,)),
                   lan=[to_lan(from_lan(1, text)) for text in numbered],
                   wan=[to_wan(GCM.seal(from_far(1, text), seq)) for seq, text in enumerate(numbered, 1)],
                   env={"LD_PRELOAD": FAULTS, "CRYPTO_FAULTS": f"{folder}/fault"})
    for way in ("out", "in"):
        same(done.sa(f"t1.{way}")["engine"], "cryptodev", f"engine of t1.{way}")
    most = re.search(r"crypto_faults: device 0 had (\d+) packets at most", done.stderr)
    check(most, f"the library says nothing:\n{done.stderr}")
    # Numbers of ESP, and those in the packets; each once at most, and in order.
    left = [int.from_bytes(p[24:28], "big") for p in done.wan]
    opened = [int.from_bytes(GCM.open(p)[0][28:32], "big") for p in done.wan]
    came = [int.from_bytes(p[28:32], "big") for p in done.lan]
    for numbers in (left, opened, came):
        check(all(a < b for a, b in zip(numbers, numbers[1:])), f"out of order, or twice: {numbers}")
    return done, int(most.group(1)), 2 * MANY - len(left) - len(came)


@case("a crypto device that is slower than the ports: they wait for it while its ring is full, and nothing is lost")
def slow_device():
    done, most, lost = many_through("slow")
    # Ports are not read while less than half of the 511 places are free; the rest is for what is on its way.
    check(250 < most < 511, f"the device had {most} packets at most")
    same((done.drops, lost), ({}, 0), "drops, packets lost")


@case("a crypto device with room for half a burst: what it does not take is counted, all else arrives in order")
def tight_device():
    done, most, lost = many_through("tight")
    same(most, 16, "packets inside at most")
    check(lost > MANY / 10, f"only {lost} packets were too many for it")
    same(done.drops, {"crypto_full": lost}, "drops")
    refused = done.report["crypto"]["engines"][0]["devices"][0]
    same(refused["packets"], 2 * MANY - lost, f"packets that the device did: {refused}")


def started(config, *arguments, **more):
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        path = os.path.join(folder, "espgw.yaml")
        for i, port in enumerate(config["ports"]):
            port["device"] = f"net_null{i}"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f, sort_keys=False)
        return execute(["--config", path, "--control-socket", "none", *arguments], **more)


def refused(what, config, *words):
    def body():
        result = started(config(), "--exit-when-idle", "100")
        said = result.stderr.decode(errors="replace")
        check(result.returncode != 0, f"it starts\n{said}")
        for word in words:
            check(word in said, f"{word!r} is not in\n{said}")
    add_case(what, body)


refused("a crypto device that there is not is named",
        lambda: configured({"crypto": ["cryptodev", "ipsec_mb"], "crypto_devices": ["crypto_nonesuch0"]}),
        "gateway.crypto_devices: crypto_nonesuch0: DPDK has no driver of this name: a PCI address, or a name such as")
refused("a crypto device at a PCI address where there is none is named",
        lambda: configured({"crypto": ["cryptodev", "ipsec_mb"], "crypto_devices": ["0000:3d:01.0"]}),
        "gateway.crypto_devices: 0000:3d:01.0: there is no such device")
refused("arguments that a crypto device does not take are named",
        lambda: configured({"crypto": ["cryptodev", "ipsec_mb"], "crypto_devices": ["crypto_null0,nonesuch=1"]}),
        "gateway.crypto_devices: crypto_null0,nonesuch=1: its driver does not take these arguments")
refused("crypto devices that no engine uses are an error",
        lambda: configured({"crypto": ["ipsec_mb"], "crypto_devices": ["crypto_null0"]}), "crypto_devices", "cryptodev")
refused("an option of the emulated NIC that there is not is named",
        lambda: configured({}, "emulated,nonesuch=1"), "port wan: inline: ", "nonesuch")


@case("--check looks for a crypto device that is named by its PCI address")
def checked():
    config = configured({"crypto": ["cryptodev", "ipsec_mb"], "crypto_devices": ["ffff:1f:1f.7"]})
    result = started(config, "--check")
    same(result.returncode, 2, "exit status")
    check("gateway.crypto_devices: there is no PCI device ffff:1f:1f.7" in result.stdout.decode(), result.stdout.decode())


@case("--check knows the options of the emulated NIC")
def checked_options():
    for words, wrong in (("emulated,nonesuch=1", "no option nonesuch: there are kinds, "),
                         ("emulated,sessions=many", "sessions=many: a number from 1 to 65536"),
                         ("emulated,late", "late: option=value is wanted"),
                         ("emulated,engine=cryptodev", "engine=cryptodev: there is no such synchronous engine"),
                         ("emulated,kinds=crypto+protocol,engine=openssl", "")):
        result = started(configured({}, words), "--check")
        same(result.returncode, 2 if wrong else 0, f"{words}: exit status")
        out = result.stdout.decode()
        check(not wrong or "inline: emulated: " + wrong in out, f"{words}:\n{out}")


@case("show sa says who serves an SA and why another does not; show nic and show crypto who there is")
def shown():
    config = configured({"crypto": ["inline", "cryptodev", "ipsec_mb"]}, "emulated,suites=aes-gcm")
    out = answer(*WORDS, text=config_text(config))
    for line, words in WORDS.items():
        for word in words:
            check(word in out, f"{line}: {word!r} is not in\n{out}")


WORDS = {
    "show sa t1.out": ["engine: inline", "software: ipsec_mb", "kind: crypto", "port: wan", "active: "],
    "show sa t2.in": ["engine: ipsec_mb", "why not", "aes-cbc-128"],
    "show nic": ["wan: emulated", "2 SAs, 2 of them by the device now", "lan: no IPsec of its own: ESP comes by black ports"],
    "show nic wan": ["wan: emulated", "crypto in, tunnel"],
    "show crypto": ["inline: inline, 2 SAs", "cryptodev: passed over: ", "ipsec_mb: synchronous, 2 SAs"],
    "show nic tan": ["there is no port tan"],
    "port wan rest": ["it is: port NAME reset"],
}

if __name__ == "__main__":
    main()
