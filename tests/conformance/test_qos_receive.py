"""The broker as receiver of QoS 1 and 2."""

import pytest

import packets
import wire
from flows import KEEP, cut_after_all
from packets import Reason, Type

QOS = [1, 2]


def watch(broker):
    watcher = broker.connect()
    watcher.subscribe(broker.topic(), qos=2)
    return watcher


def send_qos2(client, topic, payload, packet_id=1, dup=False):
    """The first half of it."""
    client.send_publish(topic, payload, 2, packet_id=packet_id, dup=dup)
    client.expect(Type.PUBREC, packet_id=packet_id)


def release(client, packet_id=1, reason=0):
    client.send(packets.ack(Type.PUBREL, packet_id))
    client.expect(Type.PUBCOMP, packet_id=packet_id, reason=reason)


# -- QoS 1 --

@pytest.mark.parametrize("dup", [False, True])
def mqtt5_4_3_2_5_same_id_after_puback_is_a_new_message(broker, version, dup):
    # covers: v3 MQTT-4.3.2-2
    watcher, client = watch(broker), broker.connect(version=version)
    for payload in ("one", "two", "two"):
        client.publish(broker.topic(), payload, 1, packet_id=1, dup=dup and payload == "two")
    got = wire.fence(watcher, client)
    assert [(p.payload, p.dup) for p in got] == [(b"one", False), (b"two", False), (b"two", False)]


@pytest.mark.parametrize("qos", QOS)
def mqtt5_4_3_2_4_acknowledged_message_arrives(broker, version, qos):
    """Whatever becomes of the publisher then; who is away gets it at the return."""
    # covers: v3 MQTT-4.3.2-2, MQTT-4.3.3-8
    topic, live, absent = broker.topic(), broker.connect(), broker.connect(**KEEP)
    for subscriber in (live, absent):
        subscriber.subscribe(topic, qos=2)
    cut_after_all(absent)
    for i in range(10):
        client = broker.connect(version=version)
        packet_id = client.send_publish(topic, str(i), qos)
        client.expect(Type.PUBACK if qos == 1 else Type.PUBREC, packet_id=packet_id)
        client.cut()
        live.expect_publish(topic, str(i), qos=qos)
    absent = broker.connect(absent.client_id, **KEEP)
    assert wire.payloads(absent.receive(10)) == [b"%d" % i for i in range(10)]


# -- QoS 2 --

@pytest.mark.parametrize("dup", [False, True])
def mqtt5_4_3_3_10_repeat_before_pubrel_is_delivered_once(broker, homes, version, dup):
    """On the same connection and on a new one; the first payload counts."""
    # covers: v3 MQTT-4.3.3-2, EDGE-089, MQTT-4.3.3-8, MQTT-4.3.3-12
    watcher = broker.connect(worker=homes[1])
    topic = broker.topic()
    watcher.subscribe(topic, qos=2)
    client = broker.connect(broker.new_id(homes[0]), version, **KEEP)
    send_qos2(client, topic, "first")
    send_qos2(client, topic, "second", dup=dup)
    client.cut()
    client = broker.connect(client.client_id, version, **KEEP)
    assert client.connack.session_present or version == packets.V31
    send_qos2(client, topic, "third", dup=dup)
    watcher.expect_publish(topic, "first", qos=2, dup=False)
    wire.expect_nothing(watcher, client)
    release(client)
    client.publish(topic, "next", 2, packet_id=1)
    watcher.expect_publish(topic, "next", qos=2, dup=False)
    wire.expect_nothing(watcher, client)


def edge_089_many_open_flows_over_reconnects(broker, version):
    # covers: MQTT-4.3.3-10, v3 MQTT-4.3.3-2, MQTT-4.3.3-11
    watcher, client = watch(broker), broker.connect(broker.new_id(), version, **KEEP)
    ids = [1, 2, 17, 256, 4097, 32768, 65535]
    for start in (len(ids), 4, 2):
        for packet_id in ids[:start]:
            send_qos2(client, broker.topic(), str(packet_id), packet_id, dup=start < len(ids))
        cut_after_all(client)
        client = broker.connect(client.client_id, version, **KEEP)
    for packet_id in reversed(ids):
        release(client, packet_id)
    got = [int(p.payload) for p in wire.fence(watcher, client)]
    assert got == ids


def edge_089_open_flow_of_a_session_that_ended(broker, version):
    """A new session knows no id of the old one."""
    watcher, client = watch(broker), broker.connect(version=version, **KEEP)
    send_qos2(client, broker.topic(), "one")
    again = broker.connect(client.client_id, version, clean=True)
    send_qos2(again, broker.topic(), "two", dup=True)
    release(again)
    assert wire.payloads(watcher.receive(2)) == [b"one", b"two"]
    wire.expect_nothing(watcher, again)


def mqtt5_4_3_3_11_pubrel_is_answered_each_time(broker, version):
    # covers: v3 MQTT-4.3.3-2
    watcher, client = watch(broker), broker.connect(version=version)
    send_qos2(client, broker.topic(), "x")
    release(client)
    client.send(packets.ack(Type.PUBREL, 1))
    p = client.expect(Type.PUBCOMP, packet_id=1)
    assert p.reason in (0, Reason.ID_NOT_FOUND)
    assert wire.payloads(wire.fence(watcher, client)) == [b"x"]


def mqtt5_4_3_3_11_pubrel_after_a_return(broker, version):
    watcher, client = watch(broker), broker.connect(version=version, **KEEP)
    send_qos2(client, broker.topic(), "x")
    client.cut()
    client = broker.connect(client.client_id, version, **KEEP)
    release(client)
    assert wire.payloads(wire.fence(watcher, client)) == [b"x"]


def mqtt5_4_3_3_11_pubrel_repeated_after_a_return_is_no_error(broker, version):
    """The PUBCOMP was lost with the connection; 3.7.2.1 asks for no error then."""
    client = broker.connect(version=version, **KEEP)
    client.publish(broker.topic(), "x", 2, packet_id=1)
    client.cut()
    client = broker.connect(client.client_id, version, **KEEP)
    client.send(packets.ack(Type.PUBREL, 1))
    client.expect(Type.PUBCOMP, packet_id=1, reason=Reason.SUCCESS)


def mqtt5_4_3_3_12_same_id_after_pubcomp_is_a_new_message(broker, version):
    # covers: v3 MQTT-4.3.3-2
    watcher, client = watch(broker), broker.connect(version=version)
    for dup in (False, False, True):
        client.publish(broker.topic(), "same", 2, packet_id=1, dup=dup)
    assert wire.payloads(wire.fence(watcher, client)) == [b"same"] * 3


def mqtt5_4_3_3_9_same_id_after_a_refusal_is_a_new_message(broker):
    watcher, client = watch(broker), broker.connect()
    for dup in (False, True):
        client.send_publish("$SYS/broker/x", "refused", 2, packet_id=1, dup=dup)
        client.expect(Type.PUBREC, packet_id=1, reason=Reason.NOT_AUTHORIZED)
    client.send(packets.ack(Type.PUBREL, 1))
    client.expect(Type.PUBCOMP, packet_id=1, reason=Reason.ID_NOT_FOUND)
    assert client.publish(broker.topic(), "allowed", 2, packet_id=1) == 0
    watcher.expect_publish(broker.topic(), "allowed", qos=2)
    wire.expect_nothing(watcher, client)


def edge_095_same_id_at_qos1_while_a_flow_is_open(broker):
    """The other kind of message is not taken for a repeat, nor does it end the flow."""
    watcher, client = watch(broker), broker.connect()
    send_qos2(client, broker.topic(), "at 2", 1)
    client.publish(broker.topic(), "at 1", 1, packet_id=1)
    send_qos2(client, broker.topic(), "repeat", 1, dup=True)
    release(client)
    assert wire.payloads(wire.fence(watcher, client)) == [b"at 2", b"at 1"]


# -- who gets it --

@pytest.mark.parametrize("qos", QOS)
def mqtt5_4_5_0_1_every_session_gets_its_copy(broker, version, qos):
    """Three clients that are there and two that are away, at home on all workers."""
    # covers: v3 MQTT-4.5.0-1
    publisher, topic = broker.connect(), broker.topic("a/b")
    filters = [topic, broker.topic("#"), broker.topic("+/b"), topic, broker.topic("a/#")]
    clients = [broker.connect(version=version, **KEEP) for _ in filters]
    for client, text in zip(clients, filters):
        client.subscribe(text, qos=qos)
    for client in clients[3:]:
        cut_after_all(client)
    publisher.publish(topic, "x", qos)
    for i in (3, 4):
        clients[i] = broker.connect(clients[i].client_id, version, **KEEP)
    for client in clients:
        client.expect_publish(topic, "x", qos=qos)
        wire.expect_nothing(client, publisher)


def mqtt5_4_5_0_1_nobody_is_told_so(broker):
    """0x10 is allowed only if there is no matching subscription."""
    publisher, topic = broker.connect(), broker.topic()
    for qos in QOS:
        assert publisher.publish(topic, "x", qos) in (0, Reason.NO_SUBSCRIBERS)
    subscriber = broker.connect(**KEEP)
    subscriber.subscribe(topic, qos=1)
    cut_after_all(subscriber)
    for qos in QOS:
        assert publisher.publish(topic, "x", qos) == 0
    subscriber = broker.connect(subscriber.client_id, **KEEP)
    assert len(subscriber.receive(2)) == 2
