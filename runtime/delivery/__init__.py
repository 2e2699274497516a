"""Records over a network: stored first, delivered in order."""
