"""Clean Start and Clean Session, Session Present, and what a session is known by."""

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Type

BEFORE_5 = pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
LASTING = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}


def expect_present(client, is_present):
    """3.1 does not tell."""
    assert client.connack.session_present is (is_present and client.version != V31)
    assert client.connack.reason == 0


def leave_session(broker, homes, version):
    """A client that was cut off with a subscription, and with one QoS 2 message that it has
    not answered, one that it has half taken, and one queued. Returns publisher and client."""
    topic = broker.topic()
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(worker=homes[1], version=version, **LASTING)
    expect_present(client, False)
    client.subscribe(topic, qos=2)
    for payload in ("half taken", "not answered"):
        publisher.publish(topic, payload, 2)
    half = client.expect_publish(topic, "half taken", acknowledge=False)
    client.expect_publish(topic, "not answered", acknowledge=False)
    client.send(packets.ack(Type.PUBREC, half.packet_id))
    client.expect(Type.PUBREL, packet_id=half.packet_id)
    client.cut()
    broker.process.settle()
    publisher.publish(topic, "queued", 1)
    return publisher, client


def mqtt5_3_1_2_4_clean_start_1_drops_the_session(broker, homes, version):
    # covers: MQTT-3.2.2-2, v3 MQTT-3.2.2-1, v3 MQTT-3.1.2-6
    publisher, client = leave_session(broker, homes, version)
    again = broker.connect(client.client_id, version, clean=True)
    expect_present(again, False)
    publisher.publish(broker.topic(), "to the old filter", 2)
    wire.expect_nothing(again, publisher)


def mqtt5_3_1_2_5_clean_start_0_resumes_the_session(broker, homes, version):
    # covers: MQTT-3.2.2-3, v3 MQTT-3.1.2-4, v3 MQTT-3.1.2-5, v3 MQTT-3.2.2-2
    publisher, client = leave_session(broker, homes, version)
    again = broker.connect(client.client_id, version, **LASTING)
    expect_present(again, True)
    release = again.await_packet(Type.PUBREL)
    again.send(packets.ack(Type.PUBCOMP, release.packet_id))
    again.expect_publish(broker.topic(), "not answered", qos=2, dup=True)
    again.expect_publish(broker.topic(), "queued", qos=1, dup=False)
    publisher.publish(broker.topic(), "to the old filter", 2)
    again.expect_publish(broker.topic(), "to the old filter", qos=2)
    wire.expect_nothing(again, publisher)


def mqtt5_3_1_2_6_clean_start_0_without_session(broker, version):
    # covers: MQTT-3.2.2-3, v3 MQTT-3.1.2-4, v3 MQTT-3.2.2-3
    client = broker.connect(version=version, **LASTING)
    expect_present(client, False)
    client.subscribe(broker.topic(), qos=1)
    client.publish(broker.topic(), "m", 1)
    client.expect_publish(broker.topic(), "m", qos=1)


@BEFORE_5
def mqtt311_3_1_2_5_queue_of_absent_client(broker, homes, version):
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(worker=homes[1], version=version, clean=False)
    client.subscribe(broker.topic(), qos=2)
    client.disconnect()
    broker.process.settle()
    for qos in (1, 2, 1):
        publisher.publish(broker.topic(), f"qos {qos}", qos)
    again = broker.connect(client.client_id, version, clean=False)
    for qos in (1, 2, 1):
        again.expect_publish(broker.topic(), f"qos {qos}", qos=qos)
    wire.expect_nothing(again, publisher)


@BEFORE_5
def mqtt311_3_1_2_6_clean_session_is_never_reused(broker, homes, version):
    """0, then 1, then 0 with one id."""
    publisher, client_id = broker.connect(worker=homes[0]), broker.new_id(homes[1])
    for clean in (False, True, False):
        client = broker.connect(client_id, version, clean=clean)
        expect_present(client, False)
        publisher.publish(broker.topic(), "to an old filter", 1)
        wire.expect_nothing(client, publisher)
        client.subscribe(broker.topic(), qos=1)
        client.disconnect()
        broker.process.settle()
        publisher.publish(broker.topic(), "queued", 1)
        if not clean:
            client = broker.connect(client_id, version, clean=False)
            client.expect_publish(broker.topic(), "queued")
            client.disconnect()


@pytest.mark.parametrize("clean", [False, True])
def mqtt311_3_1_2_7_retained_message_outlives_the_session(broker, version, clean):
    client = broker.connect(version=version, clean=clean)
    client.publish(broker.topic(), "kept", 1, retain=True)
    client.disconnect()
    later = broker.connect(client.client_id, version, clean=True)
    later.subscribe(broker.topic())
    later.expect_publish(broker.topic(), "kept", retain=True)
    later.publish(broker.topic(), "", 1, retain=True)


@pytest.mark.parametrize("expiry,is_kept", [(None, False), (0, False), (60, True),
                                            (0xFFFFFFFF, True)])
@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize("end", ["cut", "disconnect"])
def mqtt5_3_1_2_23_expiry_above_0_keeps_the_session(broker, expiry, is_kept, clean, end):
    props = {} if expiry is None else {Prop.SESSION_EXPIRY: expiry}
    client = broker.connect(clean=clean, props=props)
    getattr(client, end)()
    broker.process.settle()
    expect_present(broker.connect(client.client_id, clean=False), is_kept)


@BEFORE_5
@pytest.mark.parametrize("end", ["cut", "disconnect"])
def mqtt311_3_1_2_4_clean_session_0_keeps_the_session(broker, version, end):
    client = broker.connect(version=version, clean=False)
    getattr(client, end)()
    broker.process.settle()
    expect_present(broker.connect(client.client_id, V311, clean=False), True)


# -- what a session is known by --

def mqtt5_3_1_3_2_client_ids_are_compared_byte_by_byte(broker, version):
    # covers: v3 MQTT-3.1.3-2
    base = broker.new_id() + "a"
    ids = [base, base[:-1], base[:-1] + "A", base + " ", " " + base, base + "\u00e9",
           base + "e\u0301", base + "/", base + "\ufeff"]
    for i, client_id in enumerate(ids):
        client = broker.connect(client_id, version, **LASTING)
        expect_present(client, False)
        client.subscribe(broker.topic(str(i)), qos=1)
        client.disconnect()
    publisher = broker.connect()
    for i in range(len(ids)):
        publisher.publish(broker.topic(str(i)), str(i), 1)
    for i, client_id in enumerate(ids):
        client = broker.connect(client_id, version, **LASTING)
        expect_present(client, True)
        client.expect_publish(broker.topic(str(i)), str(i))
        wire.expect_nothing(client, publisher)
        client.disconnect()
        broker.connect(client_id, version).disconnect()


# -- the answer, byte by byte --

def mqtt311_3_2_2_1_session_present_in_each_case(broker):
    # covers: v3 MQTT-3.2.2-2, v3 MQTT-3.2.2-3, v3 MQTT-3.1.4-4
    client_id = broker.new_id()
    for clean, flags in ((True, 0), (False, 0), (False, 1), (True, 0), (False, 0)):
        client = broker.connect(client_id, V311, clean=clean)
        assert client.connack.raw == bytes([0x20, 2, flags, 0])
        client.disconnect()


def mqtt5_3_2_2_2_session_present_in_each_case(broker):
    # covers: MQTT-3.2.2-3, MQTT-3.1.4-5, MQTT-3.2.2-1
    client_id = broker.new_id()
    for clean, flags in ((False, 0), (False, 1), (True, 0), (False, 1), (True, 0)):
        client = broker.connect(client_id, V5, clean=clean, props=LASTING["props"])
        assert client.connack.raw[2:4] == bytes([flags, 0])
        client.disconnect()
