"""Questions to document stores over HTTP."""
