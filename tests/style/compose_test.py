#!/usr/bin/env python3
"""compose_test.py SOURCE: docs/howto.md has a command for each file that config/container/compose.yaml mounts, and
each service has a health check that tells an answer 200 from 503 and from none."""
import http.server
import json
import re
import subprocess
import sys
import threading

source = sys.argv[1]
compose = open(f"{source}/config/container/compose.yaml", encoding="utf-8").read()
howto = open(f"{source}/docs/howto.md", encoding="utf-8").read()
section = re.search(r"^## In containers\n(.*?)^## ", howto, re.M | re.S)[1]
commands = "\n".join(line for line in section.splitlines() if line.startswith("    "))
faults = []

mounts = re.findall(r"^ +- \./([\w.-]+):", compose, re.M)
if len(mounts) < 5:
    faults.append("the pattern no longer finds what compose.yaml mounts")
for name in mounts:
    if not re.search(rf"(^|[\s>/]){re.escape(name)}(\s|$)", commands, re.M):
        faults.append(f"docs/howto.md has no command that makes {name}, which compose.yaml mounts")


class Answer(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(Answer.status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
checks = [json.loads(line) for line in re.findall(r"^ +test: (\[.*\])$", compose, re.M)]
services = re.findall(r"^ +image: (.*)$", compose, re.M)
if len(checks) != len(services):
    faults.append(f"{len(services)} services have {len(checks)} health checks")


def passes(check):
    words = [word.replace("$$", "$") for word in check[1:]]
    words[-1] = re.sub(r"(/dev/tcp/127\.0\.0\.1/)\d+", rf"\g<1>{server.server_port}", words[-1])
    return subprocess.run(words, stderr=subprocess.DEVNULL, timeout=20, check=False).returncode == 0


for check in checks:
    for Answer.status in (200, 503):
        if passes(check) != (Answer.status == 200):
            faults.append(f"an answer {Answer.status} is taken for the other: {check[-1]}")
server.shutdown()
server.server_close()
for check in checks:
    if passes(check):
        faults.append(f"no answer passes for one: {check[-1]}")
print("\n".join(faults), end="\n" if faults else "")
sys.exit(bool(faults))
