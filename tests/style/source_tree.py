"""The source tree as the style checks see it: files, code without comments, findings."""

import re
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

PRODUCT = ("common", "shm", "worker", "master")
ROOT = Path(__file__).resolve().parents[2]

# A comment, a string or a character constant, whichever begins first.
TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)


class Finding(NamedTuple):
    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


class Source:
    """One file; `path` is relative to the root."""

    def __init__(self, root: Path, path: Path):
        self.path = path.relative_to(root).as_posix()
        self.folder = self.path.rpartition("/")[0]
        self.name = path.name
        self.stem = path.stem
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.splitlines()

    def code_lines(self) -> list[str]:
        """Lines with comments and the inside of strings blanked."""

        def blank(match: re.Match) -> str:
            token = match.group()
            if token[0] == "/":
                return re.sub(r"[^\n]", " ", token)
            return token[0] + " " * (len(token) - 2) + token[0]

        # Not in #include: its quotes are no string.
        keep = [line if line.startswith("#include") else None for line in self.lines]
        blanked = TOKEN.sub(blank, self.text).splitlines()
        return [kept or line for kept, line in zip(keep, blanked)]

    def includes(self) -> Iterator[tuple[int, str]]:
        """Line number and target, with its brackets or quotes."""
        for number, line in enumerate(self.lines, 1):
            match = re.match(r"#\s*include\s+(<[^>]+>|\"[^\"]+\")", line)
            if match:
                yield number, match.group(1)

    def finding(self, line: int, what: str) -> Finding:
        return Finding(self.path, line, what)


def sources(root: Path, folders: tuple[str, ...], suffixes: tuple[str, ...]) -> list[Source]:
    paths = [p for folder in folders for p in (root / folder).rglob("*") if p.suffix in suffixes]
    return [Source(root, p) for p in sorted(paths)]


def run(check) -> None:
    """Main program of a check: prints what check(root) finds; status 1 if anything."""
    findings = sorted(check(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)
