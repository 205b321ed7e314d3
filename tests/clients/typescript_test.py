"""The TypeScript client on a real server.

    typescript_test.py SERVER_PROGRAM SNAPSHOT_DIRECTORY CLIENTS_DIRECTORY

CLIENTS_DIRECTORY is what scripts/build-clients fills; skipped where it has no TypeScript.
"""

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from case_server import HERE, ROOT, TIMES, CaseServer, readme_program, server_reasons, skip, token_of
from cut_proxy import CutProxy

sys.path.insert(0, str(ROOT / "tests/integration"))
from document_blocks import is_typescript, programs_of  # noqa: E402

SERVER, SNAPSHOT, CLIENTS = sys.argv[1:4] if len(sys.argv) > 3 else ("", "", "")
PACKAGE = pathlib.Path(CLIENTS) / "typescript"
if not (PACKAGE / "dist/index.js").exists():
    skip("there is no TypeScript compiler: scripts/install-client-tools says why")
sys.path.insert(0, CLIENTS + "/python")

from groundswell import Client, v1  # noqa: E402

WRONG = '''
import { createClient } from "@groundswell/client";
import type { RecommendResponse } from "@groundswell/client/v1";
const client = createClient("http://localhost:7102");
const right: RecommendResponse = await client.recommend({ userId: "x" });
const wrongType: number = right.items[0]!.itemId;
await client.recommend({ userId: 1 });
await client.recommend({ userIdd: "x" });
await client.readLog({});
'''


def node(program, *arguments):
    return subprocess.run(["node", program, *arguments], capture_output=True, text=True, check=False)


class CasesTest(unittest.TestCase):
    def test_all_cases(self):
        server = CaseServer(SERVER, SNAPSHOT)
        try:
            done = node(HERE / "typescript_cases.mjs", PACKAGE, HERE / "cases.json", server.url)
        finally:
            self.assertEqual(server.stop(), 0)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^6\d passed, 0 failed$")


class PackageTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        self.addCleanup(directory.cleanup)
        self.project = pathlib.Path(directory.name)
        # As npm lays a project out that has the package.
        (self.project / "node_modules/@groundswell").mkdir(parents=True)
        (self.project / "node_modules/@groundswell/client").symlink_to(PACKAGE)
        (self.project / "package.json").write_text('{"type": "module"}')
        (self.project / "tsconfig.json").write_text(json.dumps({"files": ["program.ts"], "compilerOptions": {
            "strict": True, "exactOptionalPropertyTypes": True, "target": "ES2022", "module": "NodeNext", "types": [],
            "lib": ["ES2022", "DOM", "DOM.Iterable"], "skipLibCheck": True}}))

    def tsc(self, program):
        (self.project / "program.ts").write_text(program)
        return subprocess.run([PACKAGE / "node_modules/.bin/tsc"], cwd=self.project, capture_output=True, text=True,
                              check=False)

    def test_the_readme_works(self):
        program = readme_program(ROOT / "clients/typescript/README.md", "ts")
        self.assertLessEqual(len([line for line in program.splitlines() if line.strip()]), 12)
        self.assertIn("http://localhost:7102", program)
        server = CaseServer(SERVER, SNAPSHOT, guarded=False)
        try:
            compiled = self.tsc(program.replace("http://localhost:7102", server.url))
            self.assertEqual((compiled.returncode, compiled.stdout), (0, ""))
            done = node(self.project / "program.js")
        finally:
            self.assertEqual(server.stop(), 0)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 4, done.stdout)
        self.assertIn("NOT_FOUND ITEM_UNKNOWN", done.stdout)

    def test_the_documents_programs_run(self):
        programs = programs_of(is_typescript)
        self.assertIn("docs/clients.md", dict(programs))
        # What a document takes for granted, and however busy the machine is.
        rows = 'const rows = [{ user: "17850", item: "85123A", time: "2011-12-09T12:00:00Z", type: "view" }];\n'
        server = CaseServer(SERVER, SNAPSHOT, guarded=False)
        try:
            for document, program in programs:
                with self.subTest(document=document):
                    program = program.replace("http://localhost:7102", server.url).replace("timeoutMs: 1000", "timeoutMs: 60_000")
                    compiled = self.tsc(rows + program)
                    self.assertEqual((compiled.returncode, compiled.stdout), (0, ""))
                    done = node(self.project / "program.js")
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
        finally:
            self.assertEqual(server.stop(), 0)

    def test_wrong_programs_do_not_compile(self):
        said = self.tsc(WRONG).stdout
        self.assertEqual(re.findall(r"program.ts\((\d+)", said), ["6", "7", "8", "9"], said)

    def test_nothing_of_node_is_needed(self):
        for package in (PACKAGE / "dist", PACKAGE / "node_modules/@connectrpc/connect-web/dist/esm"):
            for file in package.rglob("*.js"):
                for imported in re.findall(r'(?:from|import)\s*\(?"([^"]+)"', file.read_text(encoding="utf-8")):
                    self.assertRegex(imported, r"^(\.|@bufbuild/|@connectrpc/connect)", file)

    def test_every_reason_of_the_server_is_known(self):
        text = (ROOT / "clients/typescript/src/errors.ts").read_text(encoding="utf-8")
        known = set(re.findall(r'"([A-Z_]+)"', text))
        self.assertLessEqual(set(server_reasons()), known)

    def test_the_version_is_the_projects(self):
        project = re.search(r"project\(groundswell VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        for file in ("package.json", "package-lock.json"):
            self.assertEqual(json.loads((ROOT / "clients/typescript" / file).read_text())["version"], project)

    def test_a_token_is_not_sent_in_the_clear(self):
        program = f'''
import {{ createClient }} from "{PACKAGE}/dist/index.js";
createClient("http://[::1]:7102", {{ token: "x" }});
createClient("https://shop.example", {{ token: "x" }});
createClient("http://127.example.com:7102", {{ token: "x" }});
'''
        (self.project / "program.js").write_text(program)
        self.assertIn("TypeError: the token would be sent to 127.example.com:7102 in the clear", node(
            self.project / "program.js").stderr)

    def test_a_url_that_is_none_of_http_is_refused(self):
        program = f'''
import {{ createClient }} from "{PACKAGE}/dist/index.js";
for (const url of ["localhost:7102", "ftp://x", "7102", ""]) {{
  try {{
    createClient(url);
  }} catch (error) {{
    console.log(`${{error.name}} ${{error.message}}`);
  }}
}}
createClient("https://shop.example/api");
'''
        (self.project / "program.js").write_text(program)
        self.assertEqual(node(self.project / "program.js").stdout.splitlines(), [
            f'TypeError the server\'s address is "{url}": it must be a URL with http: or https:, such as '
            "http://localhost:7102 (server.connect_address)" for url in ("localhost:7102", "ftp://x", "7102", "")])

    def test_what_is_no_source_of_rows_is_refused(self):
        program = f'''
import {{ createClient }} from "{PACKAGE}/dist/index.js";
const client = createClient("http://127.0.0.1:1");
for (const rows of [{{ user: "x" }}, "abc", 7, null, undefined]) {{
  console.log(await client.ingest(rows).catch((error) => `${{error.name}} ${{error.message}}`));
}}
'''
        (self.project / "program.js").write_text(program)
        self.assertEqual(node(self.project / "program.js").stdout.splitlines(), [
            f"TypeError the rows are {shown}: they must be something to iterate over, also asynchronously, that gives "
            "objects or Interactions, such as an array of objects"
            for shown in ("one object", '"abc"', "7", "null", "undefined")])

    def test_an_address_without_a_server_is_named(self):
        program = f'''
import {{ createClient }} from "{PACKAGE}/dist/index.js";
const client = createClient("http://127.0.0.1:1", {{ attempts: 1, timeoutMs: 60_000 }});
for (const call of [client.getServerStatus({{}}), client.lastSequence("p")]) {{
  console.log(await call.catch((error) => `${{error.code}} ${{error.message}}`));
}}
'''
        (self.project / "program.js").write_text(program)
        said = node(self.project / "program.js").stdout.splitlines()
        self.assertEqual(len(said), 2, said)
        for line in said:
            self.assertRegex(line, r"^UNAVAILABLE no answer from http://127\.0\.0\.1:1 \(fetch failed: .+\): "
                                   r"is this server\.connect_address\? \[UNAVAILABLE\]$")

    def test_a_call_that_waits_for_its_next_try_ends_by_its_signal(self):
        # The server asks to come back in an hour.
        program = f'''
import {{ createClient }} from "{PACKAGE}/dist/index.js";
const controller = new AbortController();
const real = globalThis.setTimeout;
globalThis.setTimeout = (act, ms) => {{
  if (ms === 3_600_000) queueMicrotask(() => controller.abort());
  return real(act, ms);
}};
const body = {{ code: "unavailable", message: "later", details: [{{ type: "google.rpc.RetryInfo", value: "CgMIkBw" }}] }};
const answer = async (input, init) => {{
  init?.signal?.throwIfAborted();
  return new Response(JSON.stringify(body), {{ status: 503, headers: {{ "Content-Type": "application/json" }} }});
}};
const client = createClient("http://localhost:7102", {{ fetch: answer }});
const error = await client.getServerStatus({{}}, {{ timeoutMs: 7_200_000, signal: controller.signal }}).catch((e) => e);
console.log(error.name, error.code);
process.exit(0);
'''
        (self.project / "program.js").write_text(program)
        done = subprocess.run(["node", self.project / "program.js"], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((done.stdout, done.stderr), ("GroundswellError CANCELLED\n", ""))


class TimesTest(unittest.TestCase):
    def test_a_date_in_a_request_is_its_time(self):
        program = f'''
import {{ createClient }} from "{PACKAGE}/dist/index.js";
import {{ RecommendRequestSchema }} from "{PACKAGE}/dist/v1.js";
import {{ fromBinary }} from "{PACKAGE}/node_modules/@bufbuild/protobuf/dist/esm/index.js";
let sent;
const kept = async (input, init) => {{
  sent = fromBinary(RecommendRequestSchema, init.body);
  return new Response(new Uint8Array(), {{ headers: {{ "Content-Type": "application/proto" }} }});
}};
const client = createClient("http://localhost:7102", {{ fetch: kept }});
const eventTime = new Date("2011-11-22T22:13:20.5Z");
const sentTimes = async (call, ...times) => {{
  await call({{ userId: "u", hypotheticalEvents: times.map((eventTime) => ({{ itemId: "i", eventTime }})) }});
  return sent.hypotheticalEvents.map((event) => `${{event.eventTime?.seconds}}.${{event.eventTime?.nanos}}`).join();
}};
console.log(await sentTimes(client.recommend, eventTime, {{ seconds: 7n }}, undefined));
console.log(await sentTimes((request) => client.pages(request).next(), eventTime));
for (const wrong of ["2011-11-22", 1322000000, new Date("x"), {{}}]) {{
  console.log(await sentTimes(client.recommend, wrong).catch((error) => `${{error.name}} ${{error.message}}`));
}}
'''
        done = subprocess.run(["node", "--input-type=module"], input=program, capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        mend = 'it must be a Date, such as new Date("2011-11-22T22:13:20Z"), or a Timestamp'
        self.assertEqual(done.stdout.splitlines(), [
            "1322000000.500000000,7.0,undefined.undefined", "1322000000.500000000",
            *(f"TypeError hypotheticalEvents[0].eventTime is {wrong}: {mend}"
              for wrong in ('"2011-11-22"', "1322000000", "Invalid Date", "[object Object]"))])

    def test_a_date_is_the_time_of_an_interaction_in_the_log(self):
        server = CaseServer(SERVER, SNAPSHOT, guarded=False)
        program = f'''
import {{ createClient }} from "{PACKAGE}/dist/index.js";
const client = createClient("{server.url}", {{ timeoutMs: 60_000 }});
await client.recordInteraction({{ interaction: {{ userId: "dated", itemId: "22423", eventType: "view",
  eventTime: new Date("2011-12-09T12:00:00.25Z") }} }});
'''
        try:
            done = subprocess.run(["node", "--input-type=module"], input=program, capture_output=True, text=True, check=False)
            with Client(server.address) as client:
                read = next(client.read_log(v1.ReadLogRequest(), timeout=60))
        finally:
            self.assertEqual(server.stop(), 0)
        self.assertEqual(done.stderr, "")
        found = read.entries[0].interaction
        self.assertEqual((found.user_id, found.event_time.ToJsonString()), ("dated", "2011-12-09T12:00:00.250Z"))

    def test_times_as_text_are_the_command_lines(self):
        program = f'''
import {{ ToInteractions }} from "{PACKAGE}/dist/rows.js";
const read = (time) => {{
  try {{
    const {{ seconds, nanos }} = new ToInteractions({{}}, "view").of({{ user: "u", item: "i", time }}).eventTime;
    return Number(seconds) * 1e6 + nanos / 1e3;
  }} catch (error) {{
    return error.message;
  }}
}};
console.log(JSON.stringify({json.dumps([*TIMES["read"], *TIMES["refused"], *TIMES["basic"]])}.map(read)));
'''
        done = subprocess.run(["node", "--input-type=module"], input=program, capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        read = json.loads(done.stdout)
        self.assertEqual(dict(zip(TIMES["read"], read)), TIMES["read"])
        for extended, message in zip(TIMES["basic"].values(), read[-len(TIMES["basic"]):]):
            self.assertIn(f": write it as {extended}; as a number", str(message))
        for text, message in zip(TIMES["refused"], read[len(TIMES["read"]):]):
            self.assertRegex(str(message), "^row 1: the time is .*: it must be a number since 1970", text)


class IngestTest(unittest.TestCase):
    """Each row is in the log once, whatever happens."""

    @classmethod
    def setUpClass(cls):
        cls.server = CaseServer(SERVER, SNAPSHOT)
        cls.proxy = CutProxy(cls.server.ports["connect"])
        cls.url = "http://" + cls.proxy.address

    @classmethod
    def tearDownClass(cls):
        cls.proxy.close()
        assert cls.server.stop() == 0

    def log_end(self):
        with Client(self.server.address, token=token_of("operator"), timeout=30) as client:
            return client.get_server_status(v1.GetServerStatusRequest()).graph.log_end_offset

    def ingest(self, action=None, url=None, **arguments):
        process = subprocess.Popen(
            ["node", HERE / "typescript_ingest.mjs", PACKAGE, url or self.url, json.dumps(arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with process:
            if action is not None:
                self.assertEqual(process.stdout.readline(), "paused\n")
                action()
                process.stdin.write("\n")
                process.stdin.flush()
            return json.loads(process.stdout.readline())

    def crash(self):
        cls = type(self)
        cls.server.process.send_signal(signal.SIGKILL)
        cls.server.process.wait()
        cls.server.process.stdout.close()
        cls.server.start()
        cls.proxy.target = cls.server.ports["connect"]

    def assert_all_once(self, result, before, count):
        self.assertEqual((result.get("rows"), result.get("refused")), (count, 0), result)
        self.assertEqual(result["accepted"] + result["duplicates"], count)
        self.assertEqual(self.log_end() - before, count)

    def test_cut_connections_lose_and_double_nothing(self):
        for producer in ({}, {"producerId": "ts"}):
            for name, action in (("cut", self.proxy.cut), ("answer", lambda: self.proxy.cut_in_answer(700))):
                with self.subTest(producer=producer, name=name):
                    before = self.log_end()
                    result = self.ingest(action, user=f"{name}-{len(producer)}", count=1_000, batchSize=20, pauseAt=400,
                                         **producer)
                    self.assert_all_once(result, before, 1_000)

    def test_a_killed_server_has_what_it_acknowledged(self):
        before = self.log_end()
        result = self.ingest(self.crash, user="killed", count=1_000, batchSize=50, pauseAt=400, producerId="killed")
        self.assert_all_once(result, before, 1_000)

    def test_a_producer_goes_on_where_the_server_is(self):
        self.assertEqual(self.ingest(user="p", count=1_000, breakBehind=730, producerId="p")["error"], "interrupted")
        result = self.ingest(user="p", count=1_000, producerId="p")
        self.assertEqual((result["passedOver"], result["accepted"], result["duplicates"]), (730, 270, 0))
        result = self.ingest(user="p", count=10, producerId="p")
        self.assertIn("1000 rows of this source are dealt with, and it has 10: it was cut", result["error"])
        result = self.ingest(user="c", count=6, first=0, producerId="counted", firstSequence=1)
        result = self.ingest(user="c", count=6, first=4, producerId="counted", firstSequence=5)
        self.assertEqual((result["passedOver"], result["accepted"]), (2, 4))

    def test_what_an_earlier_run_had_refused_is_told(self):
        rows = {"user": "refused", "times": [1_323_432_000, 4_102_444_800], "producerId": "refused"}  # one of the year 2100
        self.assertEqual(self.ingest(**rows)["refused"], 1)
        result = self.ingest(**rows)
        self.assertEqual((result["passedOver"], result["refused"], result["refusedBefore"]), (2, 0, 1))

    def test_python_knows_the_same_rows(self):
        with Client(self.server.address, token=token_of("operator")) as client:
            done = client.ingest([{"user": "both", "item": ("85123A", "22423", "23084")[n % 3],
                                   "time": 1_323_432_000 + n, "type": "view"} for n in range(300)], producer_id="both")
        self.assertEqual(done.accepted, 300)
        result = self.ingest(user="both", count=301, producerId="both")
        self.assertEqual((result["passedOver"], result["accepted"]), (300, 1))
        self.assertEqual(self.ingest(user="both", count=301)["duplicates"], 301)
        with Client(self.server.address, token=token_of("operator")) as client:  # and TypeScript's row by its mark
            self.assertEqual(client.ingest([{"user": "both", "item": ("85123A", "22423", "23084")[n % 3],
                                             "time": 1_323_432_000 + n, "type": "view"} for n in range(301)],
                                           producer_id="both").passed_over, 301)

    def test_python_reads_the_same_times(self):
        with Client(self.server.address, token=token_of("operator")) as client:
            done = client.ingest([{"user": "times", "item": ("85123A", "22423", "23084")[n % 3], "time": text, "type": "view"}
                                  for n, text in enumerate(TIMES["read"])])
        result = self.ingest(user="times", times=list(TIMES["read"]))
        self.assertEqual((result["accepted"], result["duplicates"]), (0, done.accepted))

    def test_answers_that_are_not_the_servers_json(self):
        def answer(status, text):
            return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()

        full = answer("503 Service Unavailable", "too many connections\n")
        page = answer("502 Bad Gateway", "<html>nginx</html>")
        for producer in ({}, {"producerId": "plain"}):
            self.proxy.refuse(full, page, answer("429 Too Many Requests", '{"error": "slow down"}'))
            result = self.ingest(user=f"plain-{len(producer)}", count=3, **producer)
            self.assertEqual((result.get("accepted"), self.proxy.refused_all), (3, True), result)
            self.proxy.refuse(answer("413 Payload Too Large", "a body has at most 1000 bytes here\n"))
            result = self.ingest(user="plain", count=3, **producer)
            self.assertEqual((result["code"], result["reason"]), ("INVALID_ARGUMENT", "REQUEST_TOO_LARGE"), result)
            self.assertIn("HTTP status 413: a body has at most 1000 bytes here", result["error"])
            self.assertIn("server.message_bytes_max", result["error"])

    def test_a_producer_whose_server_comes_and_goes(self):
        self.ingest(user="goes", count=4, producerId="goes")
        self.proxy.refuse(b"", b"")
        result = self.ingest(user="goes", count=10, producerId="goes")
        self.assertEqual((result.get("passedOver"), self.proxy.refused_all), (4, True), result)

    def test_a_window_longer_than_a_body_may_be(self):
        before = self.log_end()
        result = self.ingest(user="u" * 200, count=9_600, batchSize=400, inflightMax=24, longIds=True)
        self.assert_all_once(result, before, 9_600)

    def test_a_source_is_left_as_by_a_loop(self):
        result = self.ingest(url="http://127.0.0.1:1", user="left", count=1_000, batchSize=1, inflightMax=1, retryForMs=1)
        self.assertEqual((result["code"], result["sourceLeft"]), ("UNAVAILABLE", True), result)
        result = self.ingest(user="left", count=1_000, badRow=2)
        self.assertRegex(result["error"], "^row 2: it is null")
        self.assertTrue(result["sourceLeft"])

    def test_a_server_that_is_not_there_is_given_up(self):
        result = self.ingest(url="http://127.0.0.1:1", user="x", count=1, retryForMs=3_000)
        self.assertEqual(result["reason"], "UNAVAILABLE", result)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
