// A nginx that has left whoever started it, as an operator's does: only such a one heeds USR2, the binary upgrade.
//
// Invariant: every master that was seen, and its workers, are gone when the object is. Neither the process group nor
// the kernel would end them for a test that is itself killed. Not for sharing between threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/support/nginx_server.hpp"
#include "tests/support/process.hpp"

namespace runledger::test {

// The conf as nginx wants it for that, with the variables that a sanitizer needs in the new binary, too.
[[nodiscard]] std::string daemonised_conf(const NginxConf& conf);

class DaemonisedNginx {
public:
    // Its folder, logs and port are those of `files`, which is never started and must outlive this.
    DaemonisedNginx(const NginxServer& files, int workers);
    DaemonisedNginx(const DaemonisedNginx&) = delete;
    DaemonisedNginx& operator=(const DaemonisedNginx&) = delete;
    ~DaemonisedNginx();

    // Returns when all workers run.
    void start();
    // USR2, and QUIT to the old master once the new one has its workers; returns when the old one is gone, unless
    // connections are known to keep its workers.
    enum class OldMaster { ends, lives_on };
    void upgrade(OldMaster old = OldMaster::ends);
    // SIGHUP; returns when a new worker runs.
    void reload();
    void signal_master(int number);
    // Returns when that worker is gone.
    void end_worker(const ProcessId& worker, int signal_number);
    // SIGKILL to the master and every worker; returns when they are gone.
    void kill_all();
    void quit();

    [[nodiscard]] std::vector<ProcessId> workers() const;

private:
    const NginxServer& files_;
    std::size_t workers_;
    std::optional<ProcessId> master_;
    std::vector<ProcessId> masters_;  // All that were seen.

    [[nodiscard]] ProcessId wait_for_master(const std::optional<ProcessId>& other_than) const;
    static void wait_until_gone(const std::vector<ProcessId>& processes);
};

}  // namespace runledger::test
