#!/usr/bin/python3
"""What the README and config/ promise a newcomer: the first tunnel as it is written, and the completion of options."""
import os
import re
import subprocess
import tempfile

from gw import ESPGW, cpus, execute, read_pcap
from scapy.all import UDP, Ether
from tap import Failure, case, check, main, same

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def first_tunnel():
    """The commands of the README's first tunnel behind `cd lab`, as a shell would run them."""
    with open(f"{TOP}/README.md", encoding="utf-8") as f:
        section = f.read().split("## A first tunnel")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.S | re.M)
    text = "\n".join(blocks).split("&& cd lab\n")[1]
    return text.replace("../build/app/espgw/espgw -l 0-1", f"{ESPGW} --lcores '0@({cpus()}),1@({cpus()})'").replace("../", f"{TOP}/")


@case("the first tunnel of the README works as it is written")
def tunnel():
    commands = first_tunnel()
    same(commands.count("--exit-when-idle"), 2, "runs of espgw in the README")
    with tempfile.TemporaryDirectory(prefix="espgw-test-") as folder:
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=folder, capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode != 0:
            raise Failure(f"it ends with {done.returncode}\n{done.stdout}\n{done.stderr}")
        sent, back = (read_pcap(f"{folder}/{name}.pcap") for name in ("plain", "back"))
        texts = [[bytes(Ether(bytes(frame))[UDP].payload) for frame in frames] for frames in (sent, back)]
        same(len(texts[0]), 10, "datagrams")
        same(texts[1], texts[0], "what site B gave back")
    for said in ("ESP(spi=0x00001001,seq=0x1)", "10.1.0.2.4000 > 10.2.0.2.4000: UDP, length 10", "datagram 1"):
        check(said in done.stdout, f"{said!r} is not in\n{done.stdout}")


@case("the completion knows every option of --help")
def completion():
    options = set(re.findall(r"--[a-z][a-z-]+", execute(["-h"]).stdout.decode().split("\n\n")[1]))
    script = ". config/espgw.bash-completion; COMP_WORDS=(espgw -l 0-1 -- --); COMP_CWORD=4; _espgw; echo ${COMPREPLY[@]}"
    said = subprocess.run(["bash", "-c", script], cwd=TOP, capture_output=True, text=True, check=True).stdout
    same(sorted(said.split()), sorted(options), "options")


if __name__ == "__main__":
    main()
