"""The steps a chatflow can hold, by Flowise's node names: one file and one row each."""

STEPS = {
    "AzureRerankRetriever": "service.chatflows.steps.retriever_rerank:AzureRerankRetriever",
    "bufferMemory": "service.chatflows.steps.buffer_memory:BufferMemory",
    "bufferWindowMemory": "service.chatflows.steps.window_memory:BufferWindowMemory",
    "chatLocal": "service.chatflows.steps.chat_local:ChatLocal",
    "chatLocalAI": "service.chatflows.steps.chat_compatible:ChatLocalAI",
    "chatMistralAI": "service.chatflows.steps.chat_compatible:ChatMistralAI",
    "chatOpenAI": "service.chatflows.steps.chat_openai:ChatOpenAI",
    "chatOpenAICustom": "service.chatflows.steps.chat_compatible:ChatOpenAICustom",
    "chatOpenRouter": "service.chatflows.steps.chat_compatible:ChatOpenRouter",
    "chatPromptTemplate": "service.chatflows.steps.prompt_template:ChatPromptTemplate",
    "chroma": "service.chatflows.steps.vector_store:Chroma",
    "cohereRerankRetriever": "service.chatflows.steps.retriever_rerank:CohereRerankRetriever",
    "conversationalRetrievalQAChain": "service.chatflows.steps.conversational_retrieval:ConversationalRetrieval",
    "conversationChain": "service.chatflows.steps.conversation_chain:ConversationChain",
    "customRetriever": "service.chatflows.steps.retriever_formats:CustomRetriever",
    "documentStoreVS": "service.chatflows.steps.document_store:DocumentStoreVS",
    "embeddingsFilterRetriever": "service.chatflows.steps.retriever_filters:EmbeddingsFilterRetriever",
    "extractMetadataRetriever": "service.chatflows.steps.retriever_metadata:ExtractMetadataRetriever",
    "faiss": "service.chatflows.steps.vector_store:Faiss",
    "groqChat": "service.chatflows.steps.chat_compatible:GroqChat",
    "HydeRetriever": "service.chatflows.steps.retriever_questions:HydeRetriever",
    "JinaRerankRetriever": "service.chatflows.steps.retriever_rerank:JinaRerankRetriever",
    "llmChain": "service.chatflows.steps.llm_chain:LlmChain",
    "llmFilterRetriever": "service.chatflows.steps.retriever_filters:LlmFilterRetriever",
    "localAIEmbeddings": "service.chatflows.steps.embeddings:LocalAIEmbeddings",
    "memoryVectorStore": "service.chatflows.steps.vector_store:MemoryVectorStore",
    "MongoDBAtlasChatMemory": "service.chatflows.steps.window_memory:MongoMemory",
    "multiQueryRetriever": "service.chatflows.steps.retriever_questions:MultiQueryRetriever",
    "openAIEmbeddings": "service.chatflows.steps.embeddings:OpenAIEmbeddings",
    "openAIEmbeddingsCustom": "service.chatflows.steps.embeddings:OpenAIEmbeddings",
    "postgres": "service.chatflows.steps.vector_store:Postgres",
    "promptRetriever": "service.chatflows.steps.retriever_formats:PromptRetriever",
    "promptTemplate": "service.chatflows.steps.prompt_template:PromptTemplate",
    "qdrant": "service.chatflows.steps.vector_store:Qdrant",
    "RedisBackedChatMemory": "service.chatflows.steps.window_memory:RedisMemory",
    "retrievalQAChain": "service.chatflows.steps.retrieval_qa:RetrievalQA",
    "RRFRetriever": "service.chatflows.steps.retriever_questions:RrfRetriever",
    "similarityThresholdRetriever": "service.chatflows.steps.retriever_filters:SimilarityThresholdRetriever",
    "simpleStoreLlamaIndex": "service.chatflows.steps.vector_store:SimpleStore",
    "upstashRedisBackedChatMemory": "service.chatflows.steps.window_memory:UpstashMemory",
    "vectorStoreRetriever": "service.chatflows.steps.retriever_formats:VectorStoreRetriever",
    "voyageAIRerankRetriever": "service.chatflows.steps.retriever_rerank:VoyageRerankRetriever",
    "ZepMemory": "service.chatflows.steps.window_memory:ZepMemory",
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
