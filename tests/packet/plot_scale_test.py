#!/usr/bin/python3
"""scripts/plot-scale: what it draws of a table of many_bench, and what it refuses."""
import os
import subprocess
import tempfile
import xml.etree.ElementTree

from gw import TOP
from tap import case, check, main, same

SVG = "{http://www.w3.org/2000/svg}"
TABLE = """     SAs  size trains     out    bare      in    bare    both    bare       +
        2    64      1   150.0    70.0   160.0    70.0   310.0   140.0   170.0
        2    64      8   150.0    70.0   160.0    70.0   310.0   140.0   170.0
  1000000    64      1   600.0   400.0   700.0   400.0  1300.0   800.0   500.0
  1000000    64      8   250.0   140.0   300.0   140.0   550.0   280.0   270.0
        2  1400      1   420.0   340.0   430.0   340.0   850.0   680.0   170.0
  1000000  1400      1   900.0   700.0   950.0   700.0  1850.0  1400.0   450.0
cold lines of a packet: 4 out, 5 in
    out spd_match        entry of the flow cache
"""


def plot(table):
    """What was said, the exit status, and the picture's root."""
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        with open(f"{folder}/many.txt", "w", encoding="ascii") as f:
            f.write(table)
        done = subprocess.run([f"{TOP}/scripts/plot-scale", "many.txt", "many.svg"], cwd=folder, capture_output=True,
                              text=True, check=False)
        made = os.path.exists(f"{folder}/many.svg")
        return done, xml.etree.ElementTree.parse(f"{folder}/many.svg").getroot() if made else None


@case("a panel for each size; in it the gateway and the bare cipher, for each length of trains, by number of SAs")
def lines():
    done, root = plot(TABLE)
    same(done.returncode, 0, done.stderr)
    words = [t.text for t in root.iter(SVG + "text")]
    same([w for w in words if "octets" in w], ["64 octets, out and in", "1400 octets, out and in"], "panels")
    drawn = [[tuple(map(float, p.split(","))) for p in line.get("points").split()] for line in root.iter(SVG + "polyline")]
    same(len(drawn), 6, "lines")
    for line in drawn:
        same(len(line), 2, "points of a line")
        check(line[0][0] < line[1][0] and line[0][1] > line[1][1], f"more SAs to the right, more cycles above: {line}")
    gateway, bare = drawn[0], drawn[1]
    check(all(g[1] < b[1] for g, b in zip(gateway, bare)), "the gateway above the bare cipher")


@case("without a table it says so, and draws nothing")
def nothing():
    done, root = plot("no hugepages\n")
    check(done.returncode != 0 and "no table of many_bench" in done.stderr, done.stderr)
    check(root is None, "a picture of nothing")


main()
