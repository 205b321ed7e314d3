"""The Python client, as generated and as packed into a wheel, on a real server.

    python_cases_test.py SERVER_PROGRAM CLI_PROGRAM SNAPSHOT_DIRECTORY PACKAGE_DIRECTORY

PACKAGE_DIRECTORY has the package `groundswell`, generated part included, and what it needs beyond Debian's.
"""

import asyncio
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from case_server import CASES, ROOT, CaseServer, readme_program, server_reasons, token_of

SERVER, CLI, SNAPSHOT, PACKAGE = sys.argv[1:5] if len(sys.argv) > 4 else ("", "", "", "")
sys.path.insert(0, PACKAGE)

import groundswell  # noqa: E402
from groundswell import AsyncClient, Client, v1  # noqa: E402
from google.protobuf import json_format  # noqa: E402


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def at(value, path):
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return value


def filled_in(value, kept):
    """`value` with what earlier cases kept in the place of its name."""
    if isinstance(value, str) and value.startswith("$"):
        return kept[value[1:]]
    if isinstance(value, list):
        return [filled_in(one, kept) for one in value]
    return {name: filled_in(one, kept) for name, one in value.items()} if isinstance(value, dict) else value


class Checks(unittest.TestCase):
    def assert_has(self, found, expected, where):
        """That `found` has what is expected, as cases.json tells."""
        if expected in ({}, []):
            self.assertTrue(found, where)
        elif isinstance(expected, dict):
            for name, value in expected.items():
                self.assertIn(name, found, where)
                self.assert_has(found[name], value, f"{where}.{name}")
        elif isinstance(expected, list):
            self.assertEqual(len(found), len(expected), where)
            for one, value in zip(found, expected):
                self.assert_has(one, value, where)
        else:
            self.assertEqual(found, expected, where)

    def assert_answer(self, case, answer):
        self.assertNotIn("error", case, answer)
        if "answer" in case:
            self.assert_has(answer, case["answer"], "answer")
        for name, count in case.get("counts", {}).items():
            self.assertEqual(len(answer[name]), count)
        for name in case.get("absent", ()):
            self.assertNotIn(name, answer)

    def assert_error(self, case, error):
        self.assertIn("error", case, error)
        expected = case["error"]
        self.assertEqual((error.code.name, error.reason), (expected["code"], expected["reason"]))
        self.assertIs(type(error), groundswell.errors.BY_REASON[expected["reason"]])
        self.assertIn(f"[{expected['reason']}]", str(error))
        if "field" in expected:
            self.assertEqual([violation.field for violation in error.field_violations], [expected["field"]])
        if "metadata" in expected:
            self.assert_has(error.metadata, expected["metadata"], "metadata")
        self.assertEqual(error.retry_delay is not None, expected.get("retry", False))

    def raises(self, case):
        """A context whose end is the error of the thin layer that is expected, if one is."""
        return self.assertRaises(getattr(groundswell, case["raises"])) if "raises" in case else contextlib.nullcontext()

    def assert_result(self, case, result):
        self.assertNotIn("raises", case, result)
        for name, value in case["result"].items():
            self.assertEqual(getattr(result, snake(name)), value, name)


class Case:
    """A case with what earlier ones kept in the place of their names."""

    def __init__(self, case, kept):
        self.case = filled_in(case, kept)

    def request(self):
        service = next(s for file in ("recommend", "interaction", "admin")
                       for s in sys.modules[f"groundswell.v1.{file}_pb2"].DESCRIPTOR.services_by_name.values()
                       if self.case["call"] in s.methods_by_name)
        kind = service.methods_by_name[self.case["call"]].input_type.name
        return json_format.ParseDict(self.case["request"], getattr(v1, kind)())

    def ingest_arguments(self):
        arguments = {snake(name): value for name, value in self.case["ingest"].items()}
        return arguments.pop("rows"), arguments

    def timeout(self):
        milliseconds = self.case.get("timeoutMs", 30_000)
        return milliseconds / 1_000

    def keep(self, answer, kept):
        kept.update({name: at(answer, path) for name, path in self.case.get("keep", {}).items()})

    def client_arguments(self):
        return {"token": token_of(self.case.get("as", "operator")), "attempts": self.case.get("attempts", 3)}


class CasesTest(Checks):
    """All of cases.json, by both kinds of client."""

    def setUp(self):
        self.server = CaseServer(SERVER, SNAPSHOT)
        self.addCleanup(lambda: self.assertEqual(self.server.stop(), 0))

    def test_by_threads(self):
        kept = {}
        for plain in CASES:
            with self.subTest(plain["name"]):
                case = Case(plain, kept)
                with Client(self.server.address, **case.client_arguments()) as client:
                    self.run_case(client, case, kept)

    def run_case(self, client, case, kept):
        if "ingest" in case.case:
            rows, arguments = case.ingest_arguments()
            with self.raises(case.case):
                self.assert_result(case.case, client.ingest(rows, **arguments))
            return
        try:
            for _ in range(case.case.get("times", 1)):
                message = getattr(client, snake(case.case["call"]))(case.request(), timeout=case.timeout())
        except groundswell.GroundswellError as error:
            self.assert_error(case.case, error)
        else:
            answer = json_format.MessageToDict(message)
            self.assert_answer(case.case, answer)
            case.keep(answer, kept)

    def test_by_tasks(self):
        async def run_all():
            kept = {}
            for plain in CASES:
                with self.subTest(plain["name"]):
                    case = Case(plain, kept)
                    async with AsyncClient(self.server.address, **case.client_arguments()) as client:
                        await self.await_case(client, case, kept)

        asyncio.run(run_all())

    async def await_case(self, client, case, kept):
        if "ingest" in case.case:
            rows, arguments = case.ingest_arguments()
            with self.raises(case.case):
                self.assert_result(case.case, await client.ingest(rows, **arguments))
            return
        try:
            for _ in range(case.case.get("times", 1)):
                message = await getattr(client, snake(case.case["call"]))(case.request(), timeout=case.timeout())
        except groundswell.GroundswellError as error:
            self.assert_error(case.case, error)
        else:
            answer = json_format.MessageToDict(message)
            self.assert_answer(case.case, answer)
            case.keep(answer, kept)


class PackageTest(unittest.TestCase):
    def test_every_reason_of_the_server_has_a_class(self):
        reasons = set(server_reasons())
        self.assertGreater(len(reasons), 25)
        self.assertLessEqual(reasons, set(groundswell.errors.BY_REASON))

    def test_every_call_has_a_method(self):
        for file in (v1.recommend_pb2, v1.interaction_pb2, v1.admin_pb2):
            for service in file.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    for client in (Client, AsyncClient):
                        self.assertTrue(callable(getattr(client, snake(method.name))))
        self.assertIn("unknown user", (Client.recommend.__doc__ or ""))

    def test_the_readme_works(self):
        server = CaseServer(SERVER, SNAPSHOT, guarded=False)
        try:
            program = readme_program(ROOT / "clients/python/README.md", "python")
            self.assertLessEqual(len([line for line in program.splitlines() if line.strip()]), 12)
            self.assertIn("localhost:7100", program)
            printed = subprocess.run([sys.executable, "-c", program.replace("localhost:7100", server.address)],
                                     check=True, capture_output=True, text=True,
                                     env={"PYTHONPATH": PACKAGE, "PATH": "/usr/bin:/bin"}).stdout
        finally:
            self.assertEqual(server.stop(), 0)
        self.assertGreaterEqual(len(printed.splitlines()), 4, printed)
        self.assertIn("ITEM_UNKNOWN", printed)

    def test_a_build_without_protoc_says_what_brings_it(self):
        with tempfile.TemporaryDirectory(prefix="groundswell-test-") as directory:
            for tool in ("dirname", "mkdir"):
                (pathlib.Path(directory) / tool).symlink_to(f"/usr/bin/{tool}")
            done = subprocess.run(["/bin/bash", ROOT / "scripts/build-clients", f"{directory}/out"], capture_output=True,
                                  text=True, check=False, env={"PATH": directory})
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^build-clients: protoc, .* is not here: scripts/install-packages --test\n$")

    def test_the_version_is_the_projects(self):
        project = re.search(r"project\(groundswell VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertEqual(groundswell.__version__, project)
        self.assertIn(f'version = "{project}"', (ROOT / "clients/python/pyproject.toml").read_text())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
