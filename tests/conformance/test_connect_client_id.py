"""Client ids: which are taken, and those that the broker makes."""

import string

import pytest

import packets
from packets import V5, V31, V311, Prop, Reason

ALPHANUMERIC = string.digits + string.ascii_lowercase + string.ascii_uppercase
LASTING = {"clean": False, "props": {Prop.SESSION_EXPIRY: 60}}
REFUSED = {V31: b"\x20\2\0\2", V311: b"\x20\2\0\2"}


def expect_id_refused(broker, version, **how):
    client = broker.raw(version)
    client.send(packets.connect("", version, **how))
    if version == V5:
        client.expect_reject(Reason.CLIENT_ID_INVALID)
    else:
        assert client.read_to_end() == REFUSED[version]


def mqtt5_3_1_3_5_alphanumeric_ids(broker, version):
    """Each character alone, and all of them in ids of 23."""
    # covers: v3 MQTT-3.1.3-5
    long = [(ALPHANUMERIC * 2)[at:at + 23] for at in range(0, len(ALPHANUMERIC), 23)]
    for client_id in [*ALPHANUMERIC, *long]:
        client = broker.connect(client_id, version)
        client.ping()
        client.disconnect()


@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("client_id", [
    "a" * 24, "\u00e9/+#$ \u4e2d\U0001f600", "-_.:,;\\\"'%", "$SYS", "x" * 65535],
    ids=["24", "other", "signs", "$SYS", "longest"])
def edge_023_long_and_unusual_ids(broker, version, client_id):
    """A decision: all are accepted, each as it is."""
    client = broker.connect(client_id, version, **LASTING)
    client.disconnect()
    again = broker.connect(client_id, version, **LASTING)
    assert again.connack.session_present
    again.disconnect()
    broker.connect(client_id, version).disconnect()


@pytest.mark.parametrize("size", [23, 24, 64, 65535])
def edge_022_long_id_in_3_1(broker, size):
    """A decision: what is over 23 characters is accepted, as deployed clients send it."""
    client = broker.connect("i" * size, V31)
    client.ping()
    client.disconnect()


@pytest.mark.parametrize("clean", [False, True])
def edge_022_empty_id_in_3_1(broker, clean):
    expect_id_refused(broker, V31, clean=clean)


# -- made by the broker --

def mqtt5_3_1_3_6_empty_ids_at_once(broker):
    clients = [broker.connect("", clean=i % 2 == 0) for i in range(20)]
    ids = [client.connack.props[Prop.ASSIGNED_CLIENT_ID] for client in clients]
    assert all(ids) and len(set(ids)) == len(ids)
    for client in clients:
        client.ping()


def mqtt311_3_1_3_6_empty_ids_at_once(broker):
    # covers: EDGE-020, v3 MQTT-3.1.3-7
    clients = [broker.connect("", V311) for _ in range(20)]
    for i, client in enumerate(clients):
        assert client.connack.raw == b"\x20\2\0\0"
        client.subscribe(broker.topic(str(i)))
    for i, client in enumerate(clients):
        client.publish(broker.topic(str(i)), "own")
        client.expect_publish(broker.topic(str(i)), "own")


def mqtt311_3_1_3_8_empty_id_with_clean_session_0(broker):
    # covers: v3 MQTT-3.1.3-7, v3 MQTT-3.2.2-5, EDGE-020
    expect_id_refused(broker, V311, clean=False)


def mqtt5_3_1_3_7_assigned_id_counts_as_the_clients(broker, homes):
    # covers: EDGE-021, MQTT-3.2.2-16
    first = broker.connect("", **LASTING)
    assert first.connack.session_present is False
    client_id = first.connack.props[Prop.ASSIGNED_CLIENT_ID]
    first.subscribe(broker.topic(), qos=1)
    first.cut()
    broker.process.settle()
    publisher = broker.connect(worker=homes[0])
    publisher.publish(broker.topic(), "queued", 1)
    again = broker.connect(client_id, **LASTING)
    assert again.connack.session_present is True
    assert Prop.ASSIGNED_CLIENT_ID not in again.connack.props
    again.expect_publish(broker.topic(), "queued")


def mqtt5_3_1_3_7_assigned_id_can_be_taken_over(broker):
    first = broker.connect("")
    second = broker.connect(first.client_id)
    first.expect_reject(Reason.TAKEN_OVER)
    second.ping()


@pytest.mark.one_shape
def mqtt5_3_2_2_16_thousand_assigned_ids(broker):
    ids = set()
    for i in range(1000):
        client = broker.connect("", **(LASTING if i % 10 == 0 else {}))
        assert client.connack.session_present is False
        ids.add(client.connack.props[Prop.ASSIGNED_CLIENT_ID])
        client.disconnect()
    assert len(ids) == 1000 and "" not in ids


def mqtt5_3_2_2_16_no_assigned_id_without_need(broker):
    for how in ({}, LASTING):
        assert Prop.ASSIGNED_CLIENT_ID not in broker.connect(**how).connack.props


# -- forbidden by the configuration --

@pytest.mark.conf("allow_zero_length_clientid false")
@pytest.mark.parametrize("clean", [False, True])
def mqtt5_3_1_3_8_forbidden_id(broker, version, clean):
    # covers: v3 MQTT-3.1.3-9, MQTT-3.1.3-6, v3 MQTT-3.2.2-5
    expect_id_refused(broker, version, clean=clean)
    broker.connect(version=version, clean=clean).ping()
