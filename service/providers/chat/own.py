"""The service's own chat model, of RAGSTONE_CHAT_MODEL: for what is asked without a flow."""

from typing import TYPE_CHECKING

from service.egress.client import Egress
from service.providers.chat import create_chat_model
from service.providers.chat.services import own_model
from service.providers.defaults import defaults_from
from service.providers.errors import UnknownProvider
from service.settings import PREFIX, Settings

if TYPE_CHECKING:
    # importing LangChain costs half a second of CPU: only what runs a model pays for it
    from langchain_core.language_models import BaseChatModel


class OwnChat:
    """Opens the model with the first question, one for the process, and closes it with the process."""

    def __init__(self, settings: Settings, egress: Egress) -> None:
        """Nothing is opened yet."""
        self._name = settings.chat_model
        self._defaults = defaults_from(settings, egress)
        self._model: BaseChatModel | None = None

    def __bool__(self) -> bool:
        """Whether there is one: without, answers are quoted."""
        return bool(self._name)

    @property
    def model(self) -> "BaseChatModel":
        """The model. Raises `UnknownProvider` for a setting that names none, `RequestRefused`, `MissingLibrary`."""
        if self._model is None:
            try:
                node, inputs = own_model(self._name)
            except ValueError as error:
                raise UnknownProvider(f"{PREFIX}CHAT_MODEL: {error}") from None
            self._model = create_chat_model(node, {**inputs, "temperature": 0}, defaults=self._defaults)
        return self._model

    async def close(self) -> None:
        """Close connections, give memory back."""
        model, self._model = self._model, None
        if model is not None:
            from service.providers.chat.base import close_chat_model

            await close_chat_model(model)
