"""The features that answer HTTP: a line a feature."""

ROUTERS = {
    "info": "service.info.routes:routes",
    "probes": "service.info.routes:probes",
    "docs": "service.http.docs:routes",
    "limits": "service.limits.routes:routes",
    "jobs": "service.jobs.routes:routes",
    "credentials": "service.credentials.routes:routes",
    "document_stores": "service.document_stores.routes:routes",
    "indexing": "service.document_stores.indexing.routes:routes",
    "editing": "service.document_stores.editing.routes:routes",
    "deleting": "service.document_stores.deleting.routes:routes",
    "sync": "service.sync.routes:routes",
    "connectors": "service.connectors.routes:routes",
    "chatflows": "service.chatflows.routes:routes",
    "flow_upserts": "service.flow_upserts.routes:routes",
    "upsert_history": "service.upsert_history.routes:routes",
    "attachments": "service.attachments.routes:routes",
    "predictions": "service.predictions.routes:routes",
    "chat_messages": "service.predictions.routes:messages",
}
