#!/usr/bin/python3
"""Every algorithm, tag length and ESN choice through the gateway, both ways, against an independent peer.

One run holds an SA pair per combination; each carries payloads of every length from 0 to 64, and some long ones.
"""
from esp import AEAD_KINDS, CIPHERS
from gw import Tunnel, aged, from_far, from_lan, run, same_packets, to_lan, to_wan, with_tunnels
from scapy_peer import SCAPY_AUTH, scapy_cipher, scapy_sa
from suites import LABELS, LENGTHS, TUNNELS, Parts
from tap import add_case, check, main, once, same


@once
def all_at_once():
    """Per tunnel, the packets a host here sends out and those the peer sends in; then one run over all."""
    lan, wan = [], []
    for tunnel in TUNNELS:
        for seq, length in enumerate(LENGTHS, 1):
            lan.append(to_lan(from_lan(tunnel.n, bytes(length), version=4 if length % 2 else 6)))
            wan.append(to_wan(tunnel.seal(from_far(tunnel.n, bytes(length), version=4 if length % 2 else 6), seq)))
    done = run(with_tunnels(*TUNNELS), wan=wan, lan=lan)
    same(done.drops, {}, "drops")
    return done, Parts(done)


def out(tunnel):
    packets = all_at_once()[1].left(tunnel)
    same(len(packets), len(LENGTHS), "packets outside")
    for seq, (length, packet) in enumerate(zip(LENGTHS, packets), 1):
        want = aged(from_lan(tunnel.n, bytes(length), version=4 if length % 2 else 6))
        inner, next_header, number, _ = tunnel.open(packet)
        same(number, seq, "sequence number")
        same((inner, next_header), (want, 4 if length % 2 else 41), f"inner packet of payload {length}")
        same(len(tunnel.strip(packet)), tunnel.esp["out"].length(len(want)), f"ESP length of payload {length}")


def into(tunnel):
    want = [aged(from_far(tunnel.n, bytes(length), version=4 if length % 2 else 6)) for length in LENGTHS]
    same_packets(all_at_once()[1].came(tunnel), want, "packets inside")
    sa = all_at_once()[0].sa(f"{tunnel.name}.in")
    same(sa["packets"], len(LENGTHS), "packets counted on the SA")


def ivs(tunnel):
    """Counter modes never repeat one; those of CBC also have no pattern from one packet to the next."""
    seen = [tunnel.open(packet)[3] for packet in all_at_once()[1].left(tunnel)]
    same(len(set(seen)), len(seen), "different IVs")
    if tunnel.esp["out"].cipher.kind == "cbc":
        numbers = [int.from_bytes(iv, "big") for iv in seen]
        steps = [(b - a) % (1 << 128) for a, b in zip(numbers, numbers[1:])]
        same(len(set(steps)), len(steps), "different steps between IVs")
        texts = [tunnel.strip(packet)[:-tunnel.esp["out"].icv_len] for packet in all_at_once()[1].left(tunnel)]
        check(all(text[-16:] != iv for text, iv in zip(texts, seen[1:])), "an IV is the last block of the packet before")


def scapy_rows():
    """Tunnels of algorithms that scapy does right: no ESN with a separate authenticator, whole tags, explicit IV."""
    n = 0
    for name, cipher in CIPHERS.items():
        for auth in [None] if cipher.kind in AEAD_KINDS else SCAPY_AUTH:
            if scapy_cipher(name):
                n += 1
                yield name, auth, Tunnel(n, **({"cipher": name, "auth": auth} if auth else {"aead": name}),
                                         esn=auth is None)


SCAPY = list(scapy_rows())


def scapy_peer(name, auth, tunnel, way):
    src, dst = (tunnel.local, tunnel.remote) if way == "out" else (tunnel.remote, tunnel.local)
    key, auth_key = tunnel.keys[way]
    return scapy_sa(tunnel.spi[way], name, key, auth, auth_key, src, dst, esn=auth is None)


@once
def scapy_run():
    lan, wan = [], []
    for name, auth, tunnel in SCAPY:
        for seq in range(1, 6):
            lan.append(to_lan(from_lan(tunnel.n, b"to scapy " * seq)))
            peer = scapy_peer(name, auth, tunnel, "in")
            wan.append(to_wan(peer.seal(from_far(tunnel.n, b"from scapy " * seq), seq)))
    done = run(with_tunnels(*(tunnel for _, _, tunnel in SCAPY)), wan=wan, lan=lan)
    same(done.drops, {}, "drops")
    return done, Parts(done)


def scapy_case(index):
    name, auth, tunnel = SCAPY[index]
    same_packets(scapy_run()[1].came(tunnel), [aged(from_far(tunnel.n, b"from scapy " * seq)) for seq in range(1, 6)], "from scapy")
    reader = scapy_peer(name, auth, tunnel, "out")
    same_packets([reader.open(packet) for packet in scapy_run()[1].left(tunnel)],
                 [aged(from_lan(tunnel.n, b"to scapy " * seq)) for seq in range(1, 6)], "to scapy")


for label, tunnel in zip(LABELS, TUNNELS):
    add_case(f"{label}: the peer reads all that the gateway sends", lambda t=tunnel: out(t))
    add_case(f"{label}: the gateway reads all that the peer sends", lambda t=tunnel: into(t))
    if tunnel.esp["out"].iv_len:
        add_case(f"{label}: no IV is used twice", lambda t=tunnel: ivs(t))
for index, (name, auth, _) in enumerate(SCAPY):
    add_case(f"{name}{'+' + auth if auth else ''}: scapy and the gateway read each other", lambda i=index: scapy_case(i))

if __name__ == "__main__":
    main()
