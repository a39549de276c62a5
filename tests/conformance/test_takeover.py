"""A second connection with a client id that is in use."""

import pytest

import packets
import wire
from packets import V5, V31, V311, VERSIONS, Prop, Reason, Type, Will

BEFORE_5 = pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
EXPIRY = {Prop.SESSION_EXPIRY: 60}
LASTING = {"clean": False, "props": EXPIRY}


def expect_present(client, is_present):
    assert client.connack.session_present is (is_present and client.version != V31)


def watch(broker):
    watcher = broker.connect()
    watcher.subscribe(broker.topic("will"))
    return watcher


def mqtt5_3_1_4_3_older_connection_ends(broker, version):
    """With DISCONNECT 0x8E in 5.0, without a byte before."""
    # covers: v3 MQTT-3.1.4-2, MQTT-3.1.4-5
    old = broker.connect(version=version)
    new = broker.connect(old.client_id, version)
    assert new.connack.reason == 0
    old.expect_reject(Reason.TAKEN_OVER)
    new.ping()


@BEFORE_5
@pytest.mark.parametrize("clean", [False, True])
def mqtt311_3_1_4_2_old_will_is_published(broker, version, clean):
    """Whether its session ends or goes on."""
    watcher = watch(broker)
    old = broker.connect(version=version, clean=clean, will=Will(broker.topic("will"), b"old"))
    new = broker.connect(old.client_id, version, clean=clean,
                         will=Will(broker.topic("will"), b"new"))
    old.expect_close()
    watcher.expect_publish(broker.topic("will"), "old")
    new.ping()
    wire.expect_nothing(watcher, watcher)


@pytest.mark.parametrize("clean", [False, True])
def mqtt5_3_1_4_4_clean_start_at_takeover(broker, homes, version, clean):
    """The rules for the stored session hold for one that is in use too."""
    # covers: v3 MQTT-3.1.4-3, MQTT-3.2.2-2, MQTT-3.2.2-3
    publisher, topic = broker.connect(worker=homes[0]), broker.topic()
    old = broker.connect(worker=homes[1], version=version, **LASTING)
    old.subscribe(topic, qos=1)
    publisher.publish(topic, "not acknowledged", 1)
    old.expect_publish(topic, "not acknowledged", acknowledge=False)
    new = broker.connect(old.client_id, version, clean=clean, props=EXPIRY)
    expect_present(new, not clean)
    publisher.publish(topic, "after", 1)
    if not clean:
        new.expect_publish(topic, "not acknowledged", dup=True)
        new.expect_publish(topic, "after")
    wire.expect_nothing(new, publisher)


@BEFORE_5
def mqtt311_3_1_4_3_clean_session_was_not_to_be_kept(broker, version):
    """The old connection had clean session 1: its session ends with it."""
    old = broker.connect(version=version, clean=True)
    old.subscribe(broker.topic())
    new = broker.connect(old.client_id, version, clean=False)
    expect_present(new, False)
    new.publish(broker.topic(), "m")
    wire.expect_nothing(new, new)


# -- refused --

REFUSED = {
    "will topic": ((V31, V311, V5), {"will": Will("$SYS/no")}),
    "malformed": ((V31, V311, V5), {"flags": 0x03}),
    "authentication method": ((V5,), {"props": {Prop.AUTH_METHOD: "none of ours", **EXPIRY}}),
    "receive maximum 0": ((V5,), {"props": {Prop.RECEIVE_MAXIMUM: 0}})}


@pytest.mark.parametrize("version,how", [
    pytest.param(version, how, id=f"{name}-{version}")
    for name, (versions, how) in REFUSED.items() for version in versions])
def edge_032_refused_connect_takes_nothing_over(broker, version, how):
    """For whatever it is refused, the live connection and its session stay."""
    # covers: MQTT-3.1.4-2, MQTT-3.2.2-6, v3 MQTT-3.2.2-4
    live = broker.connect(version=version, **LASTING)
    live.subscribe(broker.topic(), qos=1)
    for _ in range(3):
        client = broker.raw(version)
        client.send(packets.connect(live.client_id, version, **{"clean": False, **how}))
        answer = client.read_to_end()
        assert answer == b"" or (answer[0], answer[2]) == (0x20, 0) and answer[3] != 0
    live.publish(broker.topic(), "m", 1)
    live.expect_publish(broker.topic(), "m")


# -- races --

def edge_033_old_connection_ends_after_the_takeover(broker, homes, version):
    """The old one is cut when the new CONNECT is on its way; new connection, will and session
    stay, and the old will follows the old data alone."""
    # covers: MQTT-3.1.4-3, v3 MQTT-3.1.4-2
    watcher = broker.connect(worker=homes[0])
    watcher.subscribe(broker.topic("will"))
    client_id = broker.new_id(homes[1])
    client = broker.connect(client_id, version, will=Will(broker.topic("will"), "0"), **LASTING)
    client.subscribe(broker.topic(), qos=1)
    for i in range(1, 21):
        old, client = client, broker.raw(version)
        client.send(packets.connect(client_id, version, will=Will(broker.topic("will"), str(i)),
                                    **LASTING))
        if i % 2:
            old.cut()
        client.expect_connack(client_id)
        expect_present(client, True)
        if i % 2 == 0:
            old.cut()
        watcher.expect_publish(broker.topic("will"), str(i - 1))
        client.ping()
    watcher.publish(broker.topic(), "m", 1)
    client.expect_publish(broker.topic(), "m")
    wire.expect_nothing(watcher, client)


def is_answered(client, client_id):
    """The end may come with, or instead of, the CONNACK of who is taken over at once."""
    try:
        return client.expect_connack(client_id).reason == 0
    except wire.Closed:
        return False


def is_alive(client):
    """Its SUBACK comes, and not the end."""
    try:
        if client.recv().type == Type.DISCONNECT:
            client.expect_close()
            return False
        client.send(packets.PINGREQ)
        return client.recv().type == Type.PINGRESP
    except wire.Closed:
        return False


@pytest.mark.parametrize("clean", [False, True])
def edge_038_hundred_connections_with_one_id(broker, version, clean):
    """One survives; what each of them subscribed to is there once."""
    client_id, topic = broker.new_id(), broker.topic()
    how = {"clean": clean, "props": EXPIRY}
    clients = []
    for _ in range(100):
        client = broker.raw(version)
        client.send(packets.connect(client_id, version, **how),
                    packets.subscribe(1, [(topic, 1)], version=version))
        clients.append(client)
    wire.flush()
    answered = [client for client in clients if is_answered(client, client_id)]
    alive = [client for client in answered if is_alive(client)]  # all takeovers are over
    assert len(alive) == 1
    sender = broker.connect()
    sender.publish(topic, "once", 1)
    alive[0].expect_publish(topic, "once")
    wire.expect_nothing(alive[0], sender)


# -- across versions --

@pytest.mark.parametrize("before,after", [
    (a, b) for a in VERSIONS for b in VERSIONS if a != b])
def edge_034_session_goes_on_across_versions(broker, before, after):
    """And back; properties stay off the older links."""
    client_id, topic, sender = broker.new_id(), broker.topic(), broker.connect()
    old = broker.connect(client_id, before, **LASTING)
    old.subscribe(topic, qos=1)
    for version in (after, before):
        new = broker.connect(client_id, version, **LASTING)
        expect_present(new, True)
        old.expect_reject(Reason.TAKEN_OVER)
        props = {Prop.CONTENT_TYPE: "text", Prop.USER_PROPERTY: [("a", "b")]}
        sender.publish(topic, "m", 1, props=props)
        p = new.expect_publish(topic, "m", qos=1)
        assert p.props == (props if version == V5 else {})
        assert (p.raw == packets.publish(topic, "m", 1, p.packet_id, version=version)) == \
            (version != V5)
        new.ping()  # so that the acknowledgement is there before the next takeover
        old = new


# -- wills --

def take_over(broker, homes, delay, expiry, clean):
    """Returns who watches the old will, and the new connection; the takeover is done."""
    watcher = broker.connect(worker=homes[0])
    watcher.subscribe(broker.topic("will"))
    old = broker.connect(worker=homes[1], props={Prop.SESSION_EXPIRY: expiry},
                         will=Will(broker.topic("will"), b"old", props={Prop.WILL_DELAY: delay}))
    new = broker.connect(old.client_id, clean=clean, props=EXPIRY)
    old.expect_reject(Reason.TAKEN_OVER)
    new.ping()
    broker.process.settle()
    return watcher, new


@pytest.mark.parametrize("expiry", [0, 60])
def edge_035_will_without_delay_goes_out(broker, homes, expiry):
    # covers: MQTT-3.1.2-8
    watcher, _ = take_over(broker, homes, 0, expiry, False)
    watcher.expect_publish(broker.topic("will"), "old")


def edge_036_will_with_delay_is_dropped(broker, homes):
    # covers: MQTT-3.1.3-9
    watcher, new = take_over(broker, homes, 60, 60, False)
    wire.expect_nothing(watcher, watcher)
    broker.connect(new.client_id, clean=True)  # the session ends: a will that is left goes out
    broker.process.settle()
    wire.expect_nothing(watcher, watcher)


@pytest.mark.clock
def edge_036_dropped_will_does_not_come_later(broker):
    # covers: MQTT-3.1.3-9
    watcher, _ = take_over(broker, (0, 0), 1, 60, False)
    broker.connect(props=EXPIRY, will=Will(
        broker.topic("will"), b"two seconds", props={Prop.WILL_DELAY: 2})).cut()
    watcher.expect_publish(broker.topic("will"), "two seconds")


@pytest.mark.parametrize("expiry,clean", [(60, True), (0, True), (0, False)])
def edge_037_will_of_a_session_that_ends(broker, homes, expiry, clean):
    # covers: MQTT-3.1.2-8
    watcher, _ = take_over(broker, homes, 60, expiry, clean)
    watcher.expect_publish(broker.topic("will"), "old")
    wire.expect_nothing(watcher, watcher)
