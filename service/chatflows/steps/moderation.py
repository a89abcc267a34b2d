"""Moderations: what looks at a question before a chain or an agent answers it."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps.base import Anchor, BadOption, Links, ModelStep, ModerationStep, StepOptions
from service.chatflows.steps.chat_openai import checked_url
from service.chatflows.steps.keys import missing, revealed
from service.chatflows.types import FlowNotRunnable
from service.providers.chat.services import place_of
from service.providers.errors import RequestRefused
from service.providers.moderation import Moderation
from service.retrieval.base import Message
from service.untrusted import Fence

MOST_ITEMS = 1_000

ALIKE = """You guard a service. Below are a message of a user and a list of things that it must not ask for. Say \
whether the message asks for any of them, in whatever words or language. Answer with one word: yes or no.

Things that must not be asked for:
{denied}

{note}
{message}"""


class OpenAIModerationOptions(StepOptions):
    """Fields of the node."""

    moderation_error_message: str = Field(
        "This question cannot be answered: it is against the rules of the model's provider.", title="Error Message"
    )
    basepath: str = Field("", alias="basepath", title="BasePath", description="URL of an OpenAI-compatible server.")


class OpenAIModeration(ModerationStep):
    """Refuses what OpenAI's rules forbid."""

    label = "OpenAI Moderation"
    credential = ("openAIApi",)
    Options = OpenAIModerationOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `OpenAIModerationOptions`. Raises `BadOption`."""
        super().__init__(node, options, links)
        self._options: OpenAIModerationOptions = options
        try:
            checked_url(options.basepath)
        except ValueError as error:
            raise BadOption(f"basepath: {error}") from None
        self._moderation: Moderation | None = None

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open the connections. Raises `MissingCredential`."""
        fields = {"basepath": self._options.basepath} if self._options.basepath else {}
        defaults = backing.defaults
        host = urlsplit(place_of("openai", fields, defaults)).hostname or ""
        credential = await revealed(self, workspace, backing, host)
        if not (credential or fields or defaults.openai_api_key or defaults.openai_base_url):
            raise missing(self)
        try:
            self._moderation = Moderation(fields, credential, defaults)
        except RequestRefused as error:
            raise FlowNotRunnable(f"{self.title}: {error.message}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._moderation is not None:
            await self._moderation.aclose()

    async def refusal(self, run: Run) -> str | None:
        """The node's message for a question that is forbidden."""
        assert self._moderation is not None, "prepare() makes it"
        forbidden = run.question.strip() and await self._moderation.forbids(run.question)
        return self._options.moderation_error_message if forbidden else None


class SimpleModerationOptions(StepOptions):
    """Fields of the node."""

    deny_list: str = Field("", title="Deny List", description="A line for each thing that must not be asked for.")
    moderation_error_message: str = Field("This question cannot be answered.", title="Error Message")


class SimpleModeration(ModerationStep):
    """Refuses questions that hold a line of a list, or, by a model's judgement, ask for the same in other words."""

    label = "Simple Prompt Moderation"
    version = 2
    anchors = (Anchor("model", ModelStep, "Chat Model", optional=True),)
    Options = SimpleModerationOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `SimpleModerationOptions`. Raises `BadOption`."""
        super().__init__(node, options, links)
        self._options: SimpleModerationOptions = options
        lines = (_plain(line) for line in options.deny_list.splitlines())
        self._denied: Sequence[str] = list(dict.fromkeys(filter(None, lines)))
        if len(self._denied) > MOST_ITEMS:
            raise BadOption(f"denyList: more than {MOST_ITEMS} lines")
        model = next(iter(links.get("model", ())), None)
        self._model = model if isinstance(model, ModelStep) else None
        if self._model is not None and self._model.quotes:
            raise BadOption("model: needs a chat model that writes; this one quotes")

    async def refusal(self, run: Run) -> str | None:
        """The node's message for a question that is denied. The model is asked only about what is not plainly so."""
        said = _plain(run.question)
        denied = any(item in said for item in self._denied)
        if not denied and self._model is not None and self._denied and said:
            denied = await self._alike(self._model, run)
        return self._options.moderation_error_message if denied else None

    async def _alike(self, model: ModelStep, run: Run) -> bool:
        fence = Fence()
        asked = ALIKE.format(
            denied="\n".join(f"- {item}" for item in self._denied),
            note=fence.note,
            message=fence.put(run.question, "message"),
        )
        answer = await model.ask(run)([Message("user", asked)])
        return answer.strip().strip("\"'*`.").casefold().startswith("yes")


def _plain(text: str) -> str:
    """The text as it is compared: without regard to case and white space."""
    return " ".join(text.casefold().split())
