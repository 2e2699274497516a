"""What operators cost on a Cortex-A72 in ONNX Runtime 1.31; the table is printed by tools/a72/fit.py."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """What one kind of operator takes for its work."""

    instructions_per_mac: float
    instructions_per_element: float
    misses_per_mac: float
    """Misses of the first data cache, 32 KB, for one multiply-accumulate."""
    misses_per_byte: float


COSTS: dict[str, Price] = {
    "pointwise": Price(0.332, 0, 0.0097, 0.0853),
    "convolution": Price(0.382, 5.21, 0.0138, 0.1),
    "depthwise": Price(1.89, 0.21, 0, 0.0162),
    "wide depthwise": Price(5.57, 0.223, 0.0107, 0.00363),
    "matrix": Price(0.33, 0, 0.0151, 0.0121),
    "int8 pointwise": Price(0.247, 6.31, 0.00114, 0.153),
    "int8 convolution": Price(0.3, 0, 0.0017, 0.294),
    "int8 depthwise": Price(0.661, 1.94, 0.00607, 0.0652),
    "int8 matrix": Price(0.28, 0, 0.00217, 0.0148),
    "product": Price(0.349, 2.1, 0.000122, 0.02),
    "Gelu": Price(0, 22.2, 0, 0.0174),
    "HardSwish": Price(0, 4.1, 0, 0.0401),
    "HardSigmoid": Price(0, 2.21, 0, 0.0162),
    "simple": Price(0, 0.979, 0, 0.0164),
    "quantize": Price(0, 2.74, 0, 0.0166),
    "dequantize": Price(0, 1.35, 0, 0.0165),
    "AveragePool": Price(0, 105, 0, 0.0165),
    "LayerNormalization": Price(0, 14.5, 0, 0.0186),
    "Softmax": Price(0, 11.4, 0, 0.0183),
    "int8 lookup": Price(0, 3.97, 0, 0.0171),
    "int8 arithmetic": Price(0, 2.96, 0, 0.0174),
}
"""Kind of operator to its price."""

ERROR = 0.16
"""How far an estimate may be off, as a share: 7 % of counts and 8 % of times, docs/benchmark.md says how found."""

LITERT_GROUPS = {
    **dict.fromkeys(("int8 pointwise", "int8 convolution", "int8 matrix"), "int8 dense"),
    **dict.fromkeys(("int8 arithmetic", "quantize", "dequantize"), "int8 other"),
    **dict.fromkeys(("pointwise", "convolution", "matrix"), "dense"),
    **dict.fromkeys(("depthwise", "wide depthwise"), "depthwise"),
    **dict.fromkeys(("product", "Softmax"), "attention"),
    **{kind: kind for kind in ("int8 depthwise", "int8 lookup")},
}
"""Kind of operator to the group that its share is known of; all others are "other"."""

LITERT_SHARES: dict[str, tuple[float, float]] = {
    "other": (0.805, 0),
    "dense": (0.965, 0.731),
    "depthwise": (0.361, 0),
    "attention": (1.18, 4.32),
    "int8 other": (0.264, 0),
    "int8 dense": (0.993, 0.34),
    "int8 lookup": (0.286, 0),
    "int8 depthwise": (0.734, 0),
}
"""Instructions and misses of LiteRT 2.3's kernels, XNNPACK's, as shares of what COSTS say for the same operators.

Single operators were not counted in LiteRT, but whole models (tools/a72/litert.py); tools/a72/fit.py prints the table.
"""

TFLITE_ERROR = 0.22
"""How far an estimate of a TFLite file may be off: 15 % of the counts and 8 % of the times together; docs/benchmark.md."""
