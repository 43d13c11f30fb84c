#!/usr/bin/python3
"""The prompt: commands from a pipe, a file and a terminal, to the program itself (row A11.2)."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time

import yaml

from gw import ESPGW, TOP, Tunnel, from_lan, to_lan, to_wan, udp, with_tunnels, write_pcap
from prompt import PROMPT, SECONDS, answer, argv_of, config_text, files, session
from tap import Skip, case, check, main, once, same


def as_json(command, **more):
    return json.loads(answer(command, **more))


def has(text, *words):
    for word in words:
        check(re.search(word, text, re.M), f"{word!r} is not in\n{text}")


@once
def everything():
    return answer("show sa", "show sa t1.out", "show sa t2.in", "show config", "show config json", "show sa json",
                  "show policy", "show policy json")


@case("show sa has a line for each, with algorithm, engine, worker and state")
def show_sa():
    text = answer("show sa")
    has(text, r"^t1\.out +out +live +0x00010001 +tunnel +aes-gcm-128 +ipsec_mb +0 .*192\.0\.2\.1 > 198\.51\.100\.1$",
        r"^t2\.in +in +live +0x00020002 +tunnel +aes-cbc-128\+hmac-sha256-128 +\w+ ", r"^t3\.out .* transport ")
    same(len(text.splitlines()), 7, "lines")


@case("show sa NAME says all of one, for people and as JSON")
def show_one():
    has(answer("show sa t2.out"), r"^name: t2\.out$", r"^spi: 0x00010002$", r"^udp src: 4500$", r"^udp dst: 4501$",
        r"^last number: 0$", r"^mtu: \d+$", r"^engine: \w+$")
    one = as_json("show sa t2.in json")
    same({k: one[k] for k in ("direction", "udp_src", "udp_dst", "esn", "replay_top", "replay_window", "worker")},
         {"direction": "in", "udp_src": 4501, "udp_dst": 4500, "esn": True, "replay_top": 0, "replay_window": 1024,
          "worker": 0}, "t2.in")
    life = as_json("show sa t3.out json")["lifetime"]
    same((life["soft_packets"], life["hard_bytes"]), (5, 1000), "lifetime of t3.out")
    check("hard_packets" not in life, "a limit that is not set is shown")
    same([sa["name"] for sa in as_json("show sa json")["sas"]],
         [f"t{n}.{way}" for n in (1, 2, 3) for way in ("out", "in")], "names")


@case("no command shows a key")
def no_keys():
    for tunnel in (Tunnel(1), Tunnel(2, cipher="aes-cbc-128", auth="hmac-sha256-128", encap=(4500, 4501))):
        for keys in tunnel.keys.values():
            for key in filter(None, keys):
                check(key.hex()[:16] not in everything().lower(), f"a key of {tunnel.name} is shown")
    has(everything(), "redacted")


@case("show policy has all selectors in the order of precedence, and the database")
def show_policy():
    policies = [{"name": "no-telnet", "direction": "out", "src": "10.1.0.0/16", "dst": ["10.2.0.0/16", "10.3.0.1-10.3.0.9"],
                 "protocol": "tcp", "dst_port": "20-23", "dscp": [10, 46], "icmp": False, "action": "discard"},
                {"name": "ping", "direction": "out", "src": "10.1.0.0/16", "dst": "10.2.0.0/16", "protocol": "icmp",
                 "action": "bypass"}]
    text = config_text(with_tunnels(Tunnel(1), policies=policies))
    has(answer("show policy", text=text),
        r"no-telnet +out discard - .*10\.1\.0\.0/16 > 10\.2\.0\.0/16,10\.3\.0\.1-10\.3\.0\.9 protocol 6 to port 20-23"
        r" dscp 10 dscp 46 without ICMP errors$", r" ping +out bypass .* protocol icmp$", r"^  policies: \d+$")
    got = as_json("show policy json", text=text)
    same([p["name"] for p in got["policies"]], ["no-telnet", "ping", "t1.out", "t1.in"], "policies")
    same([got["policies"][0][k] for k in ("dst", "dst_port", "dscp", "icmp")],
         [["10.2.0.0/16", "10.3.0.1-10.3.0.9"], "20-23", [10, 46], False], "no-telnet")
    same(got["policies"][2]["sa"], "t1.out", "SA of t1.out")
    orders = [p["order"] for p in got["policies"]]
    same(orders, sorted(set(orders)), "orders")
    same(got["database"]["rules"], 7, "rules: a pair of addresses each")


@case("show port has link, addresses and queues")
def show_port():
    has(answer("show port"), r"^wan: black, .* Link (up|down)", r"address 192\.0\.2\.1/24", r"worker 0: reads queue 0")
    same(as_json("show port json")["ports"]["lan"]["side"], "red", "side of lan")


@case("show route has routes and neighbours")
def show_route():
    has(answer("show route"), r"^\* 0\.0\.0\.0/0 +static +via 192\.0\.2\.254 on wan$", r"^neighbour 10\.254\.0\.2 ")
    check({"to": "10.1.0.0/16", "origin": "static", "used": True, "port": "lan", "via": "10.254.0.2"}
          in as_json("show route json")["routes"], "the route to 10.1.0.0/16 is missing")


@case("show config is a configuration: what it says loads again but for its keys")
def show_config():
    shown = yaml.safe_load(answer("show config"))
    same([p["name"] for p in shown["ports"]], ["wan", "lan"], "ports")
    same(yaml.safe_load(as_json("show config json")["yaml"]), shown, "the same as JSON")


def moving():
    """Ports where frames come all the time."""
    return config_text().replace("net_ring", "net_null")


def rx_of(s):
    return s.ask("show pipeline json")["workers"][0]["rx"]


@case("show pipeline and show drops count what went through; clear begins anew, the exit report does not")
def counters():
    frames = [to_lan(from_lan(1))] * 5 + [to_lan(b"\x45" + bytes(19))] * 3
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        config = with_tunnels(Tunnel(1))
        for i, name in enumerate(("wan", "lan")):
            write_pcap(f"{folder}/{name}", frames if name == "lan" else [])
            config["ports"][i]["device"] = f"net_pcap{i},rx_pcap={folder}/{name},tx_pcap={folder}/{name}.out"
        with session(text=yaml.safe_dump(config)) as s:
            before = s.until("show pipeline json", lambda p: p["workers"][0]["tx"] == 5)
            stages = {(x["line"], x["stage"]): x["packets"] for x in before["stages"]}
            same([stages["out", x] for x in ("classify", "spd_match", "esp_seal", "port_tx")], [8, 5, 5, 5], "stages")
            worker = before["workers"][0]
            same((worker["flow_hits"] + worker["flow_misses"], worker["flow_misses"] > 0, worker["bounced"]), (5, True, 0),
                 "packets looked up in the flow cache, the first of them new; packets copied for a cipher")
            same(s.ask("show drops json")["drops"], {"outer_malformed": {"total": 3, "workers": [3]}}, "drops")
            same(s.ask("show port json")["ports"]["lan"]["rx_packets"], 8, "rx of lan")
            same(s.ask("show sa t1.out json")["last_number"], 5, "last number")
            s.send("clear\n")
            same({x["packets"] for x in s.ask("show pipeline json")["stages"]}, {0}, "packets of stages after clear")
            worker = s.ask("show pipeline json")["workers"][0]
            same((worker["flow_hits"], worker["flow_misses"]), (0, 0), "flows after clear")
            same(s.ask("show drops json")["drops"], {}, "drops after clear")
            same(s.ask("show port json")["ports"]["lan"]["rx_packets"], 0, "rx of lan after clear")
            same(s.ask("show sa t1.out json")["packets"], 5, "packets of the SA after clear")
            s.send("quit\n")
            s.expect(rb"rx 8 \+ generated 0 .* = tx 5 .* dropped 3 ")
            s.ends()


@case("show mirror and show drops count what our own host was given and sent")
def mirror_counters():
    ike = to_wan(udp("198.51.100.9", "192.0.2.1", bytes(28), 500, 500))
    own = to_wan(udp("192.0.2.1", "198.51.100.9", bytes(28), 500, 500))
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        config = with_tunnels()
        for i, (name, frames) in enumerate((("wan", [ike] * 7), ("lan", []), ("own", [own] * 2))):
            write_pcap(f"{folder}/{name}", frames)
            device = f"net_pcap{i},rx_pcap={folder}/{name},tx_pcap={folder}/{name}.out"
            if name == "own":
                config["ports"][0]["mirror"] = {"device": device}
            else:
                config["ports"][i]["device"] = device
        with session(text=yaml.safe_dump(config)) as s:
            shown = s.until("show mirror json", lambda m: m["mirrors"]["wan"]["to_host_frames"] == 7 and m["injected"] == 2)
            same((shown["mirrors"]["wan"]["from_host_frames"], shown["classes"]["ike"]["given"], shown["held"]), (2, 7, 0),
                 "frames from the host, IKE frames, held")
            drops = s.ask("show drops json")
            same(drops["consumed"], {"mirror": {"total": 7, "workers": [0], "control": 7}}, "consumed")
            same(drops["generated"], {"mirror": {"total": 2, "workers": [0], "control": 2}}, "generated")
            s.send("clear\n")
            same(s.ask("show drops json")["consumed"], {}, "consumed after clear")
            s.send("show mirror\nquit\n")
            s.expect(rb"wan: device net_pcap2.*ike +7 +0 +0  2000 per second, 500 at once")
            s.ends()


@case("stop stops reading from the ports, start goes on")
def stop_start():
    with session(text=moving()) as s:
        s.until("show pipeline json", lambda p: p["workers"][0]["rx"] > 0)
        s.send("stop\n")
        check(not s.ask("show pipeline json")["reading"], "it says that it reads")
        end, last, now = time.monotonic() + SECONDS, -1, rx_of(s)
        while now != last and time.monotonic() < end:
            time.sleep(0.05)
            last, now = now, rx_of(s)
        time.sleep(0.3)
        same(rx_of(s), last, "rx while stopped")
        s.send("start\n")
        s.until("show pipeline json", lambda p: p["reading"] and p["workers"][0]["rx"] > last)
        s.send("quit\n")
        s.expect(rb"= tx \d+")
        s.ends()


@case("a stopped gateway is not idle")
def stopped_is_not_idle():
    with session("--exit-when-idle", "200") as s:
        s.send("stop\n")
        same(s.ask("show pipeline json")["reading"], False, "reading")
        time.sleep(1)
        same(s.process.poll(), None, "exit status")
        s.send("start\n")
        s.ends()


@case("reload --dry-run says what would change; reload does it; a file with an error changes nothing")
def reload():
    with session() as s:
        s.ask("show drops json")  # it has read the file
        with open(s.path, encoding="ascii") as f:
            good = f.read()
        with open(s.path, "w", encoding="ascii") as f:
            f.write(good.replace("local: 192.0.2.1\n", "local: 192.0.2.1\n  df: set\n", 1))
        s.send("reload --dry-run\n")
        s.expect(rb"~ sa t1\.out: df copy -> set")
        s.text = b""
        time.sleep(0.2)
        s.send("show config\n")
        check("df: set" not in s.expect(rb"policies:"), "a dry run changed something")
        s.send("reload\n")
        s.expect(rb"~ sa t1\.out: df copy -> set")
        s.send("show config\n")
        has(s.expect(rb"policies:"), r"df: set")
        with open(s.path, "w", encoding="ascii") as f:
            f.write(good.replace("mode: tunnel", "mode: teapot", 1))
        s.send("reload\n")
        has(s.expect(rb"error: reload refused, nothing changed\n"), r"espgw\.yaml:\d+:\d+: .*teapot")
        s.send("quit\n")
        s.ends()


def rewritten(path, edit):
    with open(path, encoding="ascii") as f:
        config = yaml.safe_load(f)
    edit(config)
    with open(path, "w", encoding="ascii") as f:
        yaml.safe_dump(config, f, sort_keys=False)


def reloaded(s, edit):
    """What a reload with an edited file says."""
    s.ask("show drops json")  # it has read the file
    rewritten(s.path, edit)
    s.send("reload\nshow drops json\n")
    return s.expect(rb"\{.*\}\n")


@case("a reload that lists the ports in another order knows them by name")
def reload_port_order():
    def edit(config):
        config["ports"].reverse()
        config["routes"].append({"to": "10.9.0.0/16", "via": "192.0.2.77", "port": "wan"})
        config["neighbours"].append({"ip": "192.0.2.77", "mac": "02:00:00:00:00:77", "port": "wan"})

    with session() as s:
        has(reloaded(s, edit), r"\+ neighbour 192\.0\.2\.77 at wan")
        routes = {r["to"]: r for r in s.ask("show route json")["routes"]}
        same(routes["10.9.0.0/16"]["port"], "wan", "port of the new route")
        s.send("quit\n")
        s.ends()


@case("a reload gives a port other addresses")
def reload_addresses():
    def edit(config):
        config["ports"][0]["addresses"] = ["192.0.2.9/24", "2001:db8::1/64"]

    with session() as s:
        has(reloaded(s, edit), r"~ port wan: addresses")
        ports = json.dumps(s.ask("show port json"))
        check("192.0.2.9/24" in ports and "192.0.2.1/24" not in ports, ports)
        s.send("quit\n")
        s.ends()


@case("a reload changes burst and idle")
def reload_pace():
    with session() as s:
        has(reloaded(s, lambda config: config["gateway"].update(burst=7, idle="poll")), r"burst 32 -> 7")
        time.sleep(0.3)
        before = s.ask("show pipeline json")["workers"][0]["loops"]
        time.sleep(0.5)
        # In naps of 50 us and more a worker turns 10,000 times at most.
        check(s.ask("show pipeline json")["workers"][0]["loops"] - before > 20_000, "the worker still naps")
        s.send("quit\n")
        s.ends()


@case("a reload refuses what it could not bring about: mtu and promiscuous want a restart")
def reload_refused():
    with session() as s:
        said = reloaded(s, lambda config: config["ports"][0].update(mtu=1400, promiscuous=True))
        has(said, "error: reload refused, nothing changed", r"ports\[0\]\.mtu: cannot change",
            r"ports\[0\]\.promiscuous: cannot change")
        s.send("quit\n")
        s.ends()


@case("set stats-period prints a line of counters from then on, 0 ends that")
def stats_period():
    with session() as s:
        s.send("set stats-period 1\n")
        s.expect(rb"rx 0 tx 0 dropped 0 consumed 0 held 0\n")
        s.send("set stats-period 0\nshow drops json\n")
        s.expect(rb"\{.*\}\n")
        time.sleep(1.5)
        s.send("show drops json\n")
        check(s.expect(rb"\{.*\}\n").startswith("{"), "a line of counters came")
        s.send("quit\n")
        s.ends()


@case("A11.2 a line of 64 KiB, control characters, unknown commands: a line each, and all lives")
def bad_lines():
    text = answer(b"a" * 65536 + b"\nshow \x1b[31mport\n\0\nfrobnicate\nshow\nshow sa nobody\n\n  \n# show port\nhelp quit\n")
    same([line[:20] for line in text.splitlines()],
         ["error: a line of mor", "error: octet 0x1b in", "error: octet 0x01 in", "error: there is no c",
          "error: a word is mis", "error: there is no S", "quit                "], "lines")
    check("\x1b" not in text, "a control character came back")


@case("A11.2 what an unknown command held is not all said again")
def unknown_is_cut():
    text = answer(b"x" * 400 + b"\n")
    check("x" * 20 in text and "x" * 50 not in text, text)


@case("the end of a pipe ends the prompt, and the gateway goes on")
def end_of_pipe():
    with session() as s:
        same(s.ask("show pipeline json")["reading"], True, "reading")
        s.process.stdin.close()
        s.process.stdin = None
        time.sleep(0.5)
        same(s.process.poll(), None, "exit status")
        s.process.send_signal(signal.SIGTERM)
        s.expect(rb"= tx 0")
        s.ends()


@case("commands from a file; the last line may lack its end")
def from_file():
    with files() as path, open(path + ".in", "w+b") as f:
        f.write(b"show sa t1.out json\r\nquit")
        f.seek(0)
        done = subprocess.run(argv_of(path), stdin=f, capture_output=True, timeout=SECONDS, check=False)
    same(done.returncode, 0, "exit status")
    same(json.loads(done.stdout.splitlines()[0])["name"], "t1.out", "name")


@case("with --json the prompt speaks on standard error, and standard output holds the report alone")
def json_alone():
    with files() as path:
        done = subprocess.run(argv_of(path, "--json"), input=b"help quit\nset stats-period 1\nquit\n",
                              capture_output=True, timeout=SECONDS, check=False)
    same(json.loads(done.stdout)["rx"], 0, "rx")
    has(done.stderr.decode(), r"^quit +end the gateway$")


@case("A11.2 a reader who does not read holds nothing up, and gets all once he reads")
def slow_reader():
    with session() as s:
        s.send("show config\n" * 300)
        time.sleep(1)
        with open(s.path, "w", encoding="ascii") as f:
            f.write("no: configuration\n")
        s.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + SECONDS
        while "reload refused" not in s.errors():
            check(time.monotonic() < end, "a signal is not heeded while the reader sleeps")
            time.sleep(0.1)
        s.send("help quit\nquit\n")
        same(s.expect(rb"quit +end the gateway\n").count("version: 1\n"), 300, "configurations shown")
        s.expect(rb"= tx 0")
        s.ends()


@case("A11.2 a reader who is gone does not end the gateway")
def broken_pipe():
    with session() as s:
        s.ask("show drops json")
        s.process.stdout.close()
        s.send("show config\n" * 20)
        time.sleep(0.5)
        same(s.process.poll(), None, "exit status")
        s.send("quit\n")
        # Asked to end, it does so in order; but its report has nowhere to go, and that is said.
        s.ends(1)
        has(s.errors(), "the report could not be written")


def typed(s, keys, pattern):
    s.send(keys)
    return s.expect(pattern)


@case("a terminal: a prompt, completion by TAB, help by ?")
def completion():
    with session(terminal=True) as s:
        typed(s, "sh\t", rb"show ")
        typed(s, "pi\t", rb"pipeline ")
        has(typed(s, "\r", rb"sources:.*" + PROMPT), "esp_encap")
        has(typed(s, "show \t", rb"pipeline .*show \x1b"), r"^ port .*link", r"^ policy .*order")
        typed(s, "port\r", rb"wan: black.*" + PROMPT)
        typed(s, "show sa t2.\t\t", rb" t2\.out.* t2\.in.*show sa t2\.\x1b")
        typed(s, "o\t", rb"ut ")
        typed(s, "\r", rb"name: t2\.out.*" + PROMPT)
        has(typed(s, "?", rb"quit .*" + PROMPT), r"^ start +read from the ports")
        typed(s, "quit\r", rb"= tx 0")
        s.ends()


@case("a terminal: keys that edit, history, and its settings put back at the end")
def editing():
    with session(terminal=True) as s:
        typed(s, "xhelp qui\x01\x04\x05z\x7ft\r", rb"quit +end the gateway.*" + PROMPT)
        typed(s, "\x1b[A\r", rb"quit +end the gateway.*" + PROMPT)
        typed(s, "lp clear\x01he\x05\x1b[D\x1b[C\r", rb"clear +show counters.*" + PROMPT)
        check(not termios.tcgetattr(s.tty)[3] & termios.ECHO, "the terminal echoes by itself")
        typed(s, "quit\r", rb"= tx 0")
        s.ends()
        check(termios.tcgetattr(s.tty)[3] & termios.ECHO, "the terminal's settings are not put back")


@case("A11.2 a terminal: a line of 64 KiB and control characters are complained of, and all lives")
def terminal_bad():
    with session(terminal=True) as s:
        for _ in range(64):
            s.send("a" * 1024)
            while select.select([s.reader], [], [], 0)[0]:
                os.read(s.reader, 65536)
        typed(s, "\r", rb"error: a line of more than \d+ octets.*" + PROMPT)
        typed(s, "\x00\x02\x06\x1d\x1b\x1b[Zhelp quit\r", rb"(quit +end the gateway|error: ).*" + PROMPT)
        typed(s, "help quit\r", rb"quit +end the gateway.*" + PROMPT)
        s.send("quit\r")
        s.ends()


@case("a terminal: Ctrl-D ends the prompt alone, Ctrl-C the gateway")
def terminal_end():
    with session(terminal=True) as s:
        typed(s, "\x04", rb"The prompt has ended")
        time.sleep(0.5)
        same(s.process.poll(), None, "exit status")
        typed(s, "\x03", rb"= tx 0")
        s.ends()
        check(termios.tcgetattr(s.tty)[3] & termios.ECHO, "the terminal's settings are not put back")


@once
def manual():
    with open(f"{TOP}/man/espgw.8", encoding="utf-8") as f:
        return f.read()


@case("espgw(8) has each option of --help, each command of help, and each counter")
def manual_is_whole():
    shown = subprocess.run([ESPGW, "-h"], capture_output=True, timeout=SECONDS, check=True, text=True).stdout
    for option in re.findall(r"^ .*?--([a-z-]+)", shown, re.M):
        has(manual(), rf"^\.It .*Fl -{option}( |$)")
    for line in answer("help").splitlines():
        words = re.match(r"[a-z -]+[a-z](?=  | [A-Z\[])", line).group(0)
        has(manual(), rf"^\.It Ic {words}( |$)")
    with open(f"{TOP}/lib/stats/drops.h", encoding="utf-8") as f:
        names = re.findall(r'^\s*X\([A-Z_0-9]+,\s*"(\w+)"', f.read(), re.M)
    check(len(names) > 40, f"only {names}")
    for name in set(names) - {"none"}:
        has(manual(), rf"^\.It Li {name}$")


@case("ping takes its time: lines of a pipe wait for it, a key on a terminal ends it, and the prompt comes back")
def pings():
    said = answer("ping t1 count 2 interval 0.05 timeout 0.1", "show sa t1.out json", "ping t9", "ping t1 size x", "ping t1 count 1 json")
    lines = said.splitlines()
    check(lines[0].startswith("seq 1, ") and lines[0].endswith("no answer") and lines[1].startswith("seq 2, "), said)
    same(lines[2:4], ["2 sent, 0 answered, 100 % lost", "error: no echo was answered: a peer does so where its inbound SA has esp_ping"], said)
    same(json.loads(lines[4])["last_number"], 2, "numbers that it took")
    check("there is no SA t9" in lines[5] and "size" in lines[6], said)
    same([json.loads(line).get("result") for line in lines[7:8]], ["lost"], said)
    same(json.loads(lines[8])["lost"], 1, said)
    with session(terminal=True) as s:
        s.send("ping t1 count 0 interval 0.1 timeout 0.1\r")
        s.expect(rb"seq 2, \d+ octets: no answer")
        s.send("x")
        s.expect(rb" 0 answered, 100 % lost.*" + PROMPT)
        s.send("quit\r")
        s.ends()


@case("espgw(8) is sound mdoc")
def manual_is_sound():
    if not shutil.which("mandoc"):
        raise Skip("no mandoc here")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", f"{TOP}/man/espgw.8"], capture_output=True,
                          timeout=SECONDS, check=False, text=True)
    same(done.stdout, "", "complaints")


if __name__ == "__main__":
    main()
