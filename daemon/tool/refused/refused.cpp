#include "daemon/tool/refused/refused.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/refused/folder.hpp"
#include "daemon/tool/time_option.hpp"

namespace runledger::tool {
namespace {

void add_folder(CLI::App& command, std::filesystem::path& folder) {
    command.add_option("DIR", folder, "The folder of runledger_refused")->required()->check(CLI::ExistingDirectory);
}

// An empty one, or a letter of a token, would mean more than was thought.
void check_digest(const std::string& digest) {
    constexpr std::size_t digits_min = 4;
    constexpr std::string_view digits = "0123456789abcdef";
    if (digest != "none" && (digest.size() < digits_min || digest.find_first_not_of(digits) != std::string::npos)) {
        throw Misused(fmt::format(
            "--digest \"{}\" is neither \"none\" nor the beginning of a digest, of at least four digits", digest));
    }
}

void require_refused_folder(const std::filesystem::path& folder) {
    if (const auto why = why_no_refused_folder(folder)) {
        throw NotThere(*why);
    }
}

}  // namespace

void RefusedCli::add_choice(CLI::App& command, ChoiceWords& words) {
    command
        .add_option("--digest", words.choice.digests,
                    "Only bodies with this wrong token, by the beginning of its SHA-256; none: without a token. May "
                    "be repeated")
        ->allow_extra_args(false);
    command.add_option("--reason", words.choice.reason, "Only bodies refused for this")
        ->check(CLI::IsMember({"token", "json"}));
    command.add_option("--since", words.since, "Only bodies received then or later");
    command.add_option("--until", words.until, "Only bodies received before then");
}

RefusedCli::RefusedCli(CLI::App& app) {
    command_ = app.add_subcommand("refused", "Inspect refused webhooks that an edge has kept, and put them through");
    command_->require_subcommand(1);

    list_command_ = command_->add_subcommand("list", "List kept bodies by wrong token, or each");
    add_folder(*list_command_, list_.folder);
    add_choice(*list_command_, list_words_);
    list_command_->add_flag("--each", list_.each, "A line for each body");

    show_command_ = command_->add_subcommand("show", "Show one body and its request, as JSON");
    add_folder(*show_command_, show_.folder);
    show_command_->add_option("ID", show_.id, "Its id, or a unique beginning of it")->required();

    take_command_ = command_->add_subcommand("take", "Put chosen events into the spool, once the mistake is mended");
    add_folder(*take_command_, take_.folder);
    take_command_->add_option("--spool", take_.spool, "The folder of runledger_spool")
        ->required()
        ->check(CLI::ExistingDirectory);
    add_choice(*take_command_, take_words_);
    take_command_->add_flag("--all", take_words_.choice.all, "All of them");

    drop_command_ = command_->add_subcommand("drop", "Remove chosen bodies for good");
    add_folder(*drop_command_, drop_.folder);
    add_choice(*drop_command_, drop_words_);
    drop_command_->add_flag("--all", drop_words_.choice.all, "All of them");
}

RefusedChoice RefusedCli::read(const ChoiceWords& words) {
    RefusedChoice choice = words.choice;
    std::ranges::for_each(choice.digests, check_digest);
    require_some_time({.name = "--since", .text = words.since}, {.name = "--until", .text = words.until});
    if (!words.since.empty()) {
        choice.since = parse_time_option("--since", words.since);
    }
    if (!words.until.empty()) {
        choice.until = parse_time_option("--until", words.until);
    }
    return choice;
}

int RefusedCli::run(Output& out) {
    if (list_command_->parsed()) {
        list_.choice = read(list_words_);
        require_refused_folder(list_.folder);
        return list_refused(list_, out);
    }
    if (show_command_->parsed()) {
        require_refused_folder(show_.folder);
        return show_refused(show_, out);
    }
    if (take_command_->parsed()) {
        take_.choice = read(take_words_);
        require_refused_folder(take_.folder);
        return take_refused(take_, out);
    }
    drop_.choice = read(drop_words_);
    require_refused_folder(drop_.folder);
    return drop_refused(drop_, out);
}

}  // namespace runledger::tool
