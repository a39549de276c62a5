"""Retained messages in numbers, and their limit."""

import pytest

import wire
from packets import V311, Prop, Type


@pytest.mark.fresh
@pytest.mark.parametrize("text", ["#", "many/#", "many/+/+"])
@pytest.mark.parametrize("qos", [0, 1])
def test_five_thousand(broker, version, text, qos):
    publisher = broker.connect(worker=0)
    for i in range(5000):
        publisher.send_publish(f"many/{i % 50}/{i}", f"payload {i}", 0, retain=True)
    publisher.publish("many/end/end", "last", 1, retain=True)
    for worker in range(broker.workers):
        client = broker.connect(version=version, worker=worker)
        client.subscribe(text, qos=qos)
        got = client.receive(5001)
        assert len({p.topic for p in got}) == 5001 and all(p.retain for p in got)


@pytest.mark.fresh
def test_thousands_as_qos1_to_narrow_window(broker):
    """The replay goes on as the client acknowledges, and does not fill its queue."""
    publisher = broker.connect(version=V311)
    for i in range(3000):
        publisher.send_publish(f"many/{i}", b"x" * 100, 1, retain=True)
    for _ in range(3000):
        publisher.expect(Type.PUBACK)
    client = broker.connect(worker=broker.workers - 1, props={Prop.RECEIVE_MAXIMUM: 3})
    client.subscribe("many/#", qos=1)
    assert len({p.topic for p in client.receive(3000)}) == 3000


@pytest.mark.fresh
@pytest.mark.conf("max_retained_messages 10", "sys_interval 0")
def test_limit_of_retained_messages(broker):
    """At the limit new topics are refused, known ones can be replaced and cleared."""
    client = broker.connect()
    for i in range(15):
        client.publish(f"a/{i}", "x", 1, retain=True)
    client.publish("a/3", "new", 1, retain=True)
    client.publish("a/4", "", 1, retain=True)
    client.publish("b", "y", 1, retain=True)
    client.publish("c", "y", 1, retain=True)
    other = broker.connect(worker=broker.workers - 1)
    other.subscribe("+/#", retain_handling=0)
    got = {p.topic: p.payload for p in wire.fence(other, other)}
    expected = {f"a/{i}": b"x" for i in range(10) if i != 4}
    assert got == {**expected, "a/3": b"new", "b": b"y"}
