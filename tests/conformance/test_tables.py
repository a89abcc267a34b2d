"""Every plug-in is one file and one row: no row without its class, no file without its row. A table is a line here."""

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

import loaders
from loaders.base import Loader
from loaders.splitters import FLOWISE_SPLITTERS, SPLITTERS
from loaders.splitters.base import Splitter
from service.agentflows.nodes import NODES
from service.agentflows.nodes.base import FlowNode
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import Step
from service.cli.run import VERBS
from service.connectors import ALIASES as CONNECTOR_ALIASES
from service.connectors import CONNECTORS
from service.connectors.base import Connector
from service.http.routers import ROUTERS
from service.http.routing import Routes
from service.metrics import EVALUATORS, METRICS
from service.metrics.base import Metric
from service.providers import chat, embedding, rerank, speech
from service.providers.embedding.base import Embedder
from service.providers.rerank.base import Reranker
from service.retrieval import STAGES
from service.retrieval.base import Stage
from service.worker.jobs import AFTERMATH, CONCLUDE, GIVE_UP, HOUSEKEEPING, JOBS, RETRY, SCHEDULES
from stores.blobs import BLOB_STORES
from stores.blobs.base import BlobStore
from stores.vector import VECTOR_STORES
from stores.vector.base import VectorStore
from tests.architecture.source import ROOT


@dataclass(frozen=True)
class Table:
    """A family: its rows, its port (None: a function), its folder, and the files there that are no member."""

    name: str
    rows: Mapping[str, str]
    port: type | None = None
    folder: str = ""
    parts: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name


LOADERS = {name: row.target for name, row in loaders.LOADERS.items()}

TABLES = [
    Table(
        "loaders", LOADERS, Loader, "loaders",
        frozenset(
            {"archives", "base", "channels", "charts", "child", "detect", "drawings", "equations", "forks",
             "isolation", "jats", "layout", "mail", "marks", "numbering", "numerals", "nursery", "ocr", "odf",
             "ole", "outlines", "paragraphs", "png", "program", "sandbox", "sheets", "tables", "tesseract",
             "unicode"}
        ),
    ),
    Table("splitters", SPLITTERS, Splitter, "loaders/splitters", frozenset({"base", "cutting", "structure"})),
    Table(
        "vector stores", VECTOR_STORES, VectorStore, "stores/vector",
        frozenset(
            {
                "base", "breadth", "engines", "facts", "filters", "hnsw", "jsonb", "order", "payload", "points",
                "translation", "wording",
            }
        ),
    ),
    Table("blob stores", BLOB_STORES, BlobStore, "stores/blobs", frozenset({"base", "pending"})),
    Table(
        "embedders", embedding.EMBEDDERS, Embedder, "service/providers/embedding",
        frozenset({"base", "endpoint", "lanes", "pool", "services"}),
    ),
    Table(
        "chat models", chat.CHAT_MODELS, None, "service/providers/chat",
        frozenset({"base", "own", "reading", "services", "translated"}),
    ),
    Table("speech to text", speech.TRANSCRIBERS, None, "service/providers/speech", frozenset({"base"})),
    Table(
        "rerankers", rerank.RERANKERS, Reranker, "service/providers/rerank", frozenset({"base", "endpoint", "pool"})
    ),
    Table(
        "steps", STEPS, Step, "service/chatflows/steps",
        frozenset(
            {"agents", "base", "keys", "openapi_document", "options", "prompts", "retrievers", "scripts", "speech",
             "tool", "tool_http"}
        ),
    ),
    Table(
        "agentflow nodes", NODES, FlowNode, "service/agentflows/nodes",
        frozenset({"base", "conversation", "filling", "structured", "unmarked"}),
    ),
    Table(
        "connectors", CONNECTORS, Connector, "service/connectors",
        frozenset(
            {"base", "crawl", "links", "listing", "naming", "routes", "service", "sitemaps", "urls", "visits"}
        ),
    ),
    Table(
        "retrieval stages", STAGES, Stage, "service/retrieval",
        frozenset({"asking", "base", "fusion", "narrowing", "passages", "pipeline", "prompts", "trace"}),
    ),
    Table(
        "metrics", METRICS, Metric, "service/metrics",
        frozenset(
            {"abstaining", "base", "citing", "gold", "judging", "making", "prompts", "ranking", "resampling", "stats",
             "wording"}
        ),
    ),
    Table("jobs", JOBS),
    Table("aftermaths of jobs", AFTERMATH),
    Table("jobs' conclusions", CONCLUDE),
    Table("jobs' ways to give up", GIVE_UP),
    Table("jobs' ways to be retried", RETRY),
    Table("housekeeping", HOUSEKEEPING),
    Table("schedules", SCHEDULES),
    Table("routers", ROUTERS, Routes),
    Table("verbs", VERBS),
]  # fmt: skip

ALIASES: list[tuple[str, Mapping[str, str], set[str]]] = [
    ("loaders by Flowise's names", loaders.FLOWISE_LOADERS, set(loaders.LOADERS) | {loaders.DETECT}),
    ("splitters by Flowise's names", FLOWISE_SPLITTERS, set(SPLITTERS)),
    ("embedders by Flowise's names", embedding.NODES, set(embedding.EMBEDDERS)),
    ("jobs with an aftermath", dict(zip(AFTERMATH, AFTERMATH, strict=True)), set(JOBS)),
    ("jobs with a conclusion", dict(zip(CONCLUDE, CONCLUDE, strict=True)), set(JOBS)),
    ("jobs that can give up", dict(zip(GIVE_UP, GIVE_UP, strict=True)), set(JOBS)),
    ("jobs that are retried in parts", dict(zip(RETRY, RETRY, strict=True)), set(JOBS)),
    ("connectors by short names", CONNECTOR_ALIASES, set(CONNECTORS)),
    ("chat models by Flowise's names", chat.NODES, set(chat.CHAT_MODELS)),
    ("rerankers by Flowise's names", rerank.NODES, set(rerank.RERANKERS)),
    ("metrics by Flowise's types of evaluators", EVALUATORS, set(METRICS)),
]


def rows() -> list[Any]:
    """Every row of every table."""
    return [
        pytest.param(table, target, id=f"{table}-{name}") for table in TABLES for name, target in table.rows.items()
    ]


@pytest.mark.parametrize(("table", "target"), rows())
def test_a_row_names_a_member_of_its_port(table: Table, target: str) -> None:
    found = resolve_name(target)
    if table.port is not None and inspect.isclass(found):
        assert issubclass(found, table.port)
        assert not inspect.isabstract(found), f"{target} leaves out a method of its port"
    elif table.port is not None:
        assert isinstance(found, table.port)
    else:
        assert callable(found)


@pytest.mark.parametrize("table", [table for table in TABLES if table.folder], ids=str)
def test_every_file_of_a_family_has_a_row(table: Table) -> None:
    package = table.folder.replace("/", ".")
    listed = {target.split(":")[0].removeprefix(package + ".") for target in table.rows.values()}
    there = {file.stem for file in (ROOT / table.folder).glob("*.py")} - {"__init__"}
    assert there - listed == table.parts, "a file without a row, or a part that is gone"
    assert not listed & table.parts


@pytest.mark.parametrize("table", [table for table in TABLES if table.folder], ids=str)
def test_every_member_lives_in_the_folder_of_its_family(table: Table) -> None:
    package = table.folder.replace("/", ".")
    assert [target for target in table.rows.values() if not target.startswith(package + ".")] == []


@pytest.mark.parametrize(("names", "known"), [pytest.param(a, k, id=n) for n, a, k in ALIASES])
def test_an_alias_stands_for_a_row(names: Mapping[str, str], known: set[str]) -> None:
    assert set(names.values()) <= known


def test_every_loader_has_samples() -> None:
    samples = ROOT / "tests" / "samples"
    lacking = [name for name in loaders.LOADERS if not any(path.is_file() for path in (samples / name).glob("*"))]
    assert lacking == []


def test_every_table_of_the_source_is_known_here() -> None:
    """A constant whose values all read "module:object" is a table of plug-ins."""
    known = {target for table in TABLES for target in table.rows.values()}
    found = {
        target
        for room in ("service", "loaders", "stores")
        for file in (ROOT / room).rglob("*.py")
        for target in targets(file)
    }
    assert found <= known


def targets(file: Path) -> set[str]:
    """The values of the dictionaries of a file that read "module:object"."""
    values = {
        str(value.value)
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Dict)
        for value in node.values
        if isinstance(value, ast.Constant)
    }
    return {value for value in values if value.startswith(("service.", "loaders.", "stores.")) and ":" in value}
