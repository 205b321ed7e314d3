"""The protos generate code that compiles, for languages that have no client here.

    generated_test.py go|java

Skipped, with a word about what is missing, where there is no toolchain; the runtimes of protobuf are
Debian's (scripts/install-packages --test).
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from case_server import ROOT, environment, skip

LANGUAGE = sys.argv[1] if len(sys.argv) > 1 else ""
GOOGLEAPIS = "/usr/share/gocode/src/github.com/gogo/googleapis"
GO_RUNTIME = "/usr/share/gocode/src/google.golang.org/protobuf"
JAVA_RUNTIME = "/usr/share/java/protobuf.jar"
NEEDED = {"go": ("go", "protoc-gen-go", GO_RUNTIME), "java": ("javac", JAVA_RUNTIME)}
PROTOS = [*(f"groundswell/v1/{name}.proto" for name in ("recommend", "catalogue", "list_trace", "interaction", "admin")),
          "google/rpc/status.proto", "google/rpc/error_details.proto"]
GO_USE = '''package use

import "groundswell/v1"

var Request = &groundswellv1.RecommendRequest{UserId: "17850", PageSize: 3}
var Source = groundswellv1.CandidateSource_CANDIDATE_SOURCE_POPULAR
'''
JAVA_MAIN = '''import groundswell.v1.CandidateSource;
import groundswell.v1.RecommendRequest;

class Main {
  public static void main(String[] arguments) {
    RecommendRequest request = RecommendRequest.newBuilder().setUserId("17850").setPageSize(3).build();
    System.out.println(request.getUserId() + " " + CandidateSource.CANDIDATE_SOURCE_POPULAR);
  }
}
'''

for needed in NEEDED.get(LANGUAGE, ()):
    if shutil.which(needed) is None and not pathlib.Path(needed).exists():
        skip(f"there is no {needed}")


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done


class GeneratedTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="groundswell-test-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)

    def protoc(self, *arguments):
        done = run("protoc", f"-I{ROOT / 'proto'}", f"-I{GOOGLEAPIS}", *arguments, *PROTOS)
        self.assertEqual(done.stderr, "")  # no warning either

    @unittest.skipUnless(LANGUAGE == "go", "another language")
    def test_go(self):
        source = self.work / "src"
        source.mkdir()
        # The protos of google.rpc in Debian name a package that is not theirs.
        own = ",".join(f"Mgoogle/rpc/{name}.proto=groundswell/rpc" for name in ("status", "error_details"))
        self.protoc(f"--go_out={source}", f"--go_opt={own}")
        (source / "use").mkdir()
        (source / "use/use.go").write_text(GO_USE)
        # Without optimisation, and not linked: it is compiled to see that it can be, which takes long enough.
        run("go", "build", "-gcflags=all=-N -l", "use", cwd=source,
            env=environment(GO111MODULE="off", GOPATH=f"{self.work}:/usr/share/gocode", GOFLAGS="",
                            GOCACHE=str(self.work / "cache")))

    @unittest.skipUnless(LANGUAGE == "java", "another language")
    def test_java(self):
        self.protoc(f"--java_out={self.work}")
        (self.work / "Main.java").write_text(JAVA_MAIN)
        run("javac", "-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-nowarn", "-proc:none", "-d", self.work / "classes",
            "-cp", JAVA_RUNTIME, *self.work.rglob("*.java"))
        self.assertEqual(run("java", "-cp", f"{JAVA_RUNTIME}:{self.work / 'classes'}", "Main").stdout,
                         "17850 CANDIDATE_SOURCE_POPULAR\n")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
