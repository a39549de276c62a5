#!/usr/bin/env python3
"""Sizes, names and habits that no compiler checks.

Usage: check_style.py [root]
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Iterator, NamedTuple

from source_tree import PRODUCT, Finding, Source, run, sources

LINE_MAX = 100
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
NESTING_MAX = 4
FILE_LINES_MAX = {".c": 500, ".h": 300, ".py": 500}
INDENT = 4

# Files with mutable state outside a root object: hooks and what a signal handler needs.
STATEFUL = {
    "common/base/check.c",
    "common/base/clock.c",
    "common/base/kill_point.c",
    "common/base/log.c",
    "master/master.c",
    "shm/obituary.c",
}

CONTROL = re.compile(r"( +)(?:if|for|while|do|switch|list_for_each)\b")
UNFINISHED = re.compile(r"\b(?:[T]ODO|[F]IXME|[X]XX)\b(?!\(#\d+\))")
# Someone's own machine.
PRIVATE_PATH = re.compile(r"(?<![\w./$}])/(?:home|root|work|Users)/\w")
TOP_LEVEL = {*PRODUCT, "etc", "tests", "meson.build", "README.md", "LICENSE"}
BUILT = re.compile(r"build|compile_commands\.json$|__pycache__$")
TEXT_SUFFIXES = {".c", ".h", ".py", ".md", ".build", ".conf", ".yml", ""}


class Function(NamedTuple):
    name: str
    first: int  # line numbers
    last: int
    parameters: int


def count_parameters(signature: str) -> int:
    text = signature[signature.index("(") + 1 : signature.rindex(")")]
    while re.search(r"\([^()]*\)", text):  # of function pointers
        text = re.sub(r"\([^()]*\)", "", text)
    return 0 if text.strip() in ("", "void") else text.count(",") + 1


def functions(code: list[str]) -> Iterator[Function]:
    """Definitions: a signature at the margin, braces alone in the first column."""
    signature = ""
    first = 0
    for number, line in enumerate(code, 1):
        if line == "{" and "(" in signature:
            name = re.search(r"(\w+)\s*\(", signature)
            opened = (name.group(1), first, count_parameters(signature))
            signature = ""
        elif line == "}" and first:
            yield Function(opened[0], opened[1], number, opened[2])
            first = 0
            signature = ""
        elif re.match(r"[A-Za-z_]", line):
            signature, first = line, number
        elif signature and line.startswith(" "):
            signature += line
        else:
            signature = ""


def check_functions(source: Source, code: list[str]):
    for function in functions(code):
        size = function.last - function.first + 1
        if size > FUNCTION_LINES_MAX:
            yield source.finding(
                function.first, f"{function.name}() has {size} lines, over {FUNCTION_LINES_MAX}"
            )
        if function.parameters > PARAMETERS_MAX:
            yield source.finding(
                function.first,
                f"{function.name}() has {function.parameters} parameters, over {PARAMETERS_MAX}",
            )


def check_nesting(source: Source, code: list[str]):
    """By the indentation of control statements: clang-format keeps that honest."""
    for number, line in enumerate(code, 1):
        match = CONTROL.match(line)
        if match and len(match.group(1)) > NESTING_MAX * INDENT:
            depth = len(match.group(1)) // INDENT
            yield source.finding(number, f"nested {depth} deep, over {NESTING_MAX}")


def check_lines(source: Source):
    limit = FILE_LINES_MAX[Path(source.path).suffix]
    if len(source.lines) > limit:
        yield source.finding(limit + 1, f"{len(source.lines)} lines, over {limit}")
    for number, line in enumerate(source.lines, 1):
        if len(line) > LINE_MAX:
            yield source.finding(number, f"{len(line)} columns, over {LINE_MAX}")
        if "\t" in line or line != line.rstrip():
            yield source.finding(number, "tab, or blank at the end of the line")
        if UNFINISHED.search(line):
            yield source.finding(number, "unfinished work without the number of an issue")


def check_guard(source: Source):
    if source.name.endswith("_list.h") and "#define COURTIER_" not in source.text:
        return  # rows for a macro of the includer
    guard = "COURTIER_" + re.sub(r"\W", "_", source.path).upper()
    directives = [line for line in source.lines if line.startswith("#")]
    if directives[:2] != [f"#ifndef {guard}", f"#define {guard}"] or directives[-1] != "#endif":
        yield source.finding(1, f"wants the guard {guard} around all")


def check_includes(source: Source, paths: set[str]):
    own = source.path[:-2] + ".h"
    for index, (line, target) in enumerate(source.includes()):
        if target[0] == '"' and "/" not in target:
            yield source.finding(line, f"{target}: give the path from the root")
        if index == 0 and source.path.endswith(".c") and own in paths and target[1:-1] != own:
            yield source.finding(line, f"{own} comes first")


def check_habits(source: Source, code: list[str]):
    """Of the product alone."""
    for number, line in enumerate(code, 1):
        if re.search(r"(?<!\w)assert\s*\(", line):
            yield source.finding(number, "assert() is off in some builds: use check()")
        if is_mutable_static(line) and not (
            line.startswith("static") and source.path in STATEFUL
        ):
            yield source.finding(number, "mutable variable outside a root object")


def is_mutable_static(line: str) -> bool:
    match = re.match(r"\s*static\s+(?!inline\b|_Noreturn\b|_Static_assert)([^(=;]*)(.?)", line)
    if not match or match.group(2) == "(":
        return False
    declaration = match.group(1)
    if declaration.startswith("struct log_rate "):
        return False  # counts for the one call that it stands at
    if match.group(2) == "" and not declaration.rstrip().endswith(("{", "]")):
        return False  # a signature that goes on
    # What is at the right of the last * is the variable itself.
    return "const" not in declaration.rpartition("*")[2].split()


def check_names(files: list[Source]):
    places = defaultdict(set)
    for source in files:
        places[source.stem].add(source.folder)
    for source in files:
        others = places[source.stem] - {source.folder}
        if others:
            yield source.finding(1, f"{source.stem} exists in {', '.join(sorted(others))} too")


def check_meson(root: Path, files: list[Source]):
    listed = set()
    for meson in root.rglob("meson.build"):
        for name in re.findall(r"'([^']+\.c)'", meson.read_text(encoding="utf-8")):
            listed.add((meson.parent / name).resolve())
    for source in files:
        if (root / source.path).resolve() not in listed:
            yield source.finding(1, "not in a list of a meson.build")


def check_texts(root: Path):
    folders = (*PRODUCT, "etc", "tests", ".ci")
    paths = [p for folder in folders for p in (root / folder).rglob("*")]
    for path in sorted([*paths, *root.glob("*.md"), root / "meson.build"]):
        if not path.is_file() or path.suffix not in TEXT_SUFFIXES or "corpus" in path.parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if PRIVATE_PATH.search(line):
                yield Finding(path.relative_to(root).as_posix(), number, "a path of one machine")


def check_top_level(root: Path):
    for path in sorted(root.iterdir()):
        if path.name not in TOP_LEVEL and path.name[0] != "." and not BUILT.match(path.name):
            yield Finding(path.name, 1, "does not belong at the top level")


def check(root: Path):
    product = sources(root, PRODUCT, (".c", ".h"))
    files = product + sources(root, ("tests",), (".c", ".h"))
    paths = {f.path for f in files}
    for source in files:
        code = source.code_lines()
        yield from check_lines(source)
        yield from check_functions(source, code)
        yield from check_nesting(source, code)
        yield from check_includes(source, paths)
        if source.path.endswith(".h"):
            yield from check_guard(source)
        if source in product:
            yield from check_habits(source, code)
    for source in sources(root, ("tests",), (".py",)):
        yield from check_lines(source)
    yield from check_names(files)
    yield from check_meson(root, [f for f in files if f.path.endswith(".c")])
    yield from check_texts(root)
    yield from check_top_level(root)


if __name__ == "__main__":
    run(check)
