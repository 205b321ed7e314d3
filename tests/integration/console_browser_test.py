"""The console built anew and compared, then used in a real browser (console/test/browser_test.mjs).

    console_browser_test.py SERVER_PROGRAM CLI_PROGRAM SNAPSHOT_DIRECTORY CONSOLE_DIRECTORY WORK_DIRECTORY
                            [SCREENSHOT_DIRECTORY]

Ends with 77, and says why, where Node.js or Chromium is missing or the npm registry cannot be reached. What was
installed stays in WORK_DIRECTORY; screenshots are there too, unless they are asked for elsewhere.
"""

import datetime
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from connect_server import Server

SKIPPED = 77
CLIENTS = '[[client]]\nname = "shop"\ntoken_sha256 = "{}"\nrights = ["read"]\n'
# What npm says where there is no way to the registry, as against packages that are not what the lock file says.
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH",
               "ERR_SOCKET_TIMEOUT", "EIDLETIMEOUT", "ENOTCACHED")
VISITORS = 5
ITEMS = ("85123A", "22423", "22633", "84029E", "21733", "22470", "23356", "22112")


def skip(why):
    line = "=" * 100
    print(f"\n{line}\nSKIPPED, NOT PASSED: the console was tested in no browser: {why}\n{line}", flush=True)
    sys.exit(SKIPPED)


def need(*names):
    found = next((path for path in map(shutil.which, names) if path), None)
    return found or skip(f"{' or '.join(names)} is missing; scripts/install-packages --test brings it")


def install(console, work):
    """The packages of the lock file, with which everything of console/ is in `work`."""
    npm = need("npm")
    for name in ("package.json", "package-lock.json", "vite.config.js", "index.html"):
        shutil.copy(console / name, work / name)
    for name in ("src", "public", "test"):
        shutil.rmtree(work / name, ignore_errors=True)
        shutil.copytree(console / name, work / name)
    stamp = work / "installed"
    digest = hashlib.sha256((console / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    stamp.unlink(missing_ok=True)
    ended = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1",
         "--fetch-timeout=20000"], cwd=work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ended.returncode != 0:
        print(ended.stdout)
        if any(word in ended.stdout for word in UNREACHABLE):
            skip("the npm registry cannot be reached")
        sys.exit("npm cannot install console/package-lock.json")
    stamp.write_text(digest, encoding="utf-8")


def compare_build(console, work):
    """console/dist is what its sources are built to."""
    subprocess.run([need("node"), "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"], cwd=work, check=True)
    built, kept = ({file.name: file.read_bytes() for file in (place / "dist").iterdir()} for place in (work, console))
    differ = sorted(name for name in built.keys() | kept.keys() if built.get(name) != kept.get(name))
    if differ:
        sys.exit(f"console/dist is not what console/src is built to: {', '.join(differ)}; "
                 "run `npm ci && npm run build` in console/")


def interactions(newest):
    """Of later than `newest`, so many that lists are judged by them."""
    for number in range(VISITORS * len(ITEMS)):
        when = newest + datetime.timedelta(minutes=number + 1)
        yield json.dumps({"user": f"console-visitor-{number % VISITORS}", "item": ITEMS[(number // VISITORS + number) % len(ITEMS)],
                          "type": "purchase", "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ")})


def other_snapshot(snapshot, directory):
    shutil.copytree(snapshot, directory)
    manifest = directory / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["version"] = "other"
    manifest.write_text(json.dumps(content), encoding="utf-8")
    return str(directory)


def fill(cli, address, log):
    def status():
        return json.loads(subprocess.run([cli, "--server", address, "--json", "status"], check=True, capture_output=True).stdout)

    newest = datetime.datetime.strptime(status()["graph"]["newest_event_time"], "%Y-%m-%dT%H:%M:%SZ")
    log.write_text("\n".join(interactions(newest)) + "\n", encoding="utf-8")
    subprocess.run([cli, "--server", address, "ingest", log], check=True, stdout=subprocess.DEVNULL)
    while (graph := status()["graph"])["applied_offset"] != graph["log_end_offset"]:
        pass
    return newest + datetime.timedelta(days=1)


def main(program, cli, snapshot, console, work, screenshots=None):
    chromium = need("chromium")
    cli = str(pathlib.Path(cli).absolute())
    console, work = pathlib.Path(console), pathlib.Path(work).absolute()
    screenshots = pathlib.Path(screenshots or work / "screenshots").absolute()
    for place in (work, screenshots):
        place.mkdir(parents=True, exist_ok=True)
    install(console, work)
    compare_build(console, work)
    with tempfile.TemporaryDirectory(prefix="groundswell-test-") as name:
        directory = pathlib.Path(name)
        clients = directory / "clients.toml"
        clients.write_text(CLIENTS.format(hashlib.sha256(b"secret-of-the-shop").hexdigest()), encoding="utf-8")
        (directory / "guarded").mkdir()
        # What is popular follows at once, so that two lists of a moment are one.
        server = Server(program, snapshot, directory, "--retrieval.popularity_refresh_ms=10")
        guarded = Server(program, snapshot, directory / "guarded", f"--access.clients_file={clients}")
        try:
            address = f"127.0.0.1:{server.ports['grpc']}"
            later = fill(cli, address, directory / "log.jsonl")
            settings = directory / "settings.json"
            settings.write_text(json.dumps({
                "chromium": chromium, "cli": cli, "grpc": address, "screenshots": str(screenshots),
                "console": f"http://127.0.0.1:{server.ports['connect']}/console/",
                "guarded_console": f"http://127.0.0.1:{guarded.ports['connect']}/console/",
                "snapshot": str(pathlib.Path(snapshot).absolute()), "later": later.strftime("%Y-%m-%dT%H:%M:%SZ"), "backup": str(directory / "backup"),
                "other_snapshot": other_snapshot(snapshot, directory / "other")}), encoding="utf-8")
            ended = subprocess.run([need("node"), "test/browser_test.mjs", settings], cwd=work)
        finally:
            stopped = [server.stop(), guarded.stop()]
    assert stopped == [0, 0], stopped
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
