"""Bytes and arrays to pictures, pictures to model inputs, answers to masks."""
