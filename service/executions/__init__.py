"""What runs of agentflows did: kept, listed, shared, and gone on with after a person has answered."""
