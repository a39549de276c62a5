"""The limits that the broker tells in CONNACK, and that it holds clients to."""

import pytest

import packets
from packets import V5, Prop, Reason, Type, Will

QOS_UNSUPPORTED = 0x9B


def expect_dropped(broker, client, reason, watcher):
    """The connection ends for this reason, and its watcher gets nothing. (The marker's QoS is 0:
    wire.fence() would subscribe at 1.)"""
    client.expect_reject(reason)
    broker.process.settle()
    watcher.publish(broker.topic(), "marker")
    watcher.expect_publish(broker.topic(), "marker")


# -- Maximum QoS --

def check_qos_limit(broker, version, limit):
    """Told when it is below 2; all subscriptions are taken; messages above it are not."""
    client = broker.connect(version=version)
    told = limit if version == V5 and limit < 2 else None
    assert client.connack.props.get(Prop.MAXIMUM_QOS) == told
    topics = [broker.topic(f"{qos}") for qos in (0, 1, 2)]
    pairs = [(topic, qos) for qos, topic in enumerate(topics)]
    client.subscribe(*pairs, codes=[min(qos, limit) for qos in (0, 1, 2)])
    for qos in range(limit + 1):
        for wanted, topic in enumerate(topics):
            client.publish(topic, "m", qos)
            client.expect_publish(topic, "m", qos=min(qos, wanted, limit))


def check_publish_above(broker, version, limit):
    watcher = broker.connect()
    watcher.subscribe(broker.topic("#"))
    for qos in range(limit + 1, 3):
        client = broker.connect(version=version)
        client.send_publish(broker.topic("a"), "m", qos, retain=True)
        expect_dropped(broker, client, QOS_UNSUPPORTED, watcher)


def check_will_above(broker, version, limit):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    for qos in range(3):
        client = broker.raw(version)
        client.send(packets.connect(broker.new_id(), version,
                                    will=Will(broker.topic(), b"gone", qos)))
        if qos > limit:
            expect_dropped(broker, client, QOS_UNSUPPORTED, watcher)
        else:
            client.expect_connack()
            client.cut()
            watcher.expect_publish(broker.topic(), "gone")


@pytest.mark.conf("max_qos 0")
def mqtt5_3_2_2_9_maximum_qos_0(broker, version):
    # covers: MQTT-3.2.2-10
    check_qos_limit(broker, version, 0)


@pytest.mark.conf("max_qos 1")
def mqtt5_3_2_2_9_maximum_qos_1(broker, version):
    # covers: MQTT-3.2.2-10
    check_qos_limit(broker, version, 1)


def mqtt5_3_2_2_9_full_support_is_not_told(broker, version):
    check_qos_limit(broker, version, 2)


@pytest.mark.conf("max_qos 0")
def mqtt5_3_2_2_11_publish_above_0(broker, version):
    check_publish_above(broker, version, 0)


@pytest.mark.conf("max_qos 1")
def mqtt5_3_2_2_11_publish_above_1(broker, version):
    check_publish_above(broker, version, 1)


@pytest.mark.conf("max_qos 0")
def mqtt5_3_2_2_12_will_above_0(broker, version):
    check_will_above(broker, version, 0)


@pytest.mark.conf("max_qos 1")
def mqtt5_3_2_2_12_will_above_1(broker, version):
    check_will_above(broker, version, 1)


# -- Retain Available --

@pytest.mark.conf("retain_available false")
def mqtt5_3_2_2_13_retained_will_without_support(broker, version):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    assert watcher.connack.props[Prop.RETAIN_AVAILABLE] == 0
    client = broker.raw(version)
    client.send(packets.connect("x", version, will=Will(broker.topic(), b"gone", 0, True)))
    expect_dropped(broker, client, Reason.RETAIN_UNSUPPORTED, watcher)
    broker.connect(version=version, will=Will(broker.topic(), b"gone")).cut()
    watcher.expect_publish(broker.topic(), "gone")


@pytest.mark.conf("retain_available false")
@pytest.mark.parametrize("qos", [0, 1, 2])
def mqtt5_3_2_2_14_retained_publish_without_support(broker, version, qos):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(version=version)
    client.send_publish(broker.topic(), "m", qos, retain=True)
    expect_dropped(broker, client, Reason.RETAIN_UNSUPPORTED, watcher)


def mqtt5_3_2_2_14_support_is_not_told(broker):
    assert Prop.RETAIN_AVAILABLE not in broker.connect().connack.props


# -- Maximum Packet Size --

@pytest.mark.conf("max_packet_size 1000")
@pytest.mark.parametrize("qos", [0, 1, 2])
def mqtt5_3_2_2_15_packets_up_to_the_limit(broker, version, qos):
    """One byte more is refused on the header already: the rest is never sent."""
    client = broker.connect(version=version)
    if version == V5:
        assert client.connack.props[Prop.MAXIMUM_PACKET_SIZE] == 1000
    topic = broker.topic()
    client.subscribe(topic, qos=qos)
    head = len(packets.publish(topic, b"", qos, qos or None, version=version)) + 1
    client.publish(topic, bytes(1000 - head), qos)
    client.expect_publish(topic, bytes(1000 - head), qos=qos)
    data = packets.publish(topic, bytes(1001 - head), qos, 100 if qos else None, version=version)
    assert len(data) == 1001
    client.send(data[:3])
    client.expect_reject(Reason.TOO_LARGE)


@pytest.mark.conf("max_packet_size 1000")
@pytest.mark.parametrize("kind", [Type.SUBSCRIBE, Type.UNSUBSCRIBE, Type.PUBACK, Type.DISCONNECT,
                                  Type.AUTH], ids=lambda kind: kind.name)
def mqtt5_3_2_2_15_other_packets(broker, version, kind):
    client = broker.connect(version=version)
    flags = 2 if kind in (Type.SUBSCRIBE, Type.UNSUBSCRIBE) else 0
    client.send(bytes([kind << 4 | flags]) + packets.varint(998))
    client.expect_reject(Reason.TOO_LARGE)


@pytest.mark.conf("max_packet_size 1000")
def mqtt5_3_2_2_15_connect(broker, version):
    """Its version is not known yet when its size is: closed, with or without a CONNACK."""
    fixed = len(packets.connect("", version)) + 1
    client = broker.raw(version)
    client.send(packets.connect("x" * (1000 - fixed), version))
    client.expect_connack()
    client = broker.raw(version)
    client.send(packets.connect("x" * (1001 - fixed), version))
    assert client.read_to_end()[:4] in (b"", b"\x20\3\0\x95")


# -- Topic Alias Maximum --

@pytest.mark.conf("max_topic_alias 3")
def mqtt5_3_2_2_17_aliases_up_to_the_maximum(broker):
    watcher = broker.connect()
    watcher.subscribe(broker.topic("#"))
    client = broker.connect()
    assert client.connack.props[Prop.TOPIC_ALIAS_MAXIMUM] == 3
    for alias in (1, 2, 3):
        client.publish(broker.topic(str(alias)), "set", 1, props={Prop.TOPIC_ALIAS: alias})
        client.publish("", "used", 1, props={Prop.TOPIC_ALIAS: alias})
        watcher.expect_publish(broker.topic(str(alias)), "set")
        watcher.expect_publish(broker.topic(str(alias)), "used")
    client.send_publish(broker.topic("4"), "m", props={Prop.TOPIC_ALIAS: 4})
    expect_dropped(broker, client, Reason.ALIAS_INVALID, watcher)


@pytest.mark.conf("max_topic_alias 0")
def mqtt5_3_2_2_18_no_alias_announced(broker):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect()
    assert client.connack.props.get(Prop.TOPIC_ALIAS_MAXIMUM, 0) == 0
    client.send_publish(broker.topic(), "m", props={Prop.TOPIC_ALIAS: 1})
    expect_dropped(broker, client, Reason.ALIAS_INVALID, watcher)
