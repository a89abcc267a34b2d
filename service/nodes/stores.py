"""The vector stores and record managers: a row a component, with the fields of the contract (b.4)."""

from service.nodes.types import Anchor, Category, Field, FieldType, Node

ANCHORS = (
    Anchor("document", "Document", "Document", optional=True, many=True),
    Anchor("embeddings", "Embeddings", "Embeddings"),
    Anchor("recordManager", "Record Manager", "RecordManager", optional=True),
)
TOP_K = Field("topK", "Top K", FieldType.NUMBER, optional=True, default=4, description="How many chunks a query finds")
PORT = Field("port", "Port", FieldType.NUMBER, optional=True)
SSL = Field("ssl", "SSL", FieldType.BOOLEAN, optional=True)
TABLE = Field("tableName", "Table Name", optional=True, description="Accepted; the service names its own tables")
MORE = Field("additionalConfig", "Additional Configuration", FieldType.JSON, optional=True)
HOST = Field("host", "Host", description="Accepted; the service's own database is used")
DATABASE = Field("database", "Database", description="Accepted; the service's own database is used")
CLEANUP = {
    "none": "None: nothing is removed",
    "incremental": "Incremental: what a changed source no longer has is removed",
    "full": "Full: what a call no longer brings is removed too",
}
RECORDS = (
    Field("namespace", "Namespace", optional=True),
    Field("cleanup", "Cleanup", FieldType.OPTIONS, default="none", choices=CLEANUP),
    Field("sourceIdKey", "SourceId Key", optional=True, default="source"),
)


def vector_store(
    name: str,
    label: str,
    description: str,
    *fields: Field,
    version: float = 1,
    credentials: tuple[str, ...] = (),
    anchors: tuple[Anchor, ...] = ANCHORS,
) -> Node:
    """A vector store with its fields."""
    return Node(
        name,
        label,
        Category.VECTOR_STORES,
        description,
        fields,
        anchors,
        version,
        (label, "VectorStoreRetriever", "BaseRetriever"),
        credentials,
    )


def record_manager(
    name: str, label: str, *fields: Field, version: float = 1, credentials: tuple[str, ...] = ()
) -> Node:
    """A record manager with its fields; the ledger does its work."""
    return Node(
        name,
        label,
        Category.RECORD_MANAGERS,
        "The ledger of this service, with the settings of this component",
        (*fields, *RECORDS),
        (),
        version,
        (label, "RecordManager"),
        credentials,
    )


FILE_UPLOAD = Field("fileUpload", "File Upload", FieldType.BOOLEAN, optional=True)
BATCH = Field("batchSize", "Batch Size", FieldType.NUMBER, optional=True)
UNUSED = "Accepted; not used"
COLLECTION = "Accepted; the service names its own collections"

ROWS = (
    vector_store("pgvector", "pgvector", "The vector store of this service, without anything to configure", TOP_K),
    vector_store(
        "postgres",
        "Postgres",
        "The vector store of this service; what says where it lies is accepted and not used",
        HOST,
        DATABASE,
        PORT,
        SSL,
        TABLE,
        Field(
            "distanceStrategy",
            "Distance Strategy",
            FieldType.OPTIONS,
            optional=True,
            default="cosine",
            choices={"cosine": "Cosine", "euclidean": "Euclidean", "innerProduct": "Inner Product"},
        ),
        FILE_UPLOAD,
        BATCH,
        MORE,
        TOP_K,
        Field("pgMetadataFilter", "Postgres Metadata Filter", FieldType.JSON, optional=True),
        Field("contentColumnName", "Content Column Name", optional=True),
        version=7.1,
        credentials=("PostgresApi",),
    ),
    vector_store(
        "chroma",
        "Chroma",
        "A Chroma server; without a URL, the vector store of this service",
        Field("collectionName", "Collection Name", description=COLLECTION),
        Field("chromaURL", "Chroma URL", optional=True, description="Such as http://chroma.example:8000"),
        Field("chromaMetadataFilter", "Chroma Metadata Filter", FieldType.JSON, optional=True),
        TOP_K,
        version=2,
        credentials=("chromaApi",),
    ),
    vector_store(
        "qdrant",
        "Qdrant",
        "A Qdrant server; without a URL, the vector store of this service",
        Field("qdrantServerUrl", "Qdrant Server URL", description="Such as http://qdrant.example:6333"),
        Field("qdrantCollection", "Qdrant Collection Name", description=COLLECTION),
        FILE_UPLOAD,
        Field("qdrantVectorDimension", "Vector Dimension", FieldType.NUMBER, default=1536, description=UNUSED),
        Field("contentPayloadKey", "Content Key", optional=True, default="content", description=UNUSED),
        Field("metadataPayloadKey", "Metadata Key", optional=True, default="metadata"),
        BATCH,
        Field(
            "qdrantSimilarity",
            "Similarity",
            FieldType.OPTIONS,
            default="Cosine",
            choices={"Cosine": "Cosine", "Euclid": "Euclid", "Dot": "Dot"},
            description=UNUSED,
        ),
        Field("qdrantCollectionConfiguration", "Additional Collection Configuration", FieldType.JSON, optional=True),
        TOP_K,
        Field("qdrantFilter", "Qdrant Search Filter", FieldType.JSON, optional=True),
        version=5,
        credentials=("qdrantApi",),
    ),
    vector_store(
        "faiss",
        "Faiss",
        "The vector store of this service; what says where it lies is accepted and not used",
        Field("basePath", "Base Path to load", description="Accepted; no file is read or written"),
        TOP_K,
        anchors=ANCHORS[:2],
    ),
    vector_store(
        "memoryVectorStore",
        "In-Memory Vector Store",
        "The vector store of this service: what it holds outlives restarts",
        TOP_K,
        anchors=ANCHORS[:2],
    ),
    vector_store(
        "pinecone",
        "Pinecone",
        "The vector store of this service; no index at Pinecone is written or read",
        Field("pineconeIndex", "Pinecone Index", optional=True, description=UNUSED),
        Field("pineconeNamespace", "Pinecone Namespace", optional=True, description=UNUSED),
        FILE_UPLOAD,
        Field("pineconeTextKey", "Pinecone Text Key", optional=True, description=UNUSED),
        Field("pineconeMetadataFilter", "Pinecone Metadata Filter", FieldType.JSON, optional=True),
        TOP_K,
        version=5,
    ),
    record_manager("SQLiteRecordManager", "SQLite Record Manager", MORE, TABLE, version=1.1),
    record_manager(
        "postgresRecordManager",
        "Postgres Record Manager",
        HOST, DATABASE, PORT, SSL, MORE, TABLE,
        credentials=("PostgresApi",),
    ),
    record_manager(
        "MySQLRecordManager",
        "MySQL Record Manager",
        HOST, DATABASE, PORT, MORE, TABLE,
        credentials=("MySQLApi",),
    ),
)  # fmt: skip
