// The checks of what is outside. Telegram and ComfyDeploy's API: one call of each, with the daemon's own secret, which
// no text shows. Receivers of webhooks are not called.
#pragma once

#include <string>

#include "daemon/notify/settings.hpp"
#include "daemon/reconcile/settings.hpp"
#include "daemon/tool/check/finding.hpp"
#include "daemon/webhooks/settings.hpp"

namespace runledger::tool {

// getMe, which sends nothing to anybody.
void check_telegram(const TelegramSettings& settings, Findings& findings);

// A look-up of a run that can't exist.
void check_comfydeploy(const ReconcileSettings& settings, Findings& findings);

// The name of [webhooks] url is looked up; nothing is sent to it.
void check_webhooks(const WebhookSettings& settings, Findings& findings);

}  // namespace runledger::tool
