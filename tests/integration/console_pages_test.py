"""The console's files, as the server sends them: whole, alone, to anybody, and under a policy.

    console_pages_test.py SERVER_PROGRAM SNAPSHOT_DIRECTORY DIST_DIRECTORY
"""

import gzip
import hashlib
import json
import pathlib
import re
import sys
import tempfile
import unittest

from connect_server import Server

CLIENTS = '[[client]]\nname = "shop"\ntoken_sha256 = "{}"\nrights = ["read"]\n'
COMPRESSED_BYTES_MAX = 100 * 1024


class ConsolePagesTest(unittest.TestCase):
    program = snapshot = dist = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        clients = pathlib.Path(cls.directory.name) / "clients.toml"
        clients.write_text(CLIENTS.format(hashlib.sha256(b"secret-of-the-shop").hexdigest()), encoding="utf-8")
        cls.server = Server(cls.program, cls.snapshot, cls.directory.name, f"--access.clients_file={clients}")

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0
        cls.directory.cleanup()

    def get(self, path, method="GET"):
        return self.server.ask(path, None, {}, method)

    def test_its_files_are_those_of_the_tree_and_need_no_token(self):
        files = sorted(self.dist.iterdir())
        self.assertIn("index.html", [file.name for file in files])
        for file in files:
            status, fields, body = self.get(f"/console/{file.name}")
            self.assertEqual((status, body), (200, file.read_bytes()), file.name)
            self.assertNotIn("octet-stream", fields["Content-Type"])
        status, fields, body = self.get("/console/")
        self.assertEqual((status, fields["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertEqual(body, (self.dist / "index.html").read_bytes())
        self.assertEqual(self.get("/console/?x=1")[2], body)
        self.assertEqual(self.server.ask("/groundswell.v1.AdminService/GetServerStatus", "{}")[0], 401)

    def test_the_address_without_a_slash_leads_there(self):
        status, fields, _ = self.get("/console")
        self.assertEqual((status, fields["Location"]), (308, "console/"))

    def test_what_is_not_there_is_told(self):
        for path in ("/console/none.js", "/console/../openapi.json", "/console//", "/console/index.html/"):
            self.assertEqual(self.get(path)[0], 404, path)
        status, fields, _ = self.server.ask("/console/", "{}")
        self.assertEqual((status, fields["Allow"]), (405, "GET, HEAD"))
        status, _, body = self.get("/consoles")
        self.assertEqual((status, json.loads(body)["code"]), (404, "unimplemented"))
        status, _, body = self.get("/console/", "HEAD")
        self.assertEqual((status, body), (200, b""))

    def test_the_browser_is_bound_to_this_origin(self):
        for path in ("/console/", "/console", "/console/none.js", "/console/console.js"):
            fields = self.get(path)[1]
            policy = dict(part.strip().split(" ", 1) for part in fields["Content-Security-Policy"].split(";"))
            self.assertEqual(policy, {
                "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'",
                "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}, path)
            self.assertEqual((fields["X-Content-Type-Options"], fields["Referrer-Policy"]), ("nosniff", "no-referrer"))

    def test_it_is_small_and_asks_nobody_else(self):
        self.assertLess(sum(len(gzip.compress(file.read_bytes())) for file in self.dist.iterdir()), COMPRESSED_BYTES_MAX)
        for file in self.dist.iterdir():
            names = set(re.findall(r"https?://([^/\"'`]+)", file.read_text(encoding="utf-8")))
            self.assertLessEqual(names, {"www.w3.org"}, file.name)  # names of XML namespaces

    def test_it_can_be_switched_off(self):
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            server = Server(self.program, self.snapshot, directory, "--server.console=false")
            try:
                for path in ("/console", "/console/", "/console/console.js"):
                    status, _, body = server.ask(path, None, {}, "GET")
                    self.assertEqual((status, json.loads(body)["code"]), (404, "unimplemented"))
            finally:
                self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    ConsolePagesTest.program, ConsolePagesTest.snapshot = sys.argv[1:3]
    ConsolePagesTest.dist = pathlib.Path(sys.argv[3])
    unittest.main(argv=sys.argv[:1], verbosity=2)
