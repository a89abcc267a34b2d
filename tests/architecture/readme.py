"""The generated parts of README.md: tables made from the settings, the verbs, and the plug-in tables.

`make docs` writes them (cog runs the marked lines of the README); test_readme.py fails while they are stale.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pydantic import SecretStr

from loaders import FLOWISE_LOADERS, LOADERS
from loaders.splitters import FLOWISE_SPLITTERS, SPLITTERS
from service.agentflows.nodes import NODES
from service.chatflows.steps import STEPS
from service.chatflows.steps.base import Step
from service.cli.exits import MEANING
from service.cli.run import VERBS
from service.connectors import CONNECTORS
from service.connectors.base import Connector
from service.http.access import Rule
from service.http.routers import ROUTERS
from service.http.routing import Routes
from service.limits.service import value
from service.limits.table import LIMITS
from service.providers import chat, embedding, rerank
from service.retrieval import STAGES
from service.retrieval.base import Stage
from service.settings import PREFIX, Settings
from stores.vector import VECTOR_STORES

KIB = 1024
MIB = 1024 * KIB


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def sentence(documented: object) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]


def code(names: Iterable[str]) -> str:
    """Names as code, separated by commas; a dash for none."""
    return ", ".join(f"`{name}`" for name in names) or "–"


def verbs() -> str:
    """Every verb of the command line with what it does."""
    from typer.main import get_command

    rows = []
    for name, row in VERBS.items():
        command: Any = get_command(resolve_name(row))
        parts: Mapping[str, Any] = getattr(command, "commands", None) or {"": command}
        for part, found in parts.items():
            called = " ".join(filter(None, ("ragstone", name, part)))
            rows.append((f"`{called}`", " ".join((found.help or "").split("\n\n")[0].split())))
    return table(("Command", "What it does"), rows)


def exit_codes() -> str:
    """The exit codes of every verb."""
    return table(("Code", "Meaning"), [(str(number.value), meaning) for number, meaning in MEANING.items()])


def settings() -> str:
    """Every setting with its default and its help."""
    rows = [
        (f"`{PREFIX}{name.upper()}`", _shown(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return table(("Setting", "Default", "What it is"), rows)


def limits() -> str:
    """Every limit with its default."""
    plain = Settings()
    rows = [
        (
            limit.description,
            _measured(value(limit, plain), limit.unit),
            f"`{limit.name}`",
            "–" if limit.fixed else f"`{PREFIX}{limit.source.upper()}`",
        )
        for limit in LIMITS
    ]
    return table(("What", "Limit", "Name in refusals", "Setting"), rows)


def _measured(number: float, unit: str) -> str:
    if unit == "bytes" and number >= KIB:
        size, name = (number / MIB, "MiB") if number >= MIB else (number / KIB, "KiB")
        return f"{size:,.10g} {name}"
    return f"{number:,.10g} {unit}"


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value >= MIB and value % MIB == 0:
        return f"`{value}` ({value // MIB} MiB)"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def loaders() -> str:
    """The formats that can be read."""
    rows = [
        (f"`{name}`", row.label, code(row.suffixes), code(_names_for(name, FLOWISE_LOADERS)))
        for name, row in LOADERS.items()
    ]
    return table(("Loader", "Format", "Suffixes", "Flowise's names"), rows)


def connectors() -> str:
    """Where remote documents come from."""
    rows = []
    for name, target in CONNECTORS.items():
        found: type[Connector] = resolve_name(target)
        fields = [item.alias or field for field, item in found.Options.model_fields.items()]
        rows.append((f"`{name}`", sentence(found), code(fields)))
    return table(("Loader", "What it brings", "Fields"), rows)


def splitters() -> str:
    """The ways to cut documents into chunks."""
    rows = [
        (f"`{name}`", sentence(resolve_name(target)), code(_names_for(name, FLOWISE_SPLITTERS)))
        for name, target in SPLITTERS.items()
    ]
    return table(("Splitter", "What it does", "Flowise's names"), rows)


def embedders() -> str:
    """What makes vectors of texts."""
    return _providers("Embedder", embedding.EMBEDDERS, embedding.NODES)


def chat_models() -> str:
    """What writes answers."""
    return _providers("Chat model", chat.CHAT_MODELS, chat.NODES)


def rerankers() -> str:
    """What orders chunks anew."""
    return _providers("Reranker", rerank.RERANKERS, rerank.NODES)


def vector_stores() -> str:
    """Where vectors can be kept."""
    rows = [(f"`{scheme}://`", sentence(_module(target))) for scheme, target in VECTOR_STORES.items()]
    return table(("URL", "What it is"), rows)


def strategies() -> str:
    """The stages of retrieval with their options."""
    rows = []
    for name, target in STAGES.items():
        stage: type[Stage] = resolve_name(target)
        options = [item.alias or field for field, item in stage.Options.model_fields.items()]
        rows.append((f"`{name}`", sentence(stage), code(options)))
    return table(("Stage", "What it does", "Options"), rows)


def steps() -> str:
    """The nodes of a chatflow that can be run, and their fields."""
    rows = []
    for name, target in STEPS.items():
        step: type[Step] = resolve_name(target)
        fields = [field.alias or field_name for field_name, field in step.Options.model_fields.items()]
        rows.append((f"`{name}`", sentence(step), code(fields)))
    return table(("Node", "What it does", "Fields"), rows)


def agentflow_nodes() -> str:
    """The nodes of an agentflow."""
    rows = [(f"`{name}`", sentence(resolve_name(target))) for name, target in NODES.items()]
    return table(("Node", "What it does"), rows)


def routes() -> str:
    """Every route with who may call it, but for those that only say which part of the path is missing."""
    rows = []
    for target in ROUTERS.values():
        feature: Routes = resolve_name(target)
        for spec in feature.specs:
            summary = str(spec.options.get("summary", ""))
            if ": without a" not in summary:
                rows.append((f"`{spec.method} {spec.path}`", summary, _who(spec.rule)))
    return table(("Route", "What it does", "Who may call"), rows)


def _who(rule: Rule) -> str:
    if rule.public:
        return "anyone"
    return code(rule.named) if rule.scopes else "any key"


def _providers(kind: str, rows: Mapping[str, str], nodes: Mapping[str, str]) -> str:
    shown = {name: target for name, target in rows.items() if name != "fake"}
    made = [(f"`{name}`", sentence(_module(target)), code(_names_for(name, nodes))) for name, target in shown.items()]
    return table((kind, "What it is", "Flowise's nodes"), made)


def _names_for(row: str, aliases: Mapping[str, str]) -> list[str]:
    return [alias for alias, target in aliases.items() if target == row]


def _module(target: str) -> object:
    """The module of a row; what a family's member is stands in its docstring."""
    resolve_name(target)
    return sys.modules[target.partition(":")[0]]


PARTS: Mapping[str, Callable[[], str]] = {
    made.__name__: made
    for made in (
        verbs,
        exit_codes,
        settings,
        limits,
        loaders,
        splitters,
        embedders,
        chat_models,
        rerankers,
        vector_stores,
        strategies,
        steps,
        agentflow_nodes,
        routes,
    )
}
"""Every generated part by its name; the README holds each of them once."""
