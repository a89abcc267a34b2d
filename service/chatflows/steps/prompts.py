"""Prompt templates and what goes into them. Templates are parsed once and filled literally, in one pass: text that is
put in is never looked at again, so a document that holds `{question}` stays a document. What others wrote stands
between the markers of a `Fence`, a new one for every prompt (service/untrusted.py)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from service.chatflows.run import Run
from service.chatflows.types import Attached, Passage, Picture, Role, Turn
from service.untrusted import Fence

_VARIABLE = re.compile(r"\{\{(?P<text>context|chat_history|question)\}\}|\{(?P<name>context|chat_history|question)\}")

NOTHING_FOUND = "No documents were found."

REPHRASE = """Rewrite the last message of this conversation as one question that can be understood without the \
conversation. Keep its language, names and numbers. Write the question only.

{chat_history}

Last message: {question}
Question:"""

RESPOND = """Answer the user's question from the numbered documents below and from nothing else. After each statement \
put the number of the document it comes from in square brackets, such as [1]. If the documents do not hold the answer, \
say that you do not know. Answer in the language of the question.

{context}"""


MAX_PIECES = 12
PIECE = 1_200
"""Characters of a piece of a document that came with the question."""
_WORD = re.compile(r"\w+")

ATTACHED = "These documents came with the message that follows them; the answer may rest on them too."


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places for `{context}`, `{chat_history}` and `{question}`."""

    parts: tuple[str, ...]
    """Texts and variable names in turn, a text first and last."""

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Every text is a template. A name in doubled braces stands in single ones as text; other braces are text."""
        parts, end = [""], 0
        for place in _VARIABLE.finditer(text):
            parts[-1] += text[end : place.start()]
            end = place.end()
            if place["name"]:
                parts += [place["name"], ""]
            else:
                parts[-1] += f"{{{place['text']}}}"
        parts[-1] += text[end:]
        return cls(tuple(parts))

    def holds(self, variable: str) -> bool:
        """Whether the template has a place for the variable."""
        return variable in self.parts[1::2]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with the values in place."""
        return "".join(values.get(part, "") if position % 2 else part for position, part in enumerate(self.parts))


def numbered(passages: Sequence[Passage], fence: Fence) -> str:
    """The passages as numbered data, with their titles, under the note of what that means."""
    if not passages:
        return NOTHING_FOUND
    rows = [
        fence.put(item.text, "document", number=number, title=_title(item)) for number, item in enumerate(passages, 1)
    ]
    return "\n".join([fence.note, *rows])


def _title(passage: Passage) -> str | None:
    """What a passage's document is called."""
    return next((str(found) for name in ("title", "source") if (found := passage.metadata.get(name))), None)


def transcript(turns: Sequence[Turn], fence: Fence) -> str:
    """The turns as data, for a prompt that holds the conversation as text: earlier answers quote documents."""
    if not turns:
        return ""
    names = {Role.USER: "Human", Role.MODEL: "Assistant"}
    return f"{fence.note}\n{fence.conversation((names[turn.role], turn.text) for turn in turns)}"


def messages(turns: Sequence[Turn], *, sees: bool) -> list[BaseMessage]:
    """The turns as messages, with what came with them as with the question (`human`)."""
    return [earlier(turn, sees=sees) if turn.role is Role.USER else AIMessage(turn.text) for turn in turns]


def earlier(turn: Turn, *, sees: bool) -> HumanMessage:
    """What the user said before, after the documents that came with it, and with its pictures where the model `sees`
    them."""
    return _with(turn.text, turn.documents, turn.pictures if sees else ())


def human(run: Run, text: str | None = None, *, sees: bool) -> HumanMessage:
    """What the user says now: `text`, else the question, after the documents that came with it, and with its pictures
    where the model `sees` them (`ModelStep.sees`). A message without either is plain text.

    The one place where uploads enter a prompt: every chain, agent and agentflow node says its last message by it, and
    the earlier ones by `earlier`.
    """
    return _with(run.question if text is None else text, run.documents, run.pictures if sees else ())


def _with(said: str, documents: Sequence[Attached], pictures: Sequence[Picture]) -> HumanMessage:
    if documents:
        fence = Fence()
        rows = [fence.put(item.text, "document", title=item.name) for item in documents]
        said = "\n".join([ATTACHED, fence.note, *rows, "", said])
    if not pictures:
        return HumanMessage(said)
    shown: list[str | dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": picture.url}} for picture in pictures
    ]
    return HumanMessage([{"type": "text", "text": said}, *shown] if said else shown)


def attached(run: Run, history: Sequence[Turn] = ()) -> list[Passage]:
    """The documents that came with the question, or with the turns of `history`, as passages, for models that only
    quote: the pieces that share most words with the question, best first, the newest of equals, `MAX_PIECES` at most.
    """
    words = set(_WORD.findall(run.question.lower()))
    documents = [*run.documents, *(item for turn in reversed(history) for item in turn.documents)]
    pieces = [
        Passage(f"upload-{number}-{place}", piece, {"source": item.name, "title": item.name}, 0.0)
        for number, item in enumerate(documents)
        for place, piece in enumerate(_pieces(item.text))
    ]
    if not words or not pieces:
        return pieces[:MAX_PIECES]
    scored = [replace(each, score=len(words & set(_WORD.findall(each.text.lower()))) / len(words)) for each in pieces]
    return sorted(scored, key=lambda each: -each.score)[:MAX_PIECES]


def _pieces(text: str) -> list[str]:
    """A text in paragraphs, small ones together, large ones cut."""
    pieces: list[str] = []
    for paragraph in filter(str.strip, text.split("\n\n")):
        for start in range(0, len(paragraph), PIECE):
            part = paragraph[start : start + PIECE]
            if pieces and len(pieces[-1]) + len(part) < PIECE:
                pieces[-1] += "\n\n" + part
            else:
                pieces.append(part)
    return pieces


def with_uploads(run: Run, said: Sequence[BaseMessage], *, sees: bool) -> list[BaseMessage]:
    """Messages of a prompt template with what came with the question: in the last one of the user, else behind them."""
    if not run.documents and not (sees and run.pictures):
        return list(said)
    place = next((at for at in reversed(range(len(said))) if isinstance(said[at], HumanMessage)), None)
    if place is None:
        return [*said, human(run, sees=sees)]
    return [*said[:place], human(run, str(said[place].text), sees=sees), *said[place + 1 :]]
