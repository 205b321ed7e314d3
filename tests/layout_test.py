"""The rules of docs/architecture.md and CONTRIBUTING.md that a program can check.

    layout_test.py ROOT
"""

import collections
import graphlib
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()
OURS = ("bench", "blend", "client", "csv", "graph", "index", "kafka", "models", "program", "scheduling", "server")
# Which folders a folder's files may include from; "groundswell" is generated from proto/.
MAY_INCLUDE = {
    "models": {"models"},
    "scheduling": {"scheduling"},
    "csv": {"csv"},
    "program": {"program", "csv"},
    "kafka": {"kafka"},
    "blend": {"blend", "models"},
    "graph": {"graph", "kafka", "scheduling", "groundswell"},
    "index": {"index", "graph", "models"},
    "server": {"server", "blend", "csv", "index", "graph", "models", "program", "scheduling", "groundswell",
               "google"},
    "client": {"client", "csv", "kafka", "program", "scheduling", "groundswell", "google"},
    "bench": {"bench", "blend", "client", "graph", "index", "models", "server", "groundswell"},
}
# Which sub-folders the files of a sub-folder may include from, beside their own; "." has the files of
# the folder itself. Without circles: read from top to bottom, each includes from above it alone.
SUBFOLDERS = {
    "models": {
        ".": {},
        "math": {},
        "files": {".", "math"},
        "dot": {".", "files", "math"},
        "macgnn": {".", "files", "math"},
        "sequence": {".", "files", "math"},
        "surge": {".", "files", "math", "sequence"},
        "encoders": {".", "files", "math", "sequence"},
        "caser": {".", "files", "math", "sequence"},
        "dien": {".", "files", "math", "sequence"},
        "din": {".", "files", "math", "sequence"},
        "gru4rec": {".", "files", "math", "sequence"},
        "ncf": {".", "files", "math", "sequence"},
        "slirec": {".", "files", "math", "sequence"},
        "snapshot": {".", "caser", "dien", "din", "dot", "encoders", "files", "gru4rec", "macgnn", "ncf", "slirec", "surge"},
    },
    "graph": {
        ".": {},
        "log": {"."},
        "kafka": {".", "log"},
        "state": {".", "log"},
        "store": {".", "log", "state"},
        "fold": {".", "log", "state", "store"},
        "upkeep": {".", "fold", "log", "state", "store"},
    },
    "index": {
        ".": {},
        "vectors": {"."},
        "walks": {"."},
        "popular": {"."},
    },
    "server": {
        "process": {},
        "rpc": {"process"},
        "config": {"rpc"},
        "pipeline": {"config", "process", "rpc"},
        "serving": {"pipeline", "process", "rpc"},
        "offline": {"config", "pipeline", "process", "rpc", "serving"},
        "recommend": {"config", "pipeline", "process", "rpc", "serving"},
        "ingest": {"process", "rpc", "serving"},
        "admin": {"config", "ingest", "pipeline", "process", "recommend", "rpc", "serving"},
        ".": {"admin", "config", "ingest", "offline", "pipeline", "process", "recommend", "rpc",
              "serving"},
    },
    "client": {
        ".": {},
        "terminal": {},
        "events": {".", "terminal"},
        "items": {".", "events"},
        "load": {"."},
        "evaluate": {".", "events", "load", "terminal"},
        "quickstart": {"events"},
        "kafka": {".", "events"},
        "commands": {".", "evaluate", "events", "items", "kafka", "load", "quickstart", "terminal"},
        "example": {"."},
    },
}
# Which files alone may include a library.
LIBRARY_OWNERS = {
    # search_bench has the bare calls beside ours.
    "faiss/": {"index/vectors/faiss_index.cc", "index/vectors/faiss_training.cc",
               "index/vectors/faiss_training.h", "bench/search_bench.cc", "bench/baseline/item_search.cc"},
    # log_bench is the baseline without us.
    "rocksdb/": {"graph/store/database.cc", "graph/store/store.cc", "graph/store/store_settings.cc",
                 "graph/store/write_ahead_check.cc", "graph/store/write_ahead_check.h",
                 "graph/store/event_ids.cc", "graph/store/generation.cc",
                 "graph/store/recoverable_files.cc", "bench/log_bench.cc"},
    "dnnl": {"models/math/kernels.cc", "models/math/weight.cc"},
    "prometheus/": {"server/process/metrics.cc", "server/process/list_metrics.cc",
                    "client/kafka/ingest_metrics.cc"},
    "librdkafka/": {"kafka/librdkafka.h"},
    "toml": {"server/rpc/client_list.cc", "server/config/config_reading.cc"},
    "csv.h": {"csv/csv_reader.cc"},
    "boost/asio": {"server/process/http_connection.cc", "server/process/http_connection.h", "server/process/http_server.cc",
                   "server/process/http_lines.cc", "server/process/http_lines.h",
                   "server/process/http_stream.h", "server/process/http_tls.cc"},
    "boost/beast": {"server/process/http_connection.cc", "server/process/http_connection.h", "server/process/http_server.cc",
                    "server/process/http_lines.cc", "server/process/http_lines.h",
                    "server/process/http_stream.h"},
    "torch/": {"bench/torch_bench.cc", "bench/baseline/torch_ranker.cc"},
    "ATen/": {"bench/torch_bench.cc", "bench/baseline/torch_ranker.cc"},
    "hiredis/": {"bench/baseline/feature_store.cc"},
}
LINES_MAX = 600
FUNCTION_LINES_MAX = 70
VAGUE_NAME = re.compile(r"(^|[_/])(utils?|helpers?|manager|misc|common)([_./]|$)")


def tracked(*patterns):
    output = subprocess.run(["git", "-C", ROOT, "ls-files", *patterns], check=True,
                            capture_output=True, text=True).stdout
    return output.split()


def includes(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r'^#include ([<"])([^>"]+)[>"]', text, re.MULTILINE)


def subfolder(name):
    parts = name.split("/")
    return parts[1] if len(parts) > 2 else "."


def blocks(lines):
    """(first line, lines within) of what `}` alone ends: functions, and blocks in them. Wants the
    indentation of clang-format; classes, tables and namespaces end otherwise."""
    open_at = {}
    for number, line in enumerate(lines):
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        if not text or text.startswith("#"):
            continue
        if text == "}" and indent in open_at:
            yield open_at[indent] + 1, number - open_at[indent] - 1
        open_at[indent] = number


class LayoutTest(unittest.TestCase):
    def sources(self):
        names = [n for n in tracked("*.cc", "*.h") if n.split("/")[0] in OURS]
        self.assertGreater(len(names), 50)
        return names

    def test_folders_include_what_they_may(self):
        for name in self.sources():
            for kind, included in includes(name):
                if kind == '"' and "/" in included:
                    folder = included.split("/")[0]
                    if folder in OURS or folder == "groundswell":
                        self.assertIn(folder, MAY_INCLUDE[name.split("/")[0]],
                                      f"{name} includes {included}")

    def test_subfolders_include_what_they_may(self):
        for name in self.sources():
            folder = name.split("/")[0]
            for _, included in includes(name):
                if folder in SUBFOLDERS and included.split("/")[0] == folder:
                    own = subfolder(name)
                    self.assertIn(own, SUBFOLDERS[folder], f"no such sub-folder is planned: {name}")
                    self.assertIn(subfolder(included), {own, *SUBFOLDERS[folder][own]},
                                  f"{name} includes {included}")

    def test_the_documents_tables_say_so(self):
        text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
        told = {}
        for folder, own, included in re.findall(r"^\| `([a-z0-9_/]+)/`(, its own files)? \| .* \| (.*) \|$", text,
                                                re.MULTILINE):
            top, _, sub = folder.partition("/")
            if top in SUBFOLDERS and (sub or own):
                names = {name.strip() for name in included.split(",") if name.strip()}
                told[top, sub or "."] = {"." if name == f"`{top}/` itself" else name for name in names}
        rules = {(top, sub): set(names) for top, subs in SUBFOLDERS.items() for sub, names in subs.items()}
        self.assertEqual(told, rules)

    def test_subfolders_may_include_from_above_alone(self):
        for folder, table in SUBFOLDERS.items():
            above = set()
            for own, allowed in table.items():
                self.assertLessEqual(set(allowed), above, f"{folder}/{own}")
                above.add(own)

    def test_no_circle_of_files(self):
        graph = {}
        for name in self.sources():
            stem = name.rsplit(".", 1)[0]
            for _, included in includes(name):
                if included.endswith(".h") and included != stem + ".h":
                    graph.setdefault(stem, set()).add(included[:-2])
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            self.fail("a circle of includes: " + " <- ".join(error.args[1]))

    def test_functions_fit_on_a_screen(self):
        for name in tracked("*.cc", "*.h"):
            lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
            for first, count in blocks(lines):
                self.assertLessEqual(count, FUNCTION_LINES_MAX, f"{name}:{first}")

    def test_each_library_ends_in_its_own_file(self):
        for name in self.sources():
            for _, included in includes(name):
                for library, owners in LIBRARY_OWNERS.items():
                    if included.startswith(library):
                        self.assertIn(name, owners, f"{name} includes {included}")

    def test_a_name_is_one_type_in_a_program(self):
        """The linker takes one of two definitions for both, without a word."""
        programs = [set(MAY_INCLUDE) - {"client", "bench"}, MAY_INCLUDE["client"]]
        places = collections.defaultdict(list)
        for name in self.sources():
            named = re.sub(r"(?ms)^namespace \{$.*?^\}  // namespace$", "", (ROOT / name).read_text(encoding="utf-8"))
            for type_ in re.findall(r"(?m)^(?:struct|class|enum class|enum) (\w+)(?: final)?(?: : [^;{]*)? ?\{", named):
                places[type_].append(name)
        for type_, files in places.items():
            for program in programs:
                there = [file for file in files if file.split("/")[0] in program]
                self.assertLessEqual(len(there), 1, f"{type_} is defined in {', '.join(there)}")

    def test_files_are_short_enough_to_read(self):
        for name in tracked("*.cc", "*.h", "*.py", "*.proto"):
            lines = (ROOT / name).read_text(encoding="utf-8").count("\n")
            self.assertLessEqual(lines, LINES_MAX, name)

    def test_every_setting_is_read(self):
        table = (ROOT / "server/config/config_keys.cc").read_text(encoding="utf-8")
        members = re.findall(r"GROUNDSWELL_MEMBER\((\w+\.\w+)\)", table)
        self.assertGreater(len(members), 50)
        text = "".join((ROOT / name).read_text(encoding="utf-8") for name in self.sources()
                       if name.startswith("server/") and not name.startswith("server/config/config"))
        for member in members:
            section, name = member.split(".")
            # The table of candidate sources points at members: &Config::Retrieval::popular.
            read = rf"\b({section}\.|Config::{section.title()}::){name}\b"
            self.assertTrue(re.search(read, text), f"nobody reads {member}")

    def test_names_say_what_a_file_is(self):
        for name in tracked():
            self.assertIsNone(VAGUE_NAME.search(name), name)

    def test_no_merge_was_left_half_done(self):
        mark = re.compile(r"^(<<<<<<<|>>>>>>>) ", re.MULTILINE)
        for name in tracked():
            text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
            self.assertIsNone(mark.search(text), name)

    def test_links_of_the_documents_lead_somewhere(self):
        for name in tracked("*.md"):
            text = (ROOT / name).read_text(encoding="utf-8")
            for target in re.findall(r"\]\(([^)#\s]+)", text):
                if "://" not in target:
                    path = (ROOT / name).parent / target
                    self.assertTrue(path.exists(), f"{name} links to {target}")


if __name__ == "__main__":
    unittest.main()
