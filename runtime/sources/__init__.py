"""Where pictures come from: one grammar, files that are read whole, live sources that are read now."""
