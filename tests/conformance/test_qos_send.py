"""The broker as sender of QoS 1 and 2: ids, DUP, what is open, what is sent again."""

import time

import pytest

import packets
import wire
from flows import KEEP, cut_after_all, numbers, publish_numbers, take
from packets import V5, V31, V311, Reason, Type

QOS = [1, 2]
WINDOW = 20


class Delivery:
    """A subscriber with a session that stays, and messages that it has not acknowledged."""

    def __init__(self, broker, version, qos, count=1):
        self.broker, self.version, self.topic = broker, version, broker.topic()
        self.publisher = broker.connect()
        self.client = broker.connect(broker.new_id(), version, **KEEP)
        self.client.subscribe(self.topic, qos=2)
        publish_numbers(self.publisher, self.topic, 0, count, qos)
        self.open = take(self.client, min(count, WINDOW))

    def send_ack(self, kind, reason=None, at=0):
        self.client.send(packets.ack(kind, self.open[at].packet_id, reason))

    def receive_pubrec(self, at=0):
        """The client sends PUBREC for one of them; the broker answers."""
        self.send_ack(Type.PUBREC, at=at)
        self.client.expect(Type.PUBREL, packet_id=self.open[at].packet_id, reason=0)

    def resume(self):
        """The client loses its connection and returns."""
        cut_after_all(self.client)
        self.client = self.broker.connect(self.client.client_id, self.version, **KEEP)
        return self.client

    def expect_nothing(self):
        wire.expect_nothing(self.client, self.publisher)


# -- first send --

@pytest.mark.parametrize("qos", QOS)
@pytest.mark.parametrize("retain", [False, True])
def mqtt5_4_3_2_2_first_send(broker, version, qos, retain):
    # covers: MQTT-4.3.3-2, v3 MQTT-4.3.2-1, v3 MQTT-4.3.3-1, MQTT-4.3.2-1, MQTT-4.3.3-1
    publisher, client, topic = broker.connect(), broker.connect(version=version), broker.topic()
    if retain:
        publisher.publish(topic, "stored", qos, retain=True)
    client.subscribe(topic, qos=qos)
    for _ in range(WINDOW - retain):
        publisher.publish(topic, "x", qos, dup=True)
    got = take(client, WINDOW)
    assert [p.raw[0] for p in got] == [0x30 + 2 * qos + (retain and i == 0) for i in range(WINDOW)]
    ids = [p.packet_id for p in got]
    assert len(set(ids)) == WINDOW and 0 not in ids
    publisher.publish(topic, "", 0, retain=True)


@pytest.mark.one_shape
@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
def mqtt5_2_2_1_4_ids_wrap_and_skip_open_ones(broker, version):
    # covers: EDGE-095, v3 MQTT-2.3.1-4, MQTT-4.3.2-1
    publisher, client = broker.connect(), broker.connect(version=version)
    topic, held, last, wraps = broker.topic(), set(), 0, 0
    client.subscribe(topic, qos=1)
    for i in range(4200):
        count = WINDOW - len(held)
        publisher.send(*[packets.publish(topic, b"", 1, n + 1) for n in range(count)])
        got = take(client, count)
        ids = [p.packet_id for p in got]
        assert len(set(ids)) == count and not held & set(ids)
        wraps += any(b < a for a, b in zip([last, *ids], ids))
        last = ids[-1]
        if i in (0, 100, 3000):  # stays open
            held.add(got.pop(3).packet_id)
        client.send(*[packets.ack(Type.PUBACK, p.packet_id) for p in got])
        for _ in range(count):
            publisher.expect(Type.PUBACK)
    assert wraps == 1 and last > max(held & set(range(3000)))


def edge_095_ids_of_both_directions_are_independent(broker, version):
    client, topic = broker.connect(version=version), broker.topic()
    client.subscribe(topic, qos=2)
    client.send_publish(topic, "x", 2, packet_id=1)
    client.await_packet(Type.PUBREC)
    p = client.expect_publish(acknowledge=False)
    assert p.packet_id == 1
    client.send_publish(topic, "repeat", 2, packet_id=1, dup=True)
    client.await_packet(Type.PUBREC)
    client.send(packets.ack(Type.PUBREC, 1), packets.ack(Type.PUBREL, 1))
    assert {client.recv().type, client.recv().type} == {Type.PUBREL, Type.PUBCOMP}
    client.send_publish(topic, "new", 2, packet_id=1)
    client.await_packet(Type.PUBREC)
    second = client.expect_publish(payload="new", acknowledge=False)
    assert second.packet_id != 1
    client.send(packets.ack(Type.PUBCOMP, 1), packets.ack(Type.PUBREL, 1))
    client.expect(Type.PUBCOMP, packet_id=1, reason=0)
    client.acknowledge(second)
    wire.expect_nothing(client, client)


# -- what is open is sent again --

@pytest.mark.parametrize("qos", QOS)
def mqtt5_4_3_2_3_open_until_acknowledged(broker, version, qos):
    # covers: MQTT-3.3.1-1, v3 MQTT-3.3.1-1, v3 MQTT-4.3.2-1, v3 MQTT-4.3.3-1, v3 MQTT-2.3.1-4
    # covers: MQTT-4.3.3-3, MQTT-4.4.0-1, v3 MQTT-4.4.0-1
    d = Delivery(broker, version, qos)
    for _ in range(2):
        p = d.resume().expect_publish(d.topic, "0", acknowledge=False, qos=qos, dup=True,
                                      packet_id=d.open[0].packet_id)
        d.expect_nothing()
    d.client.acknowledge(p)
    d.resume()
    d.expect_nothing()


def mqtt5_4_3_3_5_pubrel_is_open_until_pubcomp(broker, version):
    # covers: MQTT-4.3.3-4, MQTT-4.3.3-6, v3 MQTT-4.3.3-1, v3 MQTT-2.3.1-4
    # covers: MQTT-4.4.0-1, v3 MQTT-4.4.0-1
    d = Delivery(broker, version, 2)
    d.receive_pubrec()
    for _ in range(2):
        d.resume().expect(Type.PUBREL, packet_id=d.open[0].packet_id, reason=0)
        d.expect_nothing()
    d.receive_pubrec()  # once more, as one that was on its way
    d.send_ack(Type.PUBCOMP)
    d.resume()
    d.expect_nothing()


@pytest.mark.parametrize("qos,kind,reason", [
    (1, Type.PUBACK, 0x80), (1, Type.PUBACK, 0x99), (2, Type.PUBREC, 0x80), (2, Type.PUBREC, 0x97)])
def mqtt5_4_4_0_2_refusal_settles_for_good(broker, qos, kind, reason):
    # covers: MQTT-4.3.3-4, EDGE-090
    d = Delivery(broker, V5, qos)
    d.send_ack(kind, reason)
    d.client.ping()  # no PUBREL
    d.expect_nothing()
    d.resume()
    d.expect_nothing()
    if qos == 2:
        d.send_ack(Type.PUBREC)  # the id is unknown now
        d.client.expect(Type.PUBREL, packet_id=d.open[0].packet_id, reason=Reason.ID_NOT_FOUND)
    d.client.ping()


@pytest.mark.clock
def mqtt5_4_4_0_1_nothing_is_sent_again_without_a_return(broker, version):
    # covers: v3 MQTT-4.4.0-1
    d = Delivery(broker, version, 2, 3)
    d.receive_pubrec(at=2)
    time.sleep(2)
    d.expect_nothing()
    d.resume().expect(Type.PUBREL, packet_id=d.open[2].packet_id)
    again = take(d.client, 2)
    assert [(p.packet_id, p.payload, p.dup) for p in again] == \
        [(p.packet_id, p.payload, True) for p in d.open[:2]]
    d.expect_nothing()


@pytest.mark.parametrize("qos,wrong", [
    (1, Type.PUBREC), (1, Type.PUBCOMP), (2, Type.PUBACK), (2, Type.PUBCOMP)])
def edge_092_wrong_kind_settles_nothing(broker, version, qos, wrong):
    d = Delivery(broker, version, qos)
    d.send_ack(wrong)
    d.client.expect_reject(Reason.PROTOCOL_ERROR)
    d.client = broker.connect(d.client.client_id, version, **KEEP)
    d.client.expect_publish(d.topic, "0", packet_id=d.open[0].packet_id, dup=True, qos=qos)
    d.expect_nothing()


def edge_092_puback_after_pubrec_settles_nothing(broker, version):
    d = Delivery(broker, version, 2)
    d.receive_pubrec()
    d.send_ack(Type.PUBACK)
    d.client.expect_reject(Reason.PROTOCOL_ERROR)
    d.client = broker.connect(d.client.client_id, version, **KEEP)
    d.client.expect(Type.PUBREL, packet_id=d.open[0].packet_id)
    d.send_ack(Type.PUBCOMP)
    d.expect_nothing()


def edge_094_return_with_all_kinds_of_open_messages(broker, homes, version):
    """What is open first, in its old order, then the queue; DUP only on what is repeated."""
    # covers: MQTT-4.4.0-1, MQTT-4.6.0-1, v3 MQTT-4.4.0-1, v3 MQTT-4.6.0-1, MQTT-3.3.1-1
    # covers: v3 MQTT-4.6.0-6
    publisher, topic = broker.connect(worker=homes[0]), broker.topic()
    client = broker.connect(broker.new_id(homes[1]), version, **KEEP)
    client.subscribe(topic, qos=2)
    for i in range(30):
        publisher.publish(topic, str(i), 1 + i % 2)
    before = take(client, WINDOW)
    released = [before[i] for i in (7, 3, 11)]
    for p in released:
        client.send(packets.ack(Type.PUBREC, p.packet_id))
        client.expect(Type.PUBREL, packet_id=p.packet_id)
    for p in (before[4], before[0]):
        client.acknowledge(p)
    open_ones = [p for i, p in enumerate(before) if i not in (0, 3, 4, 7, 11)]
    fresh = take(client, 2)  # which had waited
    cut_after_all(client)
    client = broker.connect(client.client_id, version, **KEEP)
    for p in released:
        client.expect(Type.PUBREL, packet_id=p.packet_id)
    again = take(client, 17)
    assert [(p.payload, p.packet_id, p.qos, p.dup) for p in again] == \
        [(p.payload, p.packet_id, p.qos, True) for p in open_ones + fresh]
    wire.expect_nothing(client, publisher)
    for p in released:
        client.send(packets.ack(Type.PUBCOMP, p.packet_id))
    for p in again:
        client.acknowledge(p)
    assert [(p.payload, p.dup) for p in client.receive(8)] == \
        [(payload, False) for payload in numbers(22, 30)]
    wire.expect_nothing(client, publisher)


def edge_094_clean_start_forgets_what_was_open(broker, version):
    d = Delivery(broker, version, 2, 25)
    d.receive_pubrec()
    cut_after_all(d.client)
    d.client = broker.connect(d.client.client_id, version)
    d.client.subscribe(d.topic, qos=2)
    d.expect_nothing()
    d.publisher.publish(d.topic, "new", 2)
    d.client.expect_publish(d.topic, "new", qos=2, dup=False)


def edge_094_return_by_another_version(broker):
    """What is open is that of the session, whichever version it speaks."""
    d = Delivery(broker, V311, 2, 2)
    d.receive_pubrec()
    for d.version in (V31, V5, V311):
        d.resume().expect(Type.PUBREL, packet_id=d.open[0].packet_id)
        again = d.client.expect_publish(d.topic, "1", acknowledge=False, dup=True)
        assert again.packet_id == d.open[1].packet_id
    d.send_ack(Type.PUBCOMP)
    d.client.acknowledge(again)
    d.expect_nothing()
