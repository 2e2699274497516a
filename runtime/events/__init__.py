"""From a sequence of answers to what happened: pure state machines; no clock, no camera, no network."""
