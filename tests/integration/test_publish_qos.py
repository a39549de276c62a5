"""PUBLISH at each QoS, both directions, with publisher and subscriber on the same worker and
on different ones."""

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type

QOS = [0, 1, 2]


def pair(broker, homes, sub_version=V5, pub_version=V5, **how):
    publisher = broker.connect(version=pub_version, worker=homes[0])
    return publisher, broker.connect(version=sub_version, worker=homes[1], **how)


@pytest.mark.spec("MQTT-3.8.4-8", "MQTT-4.3.1-1", "MQTT-4.3.2-1", "MQTT-4.3.3-1")
@pytest.mark.parametrize("granted", QOS)
@pytest.mark.parametrize("published", QOS)
def test_lower_qos_of_publication_and_grant(broker, homes, published, granted):
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    subscriber.subscribe(topic, qos=granted)
    publisher.publish(topic, "payload", published)
    p = subscriber.expect_publish(topic, "payload", qos=min(published, granted))
    assert not p.dup and not p.retain
    wire.expect_nothing(subscriber, publisher)


@pytest.mark.parametrize("pub_version", packets.VERSIONS)
@pytest.mark.parametrize("sub_version", packets.VERSIONS)
def test_across_versions(broker, homes, pub_version, sub_version):
    publisher, subscriber = pair(broker, homes, sub_version, pub_version)
    topic = broker.topic()
    subscriber.subscribe(topic, qos=2)
    for qos in QOS:
        publisher.publish(topic, bytes([qos]), qos)
        subscriber.expect_publish(topic, bytes([qos]), qos=qos)


@pytest.mark.spec("MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18",
                  "MQTT-3.3.2-20", "MQTT-3.3.1-1", "MQTT-3.3.2-4")
@pytest.mark.parametrize("qos", QOS)
def test_properties_pass_unaltered(broker, homes, qos):
    """EDGE-098"""
    publisher, new = pair(broker, homes)
    old = broker.connect(version=V311, worker=homes[1])
    topic = broker.topic()
    new.subscribe(topic, qos=qos)
    old.subscribe(topic, qos=qos)
    props = {
        Prop.PAYLOAD_FORMAT: 1, Prop.CONTENT_TYPE: "text/plain", Prop.RESPONSE_TOPIC: "a/b",
        Prop.CORRELATION_DATA: b"\0\xff", Prop.USER_PROPERTY: [("k", "v"), ("k", ""), ("", "é")]}
    publisher.publish(topic, "text", qos, props={**props, Prop.TOPIC_ALIAS: 3})
    p = new.expect_publish(topic, "text", qos=qos)
    p.props.pop(Prop.TOPIC_ALIAS, None)
    assert p.props == props
    old.expect_publish(topic, "text", qos=qos)


@pytest.mark.parametrize("qos", QOS)
def test_empty_payload(broker, homes, qos):
    publisher, subscriber = pair(broker, homes)
    subscriber.subscribe(broker.topic(), qos=qos)
    publisher.publish(broker.topic(), b"", qos)
    subscriber.expect_publish(broker.topic(), b"", qos=qos)


@pytest.mark.spec("MQTT-4.6.0-5", "MQTT-4.6.0-6")
@pytest.mark.parametrize("qos", QOS)
def test_order_is_kept(broker, homes, qos):
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    subscriber.subscribe(topic + "/#", qos=qos)
    count = 300
    for i in range(count):
        publisher.send_publish(f"{topic}/{i % 7}", str(i), qos)
        if qos and i % 20 == 19:
            finish_publishes(publisher, qos, 20)
            assert wire.payloads(subscriber.receive(20)) == numbers(i - 19, i + 1)
    if qos == 0:
        assert wire.payloads(subscriber.receive(count)) == numbers(0, count)


def numbers(start, end):
    return [str(i).encode() for i in range(start, end)]


def finish_publishes(publisher, qos, count):
    """The rest of the handshakes of so many PUBLISHes that were sent."""
    if qos == 1:
        for _ in range(count):
            publisher.expect(Type.PUBACK)
        return
    ids = [publisher.expect(Type.PUBREC).packet_id for _ in range(count)]
    publisher.send(*[packets.ack(Type.PUBREL, i) for i in ids])
    for i in ids:
        publisher.expect(Type.PUBCOMP, packet_id=i)


@pytest.mark.spec("MQTT-4.3.2-2", "MQTT-4.3.3-2")
@pytest.mark.parametrize("qos", [1, 2])
def test_reason_tells_that_nobody_subscribed(broker, qos):
    publisher = broker.connect()
    assert publisher.publish(broker.topic(), "x", qos) in (0, Reason.NO_SUBSCRIBERS)
    publisher.subscribe(broker.topic())
    assert publisher.publish(broker.topic(), "x", qos) == 0


@pytest.mark.parametrize("version,forms", [
    (V311, [{}]), (V31, [{}]),
    (V5, [{}, {"reason": 0}, {"reason": 0, "props": {}},
          {"reason": 0, "props": {Prop.REASON_STRING: "r", Prop.USER_PROPERTY: ("a", "b")}},
          {"reason": 0x80, "props": {}}])])
def test_forms_of_puback(broker, version, forms):
    """EDGE-016, EDGE-090"""
    publisher, subscriber = broker.connect(), broker.connect(version=version)
    subscriber.subscribe(broker.topic(), qos=1)
    for form in forms:
        publisher.publish(broker.topic(), "x", 1)
        p = subscriber.expect_publish(acknowledge=False)
        subscriber.send(packets.ack(Type.PUBACK, p.packet_id, **form))
    subscriber.ping()


@pytest.mark.parametrize("form", [{}, {"reason": 0}, {"reason": 0, "props": {}}])
def test_forms_of_qos2_acknowledgements(broker, form):
    """EDGE-016"""
    client = broker.connect()
    client.subscribe(broker.topic(), qos=2)
    packet_id = client.send_publish(broker.topic(), "x", 2)
    client.await_packet(Type.PUBREC)
    client.send(packets.ack(Type.PUBREL, packet_id, **form))
    client.await_packet(Type.PUBCOMP)
    p = client.expect_publish(acknowledge=False)
    client.send(packets.ack(Type.PUBREC, p.packet_id, **form))
    client.expect(Type.PUBREL, packet_id=p.packet_id)
    client.send(packets.ack(Type.PUBCOMP, p.packet_id, **form))
    client.ping()


# -- QoS 2 towards the broker --

@pytest.mark.spec("MQTT-4.3.3-10", "MQTT-4.3.3-12")
def test_qos2_repeat_before_pubrel_is_delivered_once(broker, homes, version):
    """EDGE-089: also after a return, and with another payload."""
    publisher, subscriber = pair(broker, homes)
    topic = broker.topic()
    subscriber.subscribe(topic, qos=2)
    client_id = broker.new_id(homes[0])
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    sender = broker.connect(client_id, version, **how)
    for payload, dup in [("first", False), ("second", True)]:
        sender.send_publish(topic, payload, 2, packet_id=9, dup=dup)
        sender.expect(Type.PUBREC, packet_id=9)
    sender.cut()
    sender = broker.connect(client_id, version, **how)
    sender.send_publish(topic, "third", 2, packet_id=9, dup=True)
    sender.expect(Type.PUBREC, packet_id=9)
    subscriber.expect_publish(topic, "first", qos=2, dup=False)
    wire.expect_nothing(subscriber, sender)
    sender.send(packets.ack(Type.PUBREL, 9))
    sender.expect(Type.PUBCOMP, packet_id=9, reason=0)
    sender.publish(topic, "next", 2, packet_id=9)
    subscriber.expect_publish(topic, "next")
    assert publisher is not sender


@pytest.mark.spec("MQTT-4.3.3-12")
def test_clean_start_forgets_open_qos2(broker, homes, version):
    publisher, subscriber = pair(broker, homes, pub_version=version)
    topic = broker.topic()
    subscriber.subscribe(topic, qos=2)
    publisher.send_publish(topic, "one", 2, packet_id=5)
    publisher.expect(Type.PUBREC, packet_id=5)
    again = broker.connect(publisher.client_id, version)
    again.send_publish(topic, "two", 2, packet_id=5, dup=True)
    again.expect(Type.PUBREC, packet_id=5)
    assert wire.payloads(subscriber.receive(2)) == [b"one", b"two"]


@pytest.mark.spec("MQTT-4.3.3-11")
def test_unknown_pubrel_is_answered(broker, version):
    """EDGE-091"""
    client = broker.connect(version=version)
    client.send(packets.ack(Type.PUBREL, 1234))
    reason = Reason.ID_NOT_FOUND if version == V5 else 0
    client.expect(Type.PUBCOMP, packet_id=1234, reason=reason)


def test_unknown_pubrec_is_answered(broker, version):
    """EDGE-091"""
    client = broker.connect(version=version)
    client.send(packets.ack(Type.PUBREC, 1234))
    reason = Reason.ID_NOT_FOUND if version == V5 else 0
    client.expect(Type.PUBREL, packet_id=1234, reason=reason)


@pytest.mark.parametrize("kind", [Type.PUBACK, Type.PUBCOMP])
def test_unknown_last_acknowledgements_are_ignored(broker, version, kind):
    """EDGE-091"""
    client = broker.connect(version=version)
    client.send(packets.ack(kind, 1234))
    client.ping()


@pytest.mark.spec("MQTT-3.3.1-3", "MQTT-4.3.2-5")
@pytest.mark.parametrize("qos", [1, 2])
def test_dup_of_unknown_message_is_a_message(broker, homes, qos):
    """EDGE-093"""
    publisher, subscriber = pair(broker, homes)
    subscriber.subscribe(broker.topic(), qos=qos)
    publisher.publish(broker.topic(), "x", qos, dup=True)
    subscriber.expect_publish(broker.topic(), "x", dup=False)


@pytest.mark.spec("MQTT-4.3.2-5")
def test_qos1_repeat_is_delivered_again(broker, version):
    publisher, subscriber = broker.connect(version=version), broker.connect()
    subscriber.subscribe(broker.topic(), qos=1)
    for dup in (False, True):
        publisher.publish(broker.topic(), "x", 1, packet_id=1, dup=dup)
    assert len(subscriber.receive(2)) == 2


# -- QoS 2 towards the client --

@pytest.mark.spec("MQTT-4.3.3-4", "MQTT-4.4.0-2")
def test_refusing_pubrec_ends_the_flow(broker):
    """EDGE-090: no PUBREL, and no repeat after a return."""
    client_id, topic = broker.new_id(), broker.topic()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    subscriber, publisher = broker.connect(client_id, **how), broker.connect()
    subscriber.subscribe(topic, qos=2)
    publisher.publish(topic, "x", 2)
    p = subscriber.expect_publish(topic, acknowledge=False)
    subscriber.send(packets.ack(Type.PUBREC, p.packet_id, 0x80))
    subscriber.ping()
    subscriber.cut()
    again = broker.connect(client_id, **how)
    wire.expect_nothing(again, publisher)


def test_repeated_pubrec_is_answered_again(broker, version):
    subscriber, publisher = broker.connect(version=version), broker.connect()
    subscriber.subscribe(broker.topic(), qos=2)
    publisher.publish(broker.topic(), "x", 2)
    p = subscriber.expect_publish(acknowledge=False)
    for _ in range(2):
        subscriber.send(packets.ack(Type.PUBREC, p.packet_id))
        subscriber.expect(Type.PUBREL, packet_id=p.packet_id, reason=0)
    subscriber.send(packets.ack(Type.PUBCOMP, p.packet_id))
    subscriber.ping()


@pytest.mark.parametrize("qos,wrong", [
    (1, Type.PUBREC), (1, Type.PUBCOMP), (2, Type.PUBACK), (2, Type.PUBCOMP)])
def test_wrong_kind_of_acknowledgement_ends_connection(broker, version, qos, wrong):
    """EDGE-092: the delivery is not settled by it."""
    client_id = broker.new_id()
    how = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
    subscriber, publisher = broker.connect(client_id, version, **how), broker.connect()
    subscriber.subscribe(broker.topic(), qos=qos)
    publisher.publish(broker.topic(), "x", qos)
    p = subscriber.expect_publish(acknowledge=False)
    subscriber.send(packets.ack(wrong, p.packet_id))
    subscriber.expect_reject(Reason.PROTOCOL_ERROR)
    again = broker.connect(client_id, version, **how)
    again.expect_publish(payload="x", packet_id=p.packet_id, dup=True, qos=qos)


@pytest.mark.spec("MQTT-2.2.1-4", "MQTT-2.2.1-3")
def test_packet_ids_of_both_directions_are_independent(broker):
    """EDGE-095"""
    client = broker.connect()
    client.subscribe(broker.topic(), qos=2)
    client.send_publish(broker.topic(), "x", 2, packet_id=1)
    client.await_packet(Type.PUBREC)
    p = client.expect_publish(acknowledge=False)
    assert p.packet_id == 1
    client.send(packets.ack(Type.PUBREC, 1), packets.ack(Type.PUBREL, 1))
    kinds = {client.recv().type, client.recv().type}
    assert kinds == {Type.PUBREL, Type.PUBCOMP}
    client.send(packets.ack(Type.PUBCOMP, 1))
    client.ping()


@pytest.mark.one_shape
def test_packet_ids_wrap_and_skip_open_ones(broker):
    """EDGE-095"""
    publisher, subscriber = broker.connect(), broker.connect()
    subscriber.subscribe(broker.topic(), qos=1)
    publisher.publish(broker.topic(), "open", 1)
    held = subscriber.expect_publish(payload="open", acknowledge=False)
    last, wraps = held.packet_id, 0
    for _ in range(3500):
        publisher.send(*[packets.publish(broker.topic(), b"", 1, i + 1) for i in range(20)])
        ids = [p.packet_id for p in subscriber.receive(20)]
        assert len(set(ids)) == 20 and held.packet_id not in ids
        wraps += ids[-1] < last
        last = ids[-1]
        for _ in range(20):
            publisher.expect(Type.PUBACK)
    assert wraps == 1


@pytest.mark.parametrize("topic", ["$SYS/broker/x", "$share/g/t", "$SYS"])
@pytest.mark.parametrize("qos", QOS)
def test_broker_topics_are_not_for_clients(broker, version, topic, qos):
    """EDGE-070: answered, but goes nowhere."""
    watcher, client = broker.connect(), broker.connect(version=version)
    watcher.subscribe("$SYS/broker/x", "$SYS", "t", retain_handling=2)
    reason = client.publish(topic, "x", qos)
    if version == V5 and qos > 0:
        assert reason == Reason.NOT_AUTHORIZED
    wire.expect_nothing(watcher, client)
