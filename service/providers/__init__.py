"""Models that others make: embedders and chat models, each family a table, a base, a fake and one file a provider."""
