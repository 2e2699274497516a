"""Object detection: from a model's raw answers to boxes in the picture, and what is told of them."""
