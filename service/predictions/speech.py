"""What somebody said, written down by the service that the flow's `speechToText` names (contract 1.1, 4.3)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from service.chatflows import service as chatflows
from service.chatflows.cache import KnownFlow
from service.chatflows.types import FlowNotRunnable
from service.credentials import service as credentials
from service.errors import BadRequest, NotFound
from service.predictions.contents import SoundKind
from service.predictions.types import Upload
from service.providers.defaults import Defaults
from service.providers.errors import RequestRefused, UnknownProvider
from service.resources import Resources

NONE = "none"


def chosen(known: KnownFlow) -> tuple[str, Mapping[str, Any]] | None:
    """The service that is switched on, and its fields; None where none is."""
    try:
        config = chatflows.parse_config("speechToText", known.flow.speech_to_text)
    except BadRequest:
        return None  # kept from before such texts were refused
    for name, fields in config.items():
        if name != NONE and isinstance(fields, Mapping) and fields.get("status") in (True, "true"):
            return name, fields
    return None


async def transcribed(resources: Resources, known: KnownFlow, defaults: Defaults, said: Upload, kind: SoundKind) -> str:
    """The words of an upload, by the flow's service; that there is one is known.

    Raises `FlowNotRunnable` for a service or a credential that cannot be used, `HostNotAllowed`, `ProviderError`.
    """
    from service.providers.speech import create_transcriber
    from service.providers.speech.base import Sound

    found = chosen(known)
    assert found is not None
    name, fields = found
    try:
        values = await _credential(resources, known, defaults, name, fields)
        transcriber = create_transcriber(name, fields, values, defaults=defaults)
    except (UnknownProvider, RequestRefused) as error:
        raise FlowNotRunnable(error.message) from error
    try:
        return await transcriber.transcribe(Sound(said.data, f"speech{kind.suffix}", kind.mime))
    finally:
        await transcriber.aclose()


async def _credential(
    resources: Resources, known: KnownFlow, defaults: Defaults, name: str, fields: Mapping[str, Any]
) -> Mapping[str, str]:
    from service.providers.speech import address

    given = str(fields.get("credentialId") or fields.get("credential") or "")
    place = address(name, fields, defaults)
    if not given:
        return {}
    try:
        host = urlsplit(place).hostname or ""
        return await credentials.reveal(resources, known.flow.workspace, UUID(given), host=host)
    except (NotFound, ValueError):
        raise FlowNotRunnable(f"speechToText: the credential '{given[:100]}' does not exist here") from None
