"""Ranges, and what stays float, whatever the file format."""
