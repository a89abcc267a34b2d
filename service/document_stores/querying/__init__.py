"""Questions to document stores over HTTP, and why they were answered as they were."""
