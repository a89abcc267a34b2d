"""What time it is."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.chatflows.run import Run
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep
from service.chatflows.steps.tool_http import object_schema


class CurrentDateTime(ToolStep):
    """Tells a model the date, the weekday and the time."""

    label = "CurrentDateTime"
    base_classes = ("CurrentDateTime", "DynamicStructuredTool", "StructuredTool", "Runnable")

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        zone = {"type": "string", "description": "An IANA time zone such as Europe/Berlin; without one it is UTC"}
        about = "Tells today's date, the weekday and the time."
        return [Tool("current_date_time", about, object_schema({"timezone": zone}), _call)]


async def _call(run: Run, given: Mapping[str, Any]) -> Outcome:
    name = str(given.get("timezone") or "UTC")
    try:
        now = datetime.now(UTC if name == "UTC" else ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolFailed(f"There is no time zone '{name[:60]}'.") from None
    told = {"date": f"{now:%Y-%m-%d}", "day": f"{now:%A}", "time": f"{now:%H:%M:%S}", "timezone": name}
    return Outcome(json.dumps(told))
