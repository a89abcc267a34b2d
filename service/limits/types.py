"""What a limit is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `source` is the setting that holds it (a field of `Settings`), or `module:NAME` of a fixed one."""

    name: str
    source: str
    unit: str
    description: str

    @property
    def fixed(self) -> bool:
        """Whether no setting changes it."""
        return ":" in self.source
