"""What no client may send: for each type and version the answer that the standard wants; the
canaries of the fixture show that nobody else is disturbed."""

import struct

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, connect, packet, publish, subscribe, text16

MALFORMED, ERROR = Reason.MALFORMED, Reason.PROTOCOL_ERROR
EITHER = (MALFORMED, ERROR)
OLD = (V31, V311)
ALL = (V31, V311, V5)
BAD_TEXTS = {
    "u0000": b"a\0b", "lone surrogate": b"\xed\xa0\x80", "cesu-8": b"\xed\xa0\xbd\xed\xb8\x80",
    "overlong": b"\xc0\xaf", "overlong 3": b"\xe0\x80\xaf", "too large": b"\xf4\x90\x80\x80",
    "latin 1": b"\xe9", "cut off": b"\xe2\x82", "continuation": b"\x80", "f5": b"\xf5\x80\x80\x80"}


def row(name, data, versions=ALL, codes=EITHER):
    """`data`: bytes, or a function of the version."""
    codes = codes if isinstance(codes, tuple) else (codes,)
    return [pytest.param(data, version, codes, id=f"{name}-v{version}") for version in versions]


def rows(*parts):
    return [one for part in parts for one in part]


def connect_flags(flags, tail=b"", versions=ALL):
    return [lambda v: packet(Type.CONNECT, 0, text16("MQIsdp" if v == V31 else "MQTT") +
                             bytes([v, flags]) + b"\0\0" + (b"\0" if v == V5 else b"") +
                             text16("x") + tail), versions]


def with_props(raw):
    """A CONNECT with these bytes as properties, length included."""
    return connect("x", props=raw)


def will_props(raw):
    return connect("x", will=packets.Will("t", b"", props=raw))


TWICE_IN_CONNECT = [
    (Prop.SESSION_EXPIRY, 1), (Prop.RECEIVE_MAXIMUM, 1), (Prop.MAXIMUM_PACKET_SIZE, 100),
    (Prop.TOPIC_ALIAS_MAXIMUM, 1), (Prop.REQUEST_RESPONSE_INFO, 1), (Prop.REQUEST_PROBLEM_INFO, 1),
    (Prop.AUTH_METHOD, "a"), (Prop.AUTH_DATA, b"")]
NOT_IN_CONNECT = [
    (Prop.TOPIC_ALIAS, 1), (Prop.WILL_DELAY, 1), (Prop.SUBSCRIPTION_ID, 1), (Prop.CONTENT_TYPE, ""),
    (Prop.SERVER_KEEP_ALIVE, 1), (Prop.ASSIGNED_CLIENT_ID, "a"), (Prop.REASON_STRING, "a"),
    (Prop.MAXIMUM_QOS, 1)]

CONNECTS = rows(
    row("reserved flag", *connect_flags(0x03), codes=MALFORMED),
    row("will qos 3", *connect_flags(0x1E, text16("t") + text16("")), codes=MALFORMED),
    row("will qos without will", *connect_flags(0x0A), codes=MALFORMED),
    row("will retain without will", *connect_flags(0x22), codes=MALFORMED),
    row("will flag without will", *connect_flags(0x06), codes=MALFORMED),
    row("password flag without password", *connect_flags(0xC2, text16("u"), (V311, V5)),
        codes=MALFORMED),
    row("surplus bytes", *connect_flags(0x02, b"\0"), codes=MALFORMED),
    row("surplus will", *connect_flags(0x02, text16("t") + text16("")), codes=MALFORMED),
    row("nothing after the name", lambda v: packet(Type.CONNECT, 0, text16("MQTT")), OLD),
    row("no client id", lambda v: packet(Type.CONNECT, 0, connect("", v)[2:-2]), codes=MALFORMED),
    row("client id over the end",
        lambda v: packet(Type.CONNECT, 0, connect("", v)[2:-2] + b"\0\5a"),
        codes=MALFORMED),
    row("empty body", lambda v: packet(Type.CONNECT, 0), OLD),
    *[row(f"client id {name}", lambda v, t=text: connect(t, v), codes=MALFORMED)
      for name, text in BAD_TEXTS.items()],
    *[row(f"user name {name}", lambda v, t=text: connect("x", v, username=t), codes=MALFORMED)
      for name, text in BAD_TEXTS.items()],
    *[row(f"will topic {name}", lambda v, t=text: connect("x", v, will=packets.Will(t)),
          codes=(MALFORMED, Reason.TOPIC_INVALID)) for name, text in BAD_TEXTS.items()],
    *[row(f"{number.name} twice", connect("x", props=[(number, value), (number, value)]), (V5,),
          ERROR) for number, value in TWICE_IN_CONNECT],
    *[row(f"{number.name} misplaced", connect("x", props={number: value}), (V5,), MALFORMED)
      for number, value in NOT_IN_CONNECT],
    row("unknown property", with_props(b"\2\x7f\0"), (V5,), MALFORMED),
    row("property id 0", with_props(b"\2\0\0"), (V5,), MALFORMED),
    row("two byte property id", with_props(b"\2\x91\0"), (V5,), MALFORMED),
    row("property cut off", with_props(b"\2\x21\0"), (V5,), MALFORMED),
    row("property length over the end", with_props(b"\x7f"), (V5,), MALFORMED),
    row("property length of five bytes", with_props(b"\xff\xff\xff\xff\1"), (V5,), MALFORMED),
    row("property length too long", with_props(b"\x80\0"), (V5,), MALFORMED),
    row("receive maximum 0", connect("x", props={Prop.RECEIVE_MAXIMUM: 0}), (V5,), ERROR),
    row("packet size 0", connect("x", props={Prop.MAXIMUM_PACKET_SIZE: 0}), (V5,), ERROR),
    row("problem info 2", connect("x", props={Prop.REQUEST_PROBLEM_INFO: 2}), (V5,), ERROR),
    row("response info 2", connect("x", props={Prop.REQUEST_RESPONSE_INFO: 2}), (V5,), ERROR),
    row("data without method", connect("x", props={Prop.AUTH_DATA: b"d"}), (V5,), ERROR),
    row("user property not utf-8", connect("x", props={Prop.USER_PROPERTY: (b"\xff", b"")}), (V5,),
        MALFORMED),
    row("will delay twice", will_props([(Prop.WILL_DELAY, 1), (Prop.WILL_DELAY, 1)]), (V5,), ERROR),
    row("will topic alias", will_props({Prop.TOPIC_ALIAS: 1}), (V5,), MALFORMED),
    row("will format 2", will_props({Prop.PAYLOAD_FORMAT: 2}), (V5,), ERROR),
    row("will response topic with wildcard", will_props({Prop.RESPONSE_TOPIC: "a/#"}), (V5,),
        ERROR),
)


@pytest.mark.spec("MQTT-3.1.2-3", "MQTT-2.1.3-1", "MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-4.13.1-1",
                  "MQTT-3.1.2-12", "MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.3-4")
@pytest.mark.parametrize("data,version,codes", CONNECTS)
def test_connect(broker, data, version, codes):
    """EDGE-010, EDGE-013, EDGE-014, EDGE-015, EDGE-017, EDGE-072"""
    client = broker.raw(version)
    client.send(data(version) if callable(data) else data)
    client.expect_reject(*codes)


def id16(number=1):
    return struct.pack("!H", number)


def no_props(version):
    return b"\0" if version == V5 else b""


def publish_v(topic, payload=b"", qos=0, packet_id=None, **how):
    return lambda v: publish(topic, payload, qos, packet_id, version=v, **how)


def subscribe_v(filters, packet_id=1, **how):
    return lambda v: subscribe(packet_id, filters, version=v, **how)


def unsubscribe_v(filters, packet_id=1, **how):
    return lambda v: packets.unsubscribe(packet_id, filters, version=v, **how)


def publish_props(props):
    return publish("t", "x", props=props)


PUBLISH_PROPS_TWICE = [
    (Prop.PAYLOAD_FORMAT, 1), (Prop.MESSAGE_EXPIRY, 1), (Prop.TOPIC_ALIAS, 1),
    (Prop.RESPONSE_TOPIC, "a"), (Prop.CORRELATION_DATA, b""), (Prop.CONTENT_TYPE, "")]

PUBLISHES = rows(
    row("qos 3", publish_v("t", "x", 3, 1), codes=MALFORMED),
    row("dup at qos 0", publish_v("t", "x", 0, dup=True), codes=EITHER),
    row("packet id 0", publish_v("t", "x", 1, 0), codes=EITHER),
    row("no packet id", lambda v: packet(Type.PUBLISH, 2, text16("t")), OLD),
    row("topic over the end", packet(Type.PUBLISH, 0, b"\0\5abc"), codes=MALFORMED),
    row("one byte", packet(Type.PUBLISH, 0, b"\0"), codes=MALFORMED),
    row("empty body", packet(Type.PUBLISH, 0), codes=MALFORMED),
    row("empty topic", publish_v("", "x"), codes=(ERROR, Reason.TOPIC_INVALID)),
    row("plus in topic", publish_v("a/+", "x"), codes=(Reason.TOPIC_INVALID, *EITHER)),
    row("hash in topic", publish_v("a#b", "x"), codes=(Reason.TOPIC_INVALID, *EITHER)),
    *[row(f"topic {name}", publish_v(text, "x"), codes=MALFORMED)
      for name, text in BAD_TEXTS.items()],
    *[row(f"{n.name} twice", publish_props([(n, v), (n, v)]), (V5,), ERROR)
      for n, v in PUBLISH_PROPS_TWICE],
    row("subscription id", publish_props({Prop.SUBSCRIPTION_ID: 1}), (V5,), ERROR),
    row("session expiry", publish_props({Prop.SESSION_EXPIRY: 1}), (V5,), MALFORMED),
    row("reason string", publish_props({Prop.REASON_STRING: "r"}), (V5,), MALFORMED),
    row("payload format 2", publish_props({Prop.PAYLOAD_FORMAT: 2}), (V5,), ERROR),
    row("response topic with wildcard", publish_props({Prop.RESPONSE_TOPIC: "+"}), (V5,), ERROR),
    row("content type not utf-8", publish_props({Prop.CONTENT_TYPE: b"\xff"}), (V5,), MALFORMED),
    row("properties over the end", publish("t", "", props=b"\x20"), (V5,), MALFORMED),
    row("no properties at all", packet(Type.PUBLISH, 0, text16("t")), (V5,), MALFORMED),
    row("property cut off", publish_props(b"\1\2"), (V5,), MALFORMED),
)

SUBSCRIBES = rows(
    *[row(f"flags {flags}", subscribe_v([("a", 0)], flags=flags), (V311, V5), MALFORMED)
      for flags in (0, 3, 6, 10)],
    row("no filter", subscribe_v([]), codes=ERROR),
    row("packet id 0", subscribe_v([("a", 0)], 0), codes=EITHER),
    row("no packet id", packet(Type.SUBSCRIBE, 2, b"\0"), codes=MALFORMED),
    row("qos 3", subscribe_v([("a", 3)]), codes=EITHER),
    row("second filter is wrong", subscribe_v([("a", 0), ("b", 3)]), codes=EITHER),
    row("no options", lambda v: packet(Type.SUBSCRIBE, 2, id16() + no_props(v) + text16("a")),
        codes=MALFORMED),
    row("filter over the end",
        lambda v: packet(Type.SUBSCRIBE, 2, id16() + no_props(v) + b"\0\x09ab\0"), codes=MALFORMED),
    *[row(f"options {o:#x}", subscribe_v([("a", o)]), (V311,)) for o in (4, 8, 0x10, 0x80)],
    *[row(f"options {o:#x}", subscribe_v([("a", o)]), (V5,)) for o in (0x30, 0x40, 0x80)],
    *[row(f"filter {name}", subscribe_v([(text, 0)]), codes=MALFORMED)
      for name, text in BAD_TEXTS.items()],
    row("identifier 0", subscribe_v([("a", 0)], props={Prop.SUBSCRIPTION_ID: 0}), (V5,), ERROR),
    row("identifier of five bytes", subscribe_v([("a", 0)], props=b"\6\x0b\x80\x80\x80\x80\1"),
        (V5,), MALFORMED),
    row("identifier twice", subscribe_v([("a", 0)], props={Prop.SUBSCRIPTION_ID: [1, 2]}), (V5,),
        ERROR),
    row("topic alias", subscribe_v([("a", 0)], props={Prop.TOPIC_ALIAS: 1}), (V5,), MALFORMED),
    *[row(f"unsubscribe flags {flags}", unsubscribe_v(["a"], flags=flags), (V311, V5), MALFORMED)
      for flags in (0, 10)],
    row("unsubscribe no filter", unsubscribe_v([]), codes=ERROR),
    row("unsubscribe packet id 0", unsubscribe_v(["a"], 0), codes=EITHER),
    row("unsubscribe surplus byte",
        lambda v: packet(Type.UNSUBSCRIBE, 2, id16() + no_props(v) + text16("a") + b"\0"),
        codes=MALFORMED),
    row("unsubscribe not utf-8", unsubscribe_v([b"\xff"]), codes=MALFORMED),
    row("unsubscribe with identifier", unsubscribe_v(["a"], props={Prop.SUBSCRIPTION_ID: 1}), (V5,),
        MALFORMED),
)

ACKS = [Type.PUBACK, Type.PUBREC, Type.PUBREL, Type.PUBCOMP]


def ack_flags(kind):
    return 2 if kind == Type.PUBREL else 0


OTHERS = rows(
    *[row(f"{k.name} from a client", packet(k, 0, b"\0\1\0"), codes=ERROR)
      for k in (Type.CONNACK, Type.SUBACK, Type.UNSUBACK)],
    row("PINGRESP from a client", packet(Type.PINGRESP, 0), codes=ERROR),
    row("type 0", b"\0\0", codes=EITHER),
    row("AUTH", packet(Type.AUTH, 0), codes=EITHER),
    row("AUTH without method agreed on",
        packet(Type.AUTH, 0, b"\x18" + packets.props_block({Prop.AUTH_METHOD: "m"})), (V5,), ERROR),
    row("AUTH flags", packet(Type.AUTH, 1), (V5,), MALFORMED),
    row("PINGREQ with a body", packet(Type.PINGREQ, 0, b"\0"), codes=MALFORMED),
    row("PINGREQ flags", packet(Type.PINGREQ, 1), codes=MALFORMED),
    row("DISCONNECT flags", packet(Type.DISCONNECT, 1), codes=MALFORMED),
    row("DISCONNECT with a body", packet(Type.DISCONNECT, 0, b"\0"), OLD),
    row("DISCONNECT unknown reason", packets.disconnect(0x07), (V5,)),
    row("DISCONNECT reason of the broker", packets.disconnect(0x8E), (V5,)),
    row("DISCONNECT surplus bytes", packets.disconnect(0, b"\0\0"), (V5,), MALFORMED),
    row("DISCONNECT server reference", packets.disconnect(0, {Prop.SERVER_REFERENCE: "a"}), (V5,),
        MALFORMED),
    row("DISCONNECT expiry twice", packets.disconnect(0, {Prop.SESSION_EXPIRY: [0, 0]}), (V5,),
        ERROR),
    row("five byte length", b"\xc0\xff\xff\xff\xff\1", codes=MALFORMED),
    row("length too long", b"\xc0\x80\0", (V5,), MALFORMED),
    *[row(f"{k.name} flags", packets.ack(k, 1, flags=ack_flags(k) ^ 1), (V311, V5), MALFORMED)
      for k in ACKS],
    *[row(f"{k.name} id 0", packets.ack(k, 0), codes=EITHER) for k in ACKS],
    *[row(f"{k.name} one byte", packet(k, ack_flags(k), b"\0"), codes=MALFORMED) for k in ACKS],
    *[row(f"{k.name} empty", packet(k, ack_flags(k)), codes=MALFORMED) for k in ACKS],
    *[row(f"{k.name} surplus byte", packet(k, ack_flags(k), b"\0\1\0"), OLD) for k in ACKS],
    *[row(f"{k.name} surplus bytes", packets.ack(k, 1, 0, b"\0\0"), (V5,), MALFORMED)
      for k in ACKS],
    *[row(f"{k.name} unknown reason", packets.ack(k, 1, 0x55), (V5,)) for k in ACKS],
    *[row(f"{k.name} misplaced property", packets.ack(k, 1, 0, {Prop.TOPIC_ALIAS: 1}), (V5,),
          MALFORMED) for k in ACKS],
    *[row(f"{k.name} reason string twice", packets.ack(k, 1, 0, {Prop.REASON_STRING: ["", ""]}),
          (V5,), ERROR) for k in ACKS],
)


@pytest.mark.spec("MQTT-2.1.3-1", "MQTT-2.2.1-2", "MQTT-2.2.1-3", "MQTT-3.3.1-4", "MQTT-3.3.1-2",
                  "MQTT-3.8.1-1", "MQTT-3.8.3-2", "MQTT-3.8.3-5", "MQTT-3.10.1-1", "MQTT-3.10.3-2",
                  "MQTT-3.14.1-1", "MQTT-3.3.4-6", "MQTT-3.3.2-2", "MQTT-3.3.2-14",
                  "MQTT-4.13.1-1", "MQTT-1.5.5-1", "MQTT-4.12.0-7", "MQTT-3.6.1-1")
@pytest.mark.parametrize("data,version,codes", rows(PUBLISHES, SUBSCRIBES, OTHERS))
def test_after_connect(broker, data, version, codes):
    """EDGE-001, EDGE-007 to EDGE-010, EDGE-012 to EDGE-015, EDGE-058, EDGE-072: the connection
    ends, the will goes out, nobody else notices."""
    watcher = broker.connect(worker=broker.workers - 1)
    watcher.subscribe(broker.topic())
    client = broker.connect(version=version, will=packets.Will(broker.topic(), b"will"))
    client.send(data(version) if callable(data) else data)
    client.expect_reject(*codes)
    watcher.expect_publish(broker.topic(), b"will")


@pytest.mark.parametrize("text", ["\u0001", "\u007f", "\ufffe", "\uffff", "\U0001fffe", "\ufeff"])
def test_unusual_but_legal_text(broker, version, text):
    """EDGE-071: passed on unaltered, everywhere."""
    client = broker.connect(broker.new_id() + text, version)
    topic = broker.topic(text)
    client.subscribe(topic)
    client.publish(topic, "x")
    client.expect_publish(topic, "x")


def test_truncated_connects(broker, version):
    """Each truncation of a rich CONNECT, as a whole packet, is refused."""
    props = {Prop.SESSION_EXPIRY: 1, Prop.USER_PROPERTY: ("a", "b")}
    whole = connect("client", version, props=props, username="u", password="p",
                    will=packets.Will("t", b"w", props={Prop.WILL_DELAY: 1}))
    body = whole[2:]
    # 3.1 may leave out what comes after the will.
    for size in range(len(body) - (6 if version == V31 else 0)):
        client = broker.raw(version)
        client.send(packet(Type.CONNECT, 0, body[:size]))
        client.expect_end()
        assert client.connack is None


SPLITS = {
    "connect": lambda v: connect("split", v, will=packets.Will("t", b"w")),
    "publish": lambda v: publish("split/topic", "payload", 1, 77, version=v),
    "subscribe": lambda v: subscribe(78, [("split/+", 1), ("#/bad", 0)], version=v),
    "malformed": lambda v: packet(Type.PUBLISH, 6, text16("t") + b"\0\1")}


@pytest.mark.one_shape
@pytest.mark.parametrize("what", SPLITS)
def test_split_at_every_byte(broker, version, what):
    """EDGE-003: the answer does not depend on how TCP cuts the packet."""
    data = SPLITS[what](version)

    def answer(at):
        client = broker.raw(version) if what == "connect" else broker.connect(version=version)
        client.send_split(data, at, broker.process.settle)
        got = []
        try:
            while len(got) < (3 if what == "malformed" else 1):
                got.append(client.recv().raw)
        except wire.Closed:
            got.append("closed")
        client.cut()
        return got

    whole = answer(0)
    for at in range(1, len(data)):
        assert answer(at) == whole, f"split at byte {at}"


def test_random_garbage(broker, version):
    """Nothing but an end of the connection comes of it."""
    import random
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    for _ in range(100):
        client = broker.connect(version=version)
        kind = dice.randrange(1, 16)
        body = dice.randbytes(dice.randrange(0, 60))
        if kind == Type.PUBLISH:
            continue  # may well be legal, and reach somebody
        client.send(packet(kind, dice.choice([0, 2, dice.randrange(16)]), body),
                    packets.disconnect())
        try:
            client.expect_end()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {kind} {body.hex()}") from error
