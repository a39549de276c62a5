"""Scenarios with clients that are not the project's. A test that takes the fixture `clients` runs
with each kind of drivers.py, in each version of MQTT that the kind and the test's module
(VERSIONS) know."""

import drivers
import pytest
import relay

NAMES = {3: "3.1", 4: "3.1.1", 5: "5.0"}


def pytest_generate_tests(metafunc):
    if "clients" not in metafunc.fixturenames:
        return
    rows = [(kind, version) for kind in drivers.KINDS for version in metafunc.module.VERSIONS
            if version in drivers.KINDS[kind].versions]
    metafunc.parametrize("clients", rows, indirect=True,
                         ids=[f"{kind}-{NAMES[version]}" for kind, version in rows])


@pytest.fixture
def clients(request, broker):
    made = drivers.Drivers(broker, *request.param)
    yield made
    made.close()


@pytest.fixture
def cutter(broker):
    made = relay.Relay(broker.port)
    yield made
    made.close()
