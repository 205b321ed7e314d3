"""The services over HTTPS: certificates of both sides, and what is said without them.

    connect_tls_test.py SERVER_PROGRAM SNAPSHOT_DIRECTORY
"""

import hashlib
import http.client
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

from connect_test import JSON, RECOMMEND, STATUS, Server

WAIT_S = 60
CLIENTS = """[[client]]
name = "shop"
certificate = "shop.example"
rights = ["read"]

[[client]]
name = "rack"
certificate = "10.0.0.7"
rights = ["read"]

[[client]]
name = "feed"
token_sha256 = "{digest}"
rights = ["read"]
"""


def openssl(*arguments):
    subprocess.run(["/usr/bin/openssl", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


class Certificates:
    """Files NAME.crt and NAME.key of roots, and of what they signed."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def path(self, name):
        return str(self.directory / name)

    def make_root(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN={name}", "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt"))

    def make(self, root, name, subject, others):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}",
                "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={others}", encoding="utf-8")
        openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(root + ".crt"), "-CAkey",
                self.path(root + ".key"), "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out",
                self.path(name + ".new"))
        (self.directory / f"{name}.new").rename(self.directory / f"{name}.crt")  # whole, or not at all

    def context(self, root, own=None):
        context = ssl.create_default_context(cafile=self.path(root + ".crt"))
        if own is not None:
            context.load_cert_chain(self.path(own + ".crt"), self.path(own + ".key"))
        return context


class TlsTest(unittest.TestCase):
    program = snapshot = None

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.files = Certificates(cls.directory.name)
        for root in ("root", "stranger"):
            cls.files.make_root(root)
        cls.files.make("root", "server", "localhost", "DNS:localhost,IP:127.0.0.1")
        cls.files.make("root", "shop", "the shop", "DNS:shop.example")
        cls.files.make("root", "rack", "rack", "IP:10.0.0.7")
        cls.files.make("root", "unlisted", "unlisted.example", "DNS:unlisted.example")
        cls.files.make("stranger", "forged", "shop.example", "DNS:shop.example")

    def start(self, *flags):
        server = Server(self.program, self.snapshot, self.directory.name,
                        f"--tls.certificate_file={self.files.path('server.crt')}",
                        f"--tls.key_file={self.files.path('server.key')}", *flags)
        self.addCleanup(lambda: self.assertEqual(server.stop(), 0))
        return server

    def start_mutual(self):
        clients = pathlib.Path(self.files.path("clients.toml"))
        clients.write_text(CLIENTS.format(digest=hashlib.sha256(b"secret-of-the-feed").hexdigest()), encoding="utf-8")
        return self.start(f"--tls.client_ca_file={self.files.path('root.crt')}", f"--access.clients_file={clients}")

    def connection(self, server, context):
        return http.client.HTTPSConnection("127.0.0.1", server.ports["connect"], timeout=WAIT_S, context=context)

    def ask(self, server, context, path=RECOMMEND, message=None, **fields):
        """Status and answer of one request on a connection of its own."""
        connection = self.connection(server, context)
        try:
            status, _, body = server.ask(path, json.dumps(message or {"userId": "17850", "pageSize": 3}),
                                         {**JSON, **fields}, connection=connection)
        finally:
            connection.close()
        return status, json.loads(body)

    def test_headers_that_never_end_end_their_grpc_connection(self):
        server = self.start()

        def frame(kind, payload):  # of stream 1, and more to come
            return len(payload).to_bytes(3, "big") + bytes([kind, 0, 0, 0, 0, 1]) + payload

        context = self.files.context("root")
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", server.ports["grpc"]), timeout=WAIT_S)
        with context.wrap_socket(plain, server_hostname="localhost") as peer:
            peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            peer.sendall(frame(1, b"\x83\x86\x40\x01a\x011"))
            with self.assertRaises(OSError):
                for _ in range(10_000):  # 1 MB
                    peer.sendall(frame(9, b"\xbe" * 100))
        self.assertIn("\ngroundswell_long_header_blocks_total 1\n", server.metrics())
        status, _ = self.ask(server, self.files.context("root"))
        self.assertEqual(status, 200)

    def test_answers_within_tls_alone(self):
        server = self.start()
        status, answer = self.ask(server, self.files.context("root"))
        self.assertEqual((status, len(answer["items"])), (200, 3))
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.ask(server, self.files.context("stranger"))
        old = self.files.context("root")
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.ask(server, old)
        # Whoever speaks plain text is told so, in plain text.
        status, _, body = server.ask(RECOMMEND, "{}")
        self.assertEqual((status, body), (400, b"this address speaks TLS: call it https://\n"))

    def test_a_connection_is_kept_and_takes_long_bodies(self):
        server = self.start()
        connection = self.connection(server, self.files.context("root"))
        self.addCleanup(connection.close)
        for length in (10, 100_000, 1_000_000):
            message = json.dumps({"userId": "17850", "pageSize": 3}) + " " * length
            status, _, _ = server.ask(RECOMMEND, message, connection=connection)
            self.assertEqual(status, 200)
            port = connection.sock.getsockname()[1]
            self.assertEqual(port, getattr(self, "port", port), "the connection was not kept")
            self.port = port

    def test_who_does_not_shake_hands_is_cut_off(self):
        server = self.start("--server.connect_transfer_s=1")
        for sent in (b"", b"\x16\x03\x01"):  # nothing; the beginning of a TLS record
            with socket.create_connection(("127.0.0.1", server.ports["connect"]), timeout=WAIT_S) as peer:
                peer.sendall(sent)
                try:
                    self.assertEqual(peer.recv(1), b"")
                except ConnectionResetError:
                    pass
        self.assertIn("\ngroundswell_http_cut_off_total 2", server.metrics())

    def test_clients_are_known_by_their_certificates(self):
        server = self.start_mutual()
        shop = self.files.context("root", "shop")
        self.assertEqual(self.ask(server, shop)[0], 200)  # by a name beside the common one
        self.assertEqual(self.ask(server, self.files.context("root", "rack"))[0], 200)  # by an address
        status, answer = self.ask(server, shop, STATUS, {})
        self.assertEqual((status, answer["code"]), (403, "permission_denied"))
        status, answer = self.ask(server, self.files.context("root", "unlisted"))
        self.assertEqual((status, answer["code"]), (401, "unauthenticated"))
        for stranger in (None, "forged"):
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                self.ask(server, self.files.context("root", stranger))
        self.assertIn("\ngroundswell_http_cut_off_total 2", server.metrics())
        # A token goes before the certificate, as with gRPC.
        unlisted = self.files.context("root", "unlisted")
        self.assertEqual(self.ask(server, unlisted, Authorization="Bearer secret-of-the-feed")[0], 200)
        self.assertEqual(self.ask(server, shop, Authorization="Bearer guessed")[0], 401)

    def test_nobody_else_can_vouch_for_a_certificate(self):
        server = self.start_mutual()
        forged = b"\0" * 32 + b"shop.example"
        unlisted = self.files.context("root", "unlisted")
        self.assertEqual(self.ask(server, unlisted, **{"groundswell-certificate-bin": "AAAA"})[0], 401)
        credentials = grpc.ssl_channel_credentials(*(pathlib.Path(self.files.path(name)).read_bytes()
                                                     for name in ("root.crt", "unlisted.key", "unlisted.crt")))
        with grpc.secure_channel(f"localhost:{server.ports['grpc']}", credentials) as channel:
            call = channel.unary_unary(RECOMMEND)  # of bytes
            for metadata in ((), (("groundswell-certificate-bin", forged),)):
                with self.assertRaises(grpc.RpcError) as refused:
                    call(b"", metadata=metadata, timeout=WAIT_S)
                self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAUTHENTICATED)

    def test_changed_files_are_used_for_new_connections(self):
        server = self.start("--tls.reload_s=1")
        kept = self.connection(server, self.files.context("root"))
        self.addCleanup(kept.close)
        self.assertEqual(server.ask(RECOMMEND, '{"userId": "17850"}', connection=kept)[0], 200)
        self.files.make("stranger", "server", "localhost", "DNS:localhost,IP:127.0.0.1")
        self.addCleanup(self.files.make, "root", "server", "localhost", "DNS:localhost,IP:127.0.0.1")
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                self.assertEqual(self.ask(server, self.files.context("stranger"))[0], 200)
                break
            except ssl.SSLCertVerificationError:
                self.assertLess(time.monotonic(), deadline, "the new certificate is not used")
        self.assertEqual(server.ask(RECOMMEND, '{"userId": "17850"}', connection=kept)[0], 200)


if __name__ == "__main__":
    TlsTest.program, TlsTest.snapshot = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
