#!/usr/bin/python3
"""A long and bad way between two interfaces: each frame comes out of the other one later, or not at all.

    long_way.py INTERFACE INTERFACE DELAY_MS LOSS_FILE

LOSS_FILE holds the loss of either direction, in per cent; it is read again five times a second. Ends by SIGTERM. Kernels
without netem have no other.
"""
import collections
import random
import select
import socket
import sys
import time

ETH_P_ALL = 3
PACKET_IGNORE_OUTGOING, SOL_PACKET = 23, 263
LOOK = 0.2


def opened(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.bind((interface, 0))
    s.setblocking(False)
    return s


def loss_read(path):
    with open(path, encoding="ascii") as f:
        return float(f.read() or 0) / 100


def take(s, other, on_the_way, delay, loss, rng):
    while True:
        try:
            frame = s.recv(65536)
        except BlockingIOError:
            return
        if rng.random() >= loss:
            on_the_way.append((time.monotonic() + delay, other, frame))


def main(one, other, delay, path):
    ends = {opened(one): None, opened(other): None}
    a, b = ends
    ends[a], ends[b] = b, a
    delay, rng, on_the_way = float(delay) / 1000, random.Random(1), collections.deque()
    loss, look = loss_read(path), time.monotonic() + LOOK
    while True:
        now = time.monotonic()
        if now >= look:
            loss, look = loss_read(path), now + LOOK
        while on_the_way and on_the_way[0][0] <= now:
            _, out, frame = on_the_way.popleft()
            out.send(frame)
        wait = min(look, on_the_way[0][0] if on_the_way else look) - now
        for s in select.select(list(ends), [], [], max(wait, 0.0005))[0]:
            take(s, ends[s], on_the_way, delay, loss, rng)


if __name__ == "__main__":
    main(*sys.argv[1:])
