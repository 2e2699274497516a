"""Signed models that boards fetch by themselves: the folder that a web server hands out, and the keys that sign it.

The folder is a repository of The Update Framework (https://theupdateframework.io) as python-tuf reads it. Users meet
none of its words: a *site* is the folder, a *channel* a delegated role, a *release* one model of a channel.
"""
