#!/usr/bin/python3
"""Both engines, through the whole gateway: the same octets out, the same verdicts in, for every algorithm."""
from gw import aged, from_far, from_lan, run, same_packets, to_lan, to_wan, with_tunnels
from suites import LABELS, LENGTHS, TUNNELS
from tap import add_case, case, main, once, same

CHOICES = {"ipsec_mb first": ["ipsec_mb", "openssl"], "openssl alone": ["openssl"]}
SOME = LENGTHS[:40:3] + LENGTHS[-2:]


def version_of(length):
    return 4 if length % 2 else 6


def input_frames():
    lan, wan = [], []
    for tunnel in TUNNELS:
        for seq, length in enumerate(SOME, 1):
            lan.append(to_lan(from_lan(tunnel.n, bytes(length), version=version_of(length))))
            inner = from_far(tunnel.n, bytes(length), version=version_of(length))
            whole = tunnel.seal(inner, seq)
            # Every fifth is forged: one bit of its ICV.
            wan.append(to_wan(whole if seq % 5 else whole[:-1] + bytes([whole[-1] ^ 1])))
    return lan, wan


@once
def done():
    lan, wan = input_frames()
    results = {}
    for label, engines in CHOICES.items():
        config = with_tunnels(*TUNNELS)
        config["gateway"] = {**config["gateway"], "crypto": engines}
        results[label] = run(config, lan=lan, wan=wan)
    return results


def one_suite(tunnel):
    a, b = (done()[label] for label in CHOICES)
    for side in ("out", "in"):
        have, want = ({key: r.sa(f"{tunnel.name}.{side}")[key] for key in ("packets", "bytes", "drops")} for r in (a, b))
        same(have, want, f"counters of the SA {side}")
    begin = (tunnel.n - 1) * len(SOME)
    same(a.wan[begin:begin + len(SOME)] == b.wan[begin:begin + len(SOME)], True, "equal ESP packets")


for name, peer in zip(LABELS, TUNNELS):
    add_case(f"{name}: ipsec_mb and openssl send the same octets and judge alike", lambda peer=peer: one_suite(peer))


@case("all that came in is what the peer sent, but for the forged ones, which drop icv_fail")
def judged():
    forged = len([seq for seq in range(1, len(SOME) + 1) if seq % 5 == 0])
    for label in CHOICES:
        want = [aged(from_far(t.n, bytes(length), version=version_of(length)))
                for t in TUNNELS for seq, length in enumerate(SOME, 1) if seq % 5]
        same_packets(done()[label].lan, want, f"packets inside, {label}")
        same(done()[label].drops, {"icv_fail": forged * len(TUNNELS)}, f"drops, {label}")


if __name__ == "__main__":
    main()
