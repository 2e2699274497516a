"""The operating system: what differs between systems, files that are written whole or not at all, and the log."""
