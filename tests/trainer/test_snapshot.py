"""Which directories a snapshot may be written into."""

import json
import tempfile
import unittest
from pathlib import Path

from trainer import snapshot


class FilesToReplaceTest(unittest.TestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory())) / "snapshot"

    def _write(self, files=("users.jsonl", "blend.json"), **fields):
        self.directory.mkdir(exist_ok=True)
        for name in files:
            (self.directory / name).write_text("{}")
        snapshot.write_manifest(self.directory, fields)

    def _manifest(self, text):
        self.directory.mkdir(exist_ok=True)
        (self.directory / "manifest.json").write_text(text)

    def _assert_refused(self, message):
        before = {path: path.is_file() and path.read_bytes() for path in self.directory.iterdir()}
        with self.assertRaisesRegex(ValueError, message + ".*; name a new or an empty directory"):
            snapshot.files_to_replace(self.directory)
        self.assertEqual({path: path.is_file() and path.read_bytes() for path in self.directory.iterdir()}, before)

    def test_an_empty_or_a_new_directory_has_none(self):
        self.assertEqual(snapshot.files_to_replace(self.directory), [])
        self.directory.mkdir()
        self.assertEqual(snapshot.files_to_replace(self.directory), [])

    def test_a_snapshot_of_the_trainer_has_its_own(self):
        self._write()
        (self.directory / "README").write_text("mine")
        self.assertEqual(snapshot.files_to_replace(self.directory), ["blend.json", "users.jsonl"])

    def test_a_directory_of_other_files_is_refused(self):
        self.directory.mkdir()
        (self.directory / "users.jsonl").write_text("mine")
        self._assert_refused("snapshot holds users.jsonl and no manifest.json")

    def test_a_file_that_the_manifest_does_not_list_is_refused(self):
        self._write()
        (self.directory / "items.jsonl").write_text("mine")
        self._assert_refused("snapshot holds items.jsonl, which its manifest.json does not list")

    def test_a_manifest_of_something_else_is_refused(self):
        for text, message in (
                ('{"name": "an extension", "manifest_version": 3}', "format_version is null and not 1, as"),
                ('{"format_version": 2, "files": {}}', "format_version is 2"),
                ('{"format_version": true, "files": {}}', "format_version is true"),
                ("[1]", "format_version is null"),
                ("not JSON", "manifest.json is no snapshot's"),
                ('{"format_version": 1, "files": ["a.jsonl"]}', "files is .*it must be a table"),
                ('{"format_version": 1, "files": {"photo.jpg": {}}}', 'files has "photo.jpg"'),
                ('{"format_version": 1, "files": {"../a.jsonl": {}}}', 'files has "../a.jsonl"')):
            self._manifest(text)
            (self.directory / "photo.jpg").write_text("mine")
            (self.directory.parent / "a.jsonl").write_text("mine")
            self._assert_refused(message)

    def test_what_is_no_regular_file_is_refused(self):
        self._write()
        (self.directory / "users.jsonl").unlink()
        (self.directory / "users.jsonl").symlink_to(self.directory.parent / "mine")
        self._assert_refused("users.jsonl is no regular file")
        (self.directory / "users.jsonl").unlink()
        (self.directory / "users.jsonl").mkdir()
        self._assert_refused("users.jsonl is no regular file")

    def test_a_file_is_no_directory(self):
        self.directory.write_text(json.dumps({"format_version": 1}))
        with self.assertRaisesRegex(ValueError, "is no directory; name a new"):
            snapshot.files_to_replace(self.directory)


if __name__ == "__main__":
    unittest.main()
