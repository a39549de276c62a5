"""What no client may send, by packet: tables of all that ends a connection by itself, and what a
test does with one of them. What it takes a certain state to do wrong, or is a matter of text
fields alone, stands in the tests of its area."""

import struct
from dataclasses import dataclass

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, connect, packet, props_block, publish, text16

MALFORMED, ERROR = Reason.MALFORMED, Reason.PROTOCOL_ERROR
EITHER = (MALFORMED, ERROR)
ALL, OLD, NEW = (V31, V311, V5), (V31, V311), (V5,)


@dataclass
class Row:
    """`data`: bytes, or a function of the version."""
    name: str
    data: object
    versions: tuple = ALL
    codes: object = MALFORMED

    def bytes_for(self, version):
        return self.data(version) if callable(self.data) else self.data

    def codes_tuple(self):
        return self.codes if isinstance(self.codes, tuple) else (self.codes,)


def id16(number=1):
    return struct.pack("!H", number)


def no_props(version):
    return b"\0" if version == V5 else b""


# -- CONNECT -------------------------------------------------------------------

def body_of(flags, tail, version):
    name = "MQIsdp" if version == V31 else "MQTT"
    return text16(name) + bytes([version, flags]) + b"\0\0" + no_props(version) + tail


def connect_flags(flags, tail=b""):
    return lambda v: packet(Type.CONNECT, 0, body_of(flags, text16("x") + tail, v))


def connect_cut(flags, tail):
    """No client id but these bytes."""
    return lambda v: packet(Type.CONNECT, 0, body_of(flags, tail, v))


def will_head(version):
    return no_props(version) + text16("t")


def with_will(tail):
    """A CONNECT with the will flag and nothing behind the client id but this."""
    return lambda v: packet(Type.CONNECT, 0, body_of(
        6, text16("x") + (tail(v) if callable(tail) else tail), v))


CONNECT = [
    Row("reserved flag", connect_flags(0x03)),
    Row("fixed header flags", lambda v: b"\x11" + connect("x", v)[1:]),
    Row("will QoS 3", lambda v: packet(Type.CONNECT, 0, body_of(
        0x1E, text16("x") + will_head(v) + text16("w"), v))),
    *[Row(f"flags {flags:#x} without will", connect_flags(flags))
      for flags in (0x0A, 0x12, 0x1A, 0x22)],
    Row("will flag and no will", with_will(b"")),
    Row("will without payload", with_will(will_head)),
    Row("will topic over the end", with_will(lambda v: no_props(v) + b"\0\5a")),
    Row("will payload over the end", with_will(lambda v: will_head(v) + b"\0\5a")),
    Row("will topic with wildcard", lambda v: connect("x", v, will=packets.Will("a/#")),
        codes=(Reason.TOPIC_INVALID, *EITHER)),
    Row("empty will topic", lambda v: connect("x", v, will=packets.Will("")),
        codes=(Reason.TOPIC_INVALID, *EITHER)),
    Row("user name flag, no user name", connect_flags(0x82), (V311, V5)),
    Row("password flag, no password", connect_flags(0xC2, text16("u")), (V311, V5)),
    Row("password without user name", connect_flags(0x42, text16("p")), OLD),
    Row("surplus byte", connect_flags(0x02, b"\0")),
    Row("user name without flag", connect_flags(0x02, text16("u"))),
    Row("will without flag", lambda v: connect_flags(0x02, will_head(v) + text16(""))(v)),
    Row("nothing behind the name", lambda v: packet(Type.CONNECT, 0, text16("MQTT")), OLD),
    Row("no client id", connect_cut(0x02, b"")),
    Row("half a client id", connect_cut(0x02, b"\0\5a")),
    Row("client id not UTF-8", lambda v: connect(b"\xc3\x28", v)),
    Row("empty body", packet(Type.CONNECT, 0), OLD),
    Row("longer length", lambda v: (raw := connect("x", v))[:1] + bytes([raw[1] | 0x80, 0]) +
        raw[2:], NEW),
    *[Row(f"properties {raw.hex()}", connect("x", props=raw), NEW) for raw in (
        b"\2\x7f\0", b"\2\0\0", b"\2\x91\0", b"\2\x21\0", b"\x7f", b"\xff\xff\xff\xff\1", b"\x80\0",
        b"\x07\x26\0\1n\0\5v")],
    Row("no properties", packet(Type.CONNECT, 0, text16("MQTT") + b"\5\2\0\0"), NEW),
    Row("data without method", connect("x", props={Prop.AUTH_DATA: b"d"}), NEW, ERROR),
]


# -- PUBLISH -------------------------------------------------------------------

def publish_v(topic, payload=b"", qos=0, packet_id=None, **how):
    return lambda v: publish(topic, payload, qos, packet_id, version=v, **how)


PUBLISH = [
    *[Row(f"QoS 3, other flags {flags:#x}", lambda v, f=flags: bytes([0x30 | f]) + publish(
        "t", "x", 1, 1, version=v)[1:]) for flags in (0x6, 0x7, 0xE, 0xF)],
    Row("DUP at QoS 0", publish_v("t", "x", dup=True)),
    *[Row(f"packet id 0 at QoS {qos}", publish_v("t", "x", qos, 0), codes=EITHER)
      for qos in (1, 2)],
    *[Row(f"no packet id, flags {flags}", packet(Type.PUBLISH, flags, text16("t")))
      for flags in (2, 4)],
    Row("topic over the end", packet(Type.PUBLISH, 0, b"\0\5abc")),
    Row("one byte", packet(Type.PUBLISH, 0, b"\0")),
    Row("empty body", packet(Type.PUBLISH, 0)),
    Row("empty topic", publish_v("", "x"), codes=ERROR),
    *[Row(f"topic {topic}", publish_v(topic, "x"), codes=(Reason.TOPIC_INVALID, *EITHER))
      for topic in ("a/+", "a/#", "a#b", "+", "#")],
    Row("topic not UTF-8", publish_v(b"\xed\xa0\x80", "x")),
    Row("subscription id", publish("t", props={Prop.SUBSCRIPTION_ID: 1}), NEW, EITHER),
    *[Row(f"response topic {topic}", publish("t", props={Prop.RESPONSE_TOPIC: topic}), NEW,
          (ERROR, MALFORMED, Reason.TOPIC_INVALID)) for topic in ("a/#", "+")],
    Row("properties over the end", publish("t", "", props=b"\x20"), NEW),
    Row("properties that eat the payload", publish("t", b"\x26\0\1", props=b"\x05"), NEW),
    Row("no properties", packet(Type.PUBLISH, 0, text16("t")), NEW),
    Row("property cut off", publish("t", "x", props=b"\1\2"), NEW),
    Row("alias over the limit", publish("t", props={Prop.TOPIC_ALIAS: 65535}), NEW,
        Reason.ALIAS_INVALID),
    Row("alias 0", publish("t", props={Prop.TOPIC_ALIAS: 0}), NEW, Reason.ALIAS_INVALID),
    Row("alias never set", publish("", props={Prop.TOPIC_ALIAS: 1}), NEW, ERROR),
]


# -- SUBSCRIBE and UNSUBSCRIBE -------------------------------------------------

def subscribe_v(filters, packet_id=1, **how):
    return lambda v: packets.subscribe(packet_id, filters, version=v, **how)


def unsubscribe_v(filters, packet_id=1, **how):
    return lambda v: packets.unsubscribe(packet_id, filters, version=v, **how)


def request(kind, tail):
    return lambda v: packet(kind, 2, id16() + no_props(v) + tail)


SUBSCRIBE = [
    *[Row(f"flags {flags}", subscribe_v([("a", 0)], flags=flags), (V311, V5))
      for flags in (0, 1, 3, 6, 10)],
    Row("no filter", subscribe_v([]), codes=ERROR),
    Row("packet id 0", subscribe_v([("a", 0)], 0), codes=EITHER),
    Row("no packet id", packet(Type.SUBSCRIBE, 2, b"\0")),
    Row("empty body", packet(Type.SUBSCRIBE, 2)),
    Row("QoS 3", subscribe_v([("a", 3)]), codes=ERROR),
    Row("retain handling 3", subscribe_v([("a", 0x30)]), NEW, ERROR),
    Row("second filter is wrong", subscribe_v([("a", 0), ("b", 3)]), codes=ERROR),
    Row("no options", request(Type.SUBSCRIBE, text16("a"))),
    Row("filter over the end", request(Type.SUBSCRIBE, b"\0\x09ab\0")),
    Row("filter not UTF-8", subscribe_v([(b"\xc3\x28", 0)])),
    *[Row(f"options {o:#x}", subscribe_v([("a", o)]), (V311,)) for o in (4, 8, 0x10, 0x80, 0xFC)],
    *[Row(f"options {o:#x}", subscribe_v([("a", o)]), NEW) for o in (0x40, 0x80, 0xC0)],
    Row("no local and shared", subscribe_v([("$share/g/t", 4)]), NEW, ERROR),
    Row("no properties", packet(Type.SUBSCRIBE, 2, id16()), NEW),
    Row("properties over the end", packet(Type.SUBSCRIBE, 2, id16() + b"\x20" + text16("a") +
                                          b"\0"), NEW),
    Row("identifier of five bytes", subscribe_v([("a", 0)], props=b"\6\x0b\x80\x80\x80\x80\1"),
        NEW),
]

UNSUBSCRIBE = [
    *[Row(f"flags {flags}", unsubscribe_v(["a"], flags=flags), (V311, V5))
      for flags in (0, 1, 3, 10)],
    Row("no filter", unsubscribe_v([]), codes=ERROR),
    Row("packet id 0", unsubscribe_v(["a"], 0), codes=EITHER),
    Row("empty body", packet(Type.UNSUBSCRIBE, 2)),
    Row("surplus byte", request(Type.UNSUBSCRIBE, text16("a") + b"\0")),
    Row("filter over the end", request(Type.UNSUBSCRIBE, b"\0\x09ab")),
    Row("filter not UTF-8", unsubscribe_v([b"\xff"])),
    Row("properties over the end", packet(Type.UNSUBSCRIBE, 2, id16() + b"\x20" + text16("a")),
        NEW),
]


# -- acknowledgements ----------------------------------------------------------

ACKS = [Type.PUBACK, Type.PUBREC, Type.PUBREL, Type.PUBCOMP]


def ack_flags(kind):
    return 2 if kind == Type.PUBREL else 0


def ack_rows(kind):
    bad_code = 0x80 if kind in (Type.PUBREL, Type.PUBCOMP) else 0x92
    return [
        *[Row(f"flags {flags}", packets.ack(kind, 1, flags=flags), (V311, V5))
          for flags in (0, 1, 3, 10) if flags != ack_flags(kind)],
        Row("packet id 0", packets.ack(kind, 0), codes=EITHER),
        Row("one byte", packet(kind, ack_flags(kind), b"\0")),
        Row("empty body", packet(kind, ack_flags(kind))),
        Row("surplus byte", packet(kind, ack_flags(kind), b"\0\1\0"), OLD),
        Row("surplus bytes", packets.ack(kind, 1, 0, b"\0\0"), NEW),
        Row("properties over the end", packets.ack(kind, 1, 0, b"\x05"), NEW),
        Row("string over the end", packets.ack(kind, 1, 0, b"\3\x1f\0\5"), NEW),
        *[Row(f"code {code:#x}", packets.ack(kind, 1, code), NEW, EITHER)
          for code in (0x01, 0x55, bad_code)],
    ]


# -- the others ----------------------------------------------------------------

OTHERS = [
    *[Row(f"{kind.name} from a client", packet(kind, 0, b"\0\1\0"), codes=ERROR)
      for kind in (Type.CONNACK, Type.SUBACK, Type.UNSUBACK)],
    Row("PINGRESP from a client", packet(Type.PINGRESP, 0), codes=ERROR),
    Row("second CONNECT", lambda v: connect("second", v), codes=ERROR),
    Row("type 0", b"\0\0", codes=EITHER),
    Row("type 0, all flags", b"\x0f\0", codes=EITHER),
    Row("type 15", packet(Type.AUTH, 0), OLD),
    Row("AUTH", packet(Type.AUTH, 0), NEW, ERROR),
    Row("AUTH that goes on", packet(Type.AUTH, 0, b"\x18" + props_block({Prop.AUTH_METHOD: "m"})),
        NEW, ERROR),
    *[Row(f"AUTH flags {flags}", packet(Type.AUTH, flags), NEW) for flags in (1, 2, 15)],
    Row("PINGREQ with a body", packet(Type.PINGREQ, 0, b"\0")),
    *[Row(f"PINGREQ flags {flags}", packet(Type.PINGREQ, flags)) for flags in (1, 2, 8)],
    *[Row(f"DISCONNECT flags {flags}", packet(Type.DISCONNECT, flags)) for flags in (1, 8)],
    Row("DISCONNECT with a body", packet(Type.DISCONNECT, 0, b"\0"), OLD),
    *[Row(f"DISCONNECT code {code:#x}", packets.disconnect(code), NEW, EITHER)
      for code in (0x01, 0x07, 0x8B, 0x8E, 0xFF)],
    Row("DISCONNECT surplus bytes", packets.disconnect(0, b"\0\0"), NEW),
    Row("DISCONNECT string over the end", packets.disconnect(0, b"\3\x1f\0\5"), NEW),
    Row("DISCONNECT raises the expiry", packets.disconnect(0, {Prop.SESSION_EXPIRY: 1}), NEW,
        ERROR),
    Row("five byte length", b"\xc0\xff\xff\xff\xff\1"),
    Row("longer length", b"\xc0\x80\0", NEW),
    Row("packet over the limit", b"\x30\xff\xff\xff\x7f\0", codes=Reason.TOO_LARGE),
]


# -- what a test does with them ------------------------------------------------

def expect_refused(broker, rows, version):
    """CONNECTs that are no good: the connection ends, with a CONNACK for those who would
    understand it."""
    for row in rows:
        if version not in row.versions:
            continue
        client = broker.raw(version)
        client.send(row.bytes_for(version))
        _expect_end(client, row)


def expect_ends(broker, rows, version):
    """Each ends the connection that it comes by, and says why if that is possible; the will
    goes out, and nobody else on any worker is disturbed."""
    topic = broker.topic("will")
    watcher = broker.connect()
    watcher.subscribe(topic)
    bystanders = [broker.connect(worker=worker) for worker in range(broker.workers)]
    for bystander in bystanders:
        bystander.subscribe(broker.topic("bystander"), qos=1)
    for row in rows:
        if version not in row.versions:
            continue
        client = broker.connect(version=version, will=packets.Will(topic, row.name))
        client.send(row.bytes_for(version))
        _expect_end(client, row)
        watcher.expect_publish(topic, row.name)
    for publisher in bystanders:
        publisher.publish(broker.topic("bystander"), "alive", 1)
    for bystander in bystanders:
        received = [bystander.expect_publish(payload="alive") for _ in bystanders]
        assert len(received) == len(bystanders)
    wire.expect_nothing(watcher, bystanders[0])


def _expect_end(client, row):
    try:
        client.expect_reject(*row.codes_tuple())
    except (AssertionError, TimeoutError, wire.Closed) as error:
        raise AssertionError(f"{row.name} ({client.version}): {error!r}") from error
    client.cut()
