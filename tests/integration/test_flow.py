"""Windows and queues: Receive Maximum both ways, offline queues, repeats after a return."""

import pytest

import packets
import wire
from packets import V31, V311, Prop, Reason, Type

KEEP = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}


def keep(**props):
    return {"clean": False, "props": {Prop.SESSION_EXPIRY: 60,
                                      **{Prop[name]: value for name, value in props.items()}}}


def publish_numbers(publisher, topic, start, end, qos=1):
    for i in range(start, end):
        publisher.publish(topic, str(i), qos)


def numbers(start, end):
    return [str(i).encode() for i in range(start, end)]


@pytest.mark.spec("MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-3.3.4-9")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("window", [1, 3])
def test_window_of_client(broker, homes, qos, window):
    """EDGE-083: as many are open as the client takes; a slot is freed by PUBACK or PUBCOMP."""
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1], props={Prop.RECEIVE_MAXIMUM: window})
    topic = broker.topic()
    subscriber.subscribe(topic, qos=qos)
    publish_numbers(publisher, topic, 0, window + 2, qos)
    open_ones = [subscriber.expect_publish(acknowledge=False) for _ in range(window)]
    wire.expect_nothing(subscriber, publisher)
    if qos == 2:
        subscriber.send(packets.ack(Type.PUBREC, open_ones[0].packet_id))
        subscriber.expect(Type.PUBREL)
        wire.expect_nothing(subscriber, publisher)
        subscriber.send(packets.ack(Type.PUBCOMP, open_ones[0].packet_id))
    else:
        subscriber.send(packets.ack(Type.PUBACK, open_ones[0].packet_id))
    subscriber.expect_publish(topic, str(window), acknowledge=False)
    wire.expect_nothing(subscriber, publisher)


def test_slot_is_freed_by_refusing_pubrec(broker):
    """EDGE-083"""
    publisher = broker.connect()
    subscriber = broker.connect(props={Prop.RECEIVE_MAXIMUM: 1})
    subscriber.subscribe(broker.topic(), qos=2)
    publish_numbers(publisher, broker.topic(), 0, 2, 2)
    first = subscriber.expect_publish(acknowledge=False)
    subscriber.send(packets.ack(Type.PUBREC, first.packet_id, 0x80))
    subscriber.expect_publish(payload="1")


@pytest.mark.spec("MQTT-3.3.4-10", "MQTT-4.9.0-3")
def test_full_window_stops_nothing_else(broker, homes):
    """EDGE-085"""
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(worker=homes[1], props={Prop.RECEIVE_MAXIMUM: 1})
    topic = broker.topic()
    client.subscribe(topic, qos=1)
    publish_numbers(publisher, topic, 0, 3)
    client.expect_publish(acknowledge=False)
    client.ping()
    client.subscribe(topic + "/0")
    client.publish(topic + "/other", "x", 2)
    publisher.publish(topic + "/0", "qos 0")
    client.expect_publish(topic + "/0", "qos 0")
    client.unsubscribe(topic + "/0")


@pytest.mark.spec("MQTT-3.2.2-20")
def test_window_of_broker_is_told(broker):
    assert broker.connect().connack.props[Prop.RECEIVE_MAXIMUM] == 20


@pytest.mark.spec("MQTT-3.3.4-9")
def test_client_over_window_of_broker(broker):
    client = broker.connect()
    for i in range(1, 21):
        client.send_publish(broker.topic(), "x", 2, packet_id=i)
        client.expect(Type.PUBREC, packet_id=i)
    client.send_publish(broker.topic(), "x", 2, packet_id=7, dup=True)
    client.expect(Type.PUBREC, packet_id=7)
    client.send(packets.ack(Type.PUBREL, 1))
    client.expect(Type.PUBCOMP)
    client.send_publish(broker.topic(), "x", 2, packet_id=21)
    client.expect(Type.PUBREC, packet_id=21)
    client.send_publish(broker.topic(), "x", 2, packet_id=22)
    client.expect_reject(Reason.RECEIVE_MAXIMUM)


def test_v3_client_may_have_many_open_messages(broker):
    client = broker.connect(version=V311)
    for i in range(1, 101):
        client.send_publish(broker.topic(), "x", 2, packet_id=i)
        client.expect(Type.PUBREC, packet_id=i)
    client.ping()


def test_default_window_towards_older_clients(broker, homes):
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(version=V311, worker=homes[1])
    subscriber.subscribe(broker.topic(), qos=1)
    publish_numbers(publisher, broker.topic(), 0, 25)
    first = [subscriber.expect_publish(acknowledge=False) for _ in range(20)]
    wire.expect_nothing(subscriber, publisher)
    for p in first:
        subscriber.acknowledge(p)
    assert wire.payloads(first + subscriber.receive(5)) == numbers(0, 25)


# -- offline --

@pytest.mark.spec("MQTT-4.5.0-1", "MQTT-3.1.2-4", "MQTT-4.6.0-1", "MQTT-4.4.0-1")
@pytest.mark.parametrize("qos", [1, 2])
def test_offline_queue_keeps_order(broker, homes, version, qos):
    publisher = broker.connect(worker=homes[0])
    client_id, topic = broker.new_id(homes[1]), broker.topic()
    client = broker.connect(client_id, version, **KEEP)
    client.subscribe(topic, qos=qos)
    client.disconnect()
    publish_numbers(publisher, topic, 0, 100, qos)
    client = broker.connect(client_id, version, **KEEP)
    got = client.receive(100)
    assert wire.payloads(got) == numbers(0, 100)
    assert all(p.qos == qos and not p.dup for p in got)
    wire.expect_nothing(client, publisher)


def test_qos0_is_not_queued_offline(broker, version):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, version, **KEEP)
    client.subscribe(broker.topic(), qos=2)
    client.disconnect()
    publisher.publish(broker.topic(), "qos 0", 0)
    publisher.publish(broker.topic(), "qos 1", 1)
    client = broker.connect(client_id, version, **KEEP)
    client.expect_publish(payload="qos 1")
    wire.expect_nothing(client, publisher)


@pytest.mark.conf("queue_qos0_messages true")
def test_qos0_is_queued_by_option(broker, version):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, version, **KEEP)
    client.subscribe(broker.topic(), qos=2)
    client.disconnect()
    for qos in (0, 1, 0):
        publisher.publish(broker.topic(), str(qos), qos)
    publisher.ping()
    client = broker.connect(client_id, version, **KEEP)
    assert wire.payloads(client.receive(3)) == [b"0", b"1", b"0"]


@pytest.mark.spec("MQTT-3.3.1-1", "MQTT-4.4.0-1", "MQTT-4.6.0-1", "MQTT-2.2.1-4")
def test_open_messages_are_repeated(broker, homes, version):
    """EDGE-094: PUBRELs, then open PUBLISHes with DUP in the old order, then the queue."""
    publisher = broker.connect(worker=homes[0])
    client_id, topic = broker.new_id(homes[1]), broker.topic()
    client = broker.connect(client_id, version, **KEEP)
    client.subscribe(topic, qos=2)
    for i in range(30):
        publisher.publish(topic, str(i), 1 + i % 2)
    before = [client.expect_publish(acknowledge=False) for _ in range(20)]
    client.send(packets.ack(Type.PUBREC, before[3].packet_id))
    client.expect(Type.PUBREL, packet_id=before[3].packet_id)
    client.cut()
    client = broker.connect(client_id, version, **KEEP)
    client.expect(Type.PUBREL, packet_id=before[3].packet_id)
    again = [client.expect_publish(acknowledge=False) for _ in range(19)]
    del before[3]
    assert [(p.payload, p.packet_id, p.qos) for p in again] == \
        [(p.payload, p.packet_id, p.qos) for p in before]
    assert all(p.dup for p in again)
    for p in again:
        client.acknowledge(p)
    assert [(p.payload, p.dup) for p in client.receive(10)] == [(b"%d" % i, False)
                                                                for i in range(20, 30)]


@pytest.mark.spec("MQTT-4.4.0-1")
def test_nothing_is_repeated_without_return(broker, homes):
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(worker=homes[1])
    client.subscribe(broker.topic(), qos=1)
    publisher.publish(broker.topic(), "x", 1)
    client.expect_publish(acknowledge=False)
    wire.expect_nothing(client, publisher)


@pytest.mark.spec("MQTT-4.9.0-1")
def test_repeats_stay_within_smaller_window(broker, homes):
    """EDGE-084"""
    publisher = broker.connect(worker=homes[0])
    client_id, topic = broker.new_id(homes[1]), broker.topic()
    client = broker.connect(client_id, **KEEP)
    client.subscribe(topic, qos=1)
    publish_numbers(publisher, topic, 0, 25)
    for _ in range(20):
        client.expect_publish(acknowledge=False)
    client.cut()
    client = broker.connect(client_id, **keep(RECEIVE_MAXIMUM=2))
    first = [client.expect_publish(acknowledge=False, dup=True) for _ in range(2)]
    wire.expect_nothing(client, publisher)
    for p in first:
        client.acknowledge(p)
    assert wire.payloads(first + client.receive(23)) == numbers(0, 25)


def test_clean_start_forgets_open_and_queued_messages(broker, version):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, version, **KEEP)
    client.subscribe(broker.topic(), qos=1)
    publisher.publish(broker.topic(), "open", 1)
    client.expect_publish(acknowledge=False)
    client.cut()
    publisher.publish(broker.topic(), "queued", 1)
    client = broker.connect(client_id, version)
    wire.expect_nothing(client, publisher)


@pytest.mark.spec("MQTT-3.3.2-7")
def test_repeat_has_full_topic(broker):
    """EDGE-088: aliases end with their connection."""
    publisher, client_id, topic = broker.connect(), broker.new_id(), broker.topic("alias")
    client = broker.connect(client_id, **keep(TOPIC_ALIAS_MAXIMUM=5))
    client.subscribe(topic, qos=1)
    publish_numbers(publisher, topic, 0, 3)
    for _ in range(3):
        client.expect_publish(topic, acknowledge=False)
    client.cut()
    client = broker.connect(client_id, **keep(TOPIC_ALIAS_MAXIMUM=0))
    for p in client.receive(3):
        assert p.topic == topic and Prop.TOPIC_ALIAS not in p.props


# -- limits --

@pytest.mark.conf("max_queued_messages 5", "max_inflight_messages 2")
@pytest.mark.spec("MQTT-4.9.0-1")
def test_queue_limit_online(broker, homes):
    publisher = broker.connect(worker=homes[0])
    subscriber = broker.connect(worker=homes[1])
    assert subscriber.connack.props[Prop.RECEIVE_MAXIMUM] == 2
    subscriber.subscribe(broker.topic(), qos=1)
    publish_numbers(publisher, broker.topic(), 0, 12)
    first = [subscriber.expect_publish(acknowledge=False) for _ in range(2)]
    wire.expect_nothing(subscriber, publisher)
    for p in first:
        subscriber.acknowledge(p)
    got = wire.payloads(first + subscriber.receive(5))
    assert got == numbers(0, 7)
    wire.expect_nothing(subscriber, publisher)


@pytest.mark.conf("max_queued_messages 5", "max_inflight_messages 2")
@pytest.mark.parametrize("count", [4, 5, 6])
def test_queue_limit_offline(broker, count):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, **KEEP)
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    publish_numbers(publisher, broker.topic(), 0, count)
    client = broker.connect(client_id, **KEEP)
    assert wire.payloads(client.receive(min(count, 5))) == numbers(0, min(count, 5))
    wire.expect_nothing(client, publisher)


@pytest.mark.conf("max_queued_bytes 10000")
def test_queue_limit_in_bytes(broker):
    publisher, client_id = broker.connect(), broker.new_id()
    client = broker.connect(client_id, **KEEP)
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    for i in range(15):
        publisher.publish(broker.topic(), b"%04d" % i + bytes(1000), 1)
    client = broker.connect(client_id, **KEEP)
    got = wire.fence(client, publisher)
    assert [int(p.payload[:4]) for p in got] == list(range(len(got)))
    assert 8 <= len(got) <= 9


@pytest.mark.conf("max_queued_messages 0", "max_inflight_messages 0")
def test_no_queue_limit(broker):
    publisher, client_id = broker.connect(version=V31), broker.new_id()
    client = broker.connect(client_id, **KEEP)
    assert Prop.RECEIVE_MAXIMUM not in client.connack.props
    client.subscribe(broker.topic(), qos=1)
    client.disconnect()
    publisher.send(*[packets.publish(broker.topic(), str(i), 1, i + 1, version=V31)
                     for i in range(3000)])
    for _ in range(3000):
        publisher.expect(Type.PUBACK)
    client = broker.connect(client_id, **KEEP)
    got = [client.expect_publish(acknowledge=False) for _ in range(3000)]
    assert wire.payloads(got) == numbers(0, 3000)


@pytest.mark.conf("upgrade_outgoing_qos true")
def test_upgrade_outgoing_qos(broker):
    client = broker.connect()
    client.subscribe(broker.topic(), qos=2)
    client.publish(broker.topic(), "x", 0)
    client.expect_publish(qos=2)
