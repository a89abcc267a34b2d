"""What other features do with the documents of a loader whose content comes from elsewhere: the ledger's side of it.

A gathering job claims what is new or changed, marks what left its origin, and is then indexed as an upsert is.
"""
