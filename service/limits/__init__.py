"""What may be asked of the service at most: one table for the checks' names, `GET /limits` and the README."""
