"""What a kept tool is."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ToolDraft:
    """What callers set of a tool. `schema` is JSON text and `func` JavaScript, both kept as they came."""

    name: str
    description: str = ""
    color: str = ""
    icon_src: str | None = None
    schema: str | None = None
    func: str | None = None


@dataclass(frozen=True, slots=True)
class KeptTool(ToolDraft):
    """A tool as it is kept."""

    id: UUID = field(kw_only=True)
    workspace: UUID = field(kw_only=True)
    created_at: datetime = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)
