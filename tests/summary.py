#!/usr/bin/env python3
"""Counts what the steps of tests/run did, as a table and a last line.

Usage: summary.py STEPS; a step is a line of name, start, end, status and report,
with tabs between. The report is meson's (.json), pytest's (.xml), or "-" if the
step itself is the test. Status 1 if anything failed.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

# cmocka's own summary of one program.
CMOCKA = re.compile(r"\[  (PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)")


def count_program(test: dict) -> Counter:
    """One program that meson ran: its cmocka tests, or itself."""
    counts = Counter()
    for kind, number in CMOCKA.findall(test.get("stdout", "") + test.get("stderr", "")):
        counts[kind.lower()] += int(number)
    if test["result"] == "SKIP":
        counts["skipped"] += 1
    elif test["result"] != "OK":
        counts["failed"] = max(counts["failed"], 1)
    elif not counts:
        counts["passed"] = 1
    return counts


def count_meson(path: Path) -> Counter:
    counts = Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        counts += count_program(json.loads(line))
    return counts


def count_pytest(path: Path) -> Counter:
    counts = Counter()
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        failed = int(suite.get("failures")) + int(suite.get("errors"))
        skipped = int(suite.get("skipped"))
        counts["failed"] += failed
        counts["skipped"] += skipped
        counts["passed"] += int(suite.get("tests")) - failed - skipped
    return counts


def count_step(status: int, report: str) -> Counter:
    counts = Counter()
    path = Path(report)
    if path.suffix == ".json" and path.exists():
        counts = count_meson(path)
    elif path.suffix == ".xml" and path.exists():
        counts = count_pytest(path)
    elif report == "-" and status == 0:
        counts["passed"] = 1
    # Whoever reports no failure, or no test at all, has failed to run them.
    if (status != 0 and not counts["failed"]) or not +counts:
        counts["failed"] += 1
    return counts


def main() -> None:
    total = Counter()
    print(f"\n{'step':<18}{'passed':>8}{'failed':>8}{'skipped':>8}{'seconds':>9}")
    for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
        name, start, end, status, report = line.split("\t")
        counts = count_step(int(status), report)
        total.update(counts)
        seconds = float(end.replace(",", ".")) - float(start.replace(",", "."))
        print(
            f"{name:<18}{counts['passed']:>8}{counts['failed']:>8}{counts['skipped']:>8}"
            f"{seconds:>9.1f}"
        )
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"\n{total['passed']} passed, {total['failed']} failed{skipped}")
    sys.exit(1 if total["failed"] else 0)


if __name__ == "__main__":
    main()
