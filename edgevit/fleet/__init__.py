"""Many boards from one PC: what each of them runs, and signed models that they fetch by themselves.

What boards run is read from the broker that they publish to; models lie in a folder that a web server hands out, and
whose keys sign them.

The folder is a repository of The Update Framework (https://theupdateframework.io) as python-tuf reads it. Users meet
none of its words: a *site* is the folder, a *channel* a delegated role, a *rollout* one model of a channel.
"""
