// The checks of files and folders: who may read and change the secrets, the spool's folder, and the room on the disks.
#pragma once

#include <cstdint>
#include <filesystem>

#include "daemon/config.hpp"
#include "daemon/tool/check/account.hpp"
#include "daemon/tool/check/edge.hpp"
#include "daemon/tool/check/finding.hpp"

namespace runledger::tool {

// `daemon`: the user that has to read them.
void check_secrets(const Config& config, const std::filesystem::path& config_file, const Account& daemon,
                   Findings& findings);

void check_spool(const LocalEdge& edge, Findings& findings);

// Of the file system that logs go to, and PostgreSQL's data if it is on this machine.
void check_space(const std::filesystem::path& folder, Findings& findings);

}  // namespace runledger::tool
