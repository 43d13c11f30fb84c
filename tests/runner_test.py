#!/usr/bin/python3
"""The runner against programs that end in every wrong way: none may pass unseen."""
import importlib.machinery
import importlib.util
import os

from tap import add_case, main, same

loader = importlib.machinery.SourceFileLoader("run", os.path.join(os.path.dirname(os.path.abspath(__file__)), "run"))
runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
loader.exec_module(runner)

# what, shell program, (passed, failed, skipped)
PROGRAMS = [
    ("two good cases pass", "echo 1..2; echo ok 1 - a; echo ok 2 - b", (2, 0, 0)),
    ("a failed case fails", "echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1", (1, 1, 0)),
    ("a skip is neither", "echo 1..1; echo 'ok 1 - a # SKIP no such device'", (0, 0, 1)),
    ("two plans add up", "echo 1..1; echo ok 1 - a; echo 1..1; echo ok 1 - b", (2, 0, 0)),
    ("no plan is a failure", "echo ok 1 - a", (1, 1, 0)),
    ("no output is a failure", "true", (0, 1, 0)),
    ("fewer cases than planned is a failure", "echo 1..3; echo ok 1 - a", (1, 1, 0)),
    ("a crash is a failure, with all cases good", "echo 1..1; echo ok 1 - a; kill -SEGV $$", (1, 1, 0)),
    ("an exit status is a failure, with all cases good", "echo 1..1; echo ok 1 - a; exit 3", (1, 1, 0)),
    ("bailing out is a failure", "echo 1..0; echo 'Bail out! no memory'", (0, 2, 0)),
    ("too slow is a failure", "echo 1..1; echo ok 1 - a; sleep 30", (1, 1, 0)),
]


def judge(shell, want):
    verdict = runner.run(runner.Program("self", "self", ["sh", "-c", shell], timeout=1), "")
    same(tuple(verdict.count(kind) for kind in ("pass", "fail", "skip")), want)


for what, shell, want in PROGRAMS:
    add_case(what, lambda shell=shell, want=want: judge(shell, want))

if __name__ == "__main__":
    main()
