"""Connectors: where remote documents come from. One file and one row here for each kind of place."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from service.connectors.base import BadConnectorOption, Connector, Outside
from service.credentials import service as credentials
from service.plugins import resolve

if TYPE_CHECKING:
    from service.resources import Resources

CONNECTORS: Mapping[str, str] = MappingProxyType(
    {
        "cheerioWebScraper": "service.connectors.web:WebPages",
        "puppeteerWebScraper": "service.connectors.web:RenderedPages",
        "playwrightWebScraper": "service.connectors.web:RenderedPages",
        "gitbook": "service.connectors.web:GitBook",
        "apiLoader": "service.connectors.api:ApiAnswer",
        "folderFiles": "service.connectors.folder:FolderFiles",
        "github": "service.connectors.github:GithubRepository",
        "S3": "service.connectors.s3:S3File",
        "s3Directory": "service.connectors.s3:S3Directory",
    }
)
"""By Flowise's loader names, which are the names that document stores keep."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {"web": "cheerioWebScraper", "api": "apiLoader", "folder": "folderFiles", "s3": "s3Directory"}
)
"""Short names of ours."""


def canonical(name: str) -> str | None:
    """The row of `CONNECTORS` that a name means; None when it names no connector."""
    row = ALIASES.get(name, name)
    return row if row in CONNECTORS else None


def open_connector(resources: "Resources", workspace: UUID, name: str, config: Mapping[str, Any]) -> Connector:
    """The connector of a name (Flowise's or ours), by the fields of its node. Nothing is asked yet; close it.

    `config["credential"]` is the id of a credential, if the connector takes one: its values are read when they are
    needed, and only for the host they are sent to. Raises `BadConnectorOption` naming the field.
    """
    row = canonical(name)
    if row is None:
        known = ", ".join(sorted({*CONNECTORS, *ALIASES}))
        raise BadConnectorOption(f"loaderName: there is no connector '{name}'. Known are: {known}.")
    found = str(config.get("credential") or config.get("FLOWISE_CREDENTIAL_ID") or "")
    credential = _identifier(found) if found else None

    async def reveal(host: str) -> Mapping[str, str]:
        if credential is None:
            return {}
        return await credentials.reveal(resources, workspace, credential, host=host)

    made: type[Connector] = resolve(CONNECTORS, row, "connector")
    return made.build(config, Outside(resources.egress, resources.settings, reveal))


def _identifier(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise BadConnectorOption(f"credential: '{value[:80]}' is not the id of a credential.") from None
