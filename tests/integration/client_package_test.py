"""The client as another project has it: installed, found by CMake, linked, and run.

    client_package_test.py BUILD_DIRECTORY EXAMPLE_DIRECTORY SERVER_PROGRAM SNAPSHOT_DIRECTORY
        [CMAKE_ARGUMENT...]       what the example is configured with besides, e.g. the compiler
"""

import contextlib
import pathlib
import subprocess
import sys
import tempfile
import unittest

from document_blocks import documented_blocks, is_cpp, programs_of


# What a document takes for granted.
PRELUDE = """int Report(const absl::Status& status) {
  std::cerr << status << '\\n';
  return 1;
}"""


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
        run(SERVER, "import", "--snapshot", SNAPSHOT, "--data-dir", cls.database)

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def test_only_the_public_headers_are_installed(self):
        headers = {str(path.relative_to(self.prefix / "include/groundswell_client"))
                   for path in self.prefix.rglob("*.h")}
        services = {f"groundswell/v1/{name}" for proto in ("admin", "interaction", "recommend")
                    for name in (f"{proto}.pb.h", f"{proto}.grpc.pb.h")}
        self.assertEqual(headers, services | {
            "client/channel.h", "client/client.h", "client/ingest_stream.h", "groundswell/v1/catalogue.pb.h",
            "groundswell/v1/list_trace.pb.h",
            "google/rpc/error_details.pb.h", "google/rpc/status.pb.h"})

    def test_a_server_that_is_not_there_is_a_clean_error(self):
        failed = subprocess.run([self.example, "127.0.0.1:1", "17850"], capture_output=True,
                                text=True, check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("UNAVAILABLE", failed.stderr)

    @contextlib.contextmanager
    def served(self):
        """The address of a real server."""
        server = subprocess.Popen(
            [SERVER, "serve", f"--server.data_dir={self.database}",
             "--server.grpc_address=127.0.0.1:0", "--server.http_address=127.0.0.1:0",
             "--request.default_deadline_ms=60000", "--request.consistency_wait_ms=600000", "--logging.level=warn"], stdout=subprocess.PIPE, text=True)
        try:
            ports = dict(part.split("=") for part in server.stdout.readline().split()[1:])
            yield f"127.0.0.1:{ports['grpc_port']}"
        finally:
            server.terminate()
            ended = server.wait(timeout=30)
            server.stdout.close()
        self.assertEqual(ended, 0)

    def test_the_documents_programs_run(self):
        [(document, program)] = programs_of(is_cpp)
        self.assertEqual(document, "docs/api.md")
        includes = [line for line in program.splitlines() if line.startswith("#include")]
        body = [line for line in program.splitlines() if line not in includes]
        linked = [block for _, _, block in documented_blocks() if "target_link_libraries(shop " in block]
        self.assertEqual(len(linked), 1)
        project = self.prefix.parent / "shop"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(shop LANGUAGES CXX)\nadd_executable(shop shop.cc)\n"
            + linked[0][linked[0].index("find_package("):] + "\n", encoding="utf-8")
        with self.served() as address:
            # A deadline that holds on a busy machine, too.
            client = f'{{.address = "{address}", .timeout = std::chrono::minutes(1)}}'
            (project / "shop.cc").write_text("\n".join(
                [*includes, PRELUDE, "int main() {", *body, "}", ""]).replace('{.address = "localhost:7100"}', client),
                encoding="utf-8")
            run("cmake", "-S", project, "-B", project / "build", "-G", "Ninja",
                f"-DCMAKE_PREFIX_PATH={self.prefix}", *CMAKE_ARGUMENTS)
            run("cmake", "--build", project / "build")
            self.assertEqual(len(run(project / "build/shop").splitlines()), 5)

    def test_the_example_buys_what_a_real_server_recommends(self):
        with self.served() as address:
            printed = run(self.example, address, "17850")
        before, after = printed.split("bought ")
        bought = after.split(";")[0]
        self.assertTrue(before.split()[0] == bought, printed)
        self.assertNotIn(bought, [line.split()[0] for line in after.splitlines()[1:]])


if __name__ == "__main__":
    BUILD, EXAMPLE, SERVER, SNAPSHOT, *CMAKE_ARGUMENTS = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
