"""curl speaks MQTT 3.1.1 with QoS 0, with code of its own. It has no sessions, no wills, no 5.0."""

import subprocess

import pytest

pytestmark = pytest.mark.one_shape  # the broker's part does not depend on the client


def url(broker, topic):
    return f"mqtt://127.0.0.1:{broker.port}/{topic}"


def test_publish(broker):
    subscriber = broker.connect()
    subscriber.subscribe(broker.topic())
    subprocess.run(["curl", "--silent", "--data", "75", url(broker, broker.topic())], check=True,
                   timeout=20)
    subscriber.expect_publish(broker.topic(), b"75", qos=0)


def test_subscribe(broker):
    """It prints payloads until the connection ends."""
    command = ["curl", "--silent", "--no-buffer", "--max-time", "20", url(broker, broker.topic())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        broker.wait_log(rf" 0 {broker.topic()}$")
        broker.connect().subscribe(broker.topic("later"))
        broker.connect().publish(broker.topic(), b"Bonjour" * 100 + b"\n", 1)
        # Before the payload some versions print the topic, with its length in two bytes.
        came = any(line.endswith(b"Bonjour" * 100 + b"\n") for line in curl.stdout)
        curl.kill()
    assert came
