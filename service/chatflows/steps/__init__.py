"""The steps a chatflow can hold, by Flowise's node names: one file and one row each."""

STEPS = {
    "bufferMemory": "service.chatflows.steps.buffer_memory:BufferMemory",
    "chatLocal": "service.chatflows.steps.chat_local:ChatLocal",
    "chatOpenAI": "service.chatflows.steps.chat_openai:ChatOpenAI",
    "conversationalRetrievalQAChain": "service.chatflows.steps.conversational_retrieval:ConversationalRetrieval",
    "documentStoreVS": "service.chatflows.steps.document_store:DocumentStoreVS",
}
"""Node name -> "module:Class". Sticky notes are no steps: the graph leaves them out (graph.STICKY_NOTES)."""
