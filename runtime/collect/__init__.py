"""Photos for training: the frames of a source in folders that are named by their class."""
