"""Real clients: mosquitto_pub and mosquitto_sub, and paho in both versions of the protocol."""

import shutil
import subprocess
import threading

import pytest

paho = pytest.importorskip("paho.mqtt.client")
properties = pytest.importorskip("paho.mqtt.properties")
packettypes = pytest.importorskip("paho.mqtt.packettypes")

needs_mosquitto = pytest.mark.skipif(shutil.which("mosquitto_sub") is None,
                                     reason="mosquitto-clients is not installed")
NAMES = {"mqttv31": 3, "311": 4, "5": 5}


def tool(broker, name, *arguments, **how):
    return subprocess.run([name, "-h", "127.0.0.1", "-p", str(broker.port), *arguments],
                          capture_output=True, timeout=20, check=True, **how)


class Subscriber:
    """mosquitto_sub, subscribed when the constructor returns."""

    def __init__(self, broker, *arguments):
        self.process = subprocess.Popen(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-W", "20", *arguments],
            stdout=subprocess.PIPE)

    def output(self):
        out, _ = self.process.communicate(timeout=25)
        return out


def await_subscription(broker, text):
    """The broker has read the SUBSCRIBE; it is in force when a later one is."""
    broker.wait_log(rf" \d {text}$")
    broker.connect().subscribe(broker.topic("later/" + text))


@needs_mosquitto
@pytest.mark.parametrize("version", ["mqttv31", "311", "5"])
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_tools(broker, version, qos):
    topic = broker.topic("test/val")
    subscriber = Subscriber(broker, "-v", "-t", topic, "-C", "2", "-q", qos, "-V", version)
    await_subscription(broker, topic)
    for text in ("Bonjour", "été"):
        tool(broker, "mosquitto_pub", "-t", topic, "-m", text, "-q", qos, "-V", version)
    assert subscriber.output().decode() == f"{topic} Bonjour\n{topic} été\n"


@needs_mosquitto
def test_mosquitto_sub_reads_version(broker):
    """What the tutorial does first."""
    result = tool(broker, "mosquitto_sub", "-v", "-t", "$SYS/broker/version", "-C", "1")
    assert result.stdout.startswith(b"$SYS/broker/version courtier version ")


@needs_mosquitto
def test_mosquitto_pub_lines_and_file(broker, tmp_path):
    topic = broker.topic()
    subscriber = Subscriber(broker, "-t", topic, "-C", "500", "-q", "1")
    await_subscription(broker, topic)
    lines = b"".join(b"line %d\n" % i for i in range(500))
    tool(broker, "mosquitto_pub", "-t", topic, "-l", "-q", "1", input=lines)
    assert subscriber.output() == lines
    path = tmp_path / "payload"
    path.write_bytes(bytes(range(256)) * 4000)
    subscriber = Subscriber(broker, "-t", topic + "/file", "-C", "1", "-N")
    await_subscription(broker, topic + "/file")
    tool(broker, "mosquitto_pub", "-t", topic + "/file", "-f", str(path))
    assert subscriber.output() == path.read_bytes()


@needs_mosquitto
def test_mosquitto_retained_and_will(broker):
    topic = broker.topic()
    tool(broker, "mosquitto_pub", "-t", topic, "-m", "stored", "-r", "-q", "1")
    result = tool(broker, "mosquitto_sub", "-t", topic, "-C", "1", "-F", "%p %r")
    assert result.stdout == b"stored 1\n"
    tool(broker, "mosquitto_pub", "-t", topic, "-n", "-r", "-q", "1")
    watcher = Subscriber(broker, "-t", topic + "/will", "-C", "1")
    await_subscription(broker, topic + "/will")
    dying = Subscriber(broker, "-t", topic + "/dying", "--will-topic", topic + "/will",
                       "--will-payload", "gone")
    await_subscription(broker, topic + "/dying")
    dying.process.kill()
    dying.process.wait()
    assert watcher.output() == b"gone\n"


@needs_mosquitto
def test_mosquitto_persistent_session(broker):
    topic, client_id = broker.topic(), broker.new_id()
    sub = ["-t", topic, "-q", "1", "-c", "-i", client_id]
    tool(broker, "mosquitto_sub", *sub, "-E")
    for i in range(5):
        tool(broker, "mosquitto_pub", "-t", topic, "-m", str(i), "-q", "1")
    result = tool(broker, "mosquitto_sub", *sub, "-C", "5")
    assert result.stdout == b"0\n1\n2\n3\n4\n"


# -- paho --

class PahoClient:
    """A paho client with its own network thread."""

    def __init__(self, broker, version):
        self.connected, self.subscribed = threading.Event(), threading.Event()
        self.arrived = threading.Condition()
        self.messages = []
        if version == 5:
            self.client = paho.Client(protocol=paho.MQTTv5)
            self.client.on_connect = lambda c, u, f, rc, props: self.connected.set()
            self.client.on_subscribe = lambda c, u, mid, codes, props: self.subscribed.set()
        else:
            self.client = paho.Client(protocol=version)
            self.client.on_connect = lambda c, u, f, rc: self.connected.set()
            self.client.on_subscribe = lambda c, u, mid, codes: self.subscribed.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        assert self.connected.wait(10)

    def _on_message(self, client, userdata, message):
        with self.arrived:
            self.messages.append(message)
            self.arrived.notify()

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        assert self.subscribed.wait(10)

    def wait(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, 10)
        return self.messages

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_paho(broker, version, qos):
    topic = broker.topic()
    subscriber, publisher = PahoClient(broker, version), PahoClient(broker, version)
    try:
        subscriber.subscribe(topic + "/#", qos)
        infos = [publisher.client.publish(f"{topic}/{i}", f"m{i}", qos) for i in range(200)]
        for info in infos:
            info.wait_for_publish(10)
        got = subscriber.wait(200)
        assert [m.payload.decode() for m in got] == [f"m{i}" for i in range(200)]
        assert {m.qos for m in got} == {qos}
    finally:
        subscriber.stop()
        publisher.stop()


def test_paho_properties(broker):
    topic = broker.topic()
    client = PahoClient(broker, 5)
    try:
        client.subscribe(topic, 1)
        props = properties.Properties(packettypes.PacketTypes.PUBLISH)
        props.ContentType = "text"
        props.UserProperty = [("a", "1"), ("a", "2")]
        client.client.publish(topic, "x", 1, properties=props)
        (message,) = client.wait(1)
        assert message.properties.ContentType == "text"
        assert message.properties.UserProperty == [("a", "1"), ("a", "2")]
    finally:
        client.stop()
