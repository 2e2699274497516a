"""Addresses of sources and destinations, and the secrets that go with them: read in one place, never shown whole."""
