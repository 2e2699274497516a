"""Detection models: backbones that give features at strides 8, 16 and 32, necks that mix them, heads that answer."""
