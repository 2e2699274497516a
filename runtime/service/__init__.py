"""Running for months below systemd: its notify protocol, a model that can be renewed, and the unit file."""
