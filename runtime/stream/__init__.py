"""A source's frames to results."""
