"""The coverage report, on lists that are right and on lists with one mistake each."""

import pathlib
import subprocess
import sys

import pytest

COVERAGE = pathlib.Path(__file__).with_name("coverage")
RULES = "# comment\n5 MQTT-3.1.2-4\n5 MQTT-3.1.2-5\n3.1.1 MQTT-3.1.2-4\nEDGE-001\n"
SKIPPED = "3.1.1 MQTT-3.1.2-4\tbinds the client\n"
TESTS = "\n".join([
    "# covers: EDGE-001",
    "def mqtt5_3_1_2_4_first():",
    "    # covers: MQTT-3.1.2-5",
    "    pass", ""])


def report(folder, rules=RULES, skipped=SKIPPED, tests=TESTS):
    (folder / "rules.txt").write_text(rules)
    (folder / "skipped.tsv").write_text(skipped)
    (folder / "test_some.py").write_text(tests)
    done = subprocess.run([sys.executable, COVERAGE, folder], capture_output=True, text=True)
    return done.returncode, done.stdout


def test_whole(tmp_path):
    status, text = report(tmp_path)
    assert status == 0, text
    assert "missing\t" not in text


@pytest.mark.parametrize("change, complaint", [
    ({"rules": RULES + "EDGE-002\n"}, "missing\tEDGE-002"),
    ({"skipped": ""}, "missing\t3.1.1 MQTT-3.1.2-4"),
    ({"skipped": SKIPPED + "EDGE-077\tno\n"}, "no such rule: EDGE-077"),
    ({"skipped": SKIPPED + "EDGE-001\tno\n"}, "EDGE-001 has a test"),
    ({"tests": TESTS.replace("EDGE-001", "EDGE-003")}, "no such rule: EDGE-003"),
    ({"tests": TESTS + "def mqtt5_9_1_2_4_x():\n    pass\n"}, "no such rule: 5 MQTT-9.1.2-4"),
    ({"tests": TESTS + "\n\n# covers: EDGE-001\n"}, "belongs to no test"),
    ({"tests": TESTS.replace("mqtt5_3", "test_3")}, "missing\t5 MQTT-3.1.2-4"),
])
def test_mistakes(tmp_path, change, complaint):
    status, text = report(tmp_path, **change)
    assert status == 1
    assert complaint in text


def test_the_list_is_whole():
    done = subprocess.run([sys.executable, COVERAGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
