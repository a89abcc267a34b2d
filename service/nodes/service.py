"""Every component that this service has, by name and by category, and whether a configuration fits it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from loaders import FLOWISE_LOADERS, LOADERS
from loaders.splitters import FLOWISE_SPLITTERS
from service.chatflows import elsewhere
from service.connectors import CONNECTORS
from service.errors import Unprocessable
from service.json_text import parsed
from service.nodes import embeddings, loaders, splitters, stores
from service.nodes.types import Category, Field, FieldType, Node
from service.providers.embedding import EMBEDDERS
from service.providers.embedding import NODES as EMBEDDING_NODES

NODES: Mapping[str, Node] = MappingProxyType(
    {node.name: node for rows in (loaders.ROWS, splitters.ROWS, embeddings.ROWS, stores.ROWS) for node in rows}
)
"""Every row there is; whether its component is there too is for `of_category` to say."""

TRUE = ("true", "1", "yes", "on")
FALSE = ("false", "0", "no", "off")


def of_category(category: Category) -> list[Node]:
    """The components of a category that can be used, by label."""
    return sorted((node for node in NODES.values() if node.category is category and _there(node)), key=_label)


def find(name: str) -> Node | None:
    """The component of this name, when it can be used."""
    node = NODES.get(name)
    return node if node is not None and _there(node) else None


def label_of(name: str) -> str:
    """What people call a component; its name where nobody has called it anything."""
    node = NODES.get(name)
    return node.label if node is not None else name


def loader_names() -> Iterator[str]:
    """Every name that a loader can be given: Flowise's first, then our own."""
    yield from (node.name for node in of_category(Category.LOADERS))
    yield from sorted(LOADERS)


def refusal(name: str) -> str | None:
    """What to use in place of a loader of Flowise that is not here; None for one that is, or that is not known."""
    return loaders.REFUSED.get(name) or elsewhere.LOADERS.get(name)


def check(node: Node, config: Mapping[str, Any], where: str) -> None:
    """Check the fields that a configuration gives; those that the component does not have are left to others.

    Raises `Unprocessable` naming the field, as `where`.`name`.
    """
    for name, value in config.items():
        item = node.field(name)
        if item is not None and value is not None and value != "":
            _check_value(item, value, f"{where}.{name}")


def switched(value: Any) -> bool:
    """A BOOLEAN that may be a word."""
    return value.strip().lower() in TRUE if isinstance(value, str) else bool(value)


def json_object(value: Any, where: str) -> Mapping[str, Any]:
    """A JSON field, an object or its text; an empty one is an empty object. Raises `Unprocessable` naming it."""
    if isinstance(value, str) and value.strip():
        try:
            value = parsed(value)
        except ValueError as error:
            raise Unprocessable(f"{where}: not valid JSON: {error}") from None
    if not value:
        return {}
    if not isinstance(value, Mapping):
        raise Unprocessable(f"{where}: must be a JSON object")
    return value


def _there(node: Node) -> bool:
    if node.category is Category.LOADERS:
        return node.name in (CONNECTORS if node.connector else FLOWISE_LOADERS)
    if node.category is Category.SPLITTERS:
        return node.name in FLOWISE_SPLITTERS
    if node.category is Category.EMBEDDINGS:
        return node.name in EMBEDDING_NODES or node.name in EMBEDDERS
    return True


def _label(node: Node) -> str:
    return node.label.lower()


def _check_value(item: Field, value: Any, where: str) -> None:
    shown = repr(str(value)[:40])
    if item.type is FieldType.OPTIONS and item.choices:
        if not isinstance(value, str) or value not in item.choices:
            raise Unprocessable(f"{where}: must be one of {', '.join(item.choices)}, not {shown}")
    elif item.type is FieldType.NUMBER:
        if not _is_number(value):
            raise Unprocessable(f"{where}: must be a number, not {shown}")
    elif item.type is FieldType.BOOLEAN:
        if not isinstance(value, bool) and str(value).strip().lower() not in (*TRUE, *FALSE):
            raise Unprocessable(f"{where}: must be true or false, not {shown}")
    elif item.type in (FieldType.STRING, FieldType.FILE, FieldType.ASYNC_OPTIONS):
        if not isinstance(value, str):
            raise Unprocessable(f"{where}: must be a text, not {shown}")
    elif item.type is FieldType.JSON and isinstance(value, str):
        try:
            parsed(value)
        except ValueError as error:
            raise Unprocessable(f"{where}: not valid JSON: {error}") from None


def _is_number(value: Any) -> bool:
    try:
        number = float(value) if not isinstance(value, bool) else float("nan")
    except (TypeError, ValueError):
        return False
    return number == number and abs(number) != float("inf")
