"""CONNECT beyond the rules: what the configuration changes in it."""

import re

import pytest

import wire
from packets import V31, V311, Prop


@pytest.mark.conf("max_keepalive 1")
@pytest.mark.bare
@pytest.mark.parametrize("version", [V31, V311])
@pytest.mark.parametrize("wish", [0, 2, 60])
def test_too_long_keep_alive_is_refused_before_5(broker, version, wish):
    """They can't be told another one."""
    broker.raw(version).connect("x", 2, keep_alive=wish)
    broker.raw(version).connect("x", keep_alive=1)


@pytest.mark.conf("max_inflight_messages 7", "max_packet_size 5000", "max_topic_alias 3",
                  "retain_available false", "max_keepalive 100", "max_qos 1",
                  "persistent_client_expiration 1h")
@pytest.mark.bare
def test_connack_tells_all_limits(broker):
    client = broker.connect("", keep_alive=0, clean=False, props={Prop.SESSION_EXPIRY: 7200})
    assert client.connack.props == {
        Prop.SESSION_EXPIRY: 3600, Prop.RECEIVE_MAXIMUM: 7, Prop.MAXIMUM_QOS: 1,
        Prop.RETAIN_AVAILABLE: 0, Prop.MAXIMUM_PACKET_SIZE: 5000,
        Prop.ASSIGNED_CLIENT_ID: client.client_id, Prop.TOPIC_ALIAS_MAXIMUM: 3,
        Prop.SERVER_KEEP_ALIVE: 100}


@pytest.mark.conf("max_inflight_messages 0", "max_packet_size 0", "max_topic_alias 0")
def test_connack_tells_nothing_without_limits(broker):
    props = broker.connect(keep_alive=60, props={Prop.SESSION_EXPIRY: 7200}).connack.props
    assert props == {}


def test_connack_by_default(broker):
    assert broker.connect().connack.props == {
        Prop.RECEIVE_MAXIMUM: 20, Prop.MAXIMUM_PACKET_SIZE: 10 << 20, Prop.TOPIC_ALIAS_MAXIMUM: 10}


@pytest.mark.conf("max_qos 1", "listener 0 127.0.0.2", "maximum_qos 0", "listener 0 127.0.0.3")
@pytest.mark.parametrize("worker", [0, -1])
def test_max_qos_is_each_listeners_own(broker, worker):
    """It comes along when a connection is passed on, and a session may meet another one."""
    lines = "\n".join(broker.process.log)
    ports = re.findall(r"Opening ipv4 listen socket on port (\d+)\.", lines)
    client_id = broker.new_id(worker % broker.workers)
    for i, (port, limit) in enumerate(zip(ports, (1, 0, 2), strict=True)):
        client = wire.Client(int(port), host=f"127.0.0.{i + 1}")
        broker.clients.append(client)
        client.connect(client_id, clean=False, props={Prop.SESSION_EXPIRY: 60})
        assert client.connack.session_present is (i > 0)
        assert client.connack.props.get(Prop.MAXIMUM_QOS, 2) == limit
        client.subscribe(broker.topic(), qos=2, codes=[limit])
        client.publish(broker.topic(), "m", limit)
        client.expect_publish(broker.topic(), "m", qos=limit)
    client.disconnect(0, {Prop.SESSION_EXPIRY: 0})
