"""The documents name only files, code, commands and headings that exist."""

import ast
import os
import re
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *ROOT.glob("CONTRIBUTING.md"), *sorted(ROOT.glob("docs/**/*.md"))]
EVERY_DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))

#: Directories that are not part of the repository, besides hidden ones.
IGNORED = {"__pycache__", "node_modules", "staticfiles"}

#: Files besides Python's whose words are names.
SOURCES = {
    *(".conf", ".html", ".in", ".ini", ".mjs", ".service", ".socket", ".sql", ".toml"),
    *(".env.example", "Dockerfile", "Makefile", "compose.yaml", "kubernetes.yaml", "patroni.yaml"),
}

#: Names of other projects, and of operators' files, that the sources do not mention.
OTHER_NAMES = {
    *("ConnectionPool", "date_hierarchy", "Model.save", "PyJWKClient"),  # psycopg, Django, PyJWT
    *("PS512", "RS384", "RS512", "jwks_uri", "user.id"),  # identity providers
    *("r",),  # RateLimit
    *("ARRAY_TO_STRING", "COMMIT", "CONCAT", "GREATEST", "LOWER", "OVERLAY", "json_build_object", "row_to_json"),  # SQL
    *(
        "IMMUTABLE",
        "idle_in_transaction_session_timeout",
        "pg_restore",
        "pg_rewind",
        "pg_upgrade",
        "plan_cache_mode",
        "psql",
    ),
    *("standby.signal", "xid8"),  # PostgreSQL
    *("synchronous_mode_strict",),  # Patroni
    *("RAW_URI", "REQUEST_URI"),  # other WSGI servers
    *("CST6CDT", "EST5EDT", "MST7MDT", "PST8PDT"),  # IANA
    *("Instant", "Object.hasOwn", "PlainDateTime", "Temporal.PlainDate", "ZonedDateTime", "constructor"),  # JavaScript
    *("ORIG_HEAD", "tasks.csv"),
    *("Dockerfile", "todo_database", "todo_secrets"),  # Docker
    *("OnCalendar", "OnFailure", "PIPE_BUF", "cmp", "sd_listen_fds", "sd_notify"),  # systemd and Linux
}

#: Names that CONTRIBUTING.md advises against.
BAD_NAMES = {"common", "helpers", "utils"}

BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

FILE = re.compile(r"(?!/)[\w.@*/-]+(?:\.(?:conf|html|json|md|mjs|py|service|socket|sql|toml|txt|yaml)|/)")
NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(.*\)|\[.*\]| ?=.*)?")
MODULE = re.compile(r"(?:python -m )?([a-z_]+\.[a-z_]+) .*|python -m ([a-z_.]+)")
COMMAND = re.compile(r"(?:.*manage\.py )?([a-z]+_[a-z_]+) .*|.*manage\.py ([a-z_]+)(?: .*)?")
TARGET = re.compile(r"make ([a-z-]+)(?: .*)?")


class Repository:
    """The files of the repository, and the names in its code, without comments and docstrings.

    Attributes:
        paths: of files, and of directories with a slash at the end.
        names: single names of modules, classes, functions, arguments and variables, and names in strings.
        dotted: ``module.Class.method``, each shorter form without the beginning, and dotted names in use.
    """

    def __init__(self):
        self.paths, self.names, self.dotted = set(), set(), set()
        for path in self._files():
            if path.suffix == ".py":
                module = path.with_suffix("").parts
                self._define(module)
                self._read(ast.parse((ROOT / path).read_text()), module)
            elif {path.suffix, path.name} & SOURCES:
                text = (ROOT / path).read_text()
                self._read_words(text)
                self.names.update(re.findall(r"^\W*(\w+)", text, re.MULTILINE))  # keys and directives
        self.targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    def _files(self):
        for directory, directories, files in os.walk(ROOT):
            directories[:] = [name for name in directories if name not in IGNORED and not name.startswith(".")]
            place = Path(directory).relative_to(ROOT)
            self.paths.update(f"/{place / name}/" for name in directories)
            self.paths.update(f"/{place / name}" for name in files)
            yield from (place / name for name in files if name != Path(__file__).name)

    def _define(self, parts):
        self.names.update(parts)
        self.dotted.update(".".join(parts[start:]) for start in range(len(parts)))

    def _read(self, node, scope):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                scope = (*scope, node.name)
                self._define(scope)
            case ast.Name():
                self._define((*scope, node.id))
            case ast.Attribute():
                self.names.add(node.attr)
                self.dotted.add(ast.unparse(node))
            case ast.alias():
                self._define(node.name.split("."))
            case ast.arg() | ast.keyword():
                self.names.add(node.arg)
            case ast.Expr(value=ast.Constant()):
                return  # a docstring
            case ast.Constant(value=str() as text):
                self._read_words(text)
        for child in ast.iter_child_nodes(node):
            self._read(child, scope)

    def _read_words(self, text):
        words = re.findall(r"\w+(?:\.\w+)*", text)
        self.dotted.update(word for word in words if "." in word)
        # The other words of a sentence are no names.
        self.names.update(words if words == [text] else filter(re.compile(r"_|[a-z][A-Z]|^[A-Z]+$").search, words))

    def has_file(self, path):
        pattern = re.compile(".*/" + re.escape(path).replace(r"\*", "[^/]*"))
        return any(map(pattern.fullmatch, self.paths))

    def has_name(self, name):
        return any(name in known for known in (self.names, self.dotted, OTHER_NAMES, BAD_NAMES))


@cache
def repository():
    return Repository()


def spans(text):
    """Return the texts in backticks, without blocks of code."""
    return [" ".join(span.split()) for span in SPAN.findall(BLOCK.sub("", text))]


def unknown(span):
    """Return the file, name, module, command or target of ``span`` that does not exist, or ``None``."""
    there = repository()
    for pattern, exists in (
        (FILE, there.has_file),
        (NAME, there.has_name),
        (COMMAND, get_commands().__contains__),
        (MODULE, there.has_name),
        (TARGET, there.targets.__contains__),
    ):
        if match := pattern.fullmatch(span):
            found = next(filter(None, match.groups()), span)
            return None if exists(found) else found
    return None


def broken(link, document):
    """Tell whether a relative link leads to no file, or to no heading of its file."""
    target, _, anchor = link.partition("#")
    file = document if not target else document.parent / target
    return not file.exists() or (bool(anchor) and anchor not in anchors(file.read_text()))


def anchors(text):
    """Return the anchors that GitHub gives to headings."""
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in HEADING.findall(text)}


def relative_links(text):
    return [link for link in LINK.findall(BLOCK.sub("", text)) if "://" not in link]


@EVERY_DOCUMENT
def test_documents_name_only_what_exists(document):
    text = document.read_text()
    if "\nStatus: superseded" in text:
        pytest.skip("describes code as it was")
    assert [found for span in spans(text) if (found := unknown(span))] == []


@EVERY_DOCUMENT
def test_document_links_lead_to_files_and_headings(document):
    assert [link for link in relative_links(document.read_text()) if broken(link, document)] == []


def test_sources_name_only_documents_that_exist():
    pages = set()
    for path in repository().paths:
        if path.endswith((".py", ".html", ".conf", ".service", ".socket", ".sql", "Makefile", ".env.example")):
            pages.update(re.findall(r"docs/[\w./-]+\.md", (ROOT / path[1:]).read_text()))
    assert [page for page in sorted(pages) if not (ROOT / page).exists()] == []


@pytest.mark.parametrize(
    ("span", "found"),
    [
        ("tasks/no_such_file.py", "tasks/no_such_file.py"),
        ("no_such_package/", "no_such_package/"),
        ("no_such_function()", "no_such_function"),
        ("TaskQuerySet.no_such_method", "TaskQuerySet.no_such_method"),
        ("NO_SUCH_SETTING=on", "NO_SUCH_SETTING"),
        ("test_no_such_test[case]", "test_no_such_test"),
        ("python -m benchmarks.no_such_module --rounds 5", "benchmarks.no_such_module"),
        ("manage.py no_such_command --dry-run", "no_such_command"),
        ("make no-such-target", "no-such-target"),
        ("tasks/*/task_admin.py", None),
        ("TaskQuerySet.owned_by", None),
        ("`git status`", None),
    ],
)
def test_control_without_definition_names_are_reported(span, found):
    assert unknown(span) == found


def test_control_without_target_links_are_reported(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# The first heading\n[a](#the-first-heading) [b](#another) [c](none.md) [d](page.md) [e](https://x)"
    )
    assert [link for link in relative_links(page.read_text()) if broken(link, page)] == ["#another", "none.md"]
