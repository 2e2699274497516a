"""Signed models that a board fetches by itself: checked, tested, swapped in, watched, and swapped back if they fail."""
