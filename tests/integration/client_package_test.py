"""The client as another project has it: installed, found by CMake, linked, and run.

    client_package_test.py BUILD_DIRECTORY EXAMPLE_DIRECTORY SERVER_PROGRAM SNAPSHOT_DIRECTORY
        [CMAKE_ARGUMENT...]       what the example is configured with besides, e.g. the compiler
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest


def run(*command):
    """What a command prints; its output is shown when it fails."""
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{command} returned {result.returncode}:\n{result.stdout}")
    return result.stdout


class ClientPackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        work = pathlib.Path(cls.directory.name)
        cls.prefix = work / "prefix"
        run("cmake", "--install", BUILD, "--component", "client", "--prefix", cls.prefix)
        run("cmake", "-S", EXAMPLE, "-B", work / "build", "-G", "Ninja",
            f"-DCMAKE_PREFIX_PATH={cls.prefix}", *CMAKE_ARGUMENTS)
        run("cmake", "--build", work / "build")
        cls.example = work / "build" / "buy_the_first"
        cls.database = work / "database"

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_only_the_public_headers_are_installed(self):
        headers = {str(path.relative_to(self.prefix / "include/groundswell_client"))
                   for path in self.prefix.rglob("*.h")}
        services = {f"groundswell/v1/{name}" for proto in ("admin", "interaction", "recommend")
                    for name in (f"{proto}.pb.h", f"{proto}.grpc.pb.h")}
        self.assertEqual(headers, services | {
            "client/channel.h", "client/client.h", "client/ingest_stream.h",
            "google/rpc/error_details.pb.h", "google/rpc/status.pb.h"})

    def test_a_server_that_is_not_there_is_a_clean_error(self):
        failed = subprocess.run([self.example, "127.0.0.1:1", "17850"], capture_output=True,
                                text=True, check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("UNAVAILABLE", failed.stderr)

    def test_the_example_buys_what_a_real_server_recommends(self):
        run(SERVER, "import", "--snapshot", SNAPSHOT, "--data-dir", self.database)
        server = subprocess.Popen(
            [SERVER, "serve", f"--server.data_dir={self.database}",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             "--logging.level=warn"], stdout=subprocess.PIPE, text=True)
        try:
            ports = dict(part.split("=") for part in server.stdout.readline().split()[1:])
            printed = run(self.example, f"127.0.0.1:{ports['grpc_port']}", "17850")
        finally:
            server.terminate()
            ended = server.wait(timeout=30)
            server.stdout.close()
        self.assertEqual(ended, 0)
        before, after = printed.split("bought ")
        bought = after.split(";")[0]
        self.assertTrue(before.split()[0] == bought, printed)
        self.assertNotIn(bought, [line.split()[0] for line in after.splitlines()[1:]])


if __name__ == "__main__":
    BUILD, EXAMPLE, SERVER, SNAPSHOT, *CMAKE_ARGUMENTS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
