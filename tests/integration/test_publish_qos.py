"""PUBLISH between clients of different versions, and without payload, with publisher and
subscriber on the same worker and on different ones."""

import pytest

import packets
from packets import V5

QOS = [0, 1, 2]


def pair(broker, homes, sub_version=V5, pub_version=V5, **how):
    publisher = broker.connect(version=pub_version, worker=homes[0])
    return publisher, broker.connect(version=sub_version, worker=homes[1], **how)


@pytest.mark.parametrize("pub_version", packets.VERSIONS)
@pytest.mark.parametrize("sub_version", packets.VERSIONS)
def test_across_versions(broker, homes, pub_version, sub_version):
    publisher, subscriber = pair(broker, homes, sub_version, pub_version)
    topic = broker.topic()
    subscriber.subscribe(topic, qos=2)
    for qos in QOS:
        publisher.publish(topic, bytes([qos]), qos)
        subscriber.expect_publish(topic, bytes([qos]), qos=qos)


@pytest.mark.parametrize("qos", QOS)
def test_empty_payload(broker, homes, qos):
    publisher, subscriber = pair(broker, homes)
    subscriber.subscribe(broker.topic(), qos=qos)
    publisher.publish(broker.topic(), b"", qos)
    subscriber.expect_publish(broker.topic(), b"", qos=qos)
