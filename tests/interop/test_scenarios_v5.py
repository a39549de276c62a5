"""What MQTT 5.0 adds, with the clients that offer it."""

import pytest

pytestmark = pytest.mark.one_shape  # the broker's part does not depend on the client
VERSIONS = (5,)
COUNT = 100


def told(answer, key="code"):
    """A number of the broker's answer, if the client tells it."""
    if answer.get(key) is None:
        pytest.skip(f"n/a: does not tell {key}")
    return answer.number(key)


@pytest.mark.parametrize("field,value", [
    ("content_type", "text/plain"), ("response", "an/answer"), ("correlation", "00ff10"),
    ("format", "1"), ("user", ["b:1", "a:2", "a:1"])])
def test_properties(broker, clients, field, value):
    """They arrive as they were sent, user properties in their order; retained as well."""
    publisher, subscriber = clients.connect(), clients.connect()
    subscriber.subscribe(broker.topic(), 1)
    for retain in (0, 1):
        publisher.publish(broker.topic(), b"x", 1, retain=retain, **{field: value})
    later = clients.connect()
    later.subscribe(broker.topic(), 1)
    for message in [*subscriber.receive(2), *later.receive()]:
        values = message.all(field.replace("_", "-"))
        assert values == (value if isinstance(value, list) else [value])


def test_user_properties_of_will(broker, clients):
    watcher = clients.connect()
    watcher.subscribe(broker.topic(), 1)
    dying = clients.connect(will_topic=broker.topic(), will_payload=b"gone",
                            will_user=["why:cut", "when:now"])
    dying.kill()
    (message,) = watcher.receive()
    assert message.all("user") == ["why:cut", "when:now"]


def test_request_and_response(broker, clients):
    requester, responder = clients.connect(), clients.connect()
    responder.subscribe(broker.topic("ask"), 1)
    requester.subscribe(broker.topic("answer"), 1)
    for number in (b"\x01", b"\x02"):
        requester.publish(broker.topic("ask"), b"?", 1, response=broker.topic("answer"),
                          correlation=number)
    for request in responder.receive(2):
        responder.publish(request.get("response"), b"!", 1,
                          correlation=request.get("correlation"))
    assert [m.get("correlation") for m in requester.receive(2)] == ["01", "02"]


def test_message_expiry(broker, clients):
    """A message says how long it still lives, in whole seconds, whether it waited or not."""
    away, publisher = clients.connect_lasting(), clients.connect()
    away.subscribe(broker.topic(), 1)
    publisher.publish(broker.topic(), b"live", 1, expiry=100)
    (live,) = away.receive()
    assert 90 <= live.number("expiry") <= 100
    away.disconnect()
    publisher.publish(broker.topic(), b"queued", 1, expiry=100)
    again = clients.connect_lasting(away.client_id, present=1)
    (queued,) = again.receive()
    assert 90 <= queued.number("expiry") <= 100


def test_expired_message_does_not_come(broker, clients):
    """Neither the retained one nor the one that waited; the retained one lasts longer, and so
    tells when the other is gone for sure."""
    away, publisher, asker = clients.connect_lasting(), clients.connect(), clients.connect()
    away.subscribe(broker.topic("queue"), 1)
    away.disconnect()
    publisher.publish(broker.topic("queue"), b"short", 1, expiry=1)
    publisher.publish(broker.topic("stored"), b"longer", 1, retain=1, expiry=3)
    is_there = True
    while is_there:
        asker.subscribe(broker.topic("stored"), 0)
        publisher.publish(broker.topic("stored"), b"fence", 0)
        is_there = asker.receive_until(b"fence") != []
    publisher.publish(broker.topic("queue"), b"lasting", 1)
    again = clients.connect_lasting(away.client_id, present=1)
    assert [m.payload for m in again.receive()] == [b"lasting"]


def test_subscription_identifiers(broker, clients):
    """Of both subscriptions, be it in one copy or in two."""
    subscriber, publisher = clients.connect(), clients.connect()
    subscriber.subscribe(broker.topic("a"), 1, subscription=7)
    subscriber.subscribe(broker.topic("+"), 1, subscription=268435455)
    subscriber.subscribe(broker.topic("end/#"), 1)
    publisher.publish(broker.topic("a"), b"x", 1)
    publisher.publish(broker.topic("end/"), b"end", 1)
    got = subscriber.receive_until(b"end")
    assert sorted(int(each) for m in got for each in m.all("subscription")) == [7, 268435455]


def test_topic_alias_to_broker(broker, clients):
    subscriber, publisher = clients.connect(), clients.connect()
    subscriber.subscribe(broker.topic("#"), 1)
    for name, alias in (("a", 1), ("b", 2), ("", 1), ("", 2), ("c", 1), ("", 1)):
        publisher.publish(broker.topic(name) if name else "", b"x", 1, alias=alias)
    topics = [m.get("topic") for m in subscriber.receive(6)]
    assert topics == [broker.topic(name) for name in "ababcc"]


def test_topic_alias_from_broker(broker, clients):
    """The broker may use as many aliases; more topics than that are in use."""
    subscriber, publisher = clients.connect(alias_max=3), clients.connect()
    subscriber.subscribe(broker.topic("#"), 1)
    names = [broker.topic(str(i % 5)) for i in range(20)]
    for name in names:
        publisher.publish(name, b"x", 1)
    assert [m.get("topic") for m in subscriber.receive(20)] == names


def test_code_no_matching_subscribers(broker, clients):
    assert told(clients.connect().publish(broker.topic("nobody"), b"x", 1)) in (0x00, 0x10)


def test_code_no_subscription_existed(broker, clients):
    client = clients.connect()
    client.subscribe(broker.topic(), 0)
    assert told(client.do("unsubscribe", filter=broker.topic())) == 0x00
    assert told(client.do("unsubscribe", filter=broker.topic())) == 0x11


def test_code_taken_over(broker, clients):
    first = clients.connect()
    clients.connect(first.client_id)
    assert told(first.await_end(), "reason") == 0x8e


def test_assigned_client_id(broker, clients):
    """Different ones, that hold for a second connection."""
    assigned = [clients.connect("").assigned_id for _ in range(2)]
    if None in assigned:
        pytest.skip("n/a: does not tell the assigned client id")
    assert assigned[0] != assigned[1]


def test_no_local(broker, clients):
    client, other = clients.connect(), clients.connect()
    client.subscribe(broker.topic(), 1, no_local=1)
    client.publish(broker.topic(), b"own", 1)
    other.publish(broker.topic(), b"other", 1)
    assert [m.payload for m in client.receive()] == [b"other"]


def test_retain_as_published(broker, clients):
    subscriber, publisher = clients.connect(), clients.connect()
    subscriber.subscribe(broker.topic(), 1, as_published=1)
    publisher.publish(broker.topic(), b"stored", 1, retain=1)
    publisher.publish(broker.topic(), b"passing", 1)
    assert [m.number("retain") for m in subscriber.receive(2)] == [1, 0]


def test_retain_handling(broker, clients):
    """Retained messages at a new subscription only (1), and never (2)."""
    subscriber, publisher = clients.connect(), clients.connect()
    publisher.publish(broker.topic("a"), b"stored", 1, retain=1)
    subscriber.subscribe(broker.topic("fence"), 1)
    for handling, expected in ((1, [b"stored"]), (1, []), (2, [])):
        subscriber.subscribe(broker.topic("a"), 1, handling=handling)
        publisher.publish(broker.topic("fence"), b"fence", 1)
        assert [m.payload for m in subscriber.receive_until(b"fence")] == expected


def test_shared_subscription(broker, clients):
    """Each message goes to one of the group, and each member gets its part."""
    members, publisher = [clients.connect() for _ in range(2)], clients.connect()
    for member in members:
        member.subscribe(f"$share/group/{broker.topic('jobs')}", 1)
        member.subscribe(broker.topic("end"), 1)
    publisher.publish(broker.topic("jobs"), b"m", 1, count=COUNT)
    publisher.publish(broker.topic("end"), b"end", 1)
    got = [[m.payload for m in member.receive_until(b"end")] for member in members]
    assert all(got), "one member got all"
    assert sorted(got[0] + got[1]) == sorted(b"m%d" % i for i in range(COUNT))


def test_session_expires_with_the_connection(broker, clients):
    """No session expiry: 0, whatever clean start says."""
    first = clients.connect(clean=0)
    first.subscribe(broker.topic(), 1)
    first.disconnect()
    clients.connect_lasting(first.client_id, present=0)
