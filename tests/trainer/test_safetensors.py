"""The safetensors files that the trainer writes and reads."""

import json
import tempfile
import unittest
from pathlib import Path

import numpy as np

from trainer import safetensors


class SafetensorsTest(unittest.TestCase):
    def test_truncated_bytes_are_refused(self):
        whole = safetensors.encode({"a": np.arange(4, dtype=np.float32)})
        for length in (0, 7, 20, len(whole) - 1):
            with self.assertRaises(ValueError):
                safetensors.decode(whole[:length])

    def test_an_unknown_dtype_is_refused(self):
        with self.assertRaises(ValueError):
            safetensors.encode({"a": np.zeros(2, dtype=np.uint8)})

    def test_what_is_written_is_read(self):
        tensors = {
            "f": np.array([[1.5, -2.0]], dtype=np.float32),
            "empty": np.zeros((0, 3), dtype=np.int64),
            "i": np.array([7, -1], dtype=np.int32),
        }
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "x.safetensors"
            safetensors.write(path, tensors, {"tau": "1.9"})
            found, metadata = safetensors.read(path)
        self.assertEqual(metadata, {"tau": "1.9"})
        self.assertEqual(set(found), set(tensors))
        for name, array in tensors.items():
            self.assertEqual(found[name].dtype, array.dtype)
            np.testing.assert_array_equal(found[name], array)

    def test_data_begins_aligned_and_every_tensor_at_its_own_width(self):
        data = safetensors.encode({"a": np.zeros(1, np.int32), "b": np.zeros(3, np.int64)})
        length = int.from_bytes(data[:8], "little")
        self.assertEqual((8 + length) % 64, 0)
        self.assertEqual(json.loads(data[8 : 8 + length])["b"]["data_offsets"], [0, 24])


if __name__ == "__main__":
    unittest.main()
