"""One run of `edgevit run`: what feeds the sinks, its status, its service manager."""
