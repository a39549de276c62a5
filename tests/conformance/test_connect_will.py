"""The will that a CONNECT brings; more about wills in test_will.py."""

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will

BEFORE_5 = pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
LASTING = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}


def watch(broker, version=V5, **how):
    watcher = broker.connect(version=version)
    watcher.subscribe(broker.topic(), qos=2, **how)
    return watcher


def mqtt5_3_1_2_7_will_is_kept_while_the_client_is_busy(broker, version):
    # covers: v3 MQTT-3.1.2-8
    watcher = watch(broker)
    client = broker.connect(version=version, will=Will(broker.topic(), b"gone", 1))
    client.subscribe("$elsewhere/" + broker.topic(), qos=2)
    for qos in (0, 1, 2):
        client.publish("$elsewhere/" + broker.topic(), "m", qos)
        client.expect_publish(payload="m")
    client.unsubscribe("$elsewhere/" + broker.topic())
    wire.expect_nothing(watcher, client)
    client.cut()
    watcher.expect_publish(broker.topic(), "gone", qos=1)
    wire.expect_nothing(watcher, watcher)


def mqtt5_3_1_2_7_each_connection_has_its_own_will(broker, version):
    """The newer CONNECT's will replaces that of the same session."""
    watcher, client_id = watch(broker), broker.new_id()
    for payload in ("first", "second"):
        client = broker.connect(client_id, version, will=Will(broker.topic(), payload), **LASTING)
        client.cut()
        watcher.expect_publish(broker.topic(), payload)
    wire.expect_nothing(watcher, watcher)


@pytest.mark.parametrize("how", ["cut", "disconnect 0", "disconnect 4", "return"])
def mqtt5_3_1_2_8_four_ends(broker, homes, how):
    """Cut, DISCONNECT 0x00 and 0x04, and back before the delay is over."""
    # covers: MQTT-3.1.2-10
    watcher = broker.connect(worker=homes[0])
    watcher.subscribe(broker.topic())
    props = {Prop.WILL_DELAY: 60} if how == "return" else {}
    client = broker.connect(worker=homes[1], will=Will(broker.topic(), b"gone", props=props),
                            **LASTING)
    if how.startswith("disconnect"):
        client.disconnect(int(how[-1]))
    else:
        client.cut()
    broker.process.settle()
    if how == "return":
        assert broker.connect(client.client_id, **LASTING).connack.session_present
        broker.connect(client.client_id, clean=True)  # a will that is left would go out now
    if how in ("cut", "disconnect 4"):
        watcher.expect_publish(broker.topic(), "gone")
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


def mqtt5_3_1_2_10_published_will_is_forgotten(broker, version):
    # covers: v3 MQTT-3.1.2-10
    watcher = watch(broker)
    client = broker.connect(version=version, will=Will(broker.topic(), b"gone"), **LASTING)
    client.cut()
    watcher.expect_publish(broker.topic(), "gone")
    for _ in range(2):
        client = broker.connect(client.client_id, version, **LASTING)
        client.cut()
        broker.process.settle()
    wire.expect_nothing(watcher, watcher)


def mqtt5_3_1_2_10_will_is_forgotten_at_disconnect(broker, version):
    # covers: v3 MQTT-3.1.2-10
    watcher = watch(broker)
    client = broker.connect(version=version, will=Will(broker.topic(), b"gone"), **LASTING)
    client.disconnect()
    client = broker.connect(client.client_id, version, **LASTING)
    client.cut()
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


@pytest.mark.parametrize("retain", [False, True])
def mqtt5_3_1_2_15_retain_flag_as_published(broker, version, retain):
    # covers: MQTT-3.1.2-14, v3 MQTT-3.1.2-16, v3 MQTT-3.1.2-17
    watcher = watch(broker, retain_as_published=True)
    broker.connect(version=version, will=Will(broker.topic(), b"gone", 1, retain)).cut()
    watcher.expect_publish(broker.topic(), "gone", retain=retain)
    later = broker.connect(version=version)
    later.subscribe(broker.topic(), qos=1)
    if retain:
        later.expect_publish(broker.topic(), "gone", retain=True)
        later.publish(broker.topic(), "", 1, retain=True)
        later.expect_publish(broker.topic(), "")
    wire.expect_nothing(later, later)


def mqtt311_3_1_2_12_no_will_no_message(broker, version):
    watcher = broker.connect()
    watcher.subscribe("#", qos=2)
    client = broker.connect(version=version)
    client.ping()
    client.cut()
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


def mqtt311_3_1_2_8_will_of_a_refused_connect(broker, version):
    """Malformed, or not allowed: it was never accepted, so nothing is published."""
    # covers: MQTT-3.1.2-8
    watcher = watch(broker)
    good = packets.connect("x", version, will=Will(broker.topic(), b"gone"), username="u")
    empty_id = packets.connect("", version, clean=False, will=Will(broker.topic(), b"gone"))
    refused = [packets.packet(Type.CONNECT, 0, good[2:] + b"\0"),
               packets.packet(Type.CONNECT, 1, good[2:])]
    for data in refused + [empty_id] * (version != V5):
        client = broker.raw(version)
        client.send(data)
        client.read_to_end()
    if version == V5:
        client = broker.raw()
        client.connect("x", Reason.BAD_AUTH_METHOD, will=Will(broker.topic(), b"gone"),
                       props={Prop.AUTH_METHOD: "none of ours"})
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


def mqtt5_3_1_3_10_user_properties_keep_their_order(broker, homes):
    watcher = broker.connect(worker=homes[0])
    watcher.subscribe(broker.topic())
    pairs = [("k2", "1"), ("k1", "2"), ("k2", "3"), ("", ""), ("k2", "1")]
    props = [(Prop.USER_PROPERTY, pairs[0]), (Prop.CONTENT_TYPE, "t"), (Prop.WILL_DELAY, 0),
             *[(Prop.USER_PROPERTY, pair) for pair in pairs[1:]]]
    broker.connect(worker=homes[1], will=Will(broker.topic(), b"gone", props=props)).cut()
    p = watcher.expect_publish(broker.topic(), "gone")
    assert p.props == {Prop.USER_PROPERTY: pairs, Prop.CONTENT_TYPE: "t"}


@pytest.mark.clock
def mqtt5_3_1_3_9_return_cancels_a_delayed_will(broker):
    """Then and later: a will of somebody else, with a longer delay, shows the time."""
    watcher, client_id = watch(broker), broker.new_id()
    client = broker.connect(client_id, **LASTING, will=Will(
        broker.topic(), b"cancelled", props={Prop.WILL_DELAY: 1}))
    client.cut()
    broker.process.settle()
    again = broker.connect(client_id, **LASTING)
    assert again.connack.session_present
    broker.connect(**LASTING, will=Will(
        broker.topic(), b"two seconds", props={Prop.WILL_DELAY: 2})).cut()
    watcher.expect_publish(broker.topic(), "two seconds")
    again.cut()
    broker.connect(client_id, clean=True)  # the session ends: a will that is left goes out
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)
