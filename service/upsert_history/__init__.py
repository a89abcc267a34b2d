"""What each upsert did."""
