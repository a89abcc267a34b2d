"""API keys: bearer tokens with scopes, stored hashed, shown once."""
