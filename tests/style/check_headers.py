#!/usr/bin/env python3
"""Each header compiles alone.

Usage: check_headers.py [root [compiler...]]
"""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from source_tree import PRODUCT, ROOT, Finding, Source, sources

FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Werror", "-fsyntax-only", "-x", "c")


def stands_alone(source: Source) -> bool:
    """Lists are rows for a macro of the includer; cmocka wants headers before its own."""
    return "#ifndef COURTIER_" in source.text


def compile_one(root: Path, compiler: list[str], source: Source) -> list[Finding]:
    result = subprocess.run(
        [*compiler, *FLAGS, "-I", str(root), "-include", source.path, "/dev/null"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode == 0:
        return []
    match = re.search(r":(\d+):(?:\d+:)? (?:fatal )?error: (.*)", result.stderr)
    line, what = (int(match[1]), match[2]) if match else (1, result.stderr.strip())
    return [source.finding(line, f"does not compile alone: {what}")]


def check(root: Path, compiler: list[str]) -> list[Finding]:
    headers = [h for h in sources(root, (*PRODUCT, "tests"), (".h",)) if stands_alone(h)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda header: compile_one(root, compiler, header), headers)
        return [finding for findings in found for finding in findings]


def main() -> None:
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    findings = check(root, sys.argv[2:] or ["gcc"])
    for finding in sorted(findings):
        print(finding)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
