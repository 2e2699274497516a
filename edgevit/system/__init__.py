"""The operating system: what differs between systems, and files that are written whole or not at all."""
