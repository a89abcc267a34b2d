"""The permissions a key can hold: the contract's list (flowise.md 7.5), and `*` for all of them."""

ACTIONS = {
    "chatflows": "view create update duplicate delete export import config domains",
    "agentflows": "view create update duplicate delete export import config domains",
    "tools": "view create update delete export",
    "assistants": "view create update delete",
    "variables": "view create update delete",
    "apikeys": "view create update delete",
    "datasets": "view create update delete",
    "evaluators": "view create update delete",
    "credentials": "view create update delete share",
    "documentStores": "view create update delete add-loader delete-loader preview-process upsert-config",
    "executions": "view update delete",
    "evaluations": "view create update delete run",
    "templates": "marketplace custom custom-delete toolexport flowexport custom-share",
    "auditLogs": "view",
    "workspace": "export import",
}

SCOPES = frozenset(f"{area}:{action}" for area, actions in ACTIONS.items() for action in actions.split()) | {"*"}
"""Every scope there is."""
