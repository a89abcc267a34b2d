"""Brings what lies in the database to the newest key: what was written before configurations were sealed, too."""
