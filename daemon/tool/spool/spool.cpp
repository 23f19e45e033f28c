#include "daemon/tool/spool/spool.hpp"

namespace runledger::tool {
namespace {

void add_folder(CLI::App& command, std::filesystem::path& folder) {
    command.add_option("DIR", folder, "The spool's folder")->required()->check(CLI::ExistingDirectory);
}

}  // namespace

SpoolCli::SpoolCli(CLI::App& app) {
    CLI::App* spool = app.add_subcommand("spool", "Look at a spool folder, live or not, and move what is in it");
    spool->require_subcommand(1);

    list_command_ = spool->add_subcommand("list", "Each segment: its state, what it holds and takes");
    add_folder(*list_command_, list_.folder);
    list_command_->add_flag("--json", list_.json, "One JSON object a line");

    show_command_ = spool->add_subcommand("show", "The events of one segment");
    add_folder(*show_command_, show_.folder);
    show_command_->add_option("SEGMENT", show_.segment, "Its id, or the beginning of just one")->required();
    show_command_->add_option("--batch", show_.batch, "Only this batch");
    show_command_->add_flag("--bodies", show_.bodies, "With the bodies, as JSON lines");

    export_command_ = spool->add_subcommand("export", "Events as JSON lines, or segments into another folder");
    add_folder(*export_command_, export_.folder);
    export_command_->add_option("--segment", export_.segments, "Only this one; may be given again");
    export_command_->add_option("--to", export_.to, "Copy the segments into this folder, for import")
        ->check(CLI::ExistingDirectory);

    import_command_ = spool->add_subcommand("import", "Put segments of another host into this spool, to be sent");
    add_folder(*import_command_, import_.folder);
    import_command_->add_option("FROM", import_.from, "Segment files, or folders of them")
        ->required()
        ->check(CLI::ExistingPath);
    import_command_->add_flag("--source-is-gone", import_.source_is_gone,
                              "Nothing will be sent from there again: these are the originals now");

    resend_command_ = spool->add_subcommand("resend", "Send kept segments again, for a database that was restored");
    add_folder(*resend_command_, resend_.folder);
    CLI::Option* segments = resend_command_->add_option("SEGMENT", resend_.segments, "Their ids, or beginnings");
    CLI::Option* all = resend_command_->add_flag("--all", resend_.all_kept, "All that are kept");
    segments->excludes(all);

    claim_command_ = spool->add_subcommand("claim", "Make the folder this host's, after it was moved here");
    add_folder(*claim_command_, claim_.folder);
    claim_command_->add_option("--host", claim_.host, "The name that host= of runledger_spool gives");

    retire_command_ = spool->add_subcommand("retire", "Whether the host can be deleted: exit 0 for yes, 3 for no");
    add_folder(*retire_command_, retire_.folder);
    retire_command_->add_option("--wait", wait_seconds_, "Look again for so many seconds")->check(CLI::Range(0, 86400));
}

int SpoolCli::run(const std::string& postgres_uri, std::FILE* out) {
    if (list_command_->parsed()) {
        return list_spool(list_, out);
    }
    if (show_command_->parsed()) {
        return show_segment(show_, out);
    }
    if (export_command_->parsed()) {
        return export_spool(export_, out);
    }
    if (import_command_->parsed()) {
        return import_segments(import_, out);
    }
    if (resend_command_->parsed()) {
        return resend_segments(resend_, out);
    }
    if (claim_command_->parsed()) {
        return claim_spool(claim_, out);
    }
    retire_.postgres_uri = postgres_uri;
    retire_.wait = std::chrono::seconds{wait_seconds_};
    return retire_spool(retire_, out);
}

}  // namespace runledger::tool
