"""Logits to probabilities, and probabilities to an order."""

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities along the last axis; logits of any size do not overflow."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def top_classes(probabilities: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the indices of the k largest of (classes,), largest first, the lower index first among equals."""
    return np.argsort(-probabilities, kind="stable")[:k]


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 1 / (1 + exp(-x)) of each logit; logits of any size do not overflow."""
    shares: NDArray[np.float32] = 0.5 * (1 + np.tanh(0.5 * logits))
    return shares
