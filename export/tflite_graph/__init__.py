"""A TFLite graph as Python objects, and changes of a finished int8 one that spare time on a small processor."""
