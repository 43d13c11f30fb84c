"""AGGFRAG payloads (RFC 9347) as an independent peer makes and reads them. Shares no code with the gateway.

pack() cuts and joins inner packets into payloads, blocks() lists what one payload holds, and Receiver is a naive model
of the other end: it puts payloads in order by number, and gives the inner packets, each at most once and whole.
"""
import struct
from collections import Counter, namedtuple

NEXT_HEADER = 144
PLAIN, CONTROLLED = 0, 1
HEAD = {PLAIN: 4, CONTROLLED: 24}
LENGTH_AT = 6  # of so many octets the length of either family can be read
LARGEST = 65535

# What a header of sub-type 1 says: microseconds but for loss, which is the inverse of the rate of loss events.
Feedback = namedtuple("Feedback", "loss rtt echo_delay transmit_delay tval techo p e", defaults=(0,) * 8)
Header = namedtuple("Header", "sub_type offset reserved feedback data")
Block = namedtuple("Block", "kind octets length")  # kind: 4, 6, "pad", "rest" (of what began before)


class AllPad(int):
    """A payload that carries nothing, of so many octets of padding, between others."""


class Malformed(Exception):
    """What no block can begin with; its argument is the gateway's name for it."""


def head(offset, feedback=None, reserved=0, sub_type=None):
    """The header of a payload: of sub-type 1 where there is feedback to give."""
    if feedback is None:
        return struct.pack("!BBH", PLAIN if sub_type is None else sub_type, reserved, offset)
    f = feedback
    delays = f.rtt << 42 | f.echo_delay << 21 | f.transmit_delay
    return struct.pack("!BBHIQII", CONTROLLED if sub_type is None else sub_type, reserved | f.p << 1 | f.e, offset, f.loss,
                       delays, f.tval, f.techo)


def read(payload):
    """A payload's header and data; ValueError where it is too short, or of another kind."""
    if len(payload) < 4:
        raise ValueError("aggfrag_short")
    sub_type, flags, offset = struct.unpack("!BBH", payload[:4])
    if sub_type == PLAIN:
        return Header(sub_type, offset, flags, None, payload[4:])
    if sub_type != CONTROLLED:
        raise ValueError("aggfrag_subtype")
    if len(payload) < 24:
        raise ValueError("aggfrag_short")
    loss, delays, tval, techo = struct.unpack("!IQII", payload[4:24])
    low = (1 << 21) - 1
    feedback = Feedback(loss, delays >> 42, delays >> 21 & low, delays & low, tval, techo, flags >> 1 & 1, flags & 1)
    return Header(sub_type, offset, flags & 0xfc, feedback, payload[24:])


def block_length(octets):
    """How long the packet is that begins here; None: not yet to be seen; "pad"."""
    kind = octets[0] >> 4
    if kind == 0:
        return "pad"
    if kind == 4:
        if octets[0] & 15 < 5:
            raise Malformed("aggfrag_inner")
        if len(octets) < 4:
            return None
        length = struct.unpack("!H", octets[2:4])[0]
        if length < 4 * (octets[0] & 15):
            raise Malformed("aggfrag_inner")
        return length
    if kind == 6:
        if len(octets) < 6:
            return None
        length = 40 + struct.unpack("!H", octets[4:6])[0]
        if length > LARGEST:
            raise Malformed("aggfrag_inner")
        return length
    raise Malformed("aggfrag_type")


def blocks(payload):
    """All that is in a well-formed payload, in order. A packet that goes on in the next has fewer octets than its length;
    one whose length is not to be seen here has the length None."""
    header = read(payload)
    rest = min(header.offset, len(header.data))
    found = [Block("rest", header.data[:rest], header.offset)] if rest else []
    data = header.data[rest:]
    while data:
        length = block_length(data)
        if length == "pad":
            return [*found, Block("pad", data, len(data))]
        found.append(Block(data[0] >> 4, data[:length] if length else data, length))
        data = data[length:] if length else b""
    return found


def pack(packets, rooms, feedback=None, fragment=True, least=1, fill=True, reserved=0):
    """Payloads of these packets. rooms: for each payload how many octets of blocks it takes (the last counts on), or an
    AllPad. least: no packet begins where fewer octets are left. fill: pad what is not full; without it, as many octets
    as there are."""
    waiting, rest, made, rooms = list(packets), b"", [], iter(rooms)
    room = None
    while waiting or rest:
        room = next(rooms, room)
        if isinstance(room, AllPad):
            made.append(head(0, feedback, reserved) + bytes(room))
            continue
        payload, left = head(len(rest), feedback, reserved), room
        while left and (rest or waiting):
            if not rest:
                if len(waiting[0]) > left and (not fragment or left < least):
                    break
                rest = waiting.pop(0)
            payload += rest[:left]
            rest, left = rest[left:], left - min(left, len(rest))
        made.append(payload + (bytes(left) if fill else b""))
    return made


class Receiver:
    """The naive model of a receiver. take() gives the inner packets that a payload makes complete, in order; drops has the
    gateway's names for all that was lost, abandoned partial packets and skipped pieces one each."""

    def __init__(self, window=3, fragments=True, first=None):
        self.window, self.fragments = window, fragments
        self.want, self.slots = first, {}
        self.partial, self.missing, self.next = b"", 0, None
        self.drops, self.all_pads = Counter(), 0

    def take(self, number, payload, next_header=NEXT_HEADER):
        """payload: None where it is no AGGFRAG payload but takes a number, as dummies and echoes do."""
        if self.want is None:
            self.want = number
        if number < self.want:
            self.drops["aggfrag_late"] += 1
            return []
        self.slots[number] = payload if next_header == NEXT_HEADER else None
        return self.deliver()

    def deliver(self):
        found = []
        while self.slots:
            if self.want in self.slots:
                found += self.payload(self.want, self.slots.pop(self.want))
                self.want += 1
            elif max(self.slots) - self.want > self.window:
                self.want = min(min(self.slots), max(self.slots) - self.window)
            else:
                break
        return found

    def give_up(self):
        """The lost-packet timer: nothing that is missing will come."""
        found = []
        for number in sorted(self.slots):
            found += self.payload(number, self.slots.pop(number))
            self.want = number + 1
        if self.next is not None:
            self.abort("aggfrag_timeout")
        return found

    def abort(self, why):
        self.partial, self.next = b"", None
        self.drops[why] += 1

    def payload(self, number, octets):
        if self.next is not None and number != self.next:
            self.abort("aggfrag_gap")
        try:
            header = read(octets) if octets is not None else None
        except ValueError as error:
            self.drops[str(error)] += 1
            return []
        if header is None or (header.offset == 0 and header.data[:1] and header.data[0] >> 4 == 0):
            self.all_pads += 1
            if self.next is not None:
                self.next += 1
            return []
        found, skip = self.go_on(number, header)
        return found + self.fresh(number, header.data[skip:])

    def go_on(self, number, header):
        """The rest of what began before; gives the octets that are so used up, too."""
        skip = min(header.offset, len(header.data))
        if self.next is None:
            if skip:
                self.drops["aggfrag_orphan"] += 1
            return [], skip
        if header.offset == 0 or header.offset != self.expected(header):
            self.abort("aggfrag_offset")
            return [], skip
        self.partial += header.data[:skip]
        self.missing, self.next = header.offset - skip, number + 1
        if self.missing:
            return [], skip
        whole, self.partial, self.next = self.partial, b"", None
        return [whole], skip

    def expected(self, header):
        """How many octets are missing, which a runt learns from the octets that follow it."""
        if self.missing is not None:
            return self.missing
        try:
            length = block_length(self.partial + header.data[:header.offset])
        except Malformed:
            return None
        return header.offset if length is None else length - len(self.partial)

    def fresh(self, number, data):
        found = []
        while data:
            try:
                length = block_length(data)
            except Malformed as why:
                self.drops[str(why)] += 1
                return found
            if length == "pad":
                return found
            if length is None or length > len(data):
                if not self.fragments:
                    self.drops["aggfrag_nofrag"] += 1
                    return found
                self.partial, self.next = data, number + 1
                self.missing = None if length is None else length - len(data)
                return found
            found.append(data[:length])
            data = data[length:]
        return found


def room(size, family=4, udp=False, iv=8, icv=16, align=4, sub_type=PLAIN):
    """Octets of blocks in a payload of an outer packet of at most that size."""
    text = size - (20 if family == 4 else 40) - (8 if udp else 0) - 8 - iv - icv
    return text // align * align - 2 - HEAD[sub_type]
