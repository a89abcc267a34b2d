"""The models that the stages of a search may use: the service's own chat model, and rerankers by their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.credentials.service import reveal
from service.errors import NotFound, Unprocessable
from service.providers.rerank import NODES, RERANKERS
from service.resources import Resources
from service.retrieval.base import Ask, Message, Rerank


@dataclass(frozen=True, slots=True)
class ServiceModels:
    """What a workspace's searches are lent; see `service.retrieval.base.Models`."""

    resources: Resources
    workspace: UUID

    @property
    def ask(self) -> Ask | None:
        """The chat model of RAGSTONE_CHAT_MODEL; None where the service quotes."""
        return self._ask if self.resources.own_chat else None

    async def reranker(self, name: str, config: Mapping[str, Any]) -> Rerank:
        """The reranker of this name; a `credential` in `config` is opened for the host that it is sent to.

        Raises `Unprocessable` for an unknown name or credential, `HostNotAllowed`, `ProviderError` for a bad field.
        """
        if name not in RERANKERS and name not in NODES:
            known = ", ".join(key for key in RERANKERS if key != "fake")
            raise Unprocessable(f"retrieval: there is no reranker '{name}'; use one of {known}")
        found = await self.resources.rerankers.get(name, config, await self._credential(name, config))
        return found.rank

    async def _ask(self, messages: Sequence[Message]) -> str:
        answer = await self.resources.own_chat.model.ainvoke([(item.role, item.text) for item in messages])
        return str(answer.text)

    async def _credential(self, name: str, config: Mapping[str, Any]) -> Mapping[str, str]:
        if not config.get("credential"):
            return {}
        reference, pool = UUID(str(config["credential"])), self.resources.rerankers
        try:
            host = pool.destination(name, config)
            if host == "":  # its address stands in the credential itself
                host = pool.destination(name, config, await reveal(self.resources, self.workspace, reference))
            return await reveal(self.resources, self.workspace, reference, host=host)
        except NotFound as error:
            raise Unprocessable(f"retrieval: {error.message}") from error
