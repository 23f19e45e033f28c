// The checks of Telegram and of ComfyDeploy's API: one call of each, with the daemon's own secret, which no text shows.
#pragma once

#include <string>

#include "daemon/notify/settings.hpp"
#include "daemon/reconcile/settings.hpp"
#include "daemon/tool/check/finding.hpp"

namespace runledger::tool {

// getMe, which sends nothing to anybody.
void check_telegram(const TelegramSettings& settings, Findings& findings);

// A look-up of a run that can't exist.
void check_comfydeploy(const ReconcileSettings& settings, Findings& findings);

}  // namespace runledger::tool
