"""The safetensors file format: 8 bytes little-endian header length, JSON header, raw data."""

import json
import mmap

import numpy as np

_DTYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_HEADER_ALIGNMENT = 64  # tensors begin at a multiple of this, so that they can be used in place


def encode(tensors, metadata=None):
    """The bytes of a file. `tensors` maps names to arrays of f32, f64, i32 or i64."""
    header, blobs, position = {}, [], 0
    if metadata:
        header["__metadata__"] = {key: str(value) for key, value in metadata.items()}
    # Wide types first, as the reference writer does: every tensor is then aligned to its own width.
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
        array = np.ascontiguousarray(tensors[name])
        little_endian = array.dtype.newbyteorder("<")
        if little_endian not in _NAMES:
            raise ValueError(f"tensor {name}: dtype {array.dtype} is none of {', '.join(_DTYPES)}")
        blob = array.astype(little_endian, copy=False).tobytes()
        header[name] = {
            "dtype": _NAMES[little_endian],
            "shape": list(tensors[name].shape),
            "data_offsets": [position, position + len(blob)],
        }
        blobs.append(blob)
        position += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _HEADER_ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + b"".join(blobs)


def decode(data):
    """(tensors, metadata) of a file's bytes; ValueError where they contradict themselves."""
    if len(data) < 8:
        raise ValueError(f"{len(data)} bytes are too few for a safetensors header")
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError(f"the header of {length} bytes reaches past the end of {len(data)} bytes")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    body = memoryview(data)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] not in _DTYPES or not 0 <= begin <= end <= len(body):
            raise ValueError(f"tensor {name}: dtype {entry['dtype']} at {begin}..{end} cannot be read")
        array = np.frombuffer(body[begin:end], dtype=_DTYPES[entry["dtype"]])
        tensors[name] = array.reshape(entry["shape"])
    return tensors, metadata


def write(path, tensors, metadata=None):
    with open(path, "wb") as stream:
        stream.write(encode(tensors, metadata))


def read(path):
    """Tensors are views into the file, mapped into memory."""
    with open(path, "rb") as stream:
        try:
            return decode(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
