"""Who speaks: nodes that answer side by side are heard one after the other, so that every reader gets one text."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from service.chatflows.types import Token

BREAK = "\n\n"
"""Between what one node says and what another does."""


@dataclass(slots=True)
class _Speech:
    waiting: list[str] = field(default_factory=list)
    said: bool = False
    ended: bool = False


@dataclass(slots=True)
class Voice:
    """The texts of a run's answer, in their order. Speeches are told apart by any number."""

    spoken: bool = False
    """Whether anything was said."""
    _speeches: dict[int, _Speech] = field(default_factory=dict)

    def say(self, who: int, text: str) -> Iterator[Token]:
        """What may be said now of a text of this speech; the rest waits for its turn."""
        if not text:
            return
        speech = self._speeches.setdefault(who, _Speech())
        if next(iter(self._speeches)) == who:
            yield from self._tell(speech, text)
        else:
            speech.waiting.append(text)

    def has_said(self, who: int) -> bool:
        """Whether the speech has said anything, or waits to."""
        return who in self._speeches

    def end(self, who: int) -> Iterator[Token]:
        """The speech has ended: those that waited for it have their turn."""
        if who not in self._speeches:
            return
        self._speeches[who].ended = True
        while self._speeches:
            first, speech = next(iter(self._speeches.items()))
            for text in speech.waiting:
                yield from self._tell(speech, text)
            speech.waiting.clear()
            if not speech.ended:
                return
            del self._speeches[first]

    def _tell(self, speech: _Speech, text: str) -> Iterator[Token]:
        if self.spoken and not speech.said:
            yield Token(BREAK)
        self.spoken = speech.said = True
        yield Token(text)
