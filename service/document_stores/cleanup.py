"""The record managers of the contract, as settings of the ledger, which always keeps the record.

Their connection fields are accepted and not used. `cleanup` says what becomes of chunks that an upsert does not bring
again: `none` keeps them beside the new ones, `incremental` removes those of the sources it brings, `full` also the
sources of the same namespace that it does not bring. Without a record manager the ledger works incrementally.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.document_stores.secrets import laid_over, restored
from service.document_stores.types import Component
from service.errors import Unprocessable

RECORD_MANAGERS = ("postgresRecordManager", "SQLiteRecordManager", "MySQLRecordManager")

DEFAULT_KEY = "source"
"""The metadata that names a source, where no other is configured."""

LONGEST = 500


class Cleanup(StrEnum):
    """What becomes of chunks that an upsert does not bring again."""

    NONE = "none"
    INCREMENTAL = "incremental"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What a record manager asks for; the defaults are those without one."""

    cleanup: Cleanup = Cleanup.INCREMENTAL
    namespace: str = ""
    source_key: str = DEFAULT_KEY
    configured: bool = False

    def source_of(self, metadata: Mapping[str, Any]) -> str | None:
        """The source id that the metadata of a call name, if they do."""
        value = metadata.get(self.source_key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value)
        return None


def cleaning_of(manager: Component | None) -> Cleaning:
    """What a record manager asks for; fields left out have the contract's defaults.

    Raises `Unprocessable` for an unknown one, naming the known ones, and for a field that cannot be used.
    """
    if manager is None:
        return Cleaning()
    if manager.name not in RECORD_MANAGERS:
        known = ", ".join(RECORD_MANAGERS)
        raise Unprocessable(f"recordManager.name: '{manager.name}' is unknown; use {known}")
    _text(manager, "tableName")
    cleanup = _text(manager, "cleanup") or Cleanup.NONE.value
    try:
        chosen = Cleanup(cleanup)
    except ValueError:
        known = ", ".join(Cleanup)
        raise Unprocessable(f"recordManager.config.cleanup: '{cleanup}' is unknown; use {known}") from None
    return Cleaning(chosen, _text(manager, "namespace"), _text(manager, "sourceIdKey") or DEFAULT_KEY, True)


def merged(asked: Component | None, base: Component | None) -> Component | None:
    """The call's record manager over the inherited one. Raises `Unprocessable` when there are fields, but no name."""
    if asked is None:
        return base
    if base is None or (asked.name and asked.name != base.name):
        if not asked.name:
            raise Unprocessable(f"recordManager.name: is missing; use {', '.join(RECORD_MANAGERS)}")
        return restored(asked, None, "recordManager.config")
    return Component(base.name, laid_over(asked.config, base.config, "recordManager.config"))


def _text(manager: Component, field: str) -> str:
    value = manager.config.get(field)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Unprocessable(f"recordManager.config.{field}: must be a text of at most {LONGEST} characters")
    return value.strip()
