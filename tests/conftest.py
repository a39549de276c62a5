"""Runs each test against brokers of several shapes: one and four workers, io_uring and epoll.

    pytest tests/integration --broker build/release/courtier [-n 2] [--quick | --all] [--slow]

A test gets the fixture `broker`. Brokers are shared by the tests that want the same
configuration; after each test its broker must have the same processes as before, a log
without trouble, and canaries that still answer. The clients of a test have their homes on
different workers, unless it says which.

A conformance test is named after the rule that it checks (conformance/README.md), and runs also
with all that its clients send in single bytes, and joined to as few segments as can be.

    @pytest.mark.spec("MQTT-...")   the clause that the test checks
    @pytest.mark.conf("line", ...)  wants a broker with these lines of configuration
    @pytest.mark.fresh              wants a broker of its own
    @pytest.mark.clock              waits for seconds to pass: runs on fewer shapes
    @pytest.mark.one_shape          does not depend on the shape
    @pytest.mark.slow               runs with --slow only
    @pytest.mark.files(N)           wants a fresh broker whose processes may open so many files
    @pytest.mark.disk               wants a fresh broker, with broker.process.disk (harness/disk.py)
    @pytest.mark.bare               has no canaries, as the configuration keeps them out
    @pytest.mark.crash              kills processes: other pids afterwards are no trouble
"""

import itertools
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/harness"))

import courtier  # noqa: E402
import disk  # noqa: E402
import wire  # noqa: E402

SHAPES = [(1, "io_uring"), (1, "epoll"), (4, "io_uring"), (4, "epoll")]
FEW_SHAPES = [(1, "epoll"), (4, "io_uring")]
OTHER_SHAPES = [(1, "io_uring"), (4, "epoll")]
POOL_MAX = 3  # the rings of io_uring are charged to one account, which may lock 8 MiB
MARKERS = __doc__[__doc__.index("@pytest.mark.spec"):].replace("@pytest.mark.", "")
_numbers = itertools.count()


def pytest_addoption(parser):
    parser.addoption("--broker", default=str(ROOT / "build/release/courtier"),
                     help="the program to test")
    parser.addoption("--broker-kind", default="courtier", choices=["courtier", "mosquitto"],
                     help="mosquitto: to try the tests themselves")
    parser.addoption("--persistence", nargs="?", const="strict", choices=["strict", "relaxed"],
                     help="every broker keeps its state on disk (in its scratch folder)")
    parser.addoption("--quick", action="store_true", help="fewer shapes of brokers")
    parser.addoption("--all", action="store_true",
                     help="conformance: more ways of sending on more shapes")
    parser.addoption("--slow", action="store_true", help="slow tests too")


def pytest_configure(config):
    if not os.access(config.getoption("--broker"), os.X_OK):
        raise pytest.UsageError(f"no program {config.getoption('--broker')}: give --broker PATH")
    if durability := config.getoption("--persistence"):
        courtier.Process.always = ("persistence true", "persistence_location {folder}",
                                   *["durability relaxed"] * (durability == "relaxed"))
    for prefix in ("mqtt5", "mqtt311", "edge"):
        config.addinivalue_line("python_functions", prefix + "_*")
    for line in MARKERS.strip().splitlines():
        config.addinivalue_line("markers", line.strip().replace("   ", ": ", 1))


# -- which test runs on which broker --

def marks_of(metafunc):
    return {mark.name for mark in metafunc.definition.iter_markers()}


def shapes_of(metafunc):
    config, marks = metafunc.config, marks_of(metafunc)
    if config.getoption("--broker-kind") == "mosquitto":
        return [(1, "epoll")]
    if "one_shape" in marks:
        return FEW_SHAPES[1:]
    return FEW_SHAPES if "clock" in marks or config.getoption("--quick") else SHAPES


def segments_of(metafunc):
    """How clients send, and the shapes for it. Of tests of conformance each shape meets one way;
    with --all each way meets both loops and both counts of workers."""
    shapes, config = shapes_of(metafunc), metafunc.config
    is_conformance = "conformance" in metafunc.definition.path.parts
    if (not is_conformance or config.getoption("--quick")
            or config.getoption("--broker-kind") == "mosquitto"
            or marks_of(metafunc) & {"clock", "one_shape"}):
        return [("whole", shapes)]
    if config.getoption("--all"):
        return [("whole", SHAPES), ("bytes", OTHER_SHAPES), ("joined", FEW_SHAPES)]
    return [("whole", FEW_SHAPES), ("bytes", OTHER_SHAPES[:1]), ("joined", OTHER_SHAPES[1:])]


def pytest_generate_tests(metafunc):
    """`shape` is workers and event loop; `homes` the workers of publisher and subscriber."""
    if "broker" not in metafunc.fixturenames:
        return
    has_homes = "homes" in metafunc.fixturenames
    rows, names = [], []
    for segments, shapes in segments_of(metafunc):
        for workers, loop in shapes:
            name = f"{workers}-{loop}" + (f"-{segments}" if segments != "whole" else "")
            if not has_homes:
                rows.append(((workers, loop), segments))
                names.append(name)
                continue
            rows.append(((workers, loop), segments, (0, 0)))
            names.append(name + "-together")
            if workers > 1:
                rows.append(((workers, loop), segments, (0, workers - 1)))
                names.append(name + "-apart")
    metafunc.parametrize("shape,segments" + ",homes" * has_homes, rows, ids=names)


def conf_of(item):
    return tuple(line for mark in item.iter_markers("conf") for line in mark.args)


def pytest_collection_modifyitems(config, items):
    slow = pytest.mark.skip(reason="slow: give --slow")
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(slow)
    # Tests with the same broker follow each other.
    items.sort(key=lambda item: (conf_of(item), str(getattr(item, "callspec", None) and
                                                    item.callspec.params.get("shape"))))


# -- brokers --

class Pool:
    """The brokers that run, by what they were started with; the least used one makes room."""

    def __init__(self, config):
        self.config = config
        self.running = {}

    def start(self, shape, lines, files=None, prepare=None):
        workers, event_loop = shape
        return courtier.Process(self.config.getoption("--broker"), workers, event_loop, lines,
                                self.config.getoption("--broker-kind"), files, prepare)

    def get(self, shape, lines):
        key = (shape, lines)
        process = self.running.pop(key, None)
        if process is None:
            while len(self.running) >= POOL_MAX:
                self.stop(next(iter(self.running)))
            process = self.start(shape, lines)
        self.running[key] = process
        return process

    def stop(self, key):
        wrong = self.running.pop(key).stop()
        assert not wrong, f"broker {key} ended badly:\n" + "\n".join(wrong)

    def drop(self, process):
        """Stops a broker that a test has broken; what it has to say is whole only then."""
        for key in [key for key, value in self.running.items() if value is process]:
            del self.running[key]
        return process.stop()

    def stop_all(self):
        for key in list(self.running):
            self.stop(key)


class Broker:
    """A broker as one test sees it: makes clients, and closes them at the test's end."""

    def __init__(self, process, segments):
        self.process = process
        self.segments = segments
        self.workers = process.workers
        self._next_worker = itertools.cycle(range(process.workers))
        self.prefix = f"t{os.getpid()}n{next(_numbers)}"
        self.clients = []
        self.log_start = process.log_position()

    @property
    def port(self):
        """Another one after a restart."""
        return self.process.port

    def restart(self, **how):
        """See courtier.Process.restart()."""
        self.process.restart(**how)
        self.workers = self.process.workers
        self._next_worker = itertools.cycle(range(self.workers))

    def raw(self, version=wire.V5, **how):
        """A connection without CONNECT."""
        client = wire.Client(self.port, version, segments=self.segments, **how)
        self.clients.append(client)
        return client

    def new_id(self, worker=None):
        """A client id that nobody else uses. Without a worker each one has another home."""
        return self.process.id_on(next(self._next_worker) if worker is None else worker)

    def new_id_again(self, worker=None):
        """The same through a worker's death: the look-up itself may need a second try."""
        while True:
            try:
                return self.new_id(worker)
            except (wire.Closed, ConnectionError):
                continue

    def connect(self, client_id=None, version=wire.V5, worker=None, **how):
        """A connected client; without an id it gets a new one at home on `worker`."""
        client = self.raw(version)
        client.connect(self.new_id(worker) if client_id is None else client_id, **how)
        return client

    def topic(self, rest=""):
        """A topic that no other test uses, and the same one each time."""
        return f"{self.prefix}/{rest}" if rest else self.prefix

    def wait_log(self, pattern, timeout=10):
        wire.flush()
        return self.process.wait_log(pattern, timeout, self.log_start)

    def close(self):
        for client in self.clients:
            client.cut()


@pytest.fixture(scope="session")
def pool(pytestconfig):
    pool = Pool(pytestconfig)
    yield pool
    pool.stop_all()


@pytest.fixture
def broker(request, pool, shape, segments):
    lines = conf_of(request.node)
    files = request.node.get_closest_marker("files")
    has_disk = request.node.get_closest_marker("disk") is not None
    is_fresh = files is not None or has_disk or request.node.get_closest_marker("fresh") is not None
    if is_fresh:
        process = pool.start(shape, lines, files.args[0] if files else None,
                             disk.attach if has_disk else None)
    else:
        process = pool.get(shape, lines)
    has_canaries = not is_fresh and request.node.get_closest_marker("bare") is None
    if has_canaries:
        process.canaries()
    broker = Broker(process, segments)
    yield broker
    broker.close()
    may_die = request.node.get_closest_marker("crash") is not None
    wrong = [] if may_die else process.trouble(broker.log_start)
    if not wrong and has_canaries:
        process.settle()
    if is_fresh:
        wrong += process.stop()
    elif wrong:
        wrong += pool.drop(process)
    tail = "\n-- log --\n" + process.log_tail(broker.log_start)
    assert not wrong, "the broker is not well:\n" + "\n".join(wrong) + tail


@pytest.fixture(params=wire.VERSIONS, ids=["3.1", "3.1.1", "5.0"])
def version(request):
    return request.param
