"""MQTT packets as bytes: builds any packet, legal or not, and takes apart, strictly, what a
broker sends. Knows no socket."""

import enum
import struct
from dataclasses import dataclass, field

V31, V311, V5 = 3, 4, 5
VERSIONS = (V31, V311, V5)


class Type(enum.IntEnum):
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Prop(enum.IntEnum):
    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTH_METHOD = 0x15
    AUTH_DATA = 0x16
    REQUEST_PROBLEM_INFO = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFO = 0x19
    RESPONSE_INFO = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_AVAILABLE = 0x28
    SUBSCRIPTION_ID_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


class Reason(enum.IntEnum):
    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    NO_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION = 0x11
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    CLIENT_ID_INVALID = 0x85
    NOT_AUTHORIZED = 0x87
    SERVER_BUSY = 0x89
    SHUTTING_DOWN = 0x8B
    BAD_AUTH_METHOD = 0x8C
    KEEP_ALIVE = 0x8D
    TAKEN_OVER = 0x8E
    FILTER_INVALID = 0x8F
    TOPIC_INVALID = 0x90
    ID_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM = 0x93
    ALIAS_INVALID = 0x94
    TOO_LARGE = 0x95
    QUOTA = 0x97
    RETAIN_UNSUPPORTED = 0x9A


_WIDTHS = {"B": 1, "H": 2, "I": 4}
_KINDS = {
    Prop.PAYLOAD_FORMAT: "B", Prop.MESSAGE_EXPIRY: "I", Prop.CONTENT_TYPE: "s",
    Prop.RESPONSE_TOPIC: "s", Prop.CORRELATION_DATA: "d", Prop.SUBSCRIPTION_ID: "v",
    Prop.SESSION_EXPIRY: "I", Prop.ASSIGNED_CLIENT_ID: "s", Prop.SERVER_KEEP_ALIVE: "H",
    Prop.AUTH_METHOD: "s", Prop.AUTH_DATA: "d", Prop.REQUEST_PROBLEM_INFO: "B",
    Prop.WILL_DELAY: "I", Prop.REQUEST_RESPONSE_INFO: "B", Prop.RESPONSE_INFO: "s",
    Prop.SERVER_REFERENCE: "s", Prop.REASON_STRING: "s", Prop.RECEIVE_MAXIMUM: "H",
    Prop.TOPIC_ALIAS_MAXIMUM: "H", Prop.TOPIC_ALIAS: "H", Prop.MAXIMUM_QOS: "B",
    Prop.RETAIN_AVAILABLE: "B", Prop.USER_PROPERTY: "p", Prop.MAXIMUM_PACKET_SIZE: "I",
    Prop.WILDCARD_AVAILABLE: "B", Prop.SUBSCRIPTION_ID_AVAILABLE: "B", Prop.SHARED_AVAILABLE: "B",
}

_ACK_PROPS = {Prop.REASON_STRING, Prop.USER_PROPERTY}
# Properties that a broker may send, by packet.
_SERVER_PROPS = {
    Type.CONNACK: {
        Prop.SESSION_EXPIRY, Prop.ASSIGNED_CLIENT_ID, Prop.SERVER_KEEP_ALIVE, Prop.AUTH_METHOD,
        Prop.AUTH_DATA, Prop.RESPONSE_INFO, Prop.SERVER_REFERENCE, Prop.REASON_STRING,
        Prop.RECEIVE_MAXIMUM, Prop.TOPIC_ALIAS_MAXIMUM, Prop.MAXIMUM_QOS, Prop.RETAIN_AVAILABLE,
        Prop.USER_PROPERTY, Prop.MAXIMUM_PACKET_SIZE, Prop.WILDCARD_AVAILABLE,
        Prop.SUBSCRIPTION_ID_AVAILABLE, Prop.SHARED_AVAILABLE},
    Type.PUBLISH: {
        Prop.PAYLOAD_FORMAT, Prop.MESSAGE_EXPIRY, Prop.CONTENT_TYPE, Prop.RESPONSE_TOPIC,
        Prop.CORRELATION_DATA, Prop.SUBSCRIPTION_ID, Prop.TOPIC_ALIAS, Prop.USER_PROPERTY},
    Type.DISCONNECT: _ACK_PROPS | {Prop.SERVER_REFERENCE},
    Type.PUBACK: _ACK_PROPS, Type.PUBREC: _ACK_PROPS, Type.PUBREL: _ACK_PROPS,
    Type.PUBCOMP: _ACK_PROPS, Type.SUBACK: _ACK_PROPS, Type.UNSUBACK: _ACK_PROPS,
}

SUBACK_CODES = {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}
UNSUBACK_CODES = {0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}
PUBACK_CODES = {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
DISCONNECT_CODES = {  # from a broker
    0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, *range(0x93, 0xA3), 0x90}


class BadPacket(AssertionError):
    """The broker sent something that the standard does not allow."""


def require(condition, text):
    if not condition:
        raise BadPacket(text)


# -- building ------------------------------------------------------------------

def varint(number):
    out = bytearray()
    while True:
        number, digit = number >> 7, number & 0x7F
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def as_bytes(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def text16(text):
    raw = as_bytes(text)
    return struct.pack("!H", len(raw)) + raw


def prop(number, value):
    """One property; an unknown number is written with `value` as its raw bytes."""
    kind = _KINDS.get(number)
    head = varint(number)
    if kind is None or isinstance(value, bytearray):
        return head + bytes(value)
    if kind in _WIDTHS:
        return head + struct.pack("!" + kind, value)
    if kind == "v":
        return head + varint(value)
    if kind == "p":
        return head + text16(value[0]) + text16(value[1])
    return head + text16(value)


def props_block(props):
    """Properties with their length. A dict (a list as value repeats the property), a list of
    pairs, or bytes that are written as they are, length included."""
    if isinstance(props, bytes):
        return props
    pairs = props.items() if isinstance(props, dict) else props or ()
    out = b""
    for number, value in pairs:
        for one in value if isinstance(value, list) else [value]:
            out += prop(number, one)
    return varint(len(out)) + out


def packet(kind, flags, body=b""):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


@dataclass
class Will:
    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    props: object = None


def _connect_flags(clean, will, username, password):
    flags = 2 if clean else 0
    if will is not None:
        flags |= 4 | will.qos << 3 | (0x20 if will.retain else 0)
    return flags | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)


def connect(client_id="", version=V5, clean=True, keep_alive=0, props=None, will=None,
            username=None, password=None, flags=None, name=None, level=None):
    if flags is None:
        flags = _connect_flags(clean, will, username, password)
    body = text16(name if name is not None else "MQIsdp" if version == V31 else "MQTT")
    body += struct.pack("!BBH", version if level is None else level, flags, keep_alive)
    body += props_block(props) if version == V5 else b""
    body += text16(client_id)
    if will is not None:
        body += props_block(will.props) if version == V5 else b""
        body += text16(will.topic) + text16(will.payload)
    for login in (username, password):
        body += text16(login) if login is not None else b""
    return packet(Type.CONNECT, 0, body)


def publish(topic, payload=b"", qos=0, packet_id=None, retain=False, dup=False, props=None,
            version=V5):
    body = text16(topic)
    if packet_id is not None:
        body += struct.pack("!H", packet_id)
    body += props_block(props) if version == V5 else b""
    flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    return packet(Type.PUBLISH, flags, body + as_bytes(payload))


def options(qos=0, no_local=False, retain_as_published=False, retain_handling=0):
    return qos | (4 if no_local else 0) | (8 if retain_as_published else 0) | retain_handling << 4


def subscribe(packet_id, filters, props=None, version=V5, flags=2):
    """`filters`: pairs of filter and options byte."""
    body = struct.pack("!H", packet_id)
    body += props_block(props) if version == V5 else b""
    for text, option in filters:
        body += text16(text) + bytes([option])
    return packet(Type.SUBSCRIBE, flags, body)


def unsubscribe(packet_id, filters, props=None, version=V5, flags=2):
    body = struct.pack("!H", packet_id)
    body += props_block(props) if version == V5 else b""
    return packet(Type.UNSUBSCRIBE, flags, body + b"".join(map(text16, filters)))


def ack(kind, packet_id, reason=None, props=None, flags=None):
    body = struct.pack("!H", packet_id)
    if reason is not None:
        body += bytes([reason])
    if props is not None:
        body += props_block(props)
    if flags is None:
        flags = 2 if kind == Type.PUBREL else 0
    return packet(kind, flags, body)


def disconnect(reason=None, props=None):
    body = b"" if reason is None else bytes([reason])
    return packet(Type.DISCONNECT, 0, body + (b"" if props is None else props_block(props)))


PINGREQ = packet(Type.PINGREQ, 0)


# -- taking apart --------------------------------------------------------------

@dataclass
class Packet:
    """A packet from the broker. Fields that its type does not have stay as they are here."""
    type: Type
    flags: int
    raw: bytes = field(repr=False)
    packet_id: int = 0
    reason: int = 0
    codes: list = field(default_factory=list)
    session_present: bool = False
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    props: dict = field(default_factory=dict)

    @property
    def subscription_ids(self):
        return self.props.get(Prop.SUBSCRIPTION_ID, [])


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def left(self):
        return len(self.raw) - self.at

    def take(self, size):
        require(size <= self.left(), f"cut off: {self.raw[:40].hex()}")
        self.at += size
        return self.raw[self.at - size:self.at]

    def number(self, kind):
        return struct.unpack("!" + kind, self.take(_WIDTHS[kind]))[0]

    def varint(self):
        value = 0
        for i in range(4):
            digit = self.take(1)[0]
            value |= (digit & 0x7F) << 7 * i
            if digit < 0x80:
                require(i == 0 or digit != 0, "a variable byte integer that is too long")
                return value
        raise BadPacket("a variable byte integer of five bytes")

    def data(self):
        return self.take(self.number("H"))

    def text(self):
        try:
            text = self.data().decode()
        except UnicodeDecodeError as error:
            raise BadPacket(f"not UTF-8: {error}") from error
        require("\0" not in text, "U+0000 in a string")
        return text


def _value(r, kind):
    if kind in _WIDTHS:
        return r.number(kind)
    if kind == "v":
        return r.varint()
    if kind == "p":
        return (r.text(), r.text())
    return r.text() if kind == "s" else r.data()


def _read_props(r, kind):
    props = {}
    inner = Reader(r.take(r.varint()))
    while inner.left():
        number = Prop(inner.varint())
        require(number in _SERVER_PROPS[kind], f"{number.name} in a {kind.name}")
        value = _value(inner, _KINDS[number])
        if number in (Prop.USER_PROPERTY, Prop.SUBSCRIPTION_ID):
            props.setdefault(number, []).append(value)
            continue
        require(number not in props, f"{number.name} twice")
        props[number] = value
    return props


def _read_connack(p, r, version):
    flags = r.number("B")
    require(flags <= (0 if version == V31 else 1), f"CONNACK flags {flags}")
    p.session_present = flags == 1
    p.reason = r.number("B")
    require(not (p.reason and p.session_present), "a refusal with session present")
    if version == V5:
        p.props = _read_props(r, p.type)
    else:
        require(p.reason <= 5, f"CONNACK code {p.reason}")


def _read_publish(p, r, version):
    p.dup, p.qos, p.retain = bool(p.flags & 8), p.flags >> 1 & 3, bool(p.flags & 1)
    require(p.qos < 3 and not (p.dup and p.qos == 0), f"PUBLISH flags {p.flags}")
    p.topic = r.text()
    require("+" not in p.topic and "#" not in p.topic, "a wildcard in a PUBLISH")
    if p.qos:
        p.packet_id = r.number("H")
        require(p.packet_id != 0, "packet id 0")
    if version == V5:
        p.props = _read_props(r, p.type)
    require(p.topic or Prop.TOPIC_ALIAS in p.props, "no topic")
    require(p.props.get(Prop.TOPIC_ALIAS) != 0, "topic alias 0")
    p.payload = r.take(r.left())


def _read_ack(p, r, version):
    p.packet_id = r.number("H")
    require(p.packet_id != 0, "packet id 0")
    if version == V5 and r.left():
        p.reason = r.number("B")
        if r.left():
            p.props = _read_props(r, p.type)
    known = PUBACK_CODES if p.type in (Type.PUBACK, Type.PUBREC) else {0, 0x92}
    require(p.reason in known, f"{p.type.name} with {p.reason:#x}")


def _read_suback(p, r, version):
    p.packet_id = r.number("H")
    if version == V5:
        p.props = _read_props(r, p.type)
    p.codes = list(r.take(r.left()))
    known = {V31: {0, 1, 2}, V311: {0, 1, 2, 0x80}, V5: SUBACK_CODES}[version]
    require(p.codes and set(p.codes) <= known, f"SUBACK with {p.codes}")


def _read_unsuback(p, r, version):
    p.packet_id = r.number("H")
    if version == V5:
        p.props = _read_props(r, p.type)
        p.codes = list(r.take(r.left()))
        require(p.codes and set(p.codes) <= UNSUBACK_CODES, f"UNSUBACK with {p.codes}")


def _read_disconnect(p, r, version):
    require(version == V5, "DISCONNECT from the broker before 5.0")
    if r.left():
        p.reason = r.number("B")
        if r.left():
            p.props = _read_props(r, p.type)
    require(p.reason in DISCONNECT_CODES, f"DISCONNECT with {p.reason:#x}")


_READERS = {
    Type.CONNACK: _read_connack, Type.PUBLISH: _read_publish, Type.PUBACK: _read_ack,
    Type.PUBREC: _read_ack, Type.PUBREL: _read_ack, Type.PUBCOMP: _read_ack,
    Type.SUBACK: _read_suback, Type.UNSUBACK: _read_unsuback, Type.PINGRESP: lambda p, r, v: None,
    Type.DISCONNECT: _read_disconnect,
}


def parse(head, body, version):
    """The packet whose first byte and body these are; BadPacket when no broker may send it."""
    kind = Type(head >> 4)
    require(kind in _READERS, f"a broker never sends {kind.name}")
    p = Packet(kind, head & 15, bytes([head]) + varint(len(body)) + body)
    if kind != Type.PUBLISH:
        require(p.flags == (2 if kind == Type.PUBREL else 0), f"{kind.name} flags {p.flags}")
    r = Reader(body)
    _READERS[kind](p, r, version)
    require(r.left() == 0, f"surplus bytes in a {kind.name}")
    return p
