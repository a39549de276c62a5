"""A byte-exact MQTT client on a socket. Nothing here sleeps: every wait is for an event and
bounded. To show that nothing arrives, see fence().

A client sends its packets as they are, or in other segments that must make no difference:
"whole" each at once; "bytes" one byte at a time; "joined" only when some client begins to wait
for an answer, then all in one piece."""

import collections
import itertools
import os
import socket
import time

import packets
from packets import V5, VERSIONS, BadPacket, Prop, Type, options  # noqa: F401

TIMEOUT_S = 10
BYTEWISE_MAX = 1000  # of a longer packet only so much of either end goes in single bytes
_fence_numbers = itertools.count()
_unsent = {}  # clients that have joined packets to send, in the order of their first


class Closed(Exception):
    """The broker has ended the connection."""


def flush():
    """Sends what clients have joined so far."""
    while _unsent:
        client = next(iter(_unsent))
        client.send_now(_unsent.pop(client))


class Client:
    """One connection. `stash` holds PUBLISHes that came while another packet was awaited."""

    def __init__(self, port, version=V5, timeout=TIMEOUT_S, host="127.0.0.1", receive_buffer=None,
                 segments="whole"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.version = version
        self.segments = segments
        self.timeout = timeout
        self.client_id = None
        self.connack = None
        self.stash = collections.deque()
        self._buffer = bytearray()
        self._next_id = 0
        self._aliases = {}
        self._fence = None

    def local_port(self):
        return self.socket.getsockname()[1]

    # -- bytes --

    def send(self, *data):
        """Sends, in the client's segments."""
        data = b"".join(data)
        if self.segments == "joined":
            _unsent[self] = _unsent.get(self, b"") + data
        elif self.segments == "bytes":
            self.send_bytewise(data)
        else:
            self.send_now(data)

    def send_now(self, data):
        """Sends; that the broker has closed already is for the next receive to find out."""
        try:
            self.socket.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass

    def send_bytewise(self, data):
        tail = max(BYTEWISE_MAX, len(data) - BYTEWISE_MAX)
        for i in range(len(data[:BYTEWISE_MAX])):
            self.send_now(data[i:i + 1])
        self.send_now(data[BYTEWISE_MAX:tail])
        for i in range(tail, len(data)):
            self.send_now(data[i:i + 1])

    def send_split(self, data, at, between):
        """Two segments; `between` returns when the broker has read the first one."""
        self.send_now(data[:at])
        between()
        self.send_now(data[at:])

    def _fill(self, deadline):
        flush()
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(f"closed by the broker, {len(self._buffer)} bytes left over")
        self._buffer += data

    def _cut(self):
        """The first whole packet of the buffer, or None."""
        size, shift = 0, 0
        for at in range(1, len(self._buffer)):
            digit = self._buffer[at]
            size |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                packets.require(at == 1 or digit != 0, "a remaining length that is too long")
                end = at + 1 + size
                if len(self._buffer) < end:
                    return None
                head, body = self._buffer[0], bytes(self._buffer[at + 1:end])
                del self._buffer[:end]
                return packets.parse(head, body, self.version)
            if at == 4:
                raise BadPacket("a remaining length of five bytes")
        return None

    def _next(self, timeout=None):
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while (p := self._cut()) is None:
            self._fill(deadline)
        self._resolve_alias(p)
        return p

    def _resolve_alias(self, p):
        alias = p.props.get(Prop.TOPIC_ALIAS)
        if p.type != Type.PUBLISH or alias is None:
            return
        if p.topic:
            self._aliases[alias] = p.topic
        else:
            packets.require(alias in self._aliases, f"topic alias {alias} was never set")
            p.topic = self._aliases[alias]

    # -- packets --

    def recv(self, timeout=None):
        """The next packet, in the order in which they came."""
        return self.stash.popleft() if self.stash else self._next(timeout)

    def expect(self, kind, **fields):
        """The next packet must be of this type and have these fields."""
        p = self.recv()
        assert p.type == kind, f"expected {kind.name}, got {p}"
        for name, value in fields.items():
            assert getattr(p, name) == value, f"expected {name} {value!r}, got {p}"
        return p

    def await_packet(self, kind):
        """The next packet of this type; PUBLISHes before it are kept for later."""
        while (p := self._next()).type == Type.PUBLISH and kind != Type.PUBLISH:
            self.stash.append(p)
        assert p.type == kind, f"expected {kind.name}, got {p}"
        return p

    def expect_close(self):
        """The connection ends, and nothing comes before."""
        assert not self.stash
        try:
            p = self._next()
        except Closed:
            assert not self._buffer, f"half a packet before the end: {self._buffer.hex()}"
            return
        raise AssertionError(f"expected the end of the connection, got {p}")

    def expect_reject(self, *codes):
        """The connection ends; a 5.0 client is told one of these reasons before."""
        if self.version == V5:
            kind = Type.CONNACK if self.connack is None else Type.DISCONNECT
            p = self.expect(kind)
            assert p.reason in codes, f"expected one of {[hex(c) for c in codes]}, got {p}"
        self.expect_close()

    def next_id(self):
        self._next_id = self._next_id % 65535 + 1
        return self._next_id

    # -- what most tests do --

    def connect(self, client_id="", reason=0, **options_of_connect):
        """CONNECT and its CONNACK, which must have this reason."""
        self.send(packets.connect(client_id, self.version, **options_of_connect))
        return self.expect_connack(client_id, reason)

    def expect_connack(self, client_id="", reason=0):
        p = self.expect(Type.CONNACK)
        assert p.reason == reason, f"expected reason {reason:#x}, got {p}"
        if reason == 0:
            self.connack = p
            self.client_id = p.props.get(Prop.ASSIGNED_CLIENT_ID, client_id)
        else:
            self.expect_close()
        return p

    def disconnect(self, reason=None, props=None):
        self.send(packets.disconnect(reason, props))
        self.expect_end()

    def expect_end(self):
        """Reads to the end, whatever still comes."""
        try:
            while True:
                self._next()
        except Closed:
            self.socket.close()

    def read_to_end(self):
        """All bytes that still come, as they are, until the broker ends the connection."""
        deadline = time.monotonic() + self.timeout
        try:
            while True:
                self._fill(deadline)
        except Closed:
            return bytes(self._buffer)

    def cut(self):
        """Ends the connection without DISCONNECT."""
        if self in _unsent:
            self.send_now(_unsent.pop(self))
        self.socket.close()

    def subscribe(self, *filters, qos=0, props=None, codes=None, **how):
        """SUBSCRIBE and its SUBACK. Filters are texts, or pairs of text and options byte."""
        pairs = [(f, options(qos, **how)) if isinstance(f, (str, bytes)) else f for f in filters]
        packet_id = self.next_id()
        self.send(packets.subscribe(packet_id, pairs, props, self.version))
        p = self.await_packet(Type.SUBACK)
        assert p.packet_id == packet_id
        assert p.codes == (codes if codes is not None else [o & 3 for _, o in pairs])
        return p

    def unsubscribe(self, *filters, codes=None):
        packet_id = self.next_id()
        self.send(packets.unsubscribe(packet_id, filters, None, self.version))
        p = self.await_packet(Type.UNSUBACK)
        assert p.packet_id == packet_id
        if self.version == V5:
            assert p.codes == (codes if codes is not None else [0] * len(filters))
        return p

    def send_publish(self, topic, payload=b"", qos=0, packet_id=None, **rest):
        """Sends only; the packet id, or None."""
        if qos and packet_id is None:
            packet_id = self.next_id()
        self.send(packets.publish(topic, payload, qos, packet_id, version=self.version, **rest))
        return packet_id

    def publish(self, topic, payload=b"", qos=0, **rest):
        """Sends, and waits for all acknowledgements. The reason code of the first."""
        packet_id = self.send_publish(topic, payload, qos, **rest)
        if qos == 0:
            return None
        first = self.await_packet(Type.PUBACK if qos == 1 else Type.PUBREC)
        assert first.packet_id == packet_id
        if qos == 2 and first.reason < 0x80:
            self.send(packets.ack(Type.PUBREL, packet_id))
            p = self.await_packet(Type.PUBCOMP)
            assert (p.packet_id, p.reason) == (packet_id, 0)
        return first.reason

    def expect_publish(self, topic=None, payload=None, acknowledge=True, **fields):
        """The next packet is this PUBLISH; it is acknowledged to the end."""
        p = self.expect(Type.PUBLISH, **fields)
        if topic is not None:
            assert p.topic == topic, f"expected topic {topic!r}, got {p}"
        if payload is not None:
            expected = packets.as_bytes(payload)
            assert p.payload == expected, f"expected payload {expected[:80]!r}, got {p}"
        if acknowledge:
            self.acknowledge(p)
        return p

    def acknowledge(self, p):
        if p.qos == 1:
            self.send(packets.ack(Type.PUBACK, p.packet_id))
        elif p.qos == 2:
            self.send(packets.ack(Type.PUBREC, p.packet_id))
            release = self.await_packet(Type.PUBREL)
            assert (release.packet_id, release.reason) == (p.packet_id, 0)
            self.send(packets.ack(Type.PUBCOMP, p.packet_id))

    def receive(self, count):
        """So many PUBLISHes, acknowledged."""
        return [self.expect_publish() for _ in range(count)]

    def ping(self):
        """All that this client sent before has been handled when this returns."""
        self.send(packets.PINGREQ)
        self.await_packet(Type.PINGRESP)


def fence(subscriber, *publishers, qos=0):
    """What reached the subscriber before a marker that each of the publishers sends now:
    because of the order of messages, all that they had sent it before. Acknowledges it.
    `qos` is the marker's; the order of messages is one for each QoS, and a marker of QoS 0
    passes by what waits for the subscriber's window. The marker's topic begins with "$", so
    that no leading wildcard of the subscriber matches."""
    if subscriber._fence is None:
        subscriber._fence = f"$fence/{os.getpid()}/{next(_fence_numbers)}"
        subscriber.subscribe(subscriber._fence, qos=1)
    for publisher in publishers:
        publisher.publish(subscriber._fence, b"marker", qos)
    missing, before = len(publishers), []
    while missing:
        p = subscriber.expect_publish()
        if p.topic == subscriber._fence:
            missing -= 1
        else:
            before.append(p)
    return before


def expect_nothing(subscriber, *publishers):
    """Nothing is on its way from these publishers to the subscriber."""
    before = fence(subscriber, *publishers)
    assert before == [], f"nothing should have come, got {before}"


def free_port():
    """For a broker that can't be asked which port it has; somebody else may be faster."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_listening(port, timeout):
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nobody listens on port {port}"


def payloads(received):
    return [p.payload for p in received]

