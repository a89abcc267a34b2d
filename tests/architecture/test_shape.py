"""How modules look: sizes, names, SQL, excepts, what importing one does. One parse; a rule is a small function."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.architecture.source import Module, source
from tests.architecture.test_imports import SQL_FILES, matches

Rule = Callable[[Module], Iterator[str]]

MODULE_LINES = 600
FUNCTION_LINES = 80

VAGUE = {"utils", "util", "helpers", "helper", "common", "commons", "manager", "managers", "misc"}

STATEMENT = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|TRUNCATE|WITH|COPY|LOCK|LISTEN)\s")

SQL_ALLOWED = (*SQL_FILES, "service/worker/records.py")

BROAD = {
    "service/predictions/work.py": "the end of a stream: the client must learn that it failed",
    "service/worker/runner.py": "the worker's loop: a job that fails must not end the worker",
    "service/providers/embedding/lanes.py": "the failure belongs to the callers that wait, not to the lane",
}
"""Files that may catch everything, and why; an `except BaseException` that ends with `raise` is cleaning up."""

ACTS = {"open", "read_text", "read_bytes", "write_text", "mkdir", "getenv", "connect", "run", "Popen", "basicConfig",
        "get_event_loop", "print", "exec", "eval", "start", "resolve_name", "import_module"}  # fmt: skip
"""Calls that do something: not while a module is imported."""

RUNS_TEXT = {"eval", "exec", "compile", "__import__"}

FORMATTED = {
    "stores/records/cluster.py": "initdb's single-user mode takes no parameters; role and password are made there",
}
"""Files that write SQL text from values of their own, and why."""

UNSCOPED = {
    "service/worker/records.py": "workers belong to the installation",
    "service/jobs/records.py:find": "the worker is given a job's id, whosever it is",
    "service/jobs/records.py:renew": "of a job that find has found",
    "service/jobs/records.py:release": "of a job that find has found",
    "service/jobs/records.py:forget": "housekeeping goes through all workspaces",
    "service/idempotency/records.py": "keys belong to an API key, or to a client that has no workspace",
    "service/document_stores/check/records.py:workspaces": "the check goes through all of them",
    "service/document_stores/check/records.py:blobs": "uploads of all workspaces share one folder",
    "service/document_stores/check/records.py:uploads": "uploads of all workspaces share one folder",
    "service/document_stores/copying/records.py:expired": "housekeeping goes through all workspaces",
    "service/sync/records.py:clock": "one clock for all",
    "service/sync/records.py:due": "workers look for what is due in all workspaces",
    "service/executions/records.py:public": "how a public call learns whose execution it reads",
    "service/executions/records.py:end_lost": "housekeeping goes through all workspaces",
    "service/schedules/records.py:clock": "one clock for all",
    "service/chatflows/records.py:unread": "housekeeping goes through all workspaces",
    "service/schedules/records.py:without": "housekeeping goes through all workspaces",
    "service/schedules/records.py:due": "workers look for what is due in all workspaces",
    "service/schedules/records.py:forget": "housekeeping goes through all workspaces",
    "service/webhooks/records.py:due": "workers look for what is due in all workspaces",
    "service/webhooks/records.py:forget": "housekeeping goes through all workspaces",
    "service/attachments/records.py:expired": "housekeeping goes through all workspaces",
    "service/predictions/records.py:outlived": "housekeeping goes through all workspaces",
    "service/attachments/records.py:forget": "of attachments that were found in one, or that expired",
    "service/chatflows/records.py:find": "how a public call learns whose flow it asks for",
    "service/chatflows/records.py:version": "a cache of flows asks whether its copy is fresh",
    "service/feedback/records.py:message_of": "how a public call learns whose answer it speaks of",
    "service/feedback/records.py:owner_of": "how a public call learns whose feedback it changes",
    "service/rate_limits/records.py": "calls are counted by chatflow and address; a chatflow has one workspace",
    "service/api_keys/records.py:find": "how a request learns its workspace",
    "service/api_keys/records.py:touch": "of a key that find has found",
    "service/sealing/records.py": "housekeeping goes through all workspaces; each row says whose keys it needs",
    "service/jobs/records.py:start": "the worker takes jobs of all workspaces",
}
"""Functions over rows, or files of them, that work without a workspace, and why."""


def modules_are_short(module: Module) -> Iterator[str]:
    """No module is longer than the gate; aim at 400."""
    lines = module.text.count("\n")
    if lines > MODULE_LINES:
        yield f"{module.path}: {lines} lines, at most {MODULE_LINES}"


def functions_are_short(module: Module) -> Iterator[str]:
    """No function is longer than the gate; aim at 60."""
    for function in module.functions():
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines > FUNCTION_LINES:
            yield module.at(function, f"{function.name} has {lines} lines, at most {FUNCTION_LINES}")


def names_are_nouns(module: Module) -> Iterator[str]:
    """No module is named after nothing in particular."""
    path = PurePosixPath(module.path)
    for name in (path.stem, *path.parent.parts):
        if VAGUE & set(name.split("_")):
            yield f"{module.path}: what does '{name}' hold?"


def everything_public_is_documented(module: Module) -> Iterator[str]:
    """Every module, and every public class and function of it, states its contract."""
    if module.text.strip() and ast.get_docstring(module.tree) is None:
        yield f"{module.path}: no docstring"
    yield from _undocumented(module, module.tree)


def _adapts(node: ast.ClassDef) -> bool:
    """Whether the methods of a class are an adapter's: documented at the port, where they do nothing special."""
    bases = {ast.unparse(base).split("[")[0] for base in node.bases}
    return bool(bases - {"Protocol", "ABC", "Exception", "BaseModel", "Wire", "Body", "StrEnum", "Enum", "Generic"})


def _undocumented(module: Module, parent: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in parent.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        adapted = isinstance(parent, ast.ClassDef) and _adapts(parent)
        if ast.get_docstring(node) is None and not adapted:
            yield module.at(node, f"{node.name} has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(module, node)


def everything_is_annotated(module: Module) -> Iterator[str]:
    """Every function says what it takes and gives."""
    for function in module.functions():
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        bare = [item.arg for item in arguments if item.annotation is None and item.arg not in ("self", "cls")]
        if bare or function.returns is None:
            yield module.at(function, f"{function.name}: {', '.join(bare) or 'return'} without a type")


def sql_stands_where_it_belongs(module: Module) -> Iterator[str]:
    """SQL is in records.py, stores/records, pgvector and keyword search only."""
    if matches(module.path, SQL_ALLOWED):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_sql(node.value):
            yield module.at(node, f"SQL: {node.value[:40]!r}")


def sql_is_never_formatted(module: Module) -> Iterator[str]:
    """Values reach SQL as parameters; identifiers through psycopg's composables. No f-string, no %, no plain format."""
    if module.path in FORMATTED:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.JoinedStr) and any(
            isinstance(part, ast.Constant) and _is_sql(str(part.value)) for part in node.values[:1]
        ):
            yield module.at(node, "SQL in an f-string")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _is_sql_constant(node.left):
            yield module.at(node, "SQL formatted with %")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "format"
            and _is_sql_constant(node.func.value)
        ):
            yield module.at(node, "SQL formatted with format()")


def _is_sql(text: str) -> bool:
    return STATEMENT.match(text) is not None


def _is_sql_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_sql(node.value)


def rows_belong_to_a_workspace(module: Module) -> Iterator[str]:
    """A feature's SQL names the workspace in every statement; what cannot is listed in UNSCOPED with its reason."""
    if not matches(module.path, ("service/**/records.py",)):
        return
    for function in module.tree.body:
        if not isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef):
            continue
        if {module.path, f"{module.path}:{function.name}"} & set(UNSCOPED):
            continue
        code = ast.unparse(function)
        if "scope.workspace" in code:
            continue
        joined = {id(part) for node in ast.walk(function) if isinstance(node, ast.BinOp) for part in ast.walk(node)}
        for node in ast.walk(function):
            if not isinstance(node, ast.Constant) or not _is_sql_constant(node):
                continue
            statement = code if id(node) in joined else str(node.value)
            if "%(workspace)s" not in statement and not statement.startswith("SELECT pg_"):
                yield module.at(node, f"{function.name}: a statement without %(workspace)s")


def failures_are_not_swallowed(module: Module) -> Iterator[str]:
    """`except Exception` stands in the listed places only."""
    if module.path in BROAD:
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = "" if node.type is None else ast.unparse(node.type)
        broad = node.type is None or re.search(r"\b(Base)?Exception\b", caught)
        if broad and not isinstance(node.body[-1], ast.Raise):
            yield module.at(node, f"except {caught}")


def importing_only_defines(module: Module) -> Iterator[str]:
    """Importing a module reads no file, asks no environment, starts nothing."""
    for node in module.tree.body:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            yield module.at(node, f"runs {ast.unparse(node)[:60]}")
        elif isinstance(node, ast.For | ast.While | ast.With | ast.AsyncFor | ast.AsyncWith):
            yield module.at(node, "a statement that runs")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield from (module.at(node, f"calls {name}") for name in _calls(node.value) if name in ACTS)
            if "os.environ" in ast.unparse(node.value):
                yield module.at(node, "reads the environment")


def _calls(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call):
            yield node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)


def no_text_is_run(module: Module) -> Iterator[str]:
    """No eval, exec or compile of text (S31)."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT:
            yield module.at(node, node.func.id)


def nothing_is_left_for_later(module: Module) -> Iterator[str]:
    """No unfinished work in the source."""
    marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "raise NotImplemented" + "Error"]
    for number, line in enumerate(module.text.splitlines(), 1):
        if any(re.search(rf"\b{mark}\b", line) for mark in marks):
            yield f"{module.path}:{number}: {line.strip()[:60]}"


RULES: list[Rule] = [
    modules_are_short,
    functions_are_short,
    names_are_nouns,
    everything_public_is_documented,
    everything_is_annotated,
    sql_stands_where_it_belongs,
    sql_is_never_formatted,
    rows_belong_to_a_workspace,
    failures_are_not_swallowed,
    importing_only_defines,
    no_text_is_run,
    nothing_is_left_for_later,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    findings = [finding for module in source() for finding in rule(module)]
    assert not findings, "\n".join([str(rule.__doc__), *findings])


@pytest.mark.parametrize(
    ("rule", "path", "code"),
    [
        (modules_are_short, "service/x.py", "a = 1\n" * (MODULE_LINES + 1)),
        (functions_are_short, "service/x.py", "def f():\n" + "    a = 1\n" * FUNCTION_LINES),
        (names_are_nouns, "service/http/json_utils.py", ""),
        (names_are_nouns, "service/common/x.py", ""),
        (everything_public_is_documented, "service/x.py", '"""X."""\nclass A:\n    """A."""\n    def f(self): pass'),
        (everything_is_annotated, "service/x.py", "def f(a) -> None: ..."),
        (everything_is_annotated, "service/x.py", "def f(a: int): ..."),
        (sql_stands_where_it_belongs, "service/jobs/service.py", 'a = "SELECT 1"'),
        (sql_is_never_formatted, "service/jobs/records.py", 'a = f"SELECT {b}"'),
        (sql_is_never_formatted, "service/jobs/records.py", 'a = "SELECT %s" % b'),
        (sql_is_never_formatted, "service/jobs/records.py", 'a = "SELECT {}".format(b)'),
        (rows_belong_to_a_workspace, "service/x/records.py", 'async def f(s): await s.one("SELECT * FROM x")'),
        (failures_are_not_swallowed, "service/x.py", "try:\n    f()\nexcept Exception:\n    pass"),
        (failures_are_not_swallowed, "service/x.py", "try:\n    f()\nexcept (ValueError, Exception):\n    pass"),
        (failures_are_not_swallowed, "service/x.py", "try:\n    f()\nexcept:\n    pass"),
        (importing_only_defines, "service/x.py", "f()"),
        (importing_only_defines, "service/x.py", 'a = open("b").read()'),
        (importing_only_defines, "service/x.py", 'a = os.environ["B"]'),
        (no_text_is_run, "service/x.py", "eval(a)"),
        (nothing_is_left_for_later, "service/x.py", "# TO" + "DO later"),
    ],
)
def test_each_rule_finds_what_it_forbids(rule: Rule, path: str, code: str) -> None:
    assert list(rule(Module(path, code)))


def test_the_lists_of_exceptions_name_what_exists() -> None:
    """A list that names a file or function that is gone would hide the next one of that name."""
    known = {module.path: {function.name for function in module.functions()} for module in source()}
    assert set(BROAD) <= set(known)
    for entry in UNSCOPED:
        path, _, function = entry.partition(":")
        assert path in known, entry
        assert not function or function in known[path], entry
