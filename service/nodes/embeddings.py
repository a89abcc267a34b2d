"""The embeddings: a row a component, with the fields of the contract (b.4). What has a row can be configured; whether
it is there is up to the table of embedders."""

from service.nodes.types import Category, Field, FieldType, Node

BATCH = Field("batchSize", "Batch Size", FieldType.NUMBER, optional=True, description="Texts in one request")
TIMEOUT = Field("timeout", "Timeout", FieldType.NUMBER, optional=True, description="In milliseconds")
BASE = Field("basepath", "BasePath", optional=True, description="Of a server that speaks OpenAI's protocol")
HEADERS = Field("baseOptions", "BaseOptions", FieldType.JSON, optional=True, description="Further HTTP headers")
STRIP = Field("stripNewLines", "Strip New Lines", FieldType.BOOLEAN, optional=True)
DIMENSIONS = Field("dimensions", "Dimensions", FieldType.NUMBER, optional=True)
ENCODING = Field(
    "encodingFormat",
    "Encoding Format",
    FieldType.OPTIONS,
    optional=True,
    choices={"float": "float", "base64": "base64"},
)


def embedding(
    name: str, label: str, description: str, *fields: Field, version: float = 1, credentials: tuple[str, ...] = ()
) -> Node:
    """An embedding with its fields."""
    return Node(
        name,
        label,
        Category.EMBEDDINGS,
        description,
        fields,
        version=version,
        base_classes=(name[0].upper() + name[1:], "Embeddings"),
        credentials=credentials,
    )


ROWS = (
    embedding("local", "Local Embeddings", "A bundled model, offline: for English or multilingual, by the first text"),
    embedding("minilm", "MiniLM Embeddings", "all-MiniLM-L6-v2: English, offline, without a key"),
    embedding("multilingual", "Multilingual Embeddings", "multilingual-e5-small: a hundred languages, offline"),
    embedding(
        "sentence_transformers",
        "Sentence Transformers",
        "Any model of that library, on this machine (an extra)",
        Field("modelName", "Model Name or Folder"),
    ),
    embedding(
        "openAIEmbeddings",
        "OpenAI Embeddings",
        "Models of OpenAI",
        Field("modelName", "Model Name", FieldType.ASYNC_OPTIONS, default="text-embedding-ada-002"),
        STRIP,
        BATCH,
        TIMEOUT,
        BASE,
        HEADERS,
        DIMENSIONS,
        ENCODING,
        version=4,
        credentials=("openAIApi",),
    ),
    embedding(
        "openAIEmbeddingsCustom",
        "OpenAI Embeddings Custom",
        "Any model of a server that speaks OpenAI's protocol",
        STRIP,
        BATCH,
        TIMEOUT,
        BASE,
        HEADERS,
        Field("modelName", "Model Name", optional=True),
        DIMENSIONS,
        ENCODING,
        version=3,
        credentials=("openAIApi",),
    ),
    embedding(
        "localAIEmbeddings",
        "LocalAI Embeddings",
        "Models of a LocalAI server",
        Field("basePath", "Base Path"),
        Field("modelName", "Model Name"),
        credentials=("localAIApi",),
    ),
    embedding(
        "openAIEmbedding_LlamaIndex",
        "OpenAI Embedding (LlamaIndex)",
        "Models of OpenAI",
        Field("modelName", "Model Name", FieldType.ASYNC_OPTIONS, default="text-embedding-ada-002"),
        TIMEOUT,
        BASE,
        version=2,
        credentials=("openAIApi",),
    ),
    embedding(
        "azureOpenAIEmbeddings",
        "Azure OpenAI Embeddings",
        "Models of OpenAI that are deployed in Azure",
        BATCH,
        TIMEOUT,
        BASE,
        HEADERS,
        version=2,
        credentials=("azureOpenAIApi",),
    ),
    embedding(
        "azureOpenAIEmbeddingsLlamaIndex",
        "Azure OpenAI Embeddings (LlamaIndex)",
        "Models of OpenAI that are deployed in Azure",
        TIMEOUT,
        credentials=("azureOpenAIApi",),
    ),
    embedding(
        "ollamaEmbedding",
        "Ollama Embeddings",
        "Models of an Ollama server",
        Field("baseUrl", "Base URL", default="http://localhost:11434"),
        Field("modelName", "Model Name"),
        Field("numGpu", "Number of GPU", FieldType.NUMBER, optional=True),
        Field("numThread", "Number of Thread", FieldType.NUMBER, optional=True),
        Field("useMMap", "Use MMap", FieldType.BOOLEAN, optional=True, default=True),
        version=2,
    ),
    embedding(
        "huggingFaceInferenceEmbeddings",
        "HuggingFace Inference Embeddings",
        "Models by Hugging Face's router, or at an endpoint of one's own",
        Field("modelName", "Model", optional=True),
        Field("endpoint", "Endpoint", optional=True, description="Of text-embeddings-inference"),
        credentials=("huggingFaceApi",),
    ),
    embedding(
        "mistralAIEmbeddings",
        "MistralAI Embeddings",
        "Models of Mistral",
        Field("modelName", "Model Name", FieldType.ASYNC_OPTIONS, default="mistral-embed"),
        BATCH,
        STRIP,
        Field("overrideEndpoint", "Override Endpoint", optional=True),
        version=2,
        credentials=("mistralAIApi",),
    ),
    embedding(
        "cohereEmbeddings",
        "Cohere Embeddings",
        "Models of Cohere",
        Field("modelName", "Model Name", FieldType.ASYNC_OPTIONS, default="embed-english-v2.0"),
        Field("inputType", "Type", optional=True, description="Questions and passages are told apart anyhow"),
        version=3,
        credentials=("cohereApi",),
    ),
    embedding(
        "googleGenerativeAiEmbeddings",
        "GoogleGenerativeAI Embeddings",
        "Models of Google's Gemini API",
        Field("modelName", "Model Name", FieldType.ASYNC_OPTIONS, default="gemini-embedding-001"),
        Field("tasktype", "Task Type", optional=True, default="TASK_TYPE_UNSPECIFIED"),
        STRIP,
        version=2,
        credentials=("googleGenerativeAI",),
    ),
    embedding(
        "voyageAIEmbeddings",
        "VoyageAI Embeddings",
        "Models of Voyage AI",
        Field("modelName", "Model Name", FieldType.ASYNC_OPTIONS, default="voyage-2"),
        version=2,
        credentials=("voyageAIApi",),
    ),
    embedding(
        "jinaEmbeddings",
        "Jina Embeddings",
        "Models of Jina",
        Field("modelName", "Model Name", default="jina-embeddings-v3"),
        Field("modelDimensions", "Dimensions", FieldType.NUMBER, optional=True),
        version=3,
        credentials=("jinaAIApi",),
    ),
    embedding(
        "togetherAIEmbedding",
        "TogetherAI Embedding",
        "Models of Together AI",
        Field("modelName", "Model Name"),
        credentials=("togetherAIApi",),
    ),
)
