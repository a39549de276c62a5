"""mosquitto_pub, mosquitto_sub and mosquitto_rr: what their users do first."""

import queue
import re
import subprocess
import threading

import pytest

pytestmark = pytest.mark.one_shape  # the broker's part does not depend on the client
VERSIONS = ["mqttv31", "311", "5"]


def address(broker):
    return ["-h", "127.0.0.1", "-p", str(broker.port)]


def tool(broker, name, *arguments, **how):
    """Runs it to its end; what it has printed."""
    return subprocess.run([name, *address(broker), *arguments], stdout=subprocess.PIPE, timeout=20,
                          check=True, **how).stdout


class Running:
    """A tool that goes on: mosquitto_sub or mosquitto_rr."""

    def __init__(self, broker, name, *arguments):
        self.process = subprocess.Popen([name, *address(broker), "-W", "20", *arguments],
                                        stdout=subprocess.PIPE)

    def output(self):
        return self.process.communicate(timeout=25)[0]

    def pass_lines(self, lines):
        """Into a queue, each when it is printed, and who printed it."""
        for line in self.process.stdout:
            lines.put((line, self))

    def kill(self):
        self.process.kill()
        self.process.wait()


def subscribe(broker, topic, *arguments):
    """mosquitto_sub; its subscription is in force, as a later one is."""
    running = Running(broker, "mosquitto_sub", "-t", topic, *arguments)
    broker.wait_log(rf" \d {re.escape(topic)}$")
    broker.connect().subscribe(broker.topic("later"))
    return running


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_publish_and_subscribe(broker, version, qos):
    topic = broker.topic("test/val")
    subscriber = subscribe(broker, topic, "-v", "-C", "2", "-q", qos, "-V", version)
    for text in ("Bonjour", "été"):
        tool(broker, "mosquitto_pub", "-t", topic, "-m", text, "-q", qos, "-V", version)
    assert subscriber.output().decode() == f"{topic} Bonjour\n{topic} été\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_wildcards(broker, version):
    subscriber = subscribe(broker, broker.topic("+/b/#"), "-C", "2", "-V", version)
    for name in ("a/b", "a/c/b", "a/b/c"):
        tool(broker, "mosquitto_pub", "-t", broker.topic(name), "-m", name, "-q", "1")
    assert subscriber.output() == b"a/b\na/b/c\n"


def test_broker_version(broker):
    """What the tutorial does first."""
    printed = tool(broker, "mosquitto_sub", "-v", "-t", "$SYS/broker/version", "-C", "1")
    assert printed.startswith(b"$SYS/broker/version courtier version ")


def test_lines(broker):
    subscriber = subscribe(broker, broker.topic(), "-C", "500", "-q", "1")
    lines = b"".join(b"line %d\n" % i for i in range(500))
    tool(broker, "mosquitto_pub", "-t", broker.topic(), "-l", "-q", "1", input=lines)
    assert subscriber.output() == lines


def test_file_of_a_mebibyte(broker, tmp_path):
    path = tmp_path / "payload"
    path.write_bytes(bytes(range(256)) * 4096)
    subscriber = subscribe(broker, broker.topic(), "-C", "1", "-N")
    tool(broker, "mosquitto_pub", "-t", broker.topic(), "-f", str(path))
    assert subscriber.output() == path.read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
def test_retained(broker, version):
    topic = broker.topic()
    tool(broker, "mosquitto_pub", "-t", topic, "-m", "stored", "-r", "-q", "1", "-V", version)
    printed = tool(broker, "mosquitto_sub", "-t", topic, "-C", "1", "-F", "%p %r", "-V", version)
    assert printed == b"stored 1\n"
    tool(broker, "mosquitto_pub", "-t", topic, "-n", "-r", "-q", "1", "-V", version)
    assert tool(broker, "mosquitto_sub", "-t", topic, "-E", "--retained-only") == b""


@pytest.mark.parametrize("version", VERSIONS)
def test_will(broker, version):
    watcher = subscribe(broker, broker.topic("will"), "-C", "1")
    dying = subscribe(broker, broker.topic("dying"), "--will-topic", broker.topic("will"),
                      "--will-payload", "gone", "-V", version)
    dying.kill()
    assert watcher.output() == b"gone\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_session(broker, version):
    lasting = ["-x", "300"] if version == "5" else []
    session = ["-t", broker.topic(), "-q", "1", "-c", "-i", broker.new_id(), "-V", version,
               *lasting]
    tool(broker, "mosquitto_sub", *session, "-E")
    for i in range(5):
        tool(broker, "mosquitto_pub", "-t", broker.topic(), "-m", str(i), "-q", "1")
    assert tool(broker, "mosquitto_sub", *session, "-C", "5") == b"0\n1\n2\n3\n4\n"


def test_properties(broker):
    properties = ["-D", "publish", "user-property", "b", "1", "-D", "publish", "user-property",
                  "a", "2", "-D", "publish", "content-type", "text/plain"]
    subscriber = subscribe(broker, broker.topic(), "-C", "1", "-V", "5", "-F", "%P|%C|%p")
    tool(broker, "mosquitto_pub", "-t", broker.topic(), "-m", "x", "-V", "5", *properties)
    assert subscriber.output() == b"b:1 a:2|text/plain|x\n"


@pytest.mark.parametrize("version", ["311", "5"])
def test_request_and_response(broker, version):
    """mosquitto_rr prints the answer to its request."""
    answer = broker.topic("answer")
    subscriber = subscribe(broker, broker.topic("ask"), "-C", "1")
    requester = Running(broker, "mosquitto_rr", "-t", broker.topic("ask"), "-e", answer,
                        "-m", "?", "-V", version)
    assert subscriber.output() == b"?\n"
    tool(broker, "mosquitto_pub", "-t", answer, "-m", "!")
    assert requester.output() == b"!\n"


def test_shared_subscription(broker):
    """Each of forty messages goes to one of two, whichever has room for it."""
    topic = f"$share/group/{broker.topic('jobs')}"
    members = [Running(broker, "mosquitto_sub", "-t", topic, "-t", broker.topic("end"), "-q", "1",
                       "-V", "5") for _ in range(2)]
    for _ in members:
        broker.wait_log(rf" 1 {broker.topic('end')}$")
    broker.connect().subscribe(broker.topic("later"))
    got = queue.Queue()
    for member in members:
        threading.Thread(target=member.pass_lines, args=[got], daemon=True).start()
    jobs = [b"%d\n" % i for i in range(40)]
    tool(broker, "mosquitto_pub", "-t", broker.topic("jobs"), "-l", "-q", "1", input=b"".join(jobs))
    received = [got.get(timeout=20) for _ in jobs]
    assert sorted(line for line, _ in received) == sorted(jobs)
    assert {member for _, member in received} == set(members)
    tool(broker, "mosquitto_pub", "-t", broker.topic("end"), "-m", "end", "-q", "1")
    assert [got.get(timeout=20)[0] for _ in members] == [b"end\n"] * 2
    for member in members:
        member.kill()
