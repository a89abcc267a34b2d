"""The reviewed list of routes that answer without a key. A route that is public and not listed here does not start.

A change to this list is a security review: tests/architecture/test_public_routes.py holds it.
"""

PUBLIC_ROUTES = frozenset(
    {
        "GET /api/v1/ping",
        "GET /api/v1/version",
        "GET /api/v1/chatflows-streaming",  # answers 412: the id is missing
        "GET /api/v1/chatflows-streaming/{id}",
        "GET /api/v1/public-chatbotConfig",  # answers 412: the id is missing
        "GET /api/v1/public-chatbotConfig/{id}",
        "POST /api/v1/attachments/{chatflowId}",  # answers 412: the chat id is missing
        "POST /api/v1/attachments/{chatflowId}/{chatId}",  # where the flow's fullFileUpload is on
        "POST /api/v1/feedback",  # the id of the answer opens it
        "POST /api/v1/feedback/{id}",
        "PUT /api/v1/feedback/{id}",  # the id of the feedback opens it
        "POST /api/v1/leads",  # writes only; pages of origins that the flow allows
        "GET /api/v1/get-upload-file",  # what visitors brought, for those who know the conversation's id
        "GET /api/v1/public-chatflows",  # answers 412: the id is missing
        "GET /api/v1/public-chatflows/{id}",  # flows that their owners made public
        "GET /api/v1/public-executions",  # answers 412: the id is missing
        "GET /api/v1/public-executions/{id}",  # runs that their owners made public, without secrets and prompts
        "GET /api/v1/webhook/{id}",  # agentflows that their owners start by webhook; signed where there is a secret
        "POST /api/v1/webhook/{id}",
        "PUT /api/v1/webhook/{id}",
        "PATCH /api/v1/webhook/{id}",
        "DELETE /api/v1/webhook/{id}",
        "GET /api/v1/chatflows-uploads",  # answers 412: the id is missing
        "GET /api/v1/chatflows-uploads/{id}",
        "GET /api/v1/chatflows/apikey",  # answers 412: the key is missing
        "GET /api/v1/chatflows/apikey/{apikey}",  # the key in the path opens it
        "GET /api/v1/verify/apikey/{apikey}",  # the key in the path opens it
        "GET /api/v1/components-credentials-icon/{name}",  # drawn from the component's name alone
        "GET /api/v1/node-icon/{name}",  # drawn from the component's name alone
        "POST /api/v1/prediction",
        "POST /api/v1/prediction/{id}",
        "PUT /api/v1/chatmessage/abort",
        "PUT /api/v1/chatmessage/abort/{chatflowid}",
        "PUT /api/v1/chatmessage/abort/{chatflowid}/{chatid}",
        "GET /healthz",
        "GET /readyz",
        "GET /openapi.json",
        "GET /docs",
        "GET /docs/{asset}",
    }
)

WIDGET_ROUTES = frozenset({"POST /api/v1/vector/upsert/{id}"})
"""Routes that need a key, unless the operator and the flow let chat widgets in without one."""
