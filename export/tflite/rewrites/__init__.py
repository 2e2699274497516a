"""Changes of a finished int8 TFLite graph that spare time on a small processor, one file for each."""
