"""The JSON shape of limits."""

from pydantic import Field

from service.http.wire import Wire
from service.limits import service
from service.limits.table import LIMITS
from service.settings import PREFIX, Settings


class LimitShown(Wire):
    """A limit as it is now."""

    name: str = Field(description="As refusals name it", examples=["max_upload"])
    value: float | int = Field(examples=[104857600])
    unit: str = Field(examples=["bytes"])
    description: str = Field(description="What it limits", examples=["A file"])
    setting: str | None = Field(description="What changes it; null: nothing", examples=["RAGSTONE_MAX_UPLOAD"])


def shown(settings: Settings) -> list[LimitShown]:
    """Every limit under these settings."""
    return [
        LimitShown(
            name=limit.name,
            value=service.value(limit, settings),
            unit=limit.unit,
            description=limit.description,
            setting=None if limit.fixed else PREFIX + limit.source.upper(),
        )
        for limit in LIMITS
    ]
