"""Wills: when they go out and when not, what they are, takeover, delay and expiry. What a CONNECT
says about its will stands in test_connect_will.py."""

import time

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will

LASTING = {Prop.SESSION_EXPIRY: 60}


def watch(broker, **how):
    watcher = broker.connect(**how)
    watcher.subscribe(broker.topic(), qos=2)
    return watcher


def will_of(broker, payload=b"gone", qos=0, retain=False, **props):
    """`props` by their names in lower case."""
    return Will(broker.topic(), payload, qos, retain,
                {Prop[name.upper()]: value for name, value in props.items()})


def stored(broker, topic):
    """The retained message there, or None."""
    client = broker.connect()
    client.subscribe(topic, qos=2)
    got = wire.fence(client, client)
    return got[0] if got else None


# -- what ends a connection --

@pytest.mark.parametrize("qos", [0, 1, 2])
def mqtt5_3_1_2_8_connection_is_cut(broker, version, qos):
    # covers: v3 MQTT-3.1.2-8
    watcher = watch(broker)
    broker.connect(version=version, will=will_of(broker, qos=qos)).cut()
    watcher.expect_publish(broker.topic(), b"gone", qos=qos, retain=False)
    wire.expect_nothing(watcher, watcher)


def mqtt5_3_1_2_8_session_stays(broker, version):
    # covers: v3 MQTT-3.1.2-8
    watcher = watch(broker)
    broker.connect(version=version, clean=False, props=LASTING, will=will_of(broker)).cut()
    watcher.expect_publish(broker.topic(), b"gone")


def mqtt5_3_1_2_10_disconnect_drops_the_will(broker, version):
    # covers: MQTT-3.14.4-3, EDGE-049, v3 MQTT-3.1.2-10
    watcher = watch(broker)
    clients = [broker.connect(version=version, will=will_of(broker)) for _ in range(2)]
    clients.append(broker.connect(version=version, clean=False, props=LASTING,
                                  will=will_of(broker)))
    clients[0].disconnect()
    clients[1].disconnect(0 if version == V5 else None)
    clients[2].disconnect()
    for client in clients:
        broker.connect(client.client_id, version, clean=False).disconnect()
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


@pytest.mark.parametrize("reason", [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96,
                                    0x97, 0x98, 0x99])
def edge_049_disconnect_with_another_reason(broker, reason):
    # covers: MQTT-3.1.2-8
    watcher = watch(broker)
    broker.connect(will=will_of(broker)).disconnect(reason)
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.clock
def edge_049_the_delay_counts(broker):
    # covers: MQTT-3.1.2-8
    watcher, start = watch(broker), time.monotonic()
    for reason in (0x04, 0x98):
        will = will_of(broker, b"%d" % reason, will_delay=1)
        broker.connect(props=LASTING, will=will).disconnect(reason)
    assert sorted(wire.payloads(watcher.receive(2))) == [b"152", b"4"]
    assert time.monotonic() - start >= 0.9


@pytest.mark.parametrize("what", ["wrong packet", "malformed", "impossible topic"])
def edge_050_protocol_error(broker, version, what):
    # covers: MQTT-3.1.2-8, v3 MQTT-3.1.2-8
    watcher = watch(broker)
    client = broker.connect(version=version, will=will_of(broker))
    client.send({"wrong packet": packets.packet(Type.SUBACK, 0, b"\0\1\0"),
                 "malformed": b"\x36\x00",
                 "impossible topic": packets.publish("a/#", version=version)}[what])
    client.expect_reject(Reason.PROTOCOL_ERROR, Reason.MALFORMED, Reason.TOPIC_INVALID)
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.clock
def edge_050_keep_alive_timeout(broker):
    # covers: MQTT-3.1.2-8, v3 MQTT-3.1.2-8
    watcher = watch(broker)
    for version in (V31, V311, V5):
        broker.connect(version=version, keep_alive=1, will=will_of(broker, b"%d" % version))
    assert sorted(wire.payloads(watcher.receive(3))) == [b"3", b"4", b"5"]


@pytest.mark.fresh
@pytest.mark.crash
def edge_050_shutdown(broker):
    """At a shutdown they may wait; the stop itself is clean, see the fixture."""
    clients = [broker.connect(will=Will("a/b", b"x" * 1000, 1, True)) for _ in range(20)]
    broker.process.process.terminate()
    for client in clients:
        client.expect_reject(Reason.SHUTTING_DOWN)


# -- what goes out --

def edge_052_empty_retained_will_clears(broker, version):
    watcher = watch(broker)
    watcher.publish(broker.topic(), "old", 1, retain=True)
    watcher.expect_publish(payload="old")
    broker.connect(version=version, will=will_of(broker, b"", 1, True)).cut()
    watcher.expect_publish(broker.topic(), b"")
    assert stored(broker, broker.topic()) is None


def mqtt5_3_1_2_8_properties(broker):
    watcher = watch(broker)
    props = {"content_type": "t", "response_topic": "r", "correlation_data": b"\0",
             "user_property": [("a", "b"), ("", ""), ("a", "b")], "payload_format": 1}
    broker.connect(will=will_of(broker, b"gone", 1, will_delay=0, **props)).cut()
    p = watcher.expect_publish(broker.topic(), b"gone")
    assert p.props == {Prop[name.upper()]: value for name, value in props.items()}


def mqtt5_3_1_2_8_largest_will(broker, version):
    # covers: v3 MQTT-3.1.2-8
    watcher = watch(broker)
    broker.connect(version=version, will=will_of(broker, b"w" * 65535, 1)).cut()
    watcher.expect_publish(broker.topic(), b"w" * 65535)


def edge_059_will_is_no_echo_for_others(broker):
    """No Local hides only what comes under the own client id."""
    client, watcher = broker.connect(will=will_of(broker)), broker.connect()
    watcher.subscribe(broker.topic(), no_local=True)
    client.cut()
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.parametrize("topic,reasons", [
    ("$SYS/x", [Reason.NOT_AUTHORIZED, Reason.TOPIC_INVALID]),
    ("$share/g/x", [Reason.NOT_AUTHORIZED, Reason.TOPIC_INVALID])])
def edge_053_topic_that_nobody_may_publish_to(broker, version, topic, reasons):
    """Decided: refused at CONNECT."""
    client, watcher = broker.raw(version), broker.connect()
    watcher.subscribe("$SYS/x", "$share/g/x", "$share/x/$share/g/x", "x", "$SYS/x/#")
    client.send(packets.connect(broker.new_id(), version, will=Will(topic, b"x", 1, True)))
    if version == V5:
        client.expect_reject(*reasons)
    else:
        client.expect_end()
    wire.expect_nothing(watcher, watcher)
    assert stored(broker, topic if topic[1] == "S" else "x") is None


# -- takeover --

@pytest.mark.parametrize("delay,expiry,clean,is_sent", [
    (0, 0, False, True), (0, 60, False, True), (0, 60, True, True), (60, 60, False, False),
    (60, 60, True, True), (60, 0, False, True)])
def mqtt5_3_1_4_3_will_of_who_is_taken_over(broker, delay, expiry, clean, is_sent):
    """At once where there is no delay, or where the session ends; else never [MQTT-3.1.3-9]."""
    # covers: MQTT-3.1.3-9
    watcher = watch(broker)
    old = broker.connect(props={Prop.SESSION_EXPIRY: expiry},
                         will=will_of(broker, b"old", will_delay=delay))
    new = broker.connect(old.client_id, clean=clean, props=LASTING)
    old.expect_reject(Reason.TAKEN_OVER)
    if is_sent:
        watcher.expect_publish(broker.topic(), b"old")
    new.publish(broker.topic(), "after")
    watcher.expect_publish(broker.topic(), "after")


@pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
@pytest.mark.parametrize("clean", [False, True])
def mqtt311_3_1_2_8_will_of_who_is_taken_over(broker, version, clean):
    watcher = watch(broker)
    old = broker.connect(version=version, clean=clean, will=will_of(broker, b"old"))
    broker.connect(old.client_id, version, clean=clean, will=will_of(broker, b"new")).cut()
    old.expect_close()
    assert wire.payloads(watcher.receive(2)) == [b"old", b"new"]


# -- delay --

@pytest.mark.clock
def edge_046_delay_and_end_of_the_session(broker):
    """The earlier of the two."""
    # covers: MQTT-3.1.2-8
    watcher, start = watch(broker), time.monotonic()
    for delay, expiry in ((1, 60), (60, 1), (1, 1), (1, 0xFFFFFFFF)):
        broker.connect(props={Prop.SESSION_EXPIRY: expiry},
                       will=will_of(broker, b"%d" % expiry, will_delay=delay)).cut()
    got = sorted(wire.payloads(watcher.receive(4)))
    assert got == [b"1", b"1", b"4294967295", b"60"]
    assert time.monotonic() - start >= 0.9


def edge_046_session_that_ends_at_once(broker):
    # covers: MQTT-3.1.2-8
    watcher = watch(broker)
    for props in ({}, {Prop.SESSION_EXPIRY: 0}):
        broker.connect(props=props, will=will_of(broker, will_delay=60)).cut()
        watcher.expect_publish(broker.topic(), b"gone")
    client = broker.connect(props=LASTING, will=will_of(broker, will_delay=60))
    client.disconnect(4, {Prop.SESSION_EXPIRY: 0})
    watcher.expect_publish(broker.topic(), b"gone")


def edge_047_return_with_clean_start(broker):
    """The old session ends, so its will goes out now, and not once more."""
    watcher = watch(broker)
    client = broker.connect(props=LASTING, will=will_of(broker, will_delay=60))
    client.cut()
    broker.process.settle()
    new = broker.connect(client.client_id, clean=True, props=LASTING)
    assert not new.connack.session_present
    watcher.expect_publish(broker.topic(), b"gone")
    new.disconnect(4, {Prop.SESSION_EXPIRY: 0})
    wire.expect_nothing(watcher, watcher)


@pytest.mark.clock
def edge_048_return_within_the_delay(broker):
    """The first will is never sent, the second after its own delay; the third has none."""
    # covers: MQTT-3.1.3-9
    watcher, client_id = watch(broker), broker.new_id()
    for payload, delay in [(b"first", 4), (b"second", 1)]:
        start = time.monotonic()
        broker.connect(client_id, clean=False, props=LASTING,
                       will=will_of(broker, payload, will_delay=delay)).cut()
        broker.process.settle()
    watcher.expect_publish(broker.topic(), b"second")
    assert time.monotonic() - start >= 0.9
    client = broker.connect(client_id, clean=False, props=LASTING)
    assert client.connack.session_present
    client.cut()
    time.sleep(3)
    wire.expect_nothing(watcher, watcher)


@pytest.mark.clock
def edge_051_message_expiry_counts_from_publication(broker):
    """To a subscriber that is there, to one that is not, and as a retained message."""
    watcher, away = watch(broker), broker.connect(props=LASTING)
    away.subscribe(broker.topic(), qos=2)
    away.disconnect()
    will = will_of(broker, b"gone", 1, True, will_delay=1, message_expiry=30)
    broker.connect(props=LASTING, will=will).cut()
    assert watcher.expect_publish(broker.topic(), b"gone").props == {Prop.MESSAGE_EXPIRY: 30}
    away = broker.connect(away.client_id, clean=False)
    assert away.expect_publish().props[Prop.MESSAGE_EXPIRY] in (28, 29, 30)
    assert stored(broker, broker.topic()).props[Prop.MESSAGE_EXPIRY] in (28, 29, 30)
    watcher.publish(broker.topic(), "", 1, retain=True)
