"""The one way out: every call to another host goes through `client.Egress`, which calls public addresses only."""
