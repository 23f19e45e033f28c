"""What the figures were measured on."""

import os
import platform
import subprocess
from pathlib import Path
from ledger import BIN


def version(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return (done.stdout + done.stderr).strip().splitlines()[0]


def package(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "not installed"


def cpu():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def describe(folder):
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    file_system = subprocess.run(["findmnt", "-n", "-o", "FSTYPE,OPTIONS", "-T", folder], capture_output=True, text=True,
                                 check=False).stdout.split()
    virtual = subprocess.run(["systemd-detect-virt"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "CPU": f"{os.cpu_count()} × {cpu()}" + (", virtual" if virtual not in ("", "none") else ""),
        "memory": f"{memory:.0f} GiB",
        "file system": " ".join(file_system[:1]) + (f" ({file_system[1]})" if len(file_system) > 1 else ""),
        "kernel": f"Linux {platform.release().split('-')[0]}",
        "nginx": package("nginx"),
        "PostgreSQL": version([f"{BIN}/postgres", "--version"]),
        "Redis": package("redis-server"),
        "nchan": package("libnginx-mod-nchan"),
        "Lua module": package("libnginx-mod-http-lua"),
        "Node.js": version(["node", "--version"]),
    }
