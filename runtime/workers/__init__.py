"""Processes of this machine that answer items side by side."""
