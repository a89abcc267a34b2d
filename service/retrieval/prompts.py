"""What the stages ask chat models, all of it. What documents and earlier turns say stands as data (ADR 36)."""

from collections.abc import Sequence

from service.chatflows.types import Role, Turn
from service.retrieval.base import Message
from service.untrusted import Fence

REWRITE = """Rewrite the user's last message as one question that can be understood without the conversation. Keep its \
language, names and numbers. Write the question only."""

MULTI_QUERY = """Write {count} other ways to put the user's question, to search a collection of documents with: other \
words for the same, more general or more special terms. Keep its language, names and numbers. Do not answer it. Write \
one question on each line and nothing else."""

DECOMPOSE = """If the user's question asks for several things, or needs several facts to be answered, split it into at \
most {count} questions that can each be understood and searched for alone. Keep its language, names and numbers. Do \
not answer it. Write one question on each line and nothing else. If it asks for one thing only, write it as it is."""

HYDE = """Write a short passage, of at most five sentences, as it might stand in {kind} that answers the user's \
question. Write it in the language of the question. It is only used to search with: where you do not know a fact, \
write what is likely. Write the passage and nothing else."""

COMPRESS = """Below are numbered sentences of documents. Which of them help to answer the user's question? Write their \
numbers, separated by commas, and nothing else; write NONE if none helps."""

NAMES = {Role.USER: "User", Role.MODEL: "Assistant"}


def question(instruction: str, text: str) -> list[Message]:
    """An instruction and the user's question."""
    return [Message("system", instruction), Message("user", text)]


def follow_up(history: Sequence[Turn], text: str) -> list[Message]:
    """The user's last message after a conversation."""
    fence = Fence()
    talk = fence.conversation((NAMES[turn.role], turn.text) for turn in history)
    return [Message("system", f"{REWRITE}\n\n{fence.note}"), Message("user", f"{talk}\n\nLast message: {text}")]


def sentences(numbered: Sequence[tuple[int, str]], text: str) -> list[Message]:
    """Sentences of documents by their numbers, and the question that they may help to answer."""
    fence = Fence()
    rows = "\n".join(fence.put(sentence, "sentence", number=number) for number, sentence in numbered)
    return [Message("system", f"{COMPRESS}\n\n{fence.note}"), Message("user", f"{rows}\n\nQuestion: {text}")]
