"""What a run of an agentflow has done, on all of its levels."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from service.agentflows.state import Output
from service.agentflows.types import BadValue, Done, Message
from service.agentflows.voice import Voice
from service.chatflows.run import Run
from service.chatflows.types import Artifacts, Executed, NodesExecuted, Passage, Sources, StepEvent, ToolsUsed, ToolUse

MAX_CHARACTERS = 100_000_000
"""Of all that the nodes of a run leave: the state of a loop can grow twofold each time round."""


@dataclass(slots=True)
class Journal:
    """The record of one run; the passes through its levels share it."""

    run: Run
    question: str
    form: Mapping[str, Any] | None
    webhook: Mapping[str, Any] | None
    past: tuple[Message, ...]
    state: dict[str, Any] = field(default_factory=dict)
    executed: list[Executed] = field(default_factory=list)
    outputs: dict[str, Output] = field(default_factory=dict)
    uses: tuple[ToolUse, ...] = ()
    artifacts: tuple[Mapping[str, Any], ...] = ()
    voice: Voice = field(default_factory=Voice)
    steps: int = 0
    characters: int = 0
    """Of what the nodes have left, all of which is kept until the run ends."""
    _passages: dict[str, Passage] = field(default_factory=dict)

    def step(self) -> int:
        """One more node runs: its number."""
        self.steps += 1
        return self.steps

    def weigh(self, done: Done) -> None:
        """Count what a node has left. Raises `BadValue` when all that the run has left is too much."""
        pending: list[Any] = [done.text, done.output, done.input, done.changes]
        seen: set[int] = set()
        while pending:
            held = pending.pop()
            if isinstance(held, str) and id(held) not in seen:
                seen.add(id(held))
                self.characters += len(held)
            elif isinstance(held, Mapping):
                pending.extend(held.values())
            elif isinstance(held, list | tuple):
                pending.extend(held)
                self.characters += len(held)
        if self.characters > MAX_CHARACTERS:
            raise BadValue(f"the nodes of this run have left more than {MAX_CHARACTERS} characters")

    def add(self, executed: Executed) -> NodesExecuted:
        """A node has ended; what there is to tell of all."""
        self.executed.append(executed)
        return NodesExecuted(tuple(self.executed))

    def found(self, passages: Sequence[Passage]) -> None:
        """The answer rests on these too."""
        for passage in passages:
            self._passages.setdefault(passage.id, passage)

    @property
    def sources(self) -> tuple[Passage, ...]:
        """What the answer may cite, in the order of the numbers, and all else that it rests on."""
        numbered = {passage.id: passage for passage in self.run.cited.passages}
        return tuple({**numbered, **self._passages}.values())

    def progress(self) -> dict[str, Any]:
        """The sources as JSON, for `resume`."""
        return {"sources": [asdict(passage) for passage in self.sources], "cited": len(self.run.cited.passages)}

    def resume(self, progress: Mapping[str, Any]) -> None:
        """Take up the sources of a run that waited, with their numbers."""
        known = [Passage(**item) for item in progress.get("sources", ())]
        for passage in known[: progress.get("cited", 0)]:
            self.run.cited.number(passage)
        self.found(known)

    def unsaid(self) -> str:
        """What is said when no node that answers has: the words of the node that ran last and had any."""
        if self.voice.spoken:
            return ""
        texts = (self.outputs[item.node].text for item in reversed(self.executed) if item.node in self.outputs)
        return next((text for text in texts if text.strip()), "")

    def outcome(self) -> list[StepEvent]:
        """What the answer rests on, said behind it."""
        events: list[StepEvent] = []
        if self._passages:
            events.append(Sources(self.sources))
        if self.uses:
            events.append(ToolsUsed(self.uses))
        if self.artifacts:
            events.append(Artifacts(self.artifacts))
        return events
