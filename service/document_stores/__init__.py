"""Document stores: knowledge bases that are configured, filled (upsert) and searched."""
