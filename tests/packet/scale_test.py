#!/usr/bin/python3
"""Very many SAs that come and go beside a stream through one that stays (tests/perf/scale_bench): nothing of the
stream may be lost, and the heap must come back. With --full a million of them, else fifty thousand."""
import os
import re
import subprocess

from gw import SLOWER, TOP
from tap import case, check, main, same

BENCH = os.path.join(os.path.dirname(os.environ.get("ESPGW") or os.path.join(TOP, "build/app/espgw/espgw")),
                     "../../tests/perf/scale_bench")
SAS = 1_000_000 if os.environ.get("FULL") else 50_000


@case(f"{SAS:,} SAs and policies are added, replaced and ended beside a stream that loses nothing")
def churn():
    done = subprocess.run([os.path.abspath(BENCH), "--no-huge", str(SAS), "1"], capture_output=True, text=True,
                          timeout=(100 + SAS / 2000) * SLOWER)
    check(done.returncode == 0, f"scale_bench ends with {done.returncode}:\n{done.stdout}{done.stderr}")
    sent = re.search(r"stream: (\d+) packets in, (\d+) out, (\d+) lost", done.stdout)
    check(sent is not None and int(sent[1]) > 0, f"no stream:\n{done.stdout}")
    same(sent[1], sent[2], "packets of the stream")
    above = float(re.search(r"heap above that of the start: (\S+) %", done.stdout)[1])
    check(abs(above) <= 2, f"the heap is {above} % from the start:\n{done.stdout}")
    each = float(re.search(r"and policies\s.*?([\d.]+) octets each", done.stdout)[1])
    check(each <= 1300, f"an SA and a policy take {each} octets")


if __name__ == "__main__":
    main()
