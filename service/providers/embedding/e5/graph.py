"""The encoder as an ONNX model: BERT's layers as nodes of ONNX Runtime, written as protocol buffers.

The few messages of ONNX's format that it takes are written here, as no library for it is installed with the service.
Matrices are 8-bit with a scale for each output, which runs eight times as fast as the engine of the wheel and gives
the same vectors but for a cosine of .996. They use 7 of the 8 bits: processors without VNNI add products in pairs of 16
bits, which full range would overflow.
"""

import struct
from collections.abc import Iterable

import numpy as np

from service.providers.embedding.e5.weights import Weights

IR_VERSION = 9
OPSET = 18
VENDOR = "com.microsoft"
INPUT, OUTPUT = "embedded", "states"
_LARGEST = 63
_TYPES = {"float32": 1, "int8": 3}

_FLOAT_ATTRIBUTE, _INT_ATTRIBUTE = 1, 2


def encoder(weights: Weights) -> bytes:
    """The model: embedded tokens `INPUT` (texts, tokens, size) to the last layer's states `OUTPUT` of that shape."""
    graph = _Graph()
    states = graph.add(
        "LayerNormalization",
        "states.0",
        INPUT,
        graph.keep("emb.ln.w", weights.floats("emb.ln.w")),
        graph.keep("emb.ln.b", weights.floats("emb.ln.b")),
        epsilon=weights.epsilon,
        axis=2,
    )
    for layer in range(weights.layers):
        states = _layer(graph, weights, f"l{layer}.", states)
    graph.add("Identity", OUTPUT, states)
    return graph.model(["texts", "tokens", weights.size])


def _layer(graph: "_Graph", weights: Weights, at: str, states: str) -> str:
    """Attention and feed-forward network, each added to its input and normalised."""
    size = weights.size

    def kept(name: str) -> str:
        return graph.keep(at + name, weights.floats(at + name))

    def normalised(name: str, what: str, onto: str, bias: str) -> str:
        return graph.add(
            "SkipLayerNormalization", f"{at}{name}", what, onto, kept(f"{name}.w"), kept(f"{name}.b"), kept(bias),
            domain=VENDOR, epsilon=weights.epsilon,
        )  # fmt: skip

    queries_keys_values = np.concatenate([weights.matrix(f"{at}{part}.w", size) for part in "qkv"])
    biases = np.concatenate([weights.floats(f"{at}{part}.b") for part in "qkv"])
    parts = [f"{at}{part}" for part in "qkv"]
    graph.add("Split", parts, graph.product(at + "qkv", states, queries_keys_values), axis=2, num_outputs=3)
    attention = graph.add(
        "MultiHeadAttention", at + "attention", *parts, graph.keep(at + "qkv.b", biases),
        domain=VENDOR, num_heads=weights.heads,
    )  # fmt: skip
    output = graph.product(at + "ao", attention, weights.matrix(at + "ao.w", size))
    attended = normalised("aln", output, states, "ao.b")
    inner = graph.product(at + "fi", attended, weights.matrix(at + "fi.w", size))
    active = graph.add("BiasGelu", at + "active", inner, kept("fi.b"), domain=VENDOR)
    outer = graph.product(at + "fo", active, weights.matrix(at + "fo.w", weights.inner))
    return normalised("oln", outer, attended, "fo.b")


class _Graph:
    """Nodes and constants, as bytes of the messages NodeProto and TensorProto."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []

    def keep(self, name: str, value: np.ndarray) -> str:
        """A constant of the graph, by name."""
        dims = b"".join(_field(1, size) for size in value.shape)
        content = value.tobytes()
        tensor = dims + _field(2, _TYPES[value.dtype.name]) + _field(8, name) + _opened(9, len(content))
        # In pieces until the very end: joined at every level, 21 MB would be copied four times.
        self._constants += [_opened(5, len(tensor) + len(content)), tensor, content]
        return name

    def product(self, name: str, what: str, matrix: np.ndarray) -> str:
        """`what` times a matrix of (outputs, inputs), in 8 bits on both sides."""
        scales = np.maximum(np.abs(matrix).max(axis=1), 1e-9) / _LARGEST
        numbers = np.ascontiguousarray(np.round(matrix / scales[:, None]).astype(np.int8).T)
        constants = (
            self.keep(f"{name}.w", numbers),
            self.keep(f"{name}.scales", scales.astype(np.float32)),
            self.keep(f"{name}.zeros", np.zeros(len(matrix), np.int8)),
        )
        return self.add("DynamicQuantizeMatMul", f"{name}.product", what, *constants, domain=VENDOR)

    def add(self, operator: str, outputs: str | list[str], *inputs: str, domain: str = "", **attributes: float) -> str:
        """A node; returns the name of its first output."""
        names = [outputs] if isinstance(outputs, str) else outputs
        node = b"".join([*(_field(1, name) for name in inputs), *(_field(2, name) for name in names)])
        node += _field(4, operator) + _field(7, domain)
        for name, value in attributes.items():
            number, kind = (3, _INT_ATTRIBUTE) if isinstance(value, int) else (2, _FLOAT_ATTRIBUTE)
            node += _field(5, _field(1, name) + _field(number, value) + _field(20, kind))
        self._nodes.append(node)
        return names[0]

    def model(self, shape: list[str | int]) -> bytes:
        """The message ModelProto, with input and output of this shape."""
        graph = [_field(1, node) for node in self._nodes] + [_field(2, "e5"), *self._constants]
        graph += [_field(11, _floats(INPUT, shape)), _field(12, _floats(OUTPUT, shape))]
        sets = ((VENDOR, 1), ("", OPSET))
        versions = [_field(8, _field(1, domain) + _field(2, version)) for domain, version in sets]
        return b"".join([_field(1, IR_VERSION), _opened(7, sum(map(len, graph))), *graph, *versions])


def _floats(name: str, shape: Iterable[str | int]) -> bytes:
    """The message ValueInfoProto of a float32 tensor; named sizes are free."""
    dims = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, _TYPES["float32"]) + _field(2, dims)))


def _field(number: int, value: float | str | bytes) -> bytes:
    """One field of a protocol buffer's message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return _opened(number, len(content)) + content


def _opened(number: int, length: int) -> bytes:
    """How a field begins whose content has this length."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
