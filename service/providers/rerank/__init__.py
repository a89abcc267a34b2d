"""Rerankers by name, and the Flowise node names that stand for them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from service.plugins import resolve
from service.providers.defaults import Defaults
from service.providers.errors import UnknownProvider
from service.providers.options import text
from service.providers.rerank.base import Reranker

RERANKERS = {
    "sentence_transformers": "service.providers.rerank.sentence_transformers:CrossEncoderReranker",
    "cohere": "service.providers.rerank.cohere:CohereReranker",
    "jina": "service.providers.rerank.jina:JinaReranker",
    "voyage": "service.providers.rerank.voyage:VoyageReranker",
    "azure": "service.providers.rerank.azure:AzureReranker",
    "fake": "service.providers.rerank.fake:FakeReranker",
}

NODES = {
    "cohereRerankRetriever": "cohere",
    "JinaRerankRetriever": "jina",
    "voyageAIRerankRetriever": "voyage",
    "AzureRerankRetriever": "azure",
}
"""Flowise node name -> reranker. The fields of the node are read by the reranker's `configured`."""

BASES = {
    "cohere": "https://api.cohere.com/v2",
    "jina": "https://api.jina.ai/v1",
    "voyage": "https://api.voyageai.com/v1",
}
"""Reranker -> what stands before `/rerank` in its provider's address."""


def create_reranker(
    name: str,
    config: Mapping[str, Any] | None = None,
    credential: Mapping[str, str] | None = None,
    *,
    defaults: Defaults | None = None,
) -> Reranker:
    """The reranker of a name of ours or of a Flowise node, configured by the node's fields; nothing is loaded yet.

    `credential` holds the plain data of the credential the node names. Raises `UnknownProvider` with the names that
    are available, `RequestRefused` naming a field with a bad value.
    """
    row = NODES.get(name, name)
    if row not in RERANKERS:
        known = ", ".join([*(key for key in RERANKERS if key != "fake"), *NODES])
        raise UnknownProvider(f"There is no reranker '{name}' here. Available: {known}.")
    made: Reranker = resolve(RERANKERS, row, "reranker").configured(
        config or {}, credential or {}, defaults or Defaults()
    )
    return made


def destination(name: str, config: Mapping[str, Any], credential: Mapping[str, str] | None = None) -> str | None:
    """The host that texts and credential of a reranker are sent to; None when they stay on this machine.

    Azure's address stands in its credential: without one the host is empty.
    """
    row = NODES.get(name, name)
    if row == "azure":
        return urlsplit(text(credential or {}, "azureFoundryEndpoint")).hostname or ""
    if row not in BASES:
        return None
    return urlsplit(base_url(config) or BASES[row]).hostname or ""


def base_url(config: Mapping[str, Any]) -> str:
    """What stands before `/rerank` in the address of a compatible server; empty: the provider's own."""
    return text(config, "basePath", "baseUrl").rstrip("/").removesuffix("/rerank")
