"""Test cases that print TAP: a sentence each, failures as diagnostics below their line.

    @case("a duplicate is dropped")
    def duplicate():
        same(report["drops"], {"replay_dup": 1})

    if __name__ == "__main__":
        main()

TEST_CASE in the environment runs only the cases whose sentence contains it.
"""
import os
import sys
import time
import traceback

cases = []


class Skip(Exception):
    """This machine cannot run the case; says why."""


class Failure(AssertionError):
    """What a check found; its text is all a reader needs."""


def case(what):
    def add(function):
        cases.append((what, function))
        return function
    return add


def add_case(what, function):
    cases.append((what, function))


def once(function):
    """Runs function at the first call; later calls get the same result, or the same failure."""
    kept = []

    def call():
        if not kept:
            try:
                kept.append((function(), None))
            except Exception as error:
                kept.append((None, error))
        result, error = kept[0]
        if error:
            raise error
        return result
    return call


def check(condition, message):
    if not condition:
        raise Failure(message)


def same(have, want, what="value"):
    if have != want:
        raise Failure(f"{what}:\n  have {have!r}\n  want {want!r}")


def diagnose(text):
    for line in text.rstrip().splitlines():
        print("# " + line)


def run_one(number, what, function):
    begin = time.monotonic()
    try:
        function()
    except Skip as why:
        print(f"ok {number} - {what} # SKIP {why}")
        return True
    except Exception as error:
        print(f"not ok {number} - {what}")
        diagnose(str(error) if isinstance(error, Failure) else traceback.format_exc())
        return False
    print(f"ok {number} - {what}")
    if os.environ.get("TEST_TIMES"):
        print(f"# {time.monotonic() - begin:.2f} s")
    return True


def main():
    only = os.environ.get("TEST_CASE", "")
    chosen = [(what, function) for what, function in cases if only in what]
    sys.stdout.reconfigure(line_buffering=True)
    print(f"1..{len(chosen)}")
    good = [run_one(i, what, function) for i, (what, function) in enumerate(chosen, 1)]
    sys.exit(0 if all(good) else 1)
