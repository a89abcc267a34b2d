"""The steps a chatflow can hold, by Flowise's node names: one file and one row each."""

STEPS = {
    "AzureRerankRetriever": "service.chatflows.steps.retriever_rerank:AzureRerankRetriever",
    "bufferMemory": "service.chatflows.steps.buffer_memory:BufferMemory",
    "chatLocal": "service.chatflows.steps.chat_local:ChatLocal",
    "chatLocalAI": "service.chatflows.steps.chat_compatible:ChatLocalAI",
    "chatMistralAI": "service.chatflows.steps.chat_compatible:ChatMistralAI",
    "chatOpenAI": "service.chatflows.steps.chat_openai:ChatOpenAI",
    "cohereRerankRetriever": "service.chatflows.steps.retriever_rerank:CohereRerankRetriever",
    "chatOpenAICustom": "service.chatflows.steps.chat_compatible:ChatOpenAICustom",
    "chatOpenRouter": "service.chatflows.steps.chat_compatible:ChatOpenRouter",
    "chroma": "service.chatflows.steps.vector_store:Chroma",
    "conversationalRetrievalQAChain": "service.chatflows.steps.conversational_retrieval:ConversationalRetrieval",
    "customRetriever": "service.chatflows.steps.retriever_formats:CustomRetriever",
    "documentStoreVS": "service.chatflows.steps.document_store:DocumentStoreVS",
    "embeddingsFilterRetriever": "service.chatflows.steps.retriever_filters:EmbeddingsFilterRetriever",
    "extractMetadataRetriever": "service.chatflows.steps.retriever_metadata:ExtractMetadataRetriever",
    "faiss": "service.chatflows.steps.vector_store:Faiss",
    "HydeRetriever": "service.chatflows.steps.retriever_questions:HydeRetriever",
    "JinaRerankRetriever": "service.chatflows.steps.retriever_rerank:JinaRerankRetriever",
    "llmFilterRetriever": "service.chatflows.steps.retriever_filters:LlmFilterRetriever",
    "localAIEmbeddings": "service.chatflows.steps.embeddings:LocalAIEmbeddings",
    "groqChat": "service.chatflows.steps.chat_compatible:GroqChat",
    "memoryVectorStore": "service.chatflows.steps.vector_store:MemoryVectorStore",
    "multiQueryRetriever": "service.chatflows.steps.retriever_questions:MultiQueryRetriever",
    "openAIEmbeddings": "service.chatflows.steps.embeddings:OpenAIEmbeddings",
    "openAIEmbeddingsCustom": "service.chatflows.steps.embeddings:OpenAIEmbeddings",
    "postgres": "service.chatflows.steps.vector_store:Postgres",
    "promptRetriever": "service.chatflows.steps.retriever_formats:PromptRetriever",
    "qdrant": "service.chatflows.steps.vector_store:Qdrant",
    "RRFRetriever": "service.chatflows.steps.retriever_questions:RrfRetriever",
    "similarityThresholdRetriever": "service.chatflows.steps.retriever_filters:SimilarityThresholdRetriever",
    "simpleStoreLlamaIndex": "service.chatflows.steps.vector_store:SimpleStore",
    "vectorStoreRetriever": "service.chatflows.steps.retriever_formats:VectorStoreRetriever",
    "voyageAIRerankRetriever": "service.chatflows.steps.retriever_rerank:VoyageRerankRetriever",
}
"""Node name -> "module:Class". Sticky notes are no steps: the graph leaves them out (graph.STICKY_NOTES)."""

_OWN = (
    "Use postgres, faiss or memoryVectorStore, which keep the vectors here, chroma or qdrant, which keep them in such a"
    " server, or documentStoreVS for a document store."
)

ELSEWHERE = dict.fromkeys(
    (
        "Astra",
        "couchbase",
        "elasticsearch",
        "kendra",
        "meilisearch",
        "milvus",
        "mongoDBAtlas",
        "openSearch",
        "pinecone",
        "pineconeLlamaIndex",
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

RETRIEVERS_ELSEWHERE = {
    "awsBedrockKBRetriever": (
        "Load the knowledge base's documents into a document store here, by the S3 loader, and use documentStoreVS;"
        " a cohereRerankRetriever or JinaRerankRetriever above it takes the place of its reranking."
    ),
}
"""Retriever nodes that search somewhere else, and what to use in their place."""
