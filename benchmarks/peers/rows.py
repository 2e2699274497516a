"""All rows of the comparison, in the order in which they are shown where nothing else decides."""

from peers import (
    executorch_xnnpack,
    mnn_converted,
    ncnn_pnnx,
    onnxruntime_stock,
    openvino_nncf,
    own,
    pytorch,
    tflite_stock,
)

ADAPTERS = (own, pytorch, onnxruntime_stock, tflite_stock, openvino_nncf, executorch_xnnpack, ncnn_pnnx, mnn_converted)
ROWS = {row.key: row for adapter in ADAPTERS for row in adapter.ROWS}
IMPOSSIBLE = ncnn_pnnx.ABSENT | mnn_converted.ABSENT
"""Label of what cannot be measured anywhere, to the reason."""
