#!/usr/bin/python3
"""scripts/plot-iptfs: what its table says of captures, and what it refuses."""
import csv
import importlib.util
import os
import struct
import subprocess
import tempfile

from gw import TOP, from_lan, ip, to_lan, to_wan, udp, write_pcap
from tap import Skip, case, check, main, same

MS = 1000
ESP4 = ip("192.0.2.1", "198.51.100.1", 50, bytes(1380))
ESP6 = ip("2001:db8::1", "2001:db8:ffff::1", 50, bytes(1360))


def plot(outer, inner, *more, result="table.csv"):
    """The rows of the table, what was said, and the exit status."""
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        for name, frames in (("outer", outer), ("inner", inner)):
            if isinstance(frames, bytes):
                with open(f"{folder}/{name}.pcap", "wb") as f:
                    f.write(frames)
            else:
                write_pcap(f"{folder}/{name}.pcap", frames)
        done = subprocess.run([f"{TOP}/scripts/plot-iptfs", *more, "outer.pcap", "inner.pcap", result], cwd=folder,
                              capture_output=True, text=True, check=False)
        rows = []
        if result.endswith(".csv") and os.path.exists(f"{folder}/{result}"):
            with open(f"{folder}/{result}", encoding="ascii", newline="") as f:
                rows = list(csv.DictReader(f))
        size = os.path.getsize(f"{folder}/{result}") if os.path.exists(f"{folder}/{result}") else 0
        return rows, done, size


def flat(packet=ESP4, n=100):
    return [(i * MS, to_wan(packet)) for i in range(n)]


@case("a flat outer side: each bin has the same rate and size, and the inner side is beside it")
def even():
    inner = [(10 * MS + i, to_lan(from_lan(1, bytes(972)))) for i in range(20)]
    rows, done, _ = plot(flat(), inner, "--bin", "10")
    same(len(rows), 10, "bins")
    same({(r["outer_packets"], r["outer_bps"], r["outer_smallest"], r["outer_largest"]) for r in rows},
         {("10", "11200000", "1400", "1400")}, "outer side")
    same([(r["ms"], r["inner_packets"], r["inner_bps"]) for r in rows][:3], [("0.0", "0", "0"), ("10.0", "20", "16000000"),
                                                                           ("20.0", "0", "0")], "inner side")
    same(done.stdout, "outer: 100 packets of 1400 octets; gaps in us: mean 1000.0, deviation 0.0, median 1000.0, 99 % 1000.0, "
                      "largest 1000.0\n", "what it says")


@case("ESP over IPv6 and in UDP counts; keepalives, key exchange, ARP and what is in clear do not")
def chosen():
    in_udp = udp("192.0.2.1", "198.51.100.1", b"\1\2\3\4" + bytes(100), 4500, 4500)
    others = [udp("192.0.2.1", "198.51.100.1", b"\xff", 4500, 4500), udp("192.0.2.1", "198.51.100.1", bytes(60), 4500, 4500),
              udp("192.0.2.1", "198.51.100.1", b"\1\2\3\4", 53, 53)]
    frames = [to_wan(ESP6), to_wan(in_udp), *(to_wan(p) for p in others), to_wan(bytes(46), kind=0x0806)]
    rows, _, _ = plot(frames, [])
    same([(r["outer_packets"], r["outer_smallest"], r["outer_largest"]) for r in rows], [("2", str(len(in_udp)), "1400")], "rows")


@case("captures of nanoseconds, of the other byte order, and of bare IP are read; a frame that is cut counts whole")
def kinds():
    def capture(order, magic, link, unit, frames):
        head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 96, link)
        return head + b"".join(struct.pack(order + "IIII", 5, i * MS * unit, len(f), 1500) + f for i, f in enumerate(frames))

    for order in "<>":
        for magic, unit in ((0xa1b2c3d4, 1), (0xa1b23c4d, 1000)):
            for link, frames in ((1, [to_wan(ESP4)[:96]] * 20), (101, [ESP4[:60]] * 20), (12, [ESP4] * 20)):
                rows, done, _ = plot(capture(order, magic, link, unit, frames), [], "--bin", "20")
                same([(r["outer_packets"], r["outer_largest"]) for r in rows], [("20", "1400")], "rows")
                check("mean 1000.0, deviation 0.0" in done.stdout, done.stdout)


@case("what it cannot read it says in a line: no capture, no ESP, another link type, no such file, arguments")
def refused():
    bad = [(b"not a capture at all, whatever its name", [], (), "no pcap"), ([to_wan(from_lan(1))], [], (), "no ESP"),
           (struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 96, 113), [], (), "link type 113")]
    for outer, inner, more, words in bad:
        _, done, size = plot(outer, inner, *more)
        check(done.returncode != 0 and words in done.stderr and size == 0, done.stderr)
        same(done.stderr.count("\n"), 1, "lines")
    for more in (("--bin", "0"), ("--bin", "x"), ("one", "more")):
        _, done, _ = plot(flat(), [], *more)
        check(done.returncode != 0 and "scripts/plot-iptfs [--bin MS]" in done.stderr, done.stderr)
    _, done, _ = plot(flat(), [], result="picture.jpg")
    check(done.returncode != 0 and "PLOT.png" in done.stderr, done.stderr)


@case("a plot, where matplotlib is there, is a PNG; where it is not, it is said how to get it")
def picture():
    _, done, size = plot(flat(), [(i * MS, to_lan(from_lan(1, bytes(i)))) for i in range(100)], result="plot.png")
    if importlib.util.find_spec("matplotlib") is None:
        check(done.returncode != 0 and "python3-matplotlib" in done.stderr, done.stderr)
        raise Skip("no matplotlib here")
    same(done.returncode, 0, "exit status")
    check(size > 10000, f"a picture of {size} octets")


if __name__ == "__main__":
    main()
