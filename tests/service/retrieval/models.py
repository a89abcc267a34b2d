"""Models for stages: a chat model that says what it is told to, a reranker by a table; both remember what was asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.providers.errors import ProviderError
from service.retrieval.base import Ask, Message, Rerank

Answer = str | ProviderError | Callable[[Sequence[Message]], str]


@dataclass
class Scripted:
    """The models of one test. `answers` are given in turn, the last one for ever; none: there is no chat model."""

    answers: Sequence[Answer] = ()
    scores: Mapping[str, float] | ProviderError = field(default_factory=dict)
    """Of the reranker, by the beginning of a text; 0 for others."""
    asked: list[Sequence[Message]] = field(default_factory=list)
    named: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    ranked: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    @property
    def ask(self) -> Ask | None:
        """The chat model."""
        return self._ask if self.answers else None

    async def reranker(self, name: str, config: Mapping[str, Any]) -> Rerank:
        """The reranker."""
        self.named.append((name, config))
        return self._rank

    async def _ask(self, messages: Sequence[Message]) -> str:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(messages)
        if isinstance(answer, ProviderError):
            raise answer
        return answer if isinstance(answer, str) else answer(messages)

    async def _rank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        self.ranked.append((query, texts))
        if isinstance(self.scores, ProviderError):
            raise self.scores
        scores = self.scores
        return [next((score for begin, score in scores.items() if text.startswith(begin)), 0.0) for text in texts]

    def text(self, index: int = -1) -> str:
        """All that a request to the chat model said."""
        return "\n".join(message.text for message in self.asked[index])
