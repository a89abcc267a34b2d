"""Makes the calls that a model asks for, and keeps what came of them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.agents.base import Call, Limits
from service.answers.markers import renumbered
from service.chatflows.run import Run
from service.chatflows.steps.tool import MAX_NAME, Outcome, Tool, ToolFailed
from service.chatflows.types import Passage, ToolUse
from service.concurrency import together
from service.json_schema import Check
from service.untrusted import Fence

MOST_SHOWN = 100_000
"""Characters of a tool's answer that the user sees."""

CITE = "Put the number of the document that a statement rests on behind it in square brackets, such as [{first}]."
CUT = "\n[The rest, {left} characters, was left out.]"


@dataclass(frozen=True, slots=True)
class Result:
    """What the model is told about one of its calls."""

    call: Call
    text: str
    failed: bool
    direct: str | None = None
    """The agent's answer, when the tool gives it."""


class Desk:
    """The tools of one run of an agent, and what became of their calls."""

    def __init__(self, tools: Sequence[Tool], run: Run, limits: Limits, fence: Fence) -> None:
        """Tools of one name get different ones: a provider refuses two of a name."""
        self.tools = {tool.name: tool for tool in _distinct(tools)}
        self.uses: list[ToolUse] = []
        self.artifacts: list[Mapping[str, Any]] = []
        self.fence = fence
        self._run, self._limits = run, limits
        self._cites = False
        self._checks: dict[str, Check | str] = {}

    @property
    def sources(self) -> tuple[Passage, ...]:
        """What the agent may cite, in the order of the numbers; nothing where its tools found nothing. What other
        agents of the run found before is there too: it stands between the numbers."""
        return tuple(self._run.cited.passages) if self._cites else ()

    def asks_first(self, calls: Sequence[Call]) -> bool:
        """Whether a person must agree to one of the calls."""
        return any(call.name in self.tools and self.tools[call.name].requires_human for call in calls)

    async def use(self, calls: Sequence[Call]) -> list[Result]:
        """Make the calls, all at once; their results in the same order. Cancelling it cancels them.

        Raises the first `ServiceError` of a tool.
        """
        made = await together(*(self._made(call) for call in calls[: self._limits.calls]))
        left = [ToolFailed("Too many calls at once: this one was not made.")] * (len(calls) - len(made))
        return [self._noted(call, outcome) for call, outcome in zip(calls, [*made, *left], strict=True)]

    def take(self, passages: Iterable[Passage]) -> None:
        """Passages that have their numbers already, from 1 on."""
        for passage in passages:
            self._number(passage)

    def refused(self, calls: Sequence[Call], feedback: str) -> list[Result]:
        """The calls that a person did not agree to."""
        told = f" They say: {feedback}" if feedback else ""
        return [self._noted(call, ToolFailed(f"The user did not agree to this call.{told}")) for call in calls]

    async def _made(self, call: Call) -> Outcome | ToolFailed:
        tool = self.tools.get(call.name)
        if tool is None:
            return ToolFailed(
                f"There is no tool '{call.name[:MAX_NAME]}'. There are: {', '.join(self.tools) or 'none'}."
            )
        try:
            if wrong := call.broken or self._misfit(tool, call.input):
                raise ToolFailed(wrong)
            async with asyncio.timeout(self._limits.seconds):
                return await tool.call(self._run, call.input)
        except ToolFailed as error:
            return error
        except TimeoutError:
            return ToolFailed("The tool did not answer in time.")

    def _misfit(self, tool: Tool, given: Mapping[str, Any]) -> str:
        """What is wrong with an input; empty: nothing."""
        if tool.name not in self._checks:
            self._checks[tool.name] = _check(tool)
        check = self._checks[tool.name]
        found = check if isinstance(check, str) else check.problems(given)
        return f"The input does not fit the tool's schema: {found}" if found and check is not found else found

    def _noted(self, call: Call, outcome: Outcome | ToolFailed) -> Result:
        if isinstance(outcome, ToolFailed):
            told = str(outcome) or "The tool failed."
            self.uses.append(ToolUse(call.name, call.input, "", error=outcome.why or told))
            return Result(call, f"Error: {self.fence.put(self._cut(told), 'error', tool=call.name)}", True)
        told, shown = self._told(call, outcome)
        self.uses.append(ToolUse(call.name, call.input, shown[:MOST_SHOWN], outcome.sources))
        self.artifacts.extend(outcome.artifacts)
        return Result(call, told, False, shown if self.tools[call.name].returns_direct else None)

    def _told(self, call: Call, outcome: Outcome) -> tuple[str, str]:
        """What the model reads, and what the user does."""
        if not outcome.sources:
            return self.fence.put(self._cut(outcome.text), "answer of a tool", tool=call.name), outcome.text
        numbers = [self._number(passage) for passage in outcome.sources]
        if outcome.quotes:
            room = self._limits.output // len(numbers)
            rows = [
                self.fence.put(_shortened(passage.text, room), "document", number=number, title=_title(passage))
                for number, passage in zip(numbers, outcome.sources, strict=True)
            ]
            return "\n".join([CITE.format(first=numbers[0]), *rows]), outcome.text
        shown = renumbered(outcome.text, numbers, strays=True)
        told = self.fence.put(self._cut(shown), "answer of a tool", tool=call.name)
        return f"{told}\nKeep the numbers in square brackets behind what you take from it.", shown

    def _number(self, passage: Passage) -> int:
        """The passage's number in this run, a new one for a new passage."""
        self._cites = True
        return self._run.cited.number(passage)

    def _cut(self, text: str) -> str:
        return _shortened(text, self._limits.output)


def _check(tool: Tool) -> Check | str:
    try:
        return Check(tool.schema)
    except ValueError as error:
        return f"The tool cannot be used: its schema is broken: {error}"


def _distinct(tools: Sequence[Tool]) -> list[Tool]:
    taken: set[str] = set()
    found = []
    for tool in tools:
        name, number = tool.name, 1
        while name in taken:
            number += 1
            name = f"{tool.name[: MAX_NAME - 4]}_{number}"
        taken.add(name)
        found.append(tool if name == tool.name else replace(tool, name=name))
    return found


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + CUT.format(left=len(text) - most)


def _title(passage: Passage) -> str | None:
    return next((str(found) for name in ("title", "source") if (found := passage.metadata.get(name))), None)
