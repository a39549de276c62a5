"""CONNECT comes first and once; protocol names and levels."""

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will

# What a broker that serves 3.1, 3.1.1 and 5.0 may say before it closes.
OLD_REFUSAL, NEW_REFUSAL = b"\x20\2\0\1", b"\x20\3\0\x84\0"


def expect_unserved(broker, data):
    """Closed, perhaps after a CONNACK that says why; in whose form is not told."""
    client = broker.raw()
    client.send(data)
    assert client.read_to_end() in (b"", OLD_REFUSAL, NEW_REFUSAL)


# -- CONNECT first --

FIRSTS = {
    "PINGREQ": lambda v, t: packets.PINGREQ,
    "PUBLISH": lambda v, t: packets.publish(t, "m", retain=True, version=v),
    "PUBLISH 1": lambda v, t: packets.publish(t, "m", 1, 1, version=v),
    "SUBSCRIBE": lambda v, t: packets.subscribe(1, [(t, 0)], version=v),
    "UNSUBSCRIBE": lambda v, t: packets.unsubscribe(1, [t], version=v),
    "PUBREL": lambda v, t: packets.ack(Type.PUBREL, 1),
    "DISCONNECT": lambda v, t: packets.disconnect(),
    "AUTH": lambda v, t: packets.packet(Type.AUTH, 0),
    "CONNACK": lambda v, t: b"\x20\2\0\0"}


@pytest.mark.parametrize("build", FIRSTS.values(), ids=FIRSTS)
def mqtt5_3_1_0_1_other_packet_first(broker, version, build):
    # covers: v3 MQTT-3.1.0-1, EDGE-019
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.raw(version)
    client.send(build(version, broker.topic()), packets.connect("late", version))
    client.expect_close()
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)
    late = broker.connect()
    late.subscribe(broker.topic())
    wire.expect_nothing(late, late)


# -- CONNECT once --

@pytest.mark.parametrize("with_id", ["same", "other", "empty"])
@pytest.mark.parametrize("with_version", [V31, V311, V5])
def mqtt5_3_1_0_2_second_connect(broker, version, with_id, with_version):
    """The will goes out, there is no second CONNACK, and the second id is not touched."""
    # covers: v3 MQTT-3.1.0-2, EDGE-018, MQTT-3.2.0-2
    topic = broker.topic()
    watcher, other = broker.connect(), broker.connect()
    watcher.subscribe(topic)
    client = broker.connect(version=version, will=Will(topic, b"gone"))
    second = {"same": client.client_id, "other": other.client_id, "empty": ""}[with_id]
    client.send(packets.connect(second, with_version), packets.publish(topic, "after"))
    client.expect_reject(Reason.PROTOCOL_ERROR)
    watcher.expect_publish(topic, "gone")
    wire.expect_nothing(watcher, watcher)
    other.ping()


def mqtt5_3_1_0_2_second_connect_behind_the_first(broker, version):
    # covers: v3 MQTT-3.1.0-2, MQTT-3.2.0-2, EDGE-018
    connect = packets.connect(broker.new_id(), version)
    client = broker.raw(version)
    client.send(connect, connect)
    client.expect_connack()
    client.expect_reject(Reason.PROTOCOL_ERROR)


# -- name and level --

@pytest.mark.parametrize(
    "name", ["mqtt", "MQTX", "Mqtt", "MQT", "MQTTT", "", "MQISDP", "M" * 65535],
    ids=lambda name: name[:8] or "empty")
@pytest.mark.parametrize("level", [3, 4, 5])
def mqtt5_3_1_2_1_other_name(broker, name, level):
    # covers: v3 MQTT-3.1.2-1
    expect_unserved(broker, packets.connect("x", level, name=name))


@pytest.mark.parametrize("name,level", [("MQIsdp", 4), ("MQIsdp", 5), ("MQTT", 3)])
def edge_026_name_and_level_that_do_not_fit(broker, name, level):
    # covers: MQTT-3.1.2-1, v3 MQTT-3.1.2-1
    expect_unserved(broker, packets.connect("x", level, name=name))
    expect_unserved(broker, packets.connect("x", V311, name=name, level=level))


@pytest.mark.parametrize("level", [0, 1, 2, 6, 7, 127, 128, 129, 130, 134, 255])
def mqtt5_3_1_2_2_other_level(broker, level):
    expect_unserved(broker, packets.connect("x", V311, level=level))
    expect_unserved(broker, packets.connect("x", V5, level=level))


@pytest.mark.parametrize("level", [0, 6, 127])
def mqtt311_3_1_2_2_other_level_gets_code_1(broker, level):
    # covers: v3 MQTT-3.2.2-5
    client = broker.raw(V311)
    client.send(packets.connect("x", V311, level=level))
    assert client.read_to_end() in (OLD_REFUSAL, NEW_REFUSAL)


def mqtt5_3_1_2_2_level_decides_the_rules(broker):
    """The same client id and no properties: only the level says what the answer looks like."""
    # covers: v3 MQTT-3.1.2-1, v3 MQTT-3.1.2-2
    for version in (V311, V5, V311):
        client = broker.connect(version=version)
        assert (len(client.connack.raw) == 4) == (version != V5)
        client.send(packets.subscribe(1, [(broker.topic(), 0)], version=version))
        assert len(client.expect(Type.SUBACK).raw) == (6 if version == V5 else 5)


def mqtt311_3_1_2_1_mqisdp_3_gets_the_rules_of_3_1(broker):
    """There is no Session Present, and the remaining length wins over the flags."""
    client_id = broker.new_id()
    for _ in range(2):
        client = broker.raw(V31)
        client.send(packets.connect(client_id, V31, flags=0x80))
        assert client.expect_connack(client_id).raw == b"\x20\2\0\0"
        client.disconnect()
    assert broker.connect(client_id, V311, clean=False).connack.session_present


# -- the bridges' bit --

@pytest.mark.parametrize("version", [V31, V311])
def edge_027_level_of_bridges_is_accepted(broker, version):
    """A decision: Mosquitto's bridges set bit 7 and expect to be served by the same rules."""
    client = broker.raw(version)
    client.connect(broker.new_id(), level=version | 0x80)
    client.subscribe(broker.topic(), qos=1)
    client.publish(broker.topic(), "m", 1)
    client.expect_publish(broker.topic(), "m", qos=1)


@pytest.mark.parametrize("name,level", [("MQTT", 0x83), ("MQIsdp", 0x84), ("MQTT", 0x85)])
def edge_027_level_of_bridges_that_does_not_fit(broker, name, level):
    expect_unserved(broker, packets.connect("x", V311, name=name, level=level))
    expect_unserved(broker, packets.connect("x", V5, name=name, level=level))


# -- CONNACK first and once --

def mqtt5_3_2_0_1_connack_comes_before_the_queue(broker, homes, version):
    # covers: v3 MQTT-3.2.0-1, MQTT-3.2.0-2
    topic, client_id = broker.topic(), broker.new_id(homes[1])
    publisher = broker.connect(worker=homes[0])
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60, Prop.RECEIVE_MAXIMUM: 5}}
    client = broker.connect(client_id, version, **how)
    client.subscribe(topic, qos=1)
    client.cut()
    for _ in range(5):
        for _ in range(20):  # while it is away, and while it returns
            publisher.send_publish(topic, "m", 1)
        client = broker.raw(version)
        client.send(packets.connect(client_id, version, **how))
        client.expect_connack(client_id)
        for _ in range(20):
            client.expect_publish(topic)
        client.ping()
        client.cut()
        for _ in range(20):
            publisher.await_packet(Type.PUBACK)


def mqtt5_3_2_0_2_no_other_connack(broker, version):
    """Whatever else the client does; expect() would not let one pass."""
    topic = broker.topic()
    client = broker.connect(version=version)
    client.subscribe(topic, qos=2)
    for qos in (0, 1, 2):
        client.publish(topic, "m", qos)
        client.expect_publish(topic, qos=qos)
    client.unsubscribe(topic)
    client.ping()
    client.disconnect()
