"""Wills: when they go out and when not, delay, expiry, retain, takeover."""

import time

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will


def watch(broker, homes, **how):
    watcher = broker.connect(worker=homes[0], **how)
    watcher.subscribe(broker.topic(), qos=2)
    return watcher


def stored(broker, topic):
    """The retained message there, or None."""
    client = broker.connect()
    client.subscribe(topic, qos=2)
    got = wire.fence(client, client)
    return got[0] if got else None


@pytest.mark.spec("MQTT-3.1.2-8", "MQTT-3.1.2-14", "MQTT-3.1.2-12")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_will_at_cut(broker, homes, version, qos):
    watcher = watch(broker, homes)
    client = broker.connect(version=version, worker=homes[1],
                            will=Will(broker.topic(), b"gone", qos))
    client.cut()
    watcher.expect_publish(broker.topic(), b"gone", qos=qos, retain=False)
    wire.expect_nothing(watcher, watcher)


@pytest.mark.spec("MQTT-3.1.2-10", "MQTT-3.14.4-3")
def test_no_will_after_disconnect(broker, homes, version):
    watcher = watch(broker, homes)
    client = broker.connect(version=version, worker=homes[1], will=Will(broker.topic(), b"gone"))
    client.disconnect()
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


@pytest.mark.spec("MQTT-3.1.2-8")
@pytest.mark.parametrize("reason", [0x04, 0x80, 0x81, 0x99])
def test_will_after_disconnect_with_another_reason(broker, homes, reason):
    """EDGE-049"""
    watcher = watch(broker, homes)
    client = broker.connect(worker=homes[1], will=Will(broker.topic(), b"gone"))
    client.disconnect(reason)
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.spec("MQTT-3.1.2-8")
def test_will_after_protocol_error(broker, homes, version):
    """EDGE-050"""
    watcher = watch(broker, homes)
    client = broker.connect(version=version, worker=homes[1], will=Will(broker.topic(), b"gone"))
    client.send(packets.packet(Type.SUBACK, 0, b"\0\1\0"))
    client.expect_reject(Reason.PROTOCOL_ERROR)
    watcher.expect_publish(broker.topic(), b"gone")


def test_will_of_persistent_session_at_cut(broker, homes, version):
    watcher = watch(broker, homes)
    client = broker.connect(version=version, worker=homes[1], clean=False,
                            props={Prop.SESSION_EXPIRY: 60}, will=Will(broker.topic(), b"gone"))
    client.cut()
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.spec("MQTT-3.1.2-15", "MQTT-3.1.2-17", "MQTT-3.1.2-14")
@pytest.mark.parametrize("retain", [False, True])
def test_retained_will(broker, homes, version, retain):
    watcher = watch(broker, homes, version=version)
    client = broker.connect(version=version, worker=homes[1],
                            will=Will(broker.topic(), b"gone", 1, retain))
    client.cut()
    watcher.expect_publish(broker.topic(), b"gone", retain=False)
    p = stored(broker, broker.topic())
    assert (p is not None) == retain
    watcher.publish(broker.topic(), "", 1, retain=True)


def test_empty_retained_will_clears(broker, homes):
    """EDGE-052"""
    watcher = watch(broker, homes)
    watcher.publish(broker.topic(), "old", 1, retain=True)
    watcher.expect_publish(payload="old")
    client = broker.connect(worker=homes[1], will=Will(broker.topic(), b"", 1, True))
    client.cut()
    watcher.expect_publish(broker.topic(), b"")
    assert stored(broker, broker.topic()) is None


def test_will_properties(broker, homes):
    watcher = watch(broker, homes)
    props = {Prop.CONTENT_TYPE: "t", Prop.RESPONSE_TOPIC: "r", Prop.CORRELATION_DATA: b"\0",
             Prop.USER_PROPERTY: [("a", "b"), ("a", "b")], Prop.PAYLOAD_FORMAT: 1}
    will = Will(broker.topic(), b"gone", 1, False, {**props, Prop.WILL_DELAY: 0})
    broker.connect(worker=homes[1], will=will).cut()
    assert watcher.expect_publish(broker.topic(), b"gone").props == props


def test_large_will(broker, homes, version):
    watcher = watch(broker, homes)
    client = broker.connect(version=version, worker=homes[1],
                            will=Will(broker.topic(), b"w" * 65535, 1))
    client.cut()
    watcher.expect_publish(broker.topic(), b"w" * 65535)


def test_own_will_reaches_own_other_session(broker):
    client = broker.connect(will=Will(broker.topic(), b"gone"))
    watcher = broker.connect()
    watcher.subscribe(broker.topic(), no_local=True)
    client.cut()
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.parametrize("topic,reasons", [
    ("$SYS/x", [0x87, 0x90]), ("a/+", [0x90, 0x81, 0x82]), ("", [0x90, 0x81, 0x82])])
def test_impossible_will_topic(broker, version, topic, reasons):
    """EDGE-053"""
    client = broker.raw(version)
    client.send(packets.connect("x", version, will=Will(topic, b"x")))
    if version == V5:
        client.expect_reject(*reasons)
    else:
        client.expect_end()
    assert stored(broker, "$SYS/x") is None


# -- takeover --

@pytest.mark.spec("MQTT-3.1.4-3", "MQTT-3.1.3-9")
@pytest.mark.parametrize("delay,expiry,clean,is_sent", [
    (0, 0, False, True),    # the old session ends
    (0, 60, False, True),   # EDGE-035
    (0, 60, True, True),
    (60, 60, False, False),  # EDGE-036
    (60, 60, True, True),   # EDGE-037
    (60, 0, False, True)])  # EDGE-037
def test_will_at_takeover(broker, homes, delay, expiry, clean, is_sent):
    watcher = watch(broker, homes)
    will = Will(broker.topic(), b"old", props={Prop.WILL_DELAY: delay})
    old = broker.connect(worker=homes[1], props={Prop.SESSION_EXPIRY: expiry}, will=will)
    new = broker.connect(old.client_id, clean=clean, props={Prop.SESSION_EXPIRY: 60})
    old.expect_reject(Reason.TAKEN_OVER)
    if is_sent:
        watcher.expect_publish(broker.topic(), b"old")
    new.publish(broker.topic(), "after")
    watcher.expect_publish(broker.topic(), "after")


@pytest.mark.parametrize("version", [V31, V311])
@pytest.mark.parametrize("clean", [False, True])
def test_will_at_takeover_before_5(broker, homes, version, clean):
    watcher = watch(broker, homes)
    old = broker.connect(version=version, worker=homes[1], clean=clean,
                         will=Will(broker.topic(), b"old"))
    broker.connect(old.client_id, version, clean=clean, will=Will(broker.topic(), b"new")).cut()
    old.expect_close()
    assert wire.payloads(watcher.receive(2)) == [b"old", b"new"]


# -- time --

@pytest.mark.clock
@pytest.mark.spec("MQTT-3.1.2-8", "MQTT-3.1.3-9")
@pytest.mark.parametrize("delay,expiry", [(1, 60), (60, 1), (1, 1)])
def test_delay(broker, homes, delay, expiry):
    """EDGE-046: the earlier of delay and session's end."""
    watcher = watch(broker, homes)
    will = Will(broker.topic(), b"gone", props={Prop.WILL_DELAY: delay})
    client = broker.connect(worker=homes[1], props={Prop.SESSION_EXPIRY: expiry}, will=will)
    start = time.monotonic()
    client.cut()
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)
    watcher.expect_publish(broker.topic(), b"gone")
    assert 0.9 <= time.monotonic() - start <= 2.5


@pytest.mark.spec("MQTT-3.1.2-8")
def test_delay_of_session_that_ends_at_once(broker, homes):
    """EDGE-046"""
    watcher = watch(broker, homes)
    will = Will(broker.topic(), b"gone", props={Prop.WILL_DELAY: 60})
    broker.connect(worker=homes[1], will=will).cut()
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.clock
@pytest.mark.spec("MQTT-3.1.3-9")
def test_return_within_delay(broker, homes):
    """EDGE-048: the first will is never sent, the second has its own delay."""
    watcher = watch(broker, homes)
    client_id = broker.new_id(homes[1])
    for payload in (b"first", b"second"):
        will = Will(broker.topic(), payload, props={Prop.WILL_DELAY: 1})
        client = broker.connect(client_id, clean=False, props={Prop.SESSION_EXPIRY: 60}, will=will)
        client.cut()
        broker.process.settle()
    start = time.monotonic()
    watcher.expect_publish(broker.topic(), b"second")
    assert 0.8 <= time.monotonic() - start <= 2.5
    wire.expect_nothing(watcher, watcher)


def test_clean_return_within_delay(broker, homes):
    """EDGE-047: the old session ends, so its will goes out now."""
    watcher = watch(broker, homes)
    client_id = broker.new_id(homes[1])
    will = Will(broker.topic(), b"gone", props={Prop.WILL_DELAY: 60})
    broker.connect(client_id, props={Prop.SESSION_EXPIRY: 60}, will=will).cut()
    broker.process.settle()
    broker.connect(client_id, clean=True)
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.clock
def test_message_expiry_counts_from_publication(broker, homes):
    """EDGE-051"""
    watcher = watch(broker, homes)
    props = {Prop.WILL_DELAY: 1, Prop.MESSAGE_EXPIRY: 30}
    client = broker.connect(worker=homes[1], props={Prop.SESSION_EXPIRY: 60},
                            will=Will(broker.topic(), b"gone", 1, True, props))
    client.cut()
    p = watcher.expect_publish(broker.topic(), b"gone")
    assert p.props == {Prop.MESSAGE_EXPIRY: 30}
    watcher.publish(broker.topic(), "", 1, retain=True)


@pytest.mark.clock
@pytest.mark.spec("MQTT-3.1.2-22")
def test_will_at_keep_alive_timeout(broker, homes, version):
    """EDGE-050"""
    watcher = watch(broker, homes)
    broker.connect(version=version, worker=homes[1], keep_alive=1,
                   will=Will(broker.topic(), b"gone"))
    watcher.expect_publish(broker.topic(), b"gone")


@pytest.mark.fresh
@pytest.mark.crash
def test_wills_at_stop_do_no_harm(broker):
    """EDGE-050: at a shutdown they may wait; the stop itself is clean, see the fixture."""
    clients = [broker.connect(worker=i % broker.workers, will=Will("a/b", b"x" * 1000, 1, True))
               for i in range(20)]
    broker.process.process.terminate()
    for client in clients:
        client.expect_reject(Reason.SHUTTING_DOWN)
