"""DISCONNECT from the client and from the broker."""

import pytest

import packets
import wire
from packets import Prop, Reason, Type, connect, packet, publish

TINY = 20  # holds our CONNACK, but no DISCONNECT with words
WILL = packets.Will
# What a client can be thrown out for, by the reason; a function of a connected client.
PROVOCATIONS = {
    Reason.MALFORMED: lambda client: client.send(packet(Type.PINGREQ, 1)),
    Reason.PROTOCOL_ERROR: lambda client: client.send(packet(Type.PINGRESP, 0)),
    Reason.TOPIC_INVALID: lambda client: client.send(publish("a/#")),
    Reason.ALIAS_INVALID: lambda client: client.send(publish("t", props={Prop.TOPIC_ALIAS: 0})),
    Reason.TOO_LARGE: lambda client: client.send(b"\x30\xff\xff\xff\x7f"),
    Reason.RECEIVE_MAXIMUM: lambda client: exceed_receive_maximum(client),
}


def exceed_receive_maximum(client):
    limit = client.connack.props[Prop.RECEIVE_MAXIMUM]
    for number in range(1, limit + 1):
        client.send(publish("t", "", 2, number))
        client.expect(Type.PUBREC, packet_id=number)
    client.send(publish("t", "", 2, limit + 1))


def take_over(broker, client):
    broker.connect(client.client_id)


def provoke_all(broker, **how):
    """For each way to be thrown out: the reason, and the broker's DISCONNECT or None."""
    for reason, provoke in PROVOCATIONS.items():
        client = broker.connect(**how)
        provoke(client)
        yield reason, last_packet(client)
    client = broker.connect(**how)
    take_over(broker, client)
    yield Reason.TAKEN_OVER, last_packet(client)


def last_packet(client):
    """A DISCONNECT, or None; then the connection ends."""
    try:
        p = client.recv()
    except wire.Closed:
        return None
    assert p.type == Type.DISCONNECT
    client.expect_close()
    return p


# -- from the broker --

def unserved_level():
    return connect("x", level=6)


REFUSED = {
    "malformed": lambda: packet(Type.CONNECT, 0, b"\0\4MQTT\5\3\0\0\0\0\0"),
    "error": lambda: connect("x", props={Prop.RECEIVE_MAXIMUM: 0}),
    "method": lambda: connect("x", props={Prop.AUTH_METHOD: "nope"}),
    "will topic": lambda: connect("x", will=WILL("#")),
    "reserved will topic": lambda: connect("x", will=WILL("$SYS/x")),
    "level": unserved_level,
    "first packet": lambda: packets.PINGREQ,
    "first packet is DISCONNECT": packets.disconnect,
    "no MQTT": lambda: b"GET / HTTP/1.1\r\n\r\n",
    "length": lambda: b"\x10\xff\xff\xff\xff\1",
    "too large": lambda: b"\x10\xff\xff\xff\x7f"}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def mqtt5_3_14_0_1_no_disconnect_before_connack(broker, data):
    """A CONNACK alone, or nothing; to a level that is not served in the form of 3.1.1."""
    client = broker.raw(packets.V311 if data is unserved_level else packets.V5)
    client.send(data())
    seen = []
    with pytest.raises(wire.Closed):
        while True:
            seen.append(client.recv())
    assert [p.type for p in seen] in ([], [Type.CONNACK])
    assert all(p.reason != 0 for p in seen)


def mqtt5_3_14_2_1_broker_says_why(broker):
    """That codes are of the list is checked by packets.py, whatever the test."""
    # covers: MQTT-4.13.2-1, MQTT-3.14.4-1, MQTT-3.14.4-2
    for reason, p in provoke_all(broker):
        assert p is not None and p.reason == reason, f"expected {reason!r}, got {p}"


@pytest.mark.parametrize("code", [0x01, 0x02, 0x10, 0x18, 0x8B, 0x8E, 0x9A, 0xFF])
def mqtt5_3_14_2_1_codes_that_no_client_sends(broker, code):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(will=WILL(broker.topic(), b"will"))
    client.send(packets.disconnect(code))
    client.expect_reject(Reason.PROTOCOL_ERROR, Reason.MALFORMED)
    watcher.expect_publish(broker.topic(), b"will")


def mqtt5_3_14_2_2_broker_names_no_expiry(broker):
    for reason, p in provoke_all(broker, props={Prop.SESSION_EXPIRY: 1}):
        assert p is not None and Prop.SESSION_EXPIRY not in p.props, f"{reason!r}: {p}"


@pytest.mark.parametrize("limit", [TINY, TINY + 1, 30, 40, 60])
def mqtt5_3_14_2_3_disconnect_fits_the_client(broker, limit):
    # covers: MQTT-3.14.2-4
    for reason, p in provoke_all(broker, props={Prop.MAXIMUM_PACKET_SIZE: limit}):
        assert p is not None and p.reason == reason
        assert len(p.raw) <= limit, f"{len(p.raw)} bytes for {limit}: {p}"


def mqtt5_3_14_2_3_disconnect_without_limit_has_words(broker):
    for reason, p in provoke_all(broker):
        assert p.props.get(Prop.REASON_STRING), f"{reason!r}: {p}"


@pytest.mark.fresh
@pytest.mark.crash
def mqtt5_3_14_4_2_stopping_broker_says_so_and_closes(broker):
    # covers: MQTT-4.13.2-1, MQTT-3.14.4-1
    clients = [broker.connect(worker=worker) for worker in range(broker.workers)]
    old = broker.connect(version=packets.V311)
    broker.process.process.terminate()
    for client in clients:
        client.expect(Type.DISCONNECT, reason=Reason.SHUTTING_DOWN)
        client.expect_close()
    old.expect_close()


# -- from the client --

NORMAL = {"short": b"\xe0\0", "code": b"\xe0\1\0", "code and properties": b"\xe0\2\0\0",
          "reason string": packets.disconnect(0, {Prop.REASON_STRING: "bye"})}


@pytest.mark.parametrize("data", NORMAL.values(), ids=NORMAL)
def mqtt5_3_14_4_3_normal_end_drops_the_will(broker, data):
    # covers: MQTT-3.14.4-2
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(will=WILL(broker.topic(), b"will", retain=True))
    client.send(data)
    client.expect_close()
    wire.expect_nothing(watcher, broker.connect())
    watcher.subscribe(broker.topic())
    wire.expect_nothing(watcher, watcher)


def mqtt311_3_14_4_3_disconnect_drops_the_will(broker, version):
    # covers: v3 MQTT-3.14.4-1
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(version=version, will=WILL(broker.topic(), b"will"))
    client.send(b"\xe0\0")
    client.expect_close()
    wire.expect_nothing(watcher, broker.connect())


@pytest.mark.parametrize("data", [b"\xe1\0", b"\xe8\0", b"\xe0\1\0"], ids=bytes.hex)
def mqtt311_3_14_1_1_bad_disconnect_is_none(broker, data):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    for version in (packets.V31, packets.V311):
        client = broker.connect(version=version, will=WILL(broker.topic(), b"will"))
        client.send(data)
        client.expect_close()
        watcher.expect_publish(broker.topic(), b"will")


@pytest.mark.parametrize("first", [0xE1, 0xE2, 0xE8, 0xEF], ids=hex)
def mqtt5_3_14_1_1_flags_of_disconnect(broker, first):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(will=WILL(broker.topic(), b"will"))
    client.send(bytes([first, 0]))
    client.expect_reject(Reason.MALFORMED)
    watcher.expect_publish(broker.topic(), b"will")


def mqtt5_3_14_4_1_nothing_counts_after_disconnect(broker, version):
    # covers: v3 MQTT-3.14.4-2
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(version=version)
    client.send(publish(broker.topic(), "before", 1, 1, version=version) + packets.disconnect() +
                publish(broker.topic(), "after", version=version) +
                publish(broker.topic(), "after", 1, 2, version=version) + packets.PINGREQ)
    client.expect(Type.PUBACK, packet_id=1)
    client.expect_close()
    watcher.expect_publish(broker.topic(), "before")
    wire.expect_nothing(watcher, broker.connect())


@pytest.mark.parametrize("count", [1, 50])
def mqtt5_3_14_4_1_what_came_before_is_acknowledged(broker, version, count, homes):
    """Also what other workers have to settle first."""
    at_publisher, at_subscriber = homes
    subscriber = broker.connect(worker=at_subscriber)
    subscriber.subscribe(broker.topic(), qos=1)
    client = broker.connect(version=version, worker=at_publisher)
    client.send(b"".join(publish(broker.topic(), str(n), 1, n, version=version)
                         for n in range(1, min(count, 20) + 1)) + packets.disconnect())
    for number in range(1, min(count, 20) + 1):
        client.expect(Type.PUBACK, packet_id=number)
    client.expect_close()
    assert len(subscriber.receive(min(count, 20))) == min(count, 20)


CLIENT_CODES = [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, *range(0x93, 0x9A)]


@pytest.mark.parametrize("code", CLIENT_CODES, ids=hex)
def mqtt5_4_13_2_1_other_codes_publish_the_will(broker, code):
    # covers: MQTT-3.14.4-2
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(will=WILL(broker.topic(), b"will"))
    client.send(packets.disconnect(code, {Prop.REASON_STRING: "bye"}))
    client.expect_close()
    watcher.expect_publish(broker.topic(), b"will")


def mqtt5_4_13_2_1_refusing_connack_goes_with_a_close(broker):
    for data, reason in [
            (connect("x", props={Prop.AUTH_METHOD: "nope"}), Reason.BAD_AUTH_METHOD),
            (connect("x", props={Prop.RECEIVE_MAXIMUM: 0}), Reason.PROTOCOL_ERROR),
            (connect("x", will=WILL("$SYS/x")), Reason.NOT_AUTHORIZED),
            (connect("x", will=WILL("#")), Reason.TOPIC_INVALID)]:
        client = broker.raw()
        client.send(data + packets.PINGREQ)
        client.expect(Type.CONNACK, reason=reason)
        client.expect_close()
