"""What judges are asked, all of it. Questions, answers and passages stand as data (ADR 36): no answer grades
itself."""

from collections.abc import Sequence

from service.metrics.base import Passage
from service.retrieval.base import Message
from service.untrusted import Fence

LONGEST_PASSAGE = 8000
"""Characters of a passage that a judge reads."""
LONGEST_ANSWER = 20_000

CLAIMS = """Break an answer down into the claims that it makes. A claim is one statement of fact that can be \
checked by itself: put names in the place of pronouns, and split sentences that state several \
things. Leave out greetings, source numbers, questions, and what says that nothing is known. Keep \
the language of the answer and add nothing to it.

Answer with JSON only: {"claims": ["...", "..."]}; an empty list where the answer claims nothing."""

SUPPORTED = """You are given passages and numbered claims. For each claim decide whether the passages alone show \
that it is true. What you know from elsewhere does not count; a claim that is only likely, or of \
which the passages show a part, is not shown.

Answer with JSON only, one entry for each claim:
{"verdicts": [{"number": 1, "reason": "a few words", "verdict": true}]}"""

QUESTIONS = """You are given an answer. Write {count} different questions that it would be a full and direct \
answer to, in its language. Say also whether it is evasive: whether it states nothing but that it does not know, \
cannot say or is not sure.

Answer with JSON only: {{"questions": ["...", "..."], "evasive": false}}"""

USEFUL = """You are given a question, the answer to it, and numbered passages. For each passage decide whether \
it was useful to arrive at this answer: whether it states something that the answer, or a part of \
it, rests on. A passage on the same subject that does not help with the answer is not useful.

Answer with JSON only, one entry for each passage:
{"verdicts": [{"number": 1, "reason": "a few words", "verdict": true}]}"""

GRADED = """Grade an answer as the instruction below asks. Answer with JSON only, an object of this JSON Schema:
{schema}"""


def claims(question: str, answer: str) -> list[Message]:
    """Asks for the claims of an answer."""
    fence = Fence()
    parts = [fence.put(question, "question"), fence.put(answer[:LONGEST_ANSWER], "answer")]
    return _messages(CLAIMS, fence, parts)


def supported(stated: Sequence[str], passages: Sequence[Passage]) -> list[Message]:
    """Asks which claims the passages show."""
    fence = Fence()
    parts = [_passage(fence, passage) for passage in passages]
    parts += [fence.put(claim, "claim", number=number) for number, claim in enumerate(stated, 1)]
    return _messages(SUPPORTED, fence, parts)


def questions(answer: str, count: int) -> list[Message]:
    """Asks what an answer would be the answer to."""
    fence = Fence()
    return _messages(QUESTIONS.format(count=count), fence, [fence.put(answer[:LONGEST_ANSWER], "answer")])


def useful(question: str, answer: str, passages: Sequence[Passage]) -> list[Message]:
    """Asks which passages an answer rests on."""
    fence = Fence()
    parts = [fence.put(question, "question"), fence.put(answer[:LONGEST_ANSWER], "answer")]
    parts += [_passage(fence, passage, number) for number, passage in enumerate(passages, 1)]
    return _messages(USEFUL, fence, parts)


def _passage(fence: Fence, passage: Passage, number: int | None = None) -> str:
    return fence.put(passage.text[:LONGEST_PASSAGE], "passage", number=number)


def _messages(instruction: str, fence: Fence, parts: Sequence[str]) -> list[Message]:
    return [Message("system", f"{instruction}\n\n{fence.note}"), Message("user", "\n\n".join(parts))]
