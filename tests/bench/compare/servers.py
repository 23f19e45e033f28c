"""The servers that are compared: nginx with this module, without it, with Lua and Redis, with nchan; Express.

Each is started on a free port with one worker unless told otherwise, answers 2xx at `path`, and is stopped by its id.
What they have in common is the same for all: no access log, keep-alive without end, the same buffers.
"""

import signal
from processes import Process, children, eventually, free_port, run, takes_connections

PATH = "/api/webhook/comfydeploy?token=bench0123456789abcdef0123456789"
TOKEN = PATH.split("=")[1]

CONF = """{load}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_buffer_size 128k;
    client_max_body_size 8m;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=8192 {tls};
        {certificate}
        location = /api/webhook/comfydeploy {{
            {location}
        }}
        {server}
    }}
}}
"""


class Nginx:
    """`kind` is a key of KINDS."""

    def __init__(self, bench, kind, workers=1, tls=False, spool=None, spool_max="64g", location_extra="", module=True):
        modules, http, location, server = KINDS[kind]
        self.folder = bench.folder.fresh(f"nginx-{kind}")
        self.spool = spool or self.folder / "spool"
        if kind == "runledger" and spool is None:
            bench.folder.fresh(f"nginx-{kind}/spool")
        self.port = free_port()
        self.path = PATH
        values = {
            "folder": self.folder, "spool": self.spool, "spool_max": spool_max, "socket": bench.daemon_socket,
            "token_file": bench.folder.write("token", f"bench {TOKEN}\n", 0o600), "redis": bench.folder.path / "redis.sock",
        }
        fill = lambda text: text.replace("{", "{{").replace("}", "}}").replace("<<", "{").replace(">>", "}").format(**values)
        conf = CONF.format(
            load="\n".join(f"load_module {bench.module_path(name)};" for name in modules), workers=workers,
            folder=self.folder, port=self.port, http=fill(http), server=fill(server),
            location=fill(location) + location_extra, tls="ssl" if tls else "",
            certificate=f"ssl_certificate {bench.certificate}; ssl_certificate_key {bench.key};" if tls else "")
        path = self.folder / "nginx.conf"
        path.write_text(conf)
        self.process = Process(["/usr/sbin/nginx", "-p", self.folder, "-c", path, "-e", self.folder / "error.log"],
                               self.folder / "error.log")

        def ready():
            self.process.check(f"nginx ({kind})")
            return takes_connections(self.port)
        eventually(f"nginx ({kind}) listens", ready)

    @property
    def workers(self):
        return children(self.process.pid)

    def stop(self):
        self.process.stop(signal.SIGTERM)


LUA = """
            content_by_lua_block {
                ngx.req.read_body()
                local body = ngx.req.get_body_data()
                if not body then
                    local file = assert(io.open(ngx.req.get_body_file(), "rb"))
                    body = file:read("*a")
                    file:close()
                end
                local redis = ngx.socket.tcp()
                redis:settimeout(15000)
                assert(redis:connect("unix:<<redis>>"))
                assert(redis:send({"*5\\r\\n$4\\r\\nXADD\\r\\n$6\\r\\nevents\\r\\n$1\\r\\n*\\r\\n$4\\r\\nbody\\r\\n$",
                                   #body, "\\r\\n", body, "\\r\\n"}))
                local length = assert(redis:receive())
                if string.sub(length, 1, 1) ~= "$" then
                    ngx.log(ngx.ERR, length)
                    return ngx.exit(503)
                end
                assert(redis:receive())
                redis:setkeepalive(60000, 512)
                ngx.status = 200
                ngx.header.content_length = 0
                ngx.exit(200)
            }"""

# modules, http, location, server
KINDS = {
    "runledger": (["ngx_http_runledger_module"],
                  "runledger_spool <<spool>> max_size=<<spool_max>>; runledger_daemon ipc://<<socket>>;",
                  "runledger_webhook; runledger_token $arg_token file=<<token_file>>;",
                  "location = /status { runledger_status; }"),
    "plain": (["ngx_http_echo_module"], "", "echo_read_request_body; echo_status 200; echo -n '';", ""),
    "return": ([], "", "return 200;", ""),
    "waiting": (["ngx_http_echo_module"], "", "echo_read_request_body; echo_sleep 60; echo_status 200; echo -n '';", ""),
    "lua": (["ndk_http_module", "ngx_http_lua_module"], "", LUA, ""),
    "nchan": (["ngx_nchan_module"], "nchan_shared_memory_size 512m;",
              "nchan_publisher; nchan_channel_id events; nchan_message_buffer_length 100; nchan_message_timeout 10s;", ""),
}


class Redis:
    """A stream that is on stable storage before XADD is answered."""

    def __init__(self, bench):
        self.folder = bench.folder.fresh("redis")
        self.socket = bench.folder.path / "redis.sock"
        self.socket.unlink(missing_ok=True)
        self.process = Process(
            ["/usr/bin/redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder, "--appendonly",
             "yes", "--appendfsync", "always", "--save", "", "--auto-aof-rewrite-percentage", "0"],
            self.folder / "output.log")
        eventually("Redis listens", self.socket.exists)

    def stop(self):
        self.process.stop(signal.SIGTERM)


class LuaRedis:
    def __init__(self, bench):
        self.redis = Redis(bench)
        self.nginx = Nginx(bench, "lua")
        self.port, self.path = self.nginx.port, self.nginx.path

    @property
    def workers(self):
        return self.nginx.workers + [self.redis.process.pid]

    def stop(self):
        self.nginx.stop()
        self.redis.stop()


class Express:
    """`work`: "insert" the event before the answer, or all of the "ledger"'s work."""

    def __init__(self, bench, database, work):
        self.port, self.path = free_port(), PATH
        self.process = Process(["/usr/bin/node", bench.express / "server.js"],
                               bench.folder.path / "express.log", cwd=bench.express,
                               env={"NODE_ENV": "production", "PATH": "/usr/bin:/bin", "PORT": str(self.port),
                                    "WORK": work, "TOKEN": TOKEN, "PGHOST": str(bench.postgres.socket_folder),
                                    "PGPORT": str(bench.postgres.port), "PGUSER": "postgres", "PGDATABASE": database})

        def ready():
            self.process.check("Express")
            return takes_connections(self.port)
        eventually("Express listens", ready)

    @property
    def workers(self):
        return [self.process.pid]

    def stop(self):
        self.process.stop(signal.SIGTERM)


class Answerer:
    """Against which the load generator shows its own limit."""

    def __init__(self, bench):
        self.port, self.path = free_port(), PATH
        self.process = Process([bench.binary("bench_answerer"), self.port], bench.folder.path / "answerer.log")
        eventually("the answerer listens", lambda: takes_connections(self.port))

    @property
    def workers(self):
        return [self.process.pid]

    def stop(self):
        self.process.stop(signal.SIGKILL)


def make_certificate(folder):
    key, certificate = folder.path / "key.pem", folder.path / "certificate.pem"
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", certificate])
    return certificate, key
