"""Read a float TFLite model into plain numpy: its operators in order and its constants.

MediaPipe ships float16 weights behind ``DEQUANTIZE`` operators; those are folded here, so what
comes out is a float32 graph. Only what the networks of hands and faces use is read; anything else
is an error that names the operator.

    python -c "from deixis.export.weights import tflite_reader as t, wheels as w; \
print(t.read_tflite(w.read_member(w.HAND_LANDMARK, w.default_folder())).shapes[0])"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.errors import WeightsError

# TFLite enum values (schema.fbs): ActivationFunctionType, Padding.
_ACTIVATIONS = {0: "", 1: "relu", 3: "relu6"}
_PADDINGS = {0: "same", 1: "valid"}
_DTYPES: dict[int, type[np.generic]] = {0: np.float32, 1: np.float16, 2: np.int32, 4: np.int64}


@dataclass(frozen=True)
class TfliteOp:
    """One operator: ``kind`` is the TFLite name, tensors are indices into the graph."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class TfliteModel:
    """A float TFLite graph.

    Attributes:
        ops: operators in execution order, without the folded ``DEQUANTIZE``.
        constants: tensor index → array in TFLite's own layout (conv OHWI, activations NHWC).
        shapes: tensor index → static shape in TFLite's layout (NHWC).
        inputs: tensor indices of the graph's inputs.
        outputs: tensor indices of the graph's outputs, in the model's order.
    """

    ops: tuple[TfliteOp, ...]
    constants: dict[int, NDArray[Any]]
    shapes: dict[int, tuple[int, ...]]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(data: bytes) -> TfliteModel:
    """Parse a TFLite flatbuffer.

    Args:
        data: the bytes of a ``.tflite`` file with one subgraph and float32 or float16 weights.

    Returns:
        The graph with its constants as numpy arrays (float16 ones widened to float32).

    Raises:
        WeightsError: if the bytes are not a TFLite model, or it uses something unsupported.
    """
    import tflite

    if data[4:8] != b"TFL3":
        raise WeightsError("not a TFLite model: the file identifier TFL3 is missing at byte 4")
    model = tflite.Model.GetRootAsModel(data, 0)
    if model.SubgraphsLength() != 1:
        raise WeightsError(f"TFLite model has {model.SubgraphsLength()} subgraphs; 1 is supported")
    graph = model.Subgraphs(0)
    names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}

    shapes: dict[int, tuple[int, ...]] = {}
    constants: dict[int, NDArray[Any]] = {}
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        shapes[index] = shape
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength():
            dtype = _DTYPES.get(tensor.Type())
            if dtype is None:
                raise WeightsError(f"TFLite tensor {index} has unsupported type {tensor.Type()}")
            constants[index] = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype).reshape(shape)

    ops: list[TfliteOp] = []
    for i in range(graph.OperatorsLength()):
        raw = graph.Operators(i)
        code = model.OperatorCodes(raw.OpcodeIndex())
        # Codes below 127 are also in the old 8-bit field; files may fill only one of the two.
        kind = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = tuple(int(k) for k in raw.InputsAsNumpy())
        outputs = tuple(int(k) for k in raw.OutputsAsNumpy())
        if kind == "DEQUANTIZE" and inputs[0] in constants:
            constants[outputs[0]] = constants[inputs[0]].astype(np.float32)
            continue
        ops.append(TfliteOp(kind, inputs, outputs, _options(tflite, kind, raw)))
    return TfliteModel(
        ops=tuple(ops),
        constants=constants,
        shapes=shapes,
        inputs=tuple(int(k) for k in graph.InputsAsNumpy()),
        outputs=tuple(int(k) for k in graph.OutputsAsNumpy()),
    )


def _options(tflite: Any, kind: str, raw: Any) -> dict[str, Any]:
    """The operator's options that matter, as plain values."""

    def table(cls: Any) -> Any:
        options = cls()
        union = raw.BuiltinOptions()
        options.Init(union.Bytes, union.Pos)
        return options

    if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        depthwise = kind == "DEPTHWISE_CONV_2D"
        opt = table(tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
        if (opt.DilationHFactor(), opt.DilationWFactor()) != (1, 1):
            raise WeightsError(f"TFLite {kind}: dilation is not supported")
        return {
            "stride": (opt.StrideH(), opt.StrideW()),
            "padding": _PADDINGS[opt.Padding()],
            "activation": _activation(kind, opt),
        }
    if kind == "MAX_POOL_2D":
        opt = table(tflite.Pool2DOptions)
        return {
            "kernel": (opt.FilterHeight(), opt.FilterWidth()),
            "stride": (opt.StrideH(), opt.StrideW()),
            "padding": _PADDINGS[opt.Padding()],
        }
    if kind == "ADD":
        return {"activation": _activation(kind, table(tflite.AddOptions))}
    if kind == "FULLY_CONNECTED":
        return {"activation": _activation(kind, table(tflite.FullyConnectedOptions))}
    if kind == "CONCATENATION":
        return {"axis": table(tflite.ConcatenationOptions).Axis()}
    if kind == "MEAN":
        return {"keep_dims": table(tflite.ReducerOptions).KeepDims()}
    if kind == "RESIZE_BILINEAR":
        opt = table(tflite.ResizeBilinearOptions)
        return {"align_corners": opt.AlignCorners(), "half_pixel": opt.HalfPixelCenters()}
    if kind in ("PRELU", "RELU", "PAD", "RESHAPE", "LOGISTIC"):
        return {}
    raise WeightsError(f"TFLite operator {kind} is not supported by this loader")


def _activation(kind: str, options: Any) -> str:
    code = options.FusedActivationFunction()
    if code not in _ACTIVATIONS:
        raise WeightsError(f"TFLite {kind}: fused activation {code} is not supported")
    return _ACTIVATIONS[code]
