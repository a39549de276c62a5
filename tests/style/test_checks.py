#!/usr/bin/env python3
"""Each rule of the style checks can fail: bad snippets, and what must be found in them."""

import tempfile
import unittest
from pathlib import Path

import check_headers
import check_layers
import check_style
import check_symbols

CLEAN_HEADER = """\
#ifndef COURTIER_SHM_RING_H
#define COURTIER_SHM_RING_H

#include "common/base/bytes.h"

/* fork( and atomic_load( are allowed to be mentioned. */
void ring_open(struct bytes bytes);

#endif
"""

CLEAN_SOURCE = """\
#include "shm/ring.h"

#include <stdatomic.h>

static const char *const names[] = {"fork(", "time(NULL)"};
static int size_of(const char *text,
                   unsigned size);

void ring_open(struct bytes bytes)
{
    static struct log_rate rate;
    if (bytes.size > 0)
        size_of(names[0], 1);
}
"""


def function(body: str = "", parameters: str = "void") -> str:
    return f"void ring_open({parameters})\n{{\n{body}}}\n"


class CheckTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("shm/meson.build", "files('ring.c')\n")
        self.write("shm/ring.h", CLEAN_HEADER)
        self.write("shm/ring.c", CLEAN_SOURCE)

    def write(self, path: str, text: str) -> None:
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")

    def assert_clean(self, findings) -> None:
        self.assertEqual([str(f) for f in findings], [])

    def assert_found(self, findings, place: str, what: str) -> None:
        found = [str(f) for f in findings]
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(place + ": "), found)
        self.assertIn(what, found[0])


class LayersTest(CheckTest):
    def expect(self, path: str, text: str, what: str, line: int = 1) -> None:
        self.write(path, text)
        self.assert_found(check_layers.check(self.root), f"{path}:{line}", what)

    def test_clean(self):
        self.assert_clean(check_layers.check(self.root))

    def test_upward(self):
        self.expect("shm/mesh.c", '\n#include "worker/worker.h"\n', "may not include", 2)

    def test_sideways(self):
        self.expect("worker/net/conn.c", '#include "worker/route/route.h"\n', "may not include")

    def test_single_header_of_a_folder(self):
        self.expect("shm/live/live.c", '#include "common/mqtt/frame.h"\n', "may not include")

    def test_only_main_composes(self):
        self.write("master/main.c", '#include "worker/worker.h"\n')
        self.expect("master/master.c", '#include "worker/worker.h"\n', "may not include")

    def test_unknown_folder(self):
        self.expect("worker/misc/misc.c", "int x;\n", "no place in the ladder")

    def test_cycle(self):
        self.write("shm/mesh.h", '#include "shm/bell.h"\n')
        self.expect("shm/bell.h", '#include "shm/mesh.h"\n', "include cycle")

    def expect_door(self, code: str) -> None:
        for path in ("worker/worker.c", "common/conf/conf.c"):
            with self.subTest(code=code, path=path):
                self.expect(path, code + "\n", "belongs in")
                (self.root / path).unlink()

    def test_doors(self):
        for code in (
            "#include <liburing.h>",
            "#include <lmdb.h>",
            "#include <sodium.h>",
            "#include <stdatomic.h>",
            "int x = atomic_load(&y);",
            "int x = __atomic_load_n(&y, 0);",
            "pid_t p = fork();",
            "int x = SCM_RIGHTS;",
            "time_t now = time(NULL);",
            "gettimeofday(&now, NULL);",
            "clock_gettime(CLOCK_REALTIME, &now);",
            'char *home = getenv("HOME");',
        ):
            self.expect_door(code)


class StyleTest(CheckTest):
    def expect(self, what: str, place: str, text: str) -> None:
        """`place` is file:line; the file gets the text."""
        self.write(place.split(":")[0], text)
        self.assert_found(check_style.check(self.root), place, what)

    def expect_code(self, what: str, line: int, code: str) -> None:
        self.expect(what, f"shm/ring.c:{line}", '#include "shm/ring.h"\n' + code)

    def test_clean(self):
        self.assert_clean(check_style.check(self.root))

    def test_long_function(self):
        self.write("shm/ring.c", '#include "shm/ring.h"\n' + function("    ;\n" * 67))
        self.assert_clean(check_style.check(self.root))
        self.expect_code("71 lines", 2, function("    ;\n" * 68))

    def test_parameters(self):
        parameters = "int a, int b, int c,\n               int (*d)(int, int), int e, int f"
        self.write("shm/ring.c", '#include "shm/ring.h"\n' + function(parameters=parameters))
        self.assert_clean(check_style.check(self.root))
        self.expect_code("7 parameters", 2, function(parameters=parameters + ", int g"))

    def test_nesting(self):
        body = "".join("    " * depth + "if (a)\n" for depth in range(1, 6))
        self.expect_code("nested 5 deep", 8, function(body + "    " * 6 + "b();\n"))

    def test_long_line(self):
        self.expect_code("101 columns", 2, "/* " + "x" * 95 + " */\n")

    def test_long_files(self):
        self.expect("501 lines", "shm/ring.c:501", '#include "shm/ring.h"\n' + "\n" * 500)
        self.write("shm/ring.c", CLEAN_SOURCE)
        self.expect(
            "301 lines", "shm/ring.h:301", CLEAN_HEADER.replace("#endif", "\n" * 292 + "#endif")
        )

    def test_tab_and_blank(self):
        self.expect_code("tab", 2, "int\tring_x;\n")
        self.expect_code("blank at the end", 2, "int ring_x; \n")

    def test_unfinished(self):
        self.write("shm/ring.c", '#include "shm/ring.h"\n/* T' "ODO(#12): x */\n")
        self.assert_clean(check_style.check(self.root))
        self.expect_code("number of an issue", 2, "/* T" "ODO: x */\n")

    def test_guard(self):
        for text in (
            CLEAN_HEADER.replace("SHM_RING_H", "RING_H"),
            "#pragma once\n",
            CLEAN_HEADER + "int x;\n#undef X\n",
        ):
            self.expect("wants the guard", "shm/ring.h:1", text)

    def test_own_header_first(self):
        code = '#include <stdio.h>\n#include "shm/ring.h"\n'
        self.expect("comes first", "shm/ring.c:1", code)

    def test_include_from_root(self):
        self.expect_code("from the root", 2, '#include "bell.h"\n')

    def test_assert(self):
        self.write("shm/ring.c", '#include "shm/ring.h"\nstatic_assert(1, "");\n')
        self.assert_clean(check_style.check(self.root))
        self.expect_code("use check()", 4, function("    assert(x);\n"))

    def test_mutable_state(self):
        for code in (
            "static int x;\n",
            "static const char *x;\n",
            "static struct state {\n    int x;\n} state;\n",
            "static char *names[] = {NULL};\n",
        ):
            self.expect_code("mutable variable", 2, code)
        self.expect_code("mutable variable", 4, function("    static unsigned calls;\n"))

    def test_mutable_state_where_it_must_be(self):
        self.write("master/master.c", "static volatile sig_atomic_t stop;\n")
        self.write("master/meson.build", "files('master.c')\n")
        self.assert_clean(check_style.check(self.root))

    def test_names_are_unique(self):
        header = CLEAN_HEADER.replace("SHM_RING", "COMMON_BASE_RING")
        self.write("common/base/ring.h", header)
        found = [str(f) for f in check_style.check(self.root)]
        self.assertEqual(len(found), 3, found)
        self.assertIn("exists in shm too", found[0])

    def test_unlisted(self):
        self.expect("not in a list", "shm/bell.c:1", "int bell_x;\n")

    def test_private_path(self):
        self.expect("path of one machine", "etc/run:2", "#!/bin/sh\ncd /ho" "me/me/x\n")

    def test_top_level(self):
        self.expect("does not belong at the top level", "notes.txt:1", "x\n")


class HeadersTest(CheckTest):
    def test_found_and_clean(self):
        self.write(
            "common/base/bytes.h",
            "#ifndef COURTIER_COMMON_BASE_BYTES_H\n#define COURTIER_COMMON_BASE_BYTES_H\n"
            "struct bytes {\n    int size;\n};\n#endif\n",
        )
        self.assert_clean(check_headers.check(self.root, ["gcc"]))
        text = CLEAN_HEADER.replace("#include", "// ")
        self.write("shm/ring.h", text.replace("struct bytes bytes", "size_t size"))
        self.assert_found(
            check_headers.check(self.root, ["gcc"]), "shm/ring.h:7", "does not compile alone"
        )


class SymbolsTest(unittest.TestCase):
    NAMES = {"net_conn.c.o": "worker/net/conn.c", "publisher.c.o": "worker/route/publisher.c"}

    def findings(self, *rows: tuple[str, str], member: str = "net_conn.c.o") -> list[str]:
        table = [f"Symbols from x.a[{member}]:", "Name  Value Class Type Size Line Section"]
        table += [f"{name} |0| T | FUNC|1|  |{section}" for name, section in rows]
        return [f.what for f in check_symbols.check_table("\n".join(table), self.NAMES)]

    def test_clean(self):
        rows = (("conn_close", ".text"), ("conn_table", ".rodata"), ("conn_ops", ".data.rel.ro"))
        self.assertEqual(self.findings(*rows), [])
        self.assertEqual(self.findings(("publishers_add", ".text"), member="publisher.c.o"), [])

    def test_name(self):
        for name in ("close_conn", "connect", "publishers_add"):
            self.assertIn("name of the file", self.findings((name, ".text"))[0])

    def test_variable(self):
        for section in (".data", ".bss", ".tbss", "*COM*", ".data.rel"):
            with self.subTest(section=section):
                self.assertIn("others can change", self.findings(("conn_x", section))[0])


if __name__ == "__main__":
    unittest.main()
