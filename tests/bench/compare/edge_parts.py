"""What is measured at the edge: rates beside the peers, latency beside the disk, memory beside plain nginx."""

import signal
import time
from ledger import nginx_status
from processes import Process, cpu_seconds, eventually, memory_mib, run_json
from servers import PATH, Answerer, Express, LuaRedis, Nginx


def measure(bench, make_server, **load):
    """One contender's turn: started afresh, warmed, measured, stopped."""
    server = make_server()
    bench.load(server, **{**load, "seconds": 0.3, "seed": 7})
    before = sum(map(cpu_seconds, server.workers))
    result = bench.load(server, **load)
    result["cpu"] = (sum(map(cpu_seconds, server.workers)) - before) / max(result["accepted"], 1) * 1e6
    server.stop()
    if result["accepted"] != result["events"]:
        raise RuntimeError(f"not all were accepted: {result}")
    return result


def keep_alive(bench):
    makers = {
        "runledger": lambda: Nginx(bench, "runledger"),
        "plain": lambda: Nginx(bench, "plain"),
        "return": lambda: Nginx(bench, "return"),
        "answerer": lambda: Answerer(bench),
        "lua": lambda: LuaRedis(bench),
        "nchan": lambda: Nginx(bench, "nchan"),
        "express": lambda: Express(bench, bench.database("express"), "insert"),
    }
    rounds = bench.interleaved({name: lambda make=make: measure(bench, make) for name, make in makers.items()})
    rate = lambda name: [one["per_second"] for one in rounds[name]]
    ours = rate("runledger")
    name = "durable 2xx/s, keep-alive, 64 connections, one worker"
    bench.figure("keep_alive", name, ours, "/s", "nginx reading and discarding the body", rate("plain"), at_least=0.70)
    bench.figure("keep_alive", "the same", ours, "/s", "nginx + Lua + Redis stream, appendfsync always", rate("lua"),
                 at_least=2.5)
    bench.figure("keep_alive", "the same", ours, "/s", "Express, JSON parse, committed INSERT before the answer",
                 rate("express"), at_least=12)
    bench.figure("keep_alive", "the same", ours, "/s", "nchan publishing to memory", rate("nchan"), at_least=0.60)
    bench.figure("keep_alive", "CPU seconds per million events, the edge's worker",
                 [one["cpu"] for one in rounds["runledger"]], " s", "nginx reading and discarding the body",
                 [one["cpu"] for one in rounds["plain"]])
    bench.limits["the load generator alone (against a server that looks at nothing), 64 connections"] = rate("answerer")
    bench.limits["nginx `return 200`, 64 connections"] = rate("return")
    bench.limits["the load generator's CPU seconds per million events"] = [
        one["cpu_seconds"] / one["accepted"] * 1e6 for one in rounds["answerer"]]
    return rounds


def new_connection(bench):
    makers = {(kind, tls): lambda kind=kind, tls=tls: Nginx(bench, kind, tls=tls)
              for tls in (False, True) for kind in ("runledger", "plain")}
    rounds = bench.interleaved({
        f"{kind}{'-tls' if tls else ''}":
            lambda make=make, tls=tls: measure(bench, make, new_connection=True, tls=tls)
        for (kind, tls), make in makers.items()})
    for suffix, words in (("", "durable 2xx/s, a new connection per event"), ("-tls", "the same, with TLS")):
        bench.figure("new_connection", words, [one["per_second"] for one in rounds["runledger" + suffix]], "/s",
                     "nginx reading and discarding the body, the same mode",
                     [one["per_second"] for one in rounds["plain" + suffix]], at_least=0.90)
    return rounds


def latency(bench):
    load = {"rate": 5000, "connections": 256}

    def disk():
        file = bench.folder.path / "sync-loop"
        return run_json([bench.binary("bench_sync_loop"), "--file", file, "--seconds", bench.seconds, "--bytes", 4096])

    rounds = bench.interleaved({
        "disk": disk,
        "runledger": lambda: measure(bench, lambda: Nginx(bench, "runledger"), **load),
        "plain": lambda: measure(bench, lambda: Nginx(bench, "plain"), **load),
    })
    p99 = lambda name: [one["p99_us"] for one in rounds[name]]
    bench.figure("latency", "latency p99 at 5,000 events/s, open loop", p99("runledger"), " µs",
                 "p99 of a bare write + fdatasync of 4 kB", p99("disk"), at_most=4)
    bench.limits["the bare write + fdatasync for events that are due 5,000 times a second, p99, µs"] = [
        one["due_p99_us"] for one in rounds["disk"]]
    bench.limits["nginx reading and discarding the body, p99 at 5,000 events/s, µs"] = p99("plain")
    return rounds


def waiting_edge(bench):
    """The worker's memory while a full spool holds 1,000 requests."""
    nginx = Nginx(bench, "runledger", spool_max="64m", location_extra="runledger_timeout 120s;")
    filling = start_load(bench, nginx, connections=64)
    last = -1.0

    def is_full():
        nonlocal last
        committed = nginx_status(nginx)["events_committed_total"]
        stalled, last = committed == last and committed > 0, committed
        return stalled
    eventually("the spool is full", is_full, every=2.5)
    filling.stop(signal.SIGKILL)
    waiting = start_load(bench, nginx, connections=1000)
    eventually("1,000 requests wait", lambda: nginx_status(nginx)["held_events"] >= 1000)
    time.sleep(0.5)
    memory = memory_mib(nginx.workers[0])
    waiting.stop(signal.SIGKILL)
    nginx.stop()
    return memory


def waiting_plain(bench):
    nginx = Nginx(bench, "waiting")
    waiting = start_load(bench, nginx, connections=1000)
    time.sleep(1.5)
    memory = memory_mib(nginx.workers[0])
    waiting.stop(signal.SIGKILL)
    nginx.stop()
    return memory


def start_load(bench, server, connections):
    return Process([bench.binary("bench_load"), "--port", server.port, "--path", PATH, "--connections", connections,
                    "--seconds", 600], bench.folder.path / "load.log")


def edge_memory(bench):
    rounds = bench.interleaved({"runledger": lambda: waiting_edge(bench), "plain": lambda: waiting_plain(bench)})
    growth = [ours["Pss"] - plain["Pss"] for ours, plain in zip(rounds["runledger"], rounds["plain"])]
    bench.figure("edge_memory", "a worker's memory over plain nginx's, 1,000 requests waiting (PSS)", growth, " MiB",
                 None, None, at_most=8)
    return rounds
