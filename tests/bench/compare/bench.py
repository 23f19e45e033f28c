"""The benchmark: every figure of docs/benchmarks.md from one run. Started by tests/bench/run.sh, which builds first."""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

import edge_parts
import growth_parts
import ledger_parts
import machine
import processes
import report
import year_part
from ledger import Postgres, migrate
from processes import Folder, run_json
from servers import make_certificate

PARTS = {
    "keep_alive": edge_parts.keep_alive,
    "new_connection": edge_parts.new_connection,
    "latency": edge_parts.latency,
    "applied": ledger_parts.applied,
    "end_to_end": ledger_parts.end_to_end,
    "telegram": ledger_parts.telegram,
    "edge_memory": edge_parts.edge_memory,
    "ten_million": ledger_parts.ten_million,
    "connections": growth_parts.connections,
    "body_size": growth_parts.body_size,
    "workers": growth_parts.workers,
    "batch_size": growth_parts.batch_size,
    "runs_in_flight": growth_parts.runs_in_flight,
}
# Run only by --only: it takes more than an hour, and has a page of its own.
LONG_PARTS = {"year": year_part.year}


class Bench:
    """What the parts share: the folder, the servers that live for all of the run, and the figures so far."""

    def __init__(self, arguments):
        self.source = Path(__file__).resolve().parents[3]
        self.build = Path(arguments.build).resolve()
        self.rounds, self.seconds, self.rows = arguments.rounds, arguments.seconds, arguments.rows
        self.months, self.month_seconds, self.command = arguments.months, arguments.month_seconds, arguments.command
        wanted = 20e9 + sum(bytes_a_row * self.rows for part, bytes_a_row in (("ten_million", 3000), ("year", 4500))
                            if part in (arguments.only or PARTS))
        if shutil.disk_usage(arguments.folder).free < wanted:
            raise SystemExit(f"bench: {arguments.folder} needs {wanted / 1e9:.0f} GB free: use --folder, or fewer --rows")
        self.folder = Folder(arguments.folder, arguments.keep)
        self.daemon_socket = self.folder.path / "daemon.sock"
        self.figures, self.limits, self.plots, self.databases = [], {}, {}, set()
        self._postgres = None
        # Copies, so that an unprivileged user can read them wherever this checkout lies.
        self.folder.make("bin")
        for file in ("daemon/runledgerd", "daemon/runledger", "nginx-module/ngx_http_runledger_module.so",
                     "tests/bench/bench_load", "tests/bench/bench_answerer", "tests/bench/bench_sync_loop"):
            copy = self.binary(Path(file).name)
            copy.write_bytes((self.build / file).read_bytes())
            copy.chmod(0o755)
        self.express = self.folder.path / "express"
        os.system(f"cp -r '{self.source}/tests/bench/express' '{self.express}' && chmod -R a+rX '{self.express}'")
        self.certificate, self.key = make_certificate(self.folder)

    def binary(self, name):
        return self.folder.path / "bin" / name

    def module_path(self, name):
        own = self.binary(name + ".so")
        return own if own.exists() else f"/usr/lib/nginx/modules/{name}.so"

    @property
    def postgres(self):
        if self._postgres is None:
            self._postgres = Postgres(self)
        return self._postgres

    def database(self, name):
        """A template of that name, made when it is first asked for."""
        if name not in self.databases:
            self.databases.add(name)
            if name == "runledger":
                migrate(self, name)
            else:
                self.postgres.psql("postgres", "-c", f"CREATE DATABASE {name}")
                self.postgres.psql(name, "-f", self.express / "schema.sql")
        return name

    def scaled(self, events):
        """Fewer where the rounds are short: a trial."""
        return max(int(events * min(self.seconds / 3, 1.0)), 2000)

    def load(self, server, connections=64, seconds=None, events=None, rate=None, new_connection=False, tls=False,
             body_bytes=0, runs_in_flight=1000, seed=1):
        argv = [self.binary("bench_load"), "--port", server.port, "--path", server.path, "--connections", connections,
                "--seconds", seconds or self.seconds, "--body-bytes", body_bytes, "--runs-in-flight", runs_in_flight,
                "--seed", seed]
        argv += ["--events", events] if events else []
        argv += ["--rate", rate] if rate else []
        argv += ["--new-connection"] if new_connection else []
        argv += ["--tls"] if tls else []
        return run_json(argv)

    def interleaved(self, contenders, rounds_max=None):
        """Each in turn, round after round, beginning with another each time."""
        results = {name: [] for name in contenders}
        names = list(contenders)
        for number in range(min(self.rounds, rounds_max or self.rounds)):
            for name in names[number % len(names):] + names[: number % len(names)]:
                results[name].append(contenders[name]())
            print("    " + report.round_line(results), flush=True)
        return results

    def figure(self, part, what, ours, unit, peer_name, peer, at_least=None, at_most=None):
        self.figures.append({"part": part, "what": what, "ours": ours, "unit": unit, "peer_name": peer_name,
                             "peer": peer, "at_least": at_least, "at_most": at_most})

    def plot(self, name, title, x_title, series):
        self.plots[name] = {"title": title, "x_title": x_title, "series": series}

    def results(self, arguments, took):
        return {"machine": machine.describe(self.folder.path), "command": arguments.command, "date": time.strftime("%Y-%m-%d"),
                "rounds": self.rounds, "seconds": self.seconds, "took_minutes": took / 60, "figures": self.figures,
                "limits": self.limits, "plots": self.plots}

    def close(self):
        processes.stop_all()
        self.folder.remove()


def parse():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__, epilog=f"parts: {' '.join(PARTS)}; only by --only: {' '.join(LONG_PARTS)}")
    parser.add_argument("--only", action="append", choices=[*PARTS, *LONG_PARTS], metavar="PART", help="this part; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement (default %(default)s)")
    parser.add_argument("--rows", type=int, default=10_000_000, help="that the large database holds (default %(default)s)")
    parser.add_argument("--months", type=int, default=12, help="of the year (default %(default)s)")
    parser.add_argument("--month-seconds", type=int, default=300, help="how long one lasts (default %(default)s)")
    parser.add_argument("--folder", default=os.environ.get("TMPDIR", "/var/tmp"), help="where to work (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    parser.add_argument("--build", default="build/release", help="the build tree (default %(default)s)")
    parser.add_argument("--results", default="build/bench-results.json", help="where the numbers go (default %(default)s)")
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks.md even after a part of the run")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the docs from --results again")
    arguments = parser.parse_args()
    arguments.command = " ".join(["tests/bench/run.sh", *sys.argv[1:]])
    return arguments


def measure(arguments):
    bench = Bench(arguments)
    begun = time.monotonic()
    try:
        for name in arguments.only or PARTS:
            print(f"== {name} ({time.monotonic() - begun:.0f} s)", flush=True)
            {**PARTS, **LONG_PARTS}[name](bench)
        results = bench.results(arguments, time.monotonic() - begun)
    finally:
        bench.close()
    Path(arguments.results).write_text(json.dumps(results, indent=1))
    return results


def main():
    arguments = parse()
    results = json.loads(Path(arguments.results).read_text()) if arguments.report else measure(arguments)
    print(report.terminal_table(results))
    if arguments.report or arguments.docs or not arguments.only:
        report.write_docs(results, Path(__file__).resolve().parents[3] / "docs")
        print("written: docs/benchmarks.md, docs/benchmarks/*.svg")


if __name__ == "__main__":
    main()
