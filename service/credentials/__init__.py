"""Credentials: keys of providers and servers, sealed at rest, and never returned once they are saved."""
