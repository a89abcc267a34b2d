"""The steps a chatflow can hold, by Flowise's node names: one file and one row each."""

STEPS = {
    "bufferMemory": "service.chatflows.steps.buffer_memory:BufferMemory",
    "chatLocal": "service.chatflows.steps.chat_local:ChatLocal",
    "chatOpenAI": "service.chatflows.steps.chat_openai:ChatOpenAI",
    "conversationalRetrievalQAChain": "service.chatflows.steps.conversational_retrieval:ConversationalRetrieval",
    "documentStoreVS": "service.chatflows.steps.document_store:DocumentStoreVS",
    "faiss": "service.chatflows.steps.vector_store:Faiss",
    "memoryVectorStore": "service.chatflows.steps.vector_store:MemoryVectorStore",
    "postgres": "service.chatflows.steps.vector_store:Postgres",
    "simpleStoreLlamaIndex": "service.chatflows.steps.vector_store:SimpleStore",
}
"""Node name -> "module:Class". Sticky notes are no steps: the graph leaves them out (graph.STICKY_NOTES)."""

_OWN = "Use postgres, faiss or memoryVectorStore, which keep the vectors here, or documentStoreVS for a document store."

ELSEWHERE = dict.fromkeys(
    (
        "Astra",
        "chroma",
        "couchbase",
        "elasticsearch",
        "kendra",
        "meilisearch",
        "milvus",
        "mongoDBAtlas",
        "openSearch",
        "pinecone",
        "pineconeLlamaIndex",
        "qdrant",
        "redis",
        "singlestore",
        "supabase",
        "upstash",
        "vectara",
        "vectaraUpload",
        "weaviate",
        "zep",
        "zepCloud",
    ),
    _OWN,
)
"""Flowise's other vector-store nodes, and what to use in their place. A backend that comes here moves to `STEPS`."""
