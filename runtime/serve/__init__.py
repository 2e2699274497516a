"""A small page about a run: its newest picture, its answers and events, its health; docs/serve.md describes it."""
