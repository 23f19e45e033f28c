#include "daemon/tool/spool/spool.hpp"

#include "daemon/tool/output/exit_code.hpp"
#include "daemon/tool/spool/folder.hpp"

namespace runledger::tool {
namespace {

void add_folder(CLI::App& command, std::filesystem::path& folder) {
    command.add_option("DIR", folder, "The spool's folder")->required()->check(CLI::ExistingDirectory);
}

void require_spool(const std::filesystem::path& folder) {
    if (const auto why = why_no_spool(folder)) {
        throw NotThere(*why);
    }
}

}  // namespace

SpoolCli::SpoolCli(CLI::App& app) {
    CLI::App* spool = app.add_subcommand("spool", "Inspect a spool folder, in use or not, and move its segments");
    spool->require_subcommand(1);

    list_command_ = spool->add_subcommand("list", "List each segment: its state, contents and size");
    add_folder(*list_command_, list_.folder);

    show_command_ = spool->add_subcommand("show", "Show the events of one segment");
    add_folder(*show_command_, show_.folder);
    show_command_->add_option("SEGMENT", show_.segment, "Its id, or a unique beginning of it")->required();
    show_command_->add_option("--batch", show_.batch, "Only this batch");
    show_command_->add_flag("--bodies", show_.bodies, "With the bodies, always in JSON");

    export_command_ = spool->add_subcommand("export", "Write events as JSON lines, or segments into another folder");
    add_folder(*export_command_, export_.folder);
    export_command_->add_option("--segment", export_.segments, "Only this segment; may be repeated");
    export_command_->add_option("--to", export_.to, "Copy the segments into this folder, for import")
        ->check(CLI::ExistingDirectory);

    import_command_ =
        spool->add_subcommand("import", "Put segments of another host into this spool, so that they are sent");
    add_folder(*import_command_, import_.folder);
    import_command_->add_option("FROM", import_.from, "Segment files, or folders of them")
        ->required()
        ->check(CLI::ExistingPath);
    import_command_->add_flag(
        "--source-is-gone", import_.source_is_gone,
        "Promise that nothing will be sent from the source again: the imported segments are the originals");

    resend_command_ = spool->add_subcommand("resend", "Send kept segments again, to a database that was restored");
    add_folder(*resend_command_, resend_.folder);
    CLI::Option* segments =
        resend_command_->add_option("SEGMENT", resend_.segments, "Their ids, or unique beginnings of them");
    CLI::Option* all = resend_command_->add_flag("--all", resend_.all_kept, "All kept segments");
    segments->excludes(all);

    claim_command_ = spool->add_subcommand("claim", "Make the folder this host's, after it was moved here");
    add_folder(*claim_command_, claim_.folder);
    claim_command_->add_option("--host", claim_.host, "The name in host= of runledger_spool");

    retire_command_ = spool->add_subcommand("retire", "Check whether the host can be deleted");
    add_folder(*retire_command_, retire_.folder);
    retire_command_->add_option("--wait", wait_seconds_, "Keep checking for this many seconds")
        ->check(CLI::Range(0, 86400));
}

int SpoolCli::run(const std::string& postgres_uri, Output& out) {
    if (list_command_->parsed()) {
        require_spool(list_.folder);
        return list_spool(list_, out);
    }
    if (show_command_->parsed()) {
        require_spool(show_.folder);
        return show_segment(show_, out);
    }
    if (export_command_->parsed()) {
        require_spool(export_.folder);
        return export_spool(export_, out);
    }
    if (import_command_->parsed()) {
        return import_segments(import_, out);
    }
    if (resend_command_->parsed()) {
        if (resend_.segments.empty() && !resend_.all_kept) {
            throw Misused("spool resend: name the segments, or --all");
        }
        require_spool(resend_.folder);
        return resend_segments(resend_, out);
    }
    if (claim_command_->parsed()) {
        require_spool(claim_.folder);
        return claim_spool(claim_, out);
    }
    require_spool(retire_.folder);
    retire_.postgres_uri = postgres_uri;
    retire_.wait = std::chrono::seconds{wait_seconds_};
    return retire_spool(retire_, out);
}

}  // namespace runledger::tool
