"""GELU in its tanh form, for a runtime without a fast kernel of the error function."""

from edgevit.export.tflite_graph.graph import opened, operators, packed

NOTE = "GELU is computed in its tanh form, which differs by less than 5e-4 (--gelu tanh)"


def with_tanh_gelu(model: bytes) -> bytes:
    """Return the model with every GELU as x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    Hendrycks and Gimpel, arXiv 1606.08415. tflite-runtime 2.14 computes the exact form one number at a time.
    """
    tree = opened(model)
    for name, item in operators(tree):
        if name == "GELU":
            item.builtinOptions.approximate = True
    return packed(tree)
