"""Processes of the benchmark's own: started as an unprivileged user, measured from /proc, ended by their ids."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def unprivileged():
    """PostgreSQL refuses to run as root, and nothing here needs it."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class Folder:
    """All that the benchmark writes; removed at the end. On a real disk, since durability is what is measured."""

    def __init__(self, parent, keep):
        self.path = Path(tempfile.mkdtemp(prefix="runledger-bench.", dir=parent))
        self.keep = keep
        self.path.chmod(0o755)
        self.own(self.path)
        kind = subprocess.run(["stat", "-f", "-c", "%T", self.path], capture_output=True, text=True, check=True)
        if kind.stdout.strip() in ("tmpfs", "ramfs", "overlayfs"):
            raise SystemExit(f"bench: {self.path} is on {kind.stdout.strip()}, where a sync costs nothing: use --folder")

    @staticmethod
    def own(path):
        who = unprivileged()
        if who:
            os.chown(path, who["user"], who["group"])

    def make(self, name):
        path = self.path / name
        path.mkdir(parents=True)
        self.own(path)
        return path

    def fresh(self, name):
        shutil.rmtree(self.path / name, ignore_errors=True)
        return self.make(name)

    def write(self, name, text, mode=0o644):
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)
        self.own(path)
        return path

    def remove(self):
        if not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def takes_connections(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def eventually(what, claim, seconds=30.0, every=0.02):
    end = time.monotonic() + seconds
    while not (found := claim()):
        if time.monotonic() > end:
            raise RuntimeError(f"never happened within {seconds} s: {what}")
        time.sleep(every)
    return found


def stat_fields(pid):
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def cpu_seconds(pid, with_ended_children=False):
    """User and system time of a process, all its threads; with those of its children that have ended."""
    fields = stat_fields(pid)
    return sum(int(fields[i]) for i in (11, 12, 13, 14)[: 4 if with_ended_children else 2]) / TICKS


def children(pid):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int(stat_fields(entry.name)[1]) == pid:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                pass  # It has ended since.
    return found


def family_cpu_seconds(pid):
    """Of a process, its living children, and those that have ended."""
    total = cpu_seconds(pid, with_ended_children=True)
    for child in children(pid):
        try:
            total += cpu_seconds(child)
        except (FileNotFoundError, ProcessLookupError):
            pass  # Counted with its parent next time.
    return total


def memory_mib(pid):
    """Private and shared memory in use, and the most that it ever was."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text() + Path(f"/proc/{pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: int(lines[name].split()[0]) / 1024 for name in ("Rss", "Pss", "VmHWM")}


class Process:
    def __init__(self, argv, log, env=None, cwd=None):
        self.log = Path(log)
        with open(log, "ab") as out:
            Folder.own(log)
            self.popen = subprocess.Popen(
                [str(word) for word in argv], stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=cwd,
                env=env, start_new_session=True, **unprivileged())
        self.pid = self.popen.pid
        running.append(self)

    def stop(self, how=signal.SIGTERM, seconds=30):
        if self.popen.poll() is None:
            self.popen.send_signal(how)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        if self in running:
            running.remove(self)

    def check(self, what):
        if self.popen.poll() is not None:
            raise RuntimeError(f"{what} ended: {self.log.read_text(errors='replace')[-2000:]}")


running = []


def stop_all():
    for process in reversed(list(running)):
        process.stop(signal.SIGINT, 15)


def run(argv, **more):
    """To its end; returns what it printed."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False,
                          **{"cwd": "/", **unprivileged(), **more})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))[:300]} failed: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def run_json(argv):
    return json.loads(run(argv))
