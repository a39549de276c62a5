"""What a client may say in its CONNECT that it takes: packet size, aliases, information."""

import pytest

import packets
import wire
from packets import Prop, Reason, Type, Will

LASTING = {Prop.SESSION_EXPIRY: 60}
EXTRA = (Prop.REASON_STRING, Prop.USER_PROPERTY)


def small(broker, size, worker=None, **props):
    """A client that takes packets of at most this size."""
    return broker.connect(worker=worker, clean=False, props={
        Prop.MAXIMUM_PACKET_SIZE: size, **LASTING,
        **{Prop[name.upper()]: value for name, value in props.items()}})


def sized(topic, size, qos=0):
    """A payload that makes this PUBLISH as large as that."""
    payload = bytes(size)
    while len(packets.publish(topic, payload, qos, 1 if qos else None)) > size:
        payload = payload[:-1]
    return payload


# -- Maximum Packet Size --

@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("limit", [64, 129, 130, 200])
def mqtt5_3_1_2_24_largest_publish(broker, homes, qos, limit):
    """What has exactly this size comes, one byte more does not. (130 is impossible for a PUBLISH:
    at 128 its remaining length takes a second byte.)"""
    publisher = broker.connect(worker=homes[0])
    client = small(broker, limit, homes[1])
    topic = broker.topic()
    client.subscribe(topic, qos=qos)
    sizes = [size for size in range(limit - 3, limit + 4)
             if len(packets.publish(topic, sized(topic, size, qos), qos, qos or None)) == size]
    for size in sizes:
        publisher.publish(topic, sized(topic, size, qos), qos)
    got = [len(p.raw) for p in wire.fence(client, publisher, qos=qos)]
    assert got == [size for size in sizes if size <= limit]


def mqtt5_3_1_2_24_aliases_and_identifiers_count(broker, homes):
    """Never above the limit, and never dropped for the sake of an alias that need not be."""
    publisher = broker.connect(worker=homes[0])
    client = small(broker, 100, homes[1], topic_alias_maximum=10)
    topic = broker.topic()
    client.subscribe(topic, props={Prop.SUBSCRIPTION_ID: 268435455})
    fixed = 1 + 4  # a subscription identifier of four bytes
    sizes = range(88, 104)
    for size in sizes:
        publisher.publish(topic, sized(topic, size - fixed))
    got = wire.fence(client, publisher)
    assert all(len(p.raw) <= 100 for p in got)
    assert len(got) >= len([size for size in sizes if size <= 100])


def mqtt5_3_1_2_24_acknowledgements(broker):
    """A SUBACK or UNSUBACK that the client can't take: it is told so by a DISCONNECT."""
    limit = 40
    filters = [f"{broker.topic()}/{i}" for i in range(limit)]
    for count, is_sent in ((limit - 5, True), (limit - 4, False)):
        client = small(broker, limit)
        client.send(packets.subscribe(1, [(f, 0) for f in filters[:count]]))
        if is_sent:
            assert len(client.expect(Type.SUBACK).raw) == limit
            client.send(packets.unsubscribe(2, filters[:count]))
            assert len(client.expect(Type.UNSUBACK).raw) == limit
        else:
            p = client.expect(Type.DISCONNECT, reason=Reason.TOO_LARGE)
            assert len(p.raw) <= limit
            client.expect_close()


@pytest.mark.parametrize("data,reason", [
    (packets.packet(Type.PINGREQ, 1), Reason.MALFORMED), (b"\x20\2\0\0", Reason.PROTOCOL_ERROR),
    (packets.publish("", "m"), Reason.PROTOCOL_ERROR)], ids=["flags", "type", "topic"])
def mqtt5_3_1_2_24_disconnects(broker, data, reason):
    """Reason strings make room."""
    for limit in (20, 24, 40):
        client = small(broker, limit)
        assert len(client.connack.raw) <= limit
        client.send(data)
        p = client.expect(Type.DISCONNECT)
        assert p.reason in (reason, Reason.MALFORMED, Reason.TOPIC_INVALID)
        assert len(p.raw) <= limit
        client.expect_close()


@pytest.mark.parametrize("size", [20, 21, 22, 24, 30, 40])
def mqtt5_3_1_2_24_refusals_of_publish(broker, size):
    client = small(broker, size)
    for qos, kind in ((1, Type.PUBACK), (2, Type.PUBREC)):
        client.send_publish("$SYS/no", "m", qos)
        p = client.expect(kind, reason=Reason.NOT_AUTHORIZED)
        assert len(p.raw) <= size


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("version_of_will", [False, True])
def edge_028_limit_below_any_connack(broker, size, version_of_will):
    # covers: MQTT-3.1.2-24
    will = Will("#") if version_of_will else None  # refused anyway
    client = broker.raw()
    client.send(packets.connect("x", props={Prop.MAXIMUM_PACKET_SIZE: size}, will=will))
    assert client.read_to_end() == b"" or will is not None


def mqtt5_3_1_2_24_connack(broker):
    """The first size that the whole CONNACK fits into is also the first that is accepted."""
    for client_id in (broker.new_id(), ""):
        whole = len(broker.connect(client_id).connack.raw)
        for size in range(5, whole):
            client = broker.raw()
            client.send(packets.connect(client_id, props={Prop.MAXIMUM_PACKET_SIZE: size}))
            assert len(client.read_to_end()) <= size
        broker.connect(client_id, props={Prop.MAXIMUM_PACKET_SIZE: whole}).ping()


@pytest.mark.parametrize("qos", [1, 2])
def mqtt5_3_1_2_25_oversized_counts_as_delivered(broker, homes, qos):
    """Between two small ones, with a window of one: nothing is stuck, nothing sent again."""
    publisher = broker.connect(worker=homes[0])
    client = small(broker, 64, homes[1], receive_maximum=1)
    topic = broker.topic()
    client.subscribe(topic, qos=qos)
    for payload in (b"first", bytes(65), b"last"):
        assert publisher.publish(topic, payload, qos) == Reason.SUCCESS
    client.expect_publish(topic, "first", qos=qos)
    client.expect_publish(topic, "last", qos=qos)
    wire.expect_nothing(client, publisher)
    client.cut()
    again = broker.connect(client.client_id, clean=False, props=LASTING)
    assert again.connack.session_present
    wire.expect_nothing(again, publisher)


def mqtt5_3_1_2_25_oversized_in_the_queue(broker, homes):
    """Queued while the client was away, and too large for it when it is back."""
    publisher = broker.connect(worker=homes[0])
    client = small(broker, 1000, homes[1])
    topic = broker.topic()
    client.subscribe(topic, qos=1)
    client.cut()
    broker.process.settle()
    for payload in (b"first", bytes(200), b"last"):
        publisher.publish(topic, payload, 1)
    client = broker.connect(client.client_id, clean=False,
                            props={Prop.MAXIMUM_PACKET_SIZE: 100, **LASTING})
    assert wire.payloads(client.receive(2)) == [b"first", b"last"]
    wire.expect_nothing(client, publisher)


# -- Topic Alias Maximum --

@pytest.mark.parametrize("most", [1, 2, 10])
def mqtt5_3_1_2_26_aliases_within_the_maximum(broker, homes, most):
    """wire.py resolves them and knows an alias that was never set."""
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(worker=homes[1], props={Prop.TOPIC_ALIAS_MAXIMUM: most})
    client.subscribe(broker.topic("#"), qos=2)
    used = set()
    for i in range(40):
        topic = broker.topic(f"a/long/topic/{i % 10 if i < 20 else i % most}")
        publisher.publish(topic, str(i), i % 3)
        p = client.expect_publish(topic, str(i), qos=i % 3)
        used.add(p.props.get(Prop.TOPIC_ALIAS))
    assert used - {None} <= set(range(1, most + 1))
    assert used - {None}, "no alias at all: this test has shown nothing"


@pytest.mark.parametrize("props", [{}, {Prop.TOPIC_ALIAS_MAXIMUM: 0}], ids=["absent", "0"])
def mqtt5_3_1_2_27_no_aliases(broker, homes, props):
    publisher = broker.connect(worker=homes[0])
    client = broker.connect(worker=homes[1], props=props)
    client.subscribe(broker.topic("#"))
    for i in range(20):
        topic = broker.topic(f"a/long/topic/{i % 2}")
        publisher.publish(topic, "m")
        p = client.expect_publish(topic, "m")
        assert Prop.TOPIC_ALIAS not in p.props and p.topic


# -- what the client wants to know --

@pytest.mark.parametrize("props", [{}, {Prop.REQUEST_RESPONSE_INFO: 0}], ids=["absent", "0"])
def mqtt5_3_1_2_28_no_response_information(broker, props):
    client = broker.connect(props=props)
    assert Prop.RESPONSE_INFO not in client.connack.props


def mqtt5_3_1_2_28_response_information_is_optional(broker):
    client = broker.connect(props={Prop.REQUEST_RESPONSE_INFO: 1})
    assert client.connack.props.get(Prop.RESPONSE_INFO, "text") != ""


def refusals(client):
    """What a client gets that asks for what is not there or not allowed."""
    client.send_publish("$SYS/no", "m", 1, 1)
    client.send_publish("$SYS/no", "m", 2, 2)
    client.send(packets.ack(Type.PUBREL, 3), packets.subscribe(4, [("a/#/b", 0)]),
                packets.unsubscribe(5, ["a/#/b", "not/there"]))
    kinds = (Type.PUBACK, Type.PUBREC, Type.PUBCOMP, Type.SUBACK, Type.UNSUBACK)
    got = [client.expect(kind) for kind in kinds]
    assert all(code >= 0x10 for p in got for code in p.codes or [p.reason])
    return got


def mqtt5_3_1_2_29_no_problem_information(broker, homes):
    client = broker.connect(worker=homes[1], props={Prop.REQUEST_PROBLEM_INFO: 0})
    for p in refusals(client):
        assert not set(p.props) & set(EXTRA), p
    pair = {Prop.USER_PROPERTY: [("name", "value")]}
    publisher = broker.connect(worker=homes[0])
    client.subscribe(broker.topic())
    publisher.publish(broker.topic(), "m", props=pair)
    assert client.expect_publish(broker.topic(), "m").props == pair


@pytest.mark.parametrize("props", [{}, {Prop.REQUEST_PROBLEM_INFO: 1}], ids=["absent", "1"])
def mqtt5_3_1_2_29_problem_information_may_come(broker, props):
    for p in refusals(broker.connect(props=props)):
        assert set(p.props) <= set(EXTRA), p
