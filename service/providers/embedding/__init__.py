"""Embedders by name, and the Flowise node names that stand for them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from service.plugins import resolve
from service.providers.defaults import Defaults
from service.providers.embedding.base import Embedder
from service.providers.embedding.services import KEYS, host_of
from service.providers.errors import UnknownProvider
from service.providers.options import text

OFFICIAL_HOST = "api.openai.com"

LOCAL = "local"
"""A model of this machine: the one in RAGSTONE_EMBEDDING_MODEL_PATH, else one of the two below. The embedder of
document stores that name none; see `service.document_stores.local_embedding` for how these choose."""
MINILM = "minilm"
MULTILINGUAL = "multilingual"

EMBEDDERS = {
    LOCAL: "service.providers.embedding.onnx:OnnxEmbedder",
    MINILM: "service.providers.embedding.onnx:MiniLmEmbedder",
    MULTILINGUAL: "service.providers.embedding.e5.embedder:MultilingualEmbedder",
    "azure": "service.providers.embedding.azure:AzureEmbedder",
    "cohere": "service.providers.embedding.cohere:CohereEmbedder",
    "google": "service.providers.embedding.google:GoogleEmbedder",
    "huggingface": "service.providers.embedding.huggingface:HuggingFaceEmbedder",
    "jina": "service.providers.embedding.compatible:JinaEmbedder",
    "mistral": "service.providers.embedding.compatible:MistralEmbedder",
    "ollama": "service.providers.embedding.ollama:OllamaEmbedder",
    "openai": "service.providers.embedding.openai:OpenAIEmbedder",
    "together": "service.providers.embedding.compatible:TogetherEmbedder",
    "voyage": "service.providers.embedding.compatible:VoyageEmbedder",
    "sentence_transformers": "service.providers.embedding.sentence_transformers:SentenceTransformersEmbedder",
    "fake": "service.providers.embedding.fake:FakeEmbedder",
}

NODES = {
    "azureOpenAIEmbeddings": "azure",
    "azureOpenAIEmbeddingsLlamaIndex": "azure",
    "cohereEmbeddings": "cohere",
    "googleGenerativeAiEmbeddings": "google",
    "huggingFaceInferenceEmbeddings": "huggingface",
    "jinaEmbeddings": "jina",
    "localAIEmbeddings": "openai",
    "mistralAIEmbeddings": "mistral",
    "ollamaEmbedding": "ollama",
    "openAIEmbedding_LlamaIndex": "openai",
    "openAIEmbeddings": "openai",
    "openAIEmbeddingsCustom": "openai",
    "togetherAIEmbedding": "together",
    "voyageAIEmbeddings": "voyage",
}
"""Flowise node name -> embedder. The fields of the node are read by the embedder's `configured`."""


def create_embedder(
    name: str,
    config: Mapping[str, Any] | None = None,
    credential: Mapping[str, str] | None = None,
    *,
    defaults: Defaults | None = None,
) -> Embedder:
    """The embedder of a name of ours or of a Flowise node, configured by the node's fields; nothing is loaded yet.

    `credential` holds the plain data of the credential the node names. Raises `UnknownProvider` with the names that
    are available, `RequestRefused` naming a field with a bad value, `MissingLibrary` naming the extra.
    """
    row = NODES.get(name, name)
    if row not in EMBEDDERS:
        known = ", ".join([*(key for key in EMBEDDERS if key != "fake"), *NODES])
        raise UnknownProvider(f"embedding.name: '{name}' is not available here; use one of {known}")
    made: Embedder = resolve(EMBEDDERS, row, "embedding").configured(
        config or {}, credential or {}, defaults or Defaults()
    )
    return made


def destination(
    name: str, config: Mapping[str, Any], defaults: Defaults, credential: Mapping[str, str] | None = None
) -> str | None:
    """The host that the texts and the credential of an embedding are sent to; None when they stay on this machine.

    Azure's and Voyage's may stand in the credential: without one the host is empty then.
    """
    row = NODES.get(name, name)
    if row in KEYS:
        return host_of(row, config, defaults, credential)
    if row != "openai":
        return None
    base_url = text(config, "basepath", "basePath", "baseUrl") or defaults.openai_base_url
    return urlsplit(base_url).hostname or "" if base_url else OFFICIAL_HOST
