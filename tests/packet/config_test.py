#!/usr/bin/python3
"""Files and options that are wrong: exit status 2, the place and the key named, no secret printed (rows A10, A11)."""
import os
import re
import resource
import struct
import subprocess
import tempfile

import yaml

from gw import ESPGW, Tunnel, eal, execute, from_lan, run, to_lan, with_tunnels
from tap import add_case, case, check, main, same

KEY = "hex:00112233445566778899aabbccddeeff01020304"


def text_of(config=None):
    config = config or with_tunnels(Tunnel(1))
    for i, port in enumerate(config["ports"]):
        port["device"] = f"net_null{i}"
    return yaml.safe_dump(config, sort_keys=False)


def checked(text, *arguments, name="espgw.yaml"):
    """--check over a file with that text (octets, text, or what makes the file)."""
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        path = os.path.join(folder, name)
        if callable(text):
            text(path)
        else:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(text if isinstance(text, bytes) else text.encode())
        done = execute(["--config", path, "--check", *arguments])
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace").replace(folder + "/", "")


def refused(what, text, *words, place=True):
    def body():
        status, said = checked(text)
        same(status, 2, f"exit status\n{said}\n")
        if place:
            check(re.search(r"espgw\.yaml:\d+:\d+: ", said), f"no file:line:column in\n{said}")
        for word in words:
            check(re.search(word, said, re.I), f"{word!r} is not in\n{said}")
        check("00112233445566778899aabb" not in said.lower(), f"a key is in\n{said}")
    add_case(what, body)


def edited(old, new, count=1):
    text = text_of()
    assert old in text, old
    return text.replace(old, new, count)


def many_aliases():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join(f'*a{i - 1}' for _ in range(9))}]" for i in range(1, 40)]
    return "version: 1\n" + "\n".join(lines) + "\n"


def huge(path):
    with open(path, "w", encoding="ascii") as f:
        f.write("version: 1\n# ")
        f.truncate(100 << 20)


def key_file(mode, content="00112233445566778899aabbccddeeff01020304\n"):
    def make(path):
        key = os.path.join(os.path.dirname(path), "key")
        with open(key, "w", encoding="ascii") as f:
            f.write(content)
        os.chmod(key, mode)
        config = with_tunnels(Tunnel(1))
        config["tunnels"][0]["in"]["key"] = "file:" + key
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(text_of(config))
    return make


@case("the file that the rows below spoil is good")
def good():
    status, said = checked(text_of())
    same(status, 0, f"exit status\n{said}\n")


refused("A10.1 a syntax error", edited("routes:", "routes: ]"))
refused("A10.1 a tab as indentation", edited("- name: wan\n  device", "- name: wan\n\tdevice"))
refused("A10.1 a duplicate key", edited("  side: black\n", "  side: black\n  side: black\n"), "side")
refused("A10.1 an unknown key", edited("  side: black\n", "  side: black\n  colour: red\n"), "colour")
refused("A10.1 an unknown section", text_of() + "extras: {}\n", "extras")
refused("A10.1 a list where a word belongs", edited("  side: black\n", "  side: [black]\n"), "side")
refused("A10.1 a word where a number belongs", edited("spi: 65537", "spi: many"), "spi")
refused("A10.1 a number out of range", edited("spi: 65537", "spi: 0x100000000"), "spi")
refused("A9.4 SPI 0", edited("spi: 65537", "spi: 0"), "spi")
refused("A9.4 SPI 255, which is reserved", edited("spi: 131073", "spi: 255"), "spi")
refused("A10.1 a word that is none of the choices", edited("side: black", "side: grey"), "side", "black")
refused("A10.1 a bad prefix length", edited("10.1.0.0/16", "10.1.0.0/33"), "10.1.0.0/33")
refused("A10.1 host bits set in a prefix", edited("to: 10.1.0.0/16", "to: 10.1.0.1/16"), "10.1.0")
refused("A10.1 no address at all", edited("to: 10.1.0.0/16", "to: somewhere"), "somewhere")
refused("A10.1 a route by a port that is not there", edited("port: wan", "port: wlan"), "wlan")
refused("A10.1 a name used twice", edited("name: lan", "name: wan"), "wan")
refused("A10.1 a policy of an SA that is not there",
        text_of() + "policies:\n- {name: p, direction: out, src: 10.1.0.0/16, dst: 10.2.0.0/16, action: protect, sa: nobody}\n",
        "nobody")
refused("A10.1 an outbound policy of an inbound SA",
        text_of() + "policies:\n- {name: p, direction: out, src: 10.1.0.0/16, dst: 10.2.0.0/16, action: protect, sa: t1.in}\n",
        "t1.in")
refused("A10.1 aliases that would expand without end", many_aliases())
refused("A10.1 a file of 100 MB", huge, place=False)
refused("A10.1 a directory", os.mkdir, place=False)
refused("A10.1 an empty file", "", "version|empty", place=False)
refused("A10.1 a file that is not there", lambda path: None, "espgw.yaml", place=False)
refused("A10.1 octets that are not UTF-8", text_of().encode() + b"# \xff\xfe\xc3\x28\n")
refused("A10.1 a version that we do not know", edited("version: 1", "version: 2"), "version")
refused("A10.2 a key with an odd number of digits", edited("key: hex:", "key: hex:0"), "key")
refused("A10.2 a key with a letter that is no digit", re.sub(r"key: hex:..", "key: hex:zz", text_of(), count=1), "key")
refused("A10.2 a key that is too short", re.sub(r"key: hex:\w+", "key: hex:00112233445566778899aabb", text_of(), count=1),
        "key", "20")
refused("A10.2 a key that is too long", re.sub(r"key: hex:\w+", f"key: {KEY}ff", text_of(), count=1), "key", "20")
refused("A10.2 a key file that others may read", key_file(0o644), "key")
refused("A10.2 a key file with a key too short", key_file(0o600, "00112233445566778899aabb\n"), "key")
refused("A9.4 the same key and salt on two SAs is refused with both names",
        re.sub(r"key: hex:\w+", f"key: {KEY}", text_of()), r"t1\.out", r"t1\.in")
refused("A9.4 the same SPI on two inbound SAs", text_of(with_tunnels(Tunnel(1), Tunnel(2))).replace("131074", "131073"),
        "spi|131073|0x20001")
refused("A9.4 a cipher without an auth", edited("aead: aes-gcm-128", "cipher: aes-cbc-128"), "auth")
refused("A9.4 an AEAD with an auth", edited("aead: aes-gcm-128", "aead: aes-gcm-128\n  auth: hmac-sha1-96"), "auth")
refused("A3.14 a replay window over the maximum", edited("esn: true", "esn: true\n  replay_window: 65537"), "replay_window")
refused("A3.14 a replay window below the minimum", edited("esn: true", "esn: true\n  replay_window: 31"), "replay_window")
refused("a tag length that the algorithm has not", edited("esn: true", "esn: true\n  icv: 10"), "icv")


@case("all errors of a file are reported in one run")
def all_errors():
    text = edited("side: black", "side: grey").replace("port: lan", "port: lane").replace("spi: 65537", "spi: 7")
    status, said = checked(text)
    same(status, 2, "exit status")
    for word in ("side", "lane", "spi"):
        check(word in said, f"{word!r} is not in\n{said}")


@case("A10.2 a key file for its owner alone is taken")
def key_file_good():
    status, said = checked(key_file(0o600))
    same(status, 0, f"exit status\n{said}\n")


@case("--check makes nothing: no port opened, no file written")
def check_changes_nothing():
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        config = with_tunnels(Tunnel(1))
        config["ports"][0]["device"] = f"net_pcap0,rx_iface=lo,tx_pcap={folder}/made.pcap"
        config["ports"][1]["device"] = f"net_pcap1,rx_iface=lo,tx_pcap={folder}/made2.pcap"
        with open(os.open(f"{folder}/c.yaml", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            yaml.safe_dump(config, f)
        same(execute(["--config", f"{folder}/c.yaml", "--check"]).returncode, 0, "exit status")
        same(os.listdir(folder), ["c.yaml"], "files")


def started(what, arguments, *words, status=None, extra_eal=()):
    """A wrong command line ends with an error that names the option, and without a core."""
    def body():
        with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
            with open(os.open(f"{folder}/c.yaml", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
                f.write(text_of())
            argv = [ESPGW, *(extra_eal or eal(f"espgw-test-{os.getpid()}-cli")), "--",
                    *(a.replace("FILE", f"{folder}/c.yaml") for a in arguments)]
            done = subprocess.run(argv, capture_output=True, timeout=60, check=False, cwd=folder, text=True,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20)))
            said = done.stdout + done.stderr
            check(done.returncode > 0, f"ends with {done.returncode}:\n{said}")
            if status is not None:
                same(done.returncode, status, f"exit status\n{said}\n")
            for word in words:
                check(re.search(word, said), f"{word!r} is not in\n{said}")
            same([f for f in os.listdir(folder) if f != "c.yaml"], [], "files left, a core perhaps")
    add_case(what, body)


started("A11.1 an unknown option", ["--config", "FILE", "--colour"], "colour", status=2)
started("A11.1 an option without its value", ["--config"], "config", status=2)
started("A11.1 a number that is none", ["--config", "FILE", "--burst", "many"], "burst", status=2)
started("A11.1 a burst of 0", ["--config", "FILE", "--burst", "0"], "burst", status=2)
started("A11.1 words left over", ["--config", "FILE", "more"], "more", status=2)
started("A11.1 no configuration at all", [], "config", status=2)
started("A11.1 more queues than the device has", ["--config", "FILE", "--rxq", "2000"], "rxq|queue")
started("A11.1 an EAL option that does not exist", ["--config", "FILE"], "colour", extra_eal=["--colour", "--no-huge"])
started("A11.1 a core that is not there", ["--config", "FILE"], "9999|core",
        extra_eal=["-l", "9999", "--no-huge", "--no-pci", "--no-shconf", "-m", "64"])


def device(what, first, second, *words):
    def body():
        config = with_tunnels(Tunnel(1))
        text = text_of(config).replace("net_null0", first).replace("net_null1", second)
        with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
            with open(os.open(f"{folder}/c.yaml", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
                f.write(text)
            done = execute(["--config", f"{folder}/c.yaml", "--exit-when-idle", "100"])
            said = (done.stdout + done.stderr).decode(errors="replace")
        check(done.returncode > 0, f"ends with {done.returncode}:\n{said}")
        for word in words:
            check(re.search(word, said), f"{word!r} is not in\n{said}")
    add_case(what, body)


device("A11.1 a device that does not exist", "net_nothing0", "net_null1", "net_nothing0")
device("A11.1 the same device twice", "net_null0", "net_null0", "net_null0")
device("A11.1 a capture that is not there", "net_pcap0,rx_pcap=/nowhere/at/all.pcap,tx_pcap=/dev/null", "net_null1", "wan")


def capture(what, octets, *words):
    """A capture that cannot be one is the file's error, before any port is opened."""
    def body():
        with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
            with open(f"{folder}/in.pcap", "wb") as f:
                f.write(octets)
            text = text_of().replace("net_null0", f"net_pcap0,rx_pcap={folder}/in.pcap")
            with open(os.open(f"{folder}/c.yaml", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
                f.write(text)
            # What is good is not run: the other port's net_null never ends.
            for option in (["--check"], ["--exit-when-idle", "100"]) if words else (["--check"],):
                done = execute(["--config", f"{folder}/c.yaml", *option])
                said = (done.stdout + done.stderr).decode(errors="replace")
                same(done.returncode, 0 if not words else 2, f"exit status with {option}\n{said}\n")
                for word in words:
                    check(re.search(word, said), f"{word!r} is not in\n{said}")
    add_case(what, body)


def pcap_head(order, magic, link):
    return struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, link)


def pcapng_head(order, link):
    return (struct.pack(order + "IIIHHqI", 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, -1, 28)
            + struct.pack(order + "IIHHII", 1, 20, link, 0, 0, 20))


for byte_order, name in (("<", "little"), (">", "big")):
    capture(f"a capture of no packets, {name} end first, is taken", pcap_head(byte_order, 0xa1b2c3d4, 1))
    capture(f"so is one in nanoseconds, {name} end first", pcap_head(byte_order, 0xa1b23c4d, 1))
    capture(f"so is one of Wireshark, {name} end first", pcapng_head(byte_order, 1))
    capture(f"a capture of the interface \"any\", {name} end first, is refused", pcap_head(byte_order, 0xa1b2c3d4, 113),
            r"c\.yaml:\d+:\d+: ports\[0\]\.device", "link type 113")
    capture(f"so is one of Wireshark, {name} end first, without Ethernet", pcapng_head(byte_order, 101), "link type 101")
capture("a capture that is cut within its header is refused", pcap_head("<", 0xa1b2c3d4, 1)[:20], "wan", "no capture")
capture("so is an empty one", b"", "no capture")
capture("so is any other file", bytes(range(256)), "no capture")


@case("--version and -h say what they should and end with 0")
def version_and_help():
    for option, word in (("--version", r"\d+\.\d+"), ("-h", "--config"), ("-h", "--exit-when-idle")):
        done = execute([option])
        said = (done.stdout + done.stderr).decode()
        same(done.returncode, 0, f"exit status of {option}\n{said}\n")
        check(re.search(word, said), f"{word!r} is not in\n{said}")


@case("with --json, standard output holds one JSON object and nothing else")
def json_alone():
    # run() parses all of stdout as JSON, and fails if there is more.
    done = run(with_tunnels(Tunnel(1)), lan=[to_lan(from_lan(1))])
    for key in ("ports", "sas", "drops", "rx", "tx", "generated", "split", "merged", "consumed", "held"):
        check(key in done.report, f"{key!r} is missing in {done.report}")
    same(done.report["ports"]["lan"]["rx_packets"], 1, "rx_packets of lan")
    same(done.sa("t1.out")["packets"], 1, "packets of t1.out")


@case("A11.1 one lcore alone is bad usage, and a report that nobody takes is a failure")
def endings():
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        config = with_tunnels(Tunnel(1))
        for i, port in enumerate(config["ports"]):
            port["device"] = f"net_pcap{i},tx_pcap={folder}/{i}.pcap"
        with open(os.open(f"{folder}/c.yaml", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            yaml.safe_dump(config, f, sort_keys=False)
        own = ["--", "--config", f"{folder}/c.yaml", "--exit-when-idle", "50"]
        memory = eal("espgw-test-endings")[2:]
        alone = subprocess.run([ESPGW, "--lcores", "0@0", *memory, *own], capture_output=True, timeout=60, check=False)
        same(alone.returncode, 2, f"exit status with one lcore\n{alone.stderr.decode()}\n")
        check(b"one lcore is not enough" in alone.stderr, alone.stderr)
        with open("/dev/full", "wb") as full:
            lost = subprocess.run([ESPGW, *eal("espgw-test-endings"), *own], stdout=full, stderr=subprocess.PIPE,
                                  timeout=60, check=False)
        same(lost.returncode, 1, f"exit status on a full disk\n{lost.stderr.decode()}\n")
        check(b"could not be written" in lost.stderr, lost.stderr)


@case("the command line wins over the file, and a laboratory's static keys are warned of")
def warned():
    done = run(with_tunnels(Tunnel(1)), arguments=["--burst", "1"], lan=[to_lan(from_lan(1))] * 3)
    same(done.report["tx"], 3, "packets sent")
    check("t1.out" in done.stderr, f"no warning about t1.out's static key in\n{done.stderr}")


if __name__ == "__main__":
    main()
