#include "tests/property/ledger/commands.hpp"

#include <fmt/format.h>

#include <ostream>
#include <tuple>

namespace runledger::test::whole_ledger {
namespace {

// Of the whole range, whatever size rapidcheck is at.
rc::Gen<int> below(int end) { return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); }

template <class Table>
rc::Gen<int> place_in(const Table& table) {
    return below(static_cast<int>(table.size()));
}

// rapidcheck's gen::build, by the members' order.
template <class Made, class... Members>
rc::Gen<Made> made_of(rc::Gen<Members>... members) {
    return rc::gen::map(rc::gen::tuple(std::move(members)...), [](const std::tuple<Members...>& drawn) {
        return std::apply([](const auto&... values) { return Made{values...}; }, drawn);
    });
}

template <class Made, class... Members>
rc::Gen<Command> command_of(rc::Gen<Members>... members) {
    return rc::gen::map(made_of<Made>(std::move(members)...), [](const Made& made) { return Command{made}; });
}

rc::Gen<bool> rarely() { return rc::gen::weightedElement<bool>({{5, false}, {1, true}}); }

rc::Gen<News> news() {
    return made_of<News>(below(run_count), place_in(statuses), place_in(walls), place_in(boottimes), below(3),
                         rc::gen::arbitrary<bool>(), place_in(outputs));
}

rc::Gen<Command> apply() {
    return command_of<Apply>(rc::gen::resize(4, rc::gen::nonEmpty(rc::gen::container<std::vector<News>>(news()))),
                             below(segment_count), rc::gen::arbitrary<bool>(), rc::gen::arbitrary<bool>(),
                             rc::gen::weightedElement<int>({{6, 0}, {1, 1}, {1, 2}}),
                             rc::gen::weightedElement<int>({{4, 0}, {1, 1}, {1, 2}}));
}

rc::Gen<Command> insert() {
    return command_of<Insert>(
        below(row_count), rc::gen::weightedElement<int>({{3, 0}, {3, 1}, {3, 2}, {1, 3}}),
        rc::gen::weightedElement<int>({{6, 0}, {1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}, {2, 6}, {1, 7}, {1, 8}}),
        rc::gen::weightedElement<int>({{1, 0}, {4, 1}, {1, 2}}), below(4),
        rc::gen::weightedElement<int>({{6, 0}, {1, 1}, {1, 2}, {1, 3}}), below(group_count));
}

rc::Gen<Command> settle() {
    return command_of<Settle>(rc::gen::weightedElement<int>({{3, 7}, {1, 1}, {1, 2}, {1, 4}, {1, 3}}),
                              rc::gen::arbitrary<bool>(), rc::gen::weightedElement<int>({{6, 0}, {1, 1}, {1, 2}}));
}

rc::Gen<Command> rate_change() { return command_of<RateChange>(below(7), below(7), below(4)); }

std::string text_of(bool value) { return value ? "true" : "false"; }

std::string text_of(const News& n) {
    return fmt::format(
        "{{.run = {}, .status = {}, .wall = {}, .boottime = {}, .boot = {}, .redelivered = {}, .output = {}}}", n.run,
        n.status, n.wall, n.boottime, n.boot, text_of(n.redelivered), n.output);
}

struct Text {
    std::string operator()(const Apply& c) const {
        std::string events;
        for (const News& news : c.events) {
            events += (events.empty() ? "" : ", ") + text_of(news);
        }
        return fmt::format(
            "Apply{{.events = {{{}}}, .segment = {}, .in_one_batch = {}, .one_by_one = {}, .answer = {}, .copy = {}}}",
            events, c.segment, text_of(c.in_one_batch), text_of(c.one_by_one), c.answer, c.copy);
    }
    std::string operator()(const Copy& c) const { return fmt::format("Copy{{{}}}", c.batch); }
    std::string operator()(const Conflict& c) const { return fmt::format("Conflict{{{}}}", c.batch); }
    std::string operator()(const Replay& c) const { return fmt::format("Replay{{{}}}", c.what); }
    std::string operator()(const Retire& c) const { return fmt::format("Retire{{{}, {}}}", c.segment, c.off); }
    std::string operator()(const Insert& c) const {
        return fmt::format(
            "Insert{{.row = {}, .run = {}, .rate = {}, .gpu = {}, .chat = {}, .status = {}, .group = {}}}", c.row,
            c.run, c.rate, c.gpu, c.chat, c.status, c.group);
    }
    std::string operator()(const Change& c) const {
        return fmt::format("Change{{.row = {}, .what = {}, .value = {}}}", c.row, c.what, c.value);
    }
    std::string operator()(const Resave& c) const {
        return fmt::format("Resave{{.row = {}, .run = {}}}", c.row, c.run);
    }
    std::string operator()(const SaveOld& c) const {
        return fmt::format("SaveOld{{.row = {}, .is_inserted = {}}}", c.row, text_of(c.is_inserted));
    }
    std::string operator()(const Hold& c) const { return fmt::format("Hold{{{}}}", c.row); }
    std::string operator()(const Release&) const { return "Release{}"; }
    std::string operator()(const Delete& c) const { return fmt::format("Delete{{{}}}", c.row); }
    std::string operator()(const Edit& c) const { return fmt::format("Edit{{.row = {}, .what = {}}}", c.row, c.what); }
    std::string operator()(const RateChange& c) const {
        return fmt::format("RateChange{{.from = {}, .to = {}, .amount = {}}}", c.from, c.to, c.amount);
    }
    std::string operator()(const Reprice& c) const { return fmt::format("Reprice{{{}, {}}}", c.from, c.to); }
    std::string operator()(const Forget& c) const {
        return fmt::format("Forget{{{}, {}}}", c.row, text_of(c.beside_a_turn));
    }
    std::string operator()(const ForgetChat& c) const { return fmt::format("ForgetChat{{{}}}", c.chat); }
    std::string operator()(const Settle& c) const {
        return fmt::format("Settle{{.runs = {}, .together = {}, .answer = {}}}", c.runs, text_of(c.together), c.answer);
    }
    std::string operator()(const Report& c) const {
        return fmt::format("Report{{.run = {}, .status = {}, .started = {}, .ended = {}}}", c.run, c.status, c.started,
                           c.ended);
    }
    std::string operator()(const Tell& c) const { return fmt::format("Tell{{{}}}", c.how); }
    std::string operator()(const Expire& c) const {
        return fmt::format("Expire{{{}, {}}}", c.what, text_of(c.beside_a_turn));
    }
    std::string operator()(const DropDay&) const { return "DropDay{}"; }
    std::string operator()(const Close& c) const { return fmt::format("Close{{{}}}", c.month); }
};

}  // namespace

std::string text_of(const Command& command) { return std::visit(Text{}, command); }

void showValue(const Command& command, std::ostream& out) { out << "\n    " << text_of(command); }

rc::Gen<Command> some_command() {
    return rc::gen::weightedOneOf<Command>({
        {30, apply()},
        {3, command_of<Copy>(below(8))},
        {2, command_of<Conflict>(below(8))},
        {2, command_of<Replay>(below(4))},
        {2, command_of<Retire>(below(segment_count), rc::gen::weightedElement<int>({{4, 0}, {1, 1}, {1, -1}}))},
        {12, insert()},
        {12,
         command_of<Change>(
             below(row_count), rc::gen::weightedElement<int>({{3, 0}, {1, 1}, {1, 2}, {1, 3}, {1, 4}}),
             rc::gen::weightedElement<int>({{3, 0}, {3, 1}, {3, 2}, {2, 3}, {2, 4}, {1, 5}, {2, 6}, {1, 7}, {1, 8}}))},
        {3, command_of<Resave>(below(row_count), below(run_count + 1))},
        {2, command_of<SaveOld>(below(row_count), rc::gen::arbitrary<bool>())},
        {2, command_of<Hold>(below(row_count))},
        {3, command_of<Release>()},
        {2, command_of<Delete>(below(row_count))},
        {3, command_of<Edit>(below(row_count), below(5))},
        {4, rate_change()},
        {3, command_of<Reprice>(below(7), below(7))},
        {3, command_of<Forget>(below(row_count), rarely())},
        {1, command_of<ForgetChat>(rc::gen::element(static_cast<int>(Chat::number), static_cast<int>(Chat::text)))},
        {24, settle()},
        {5, command_of<Report>(below(run_count), rc::gen::inRange(1, 6), below(5), below(5))},
        {3,
         command_of<Tell>(rc::gen::weightedElement<int>({{3, Tell::sent}, {1, Tell::logged}, {1, Tell::send_logged}}))},
        {5, command_of<Expire>(rc::gen::weightedElement<int>({{4, 0}, {1, 1}, {1, 2}, {1, 3}, {1, 4}}), rarely())},
        {1, command_of<DropDay>()},
        {3, command_of<Close>(place_in(months))},
    });
}

rc::Gen<Command> some_rate_change() { return rate_change(); }

rc::Gen<Command> some_command_after_a_closing() {
    return rc::gen::weightedOneOf<Command>({
        {4, apply()},
        {3, insert()},
        {5, command_of<Change>(below(row_count), rc::gen::weightedElement<int>({{4, 0}, {1, 1}, {1, 2}}), below(5))},
        {2, command_of<Delete>(below(row_count))},
        {2, command_of<Resave>(below(row_count), below(run_count + 1))},
        {1, command_of<Edit>(below(row_count), below(5))},
        {2, rate_change()},
        {2, command_of<Reprice>(rc::gen::just(0), rc::gen::just(6))},
        {1, command_of<Forget>(below(row_count), rc::gen::just(false))},
        {1, command_of<SaveOld>(below(row_count), rc::gen::arbitrary<bool>())},
        {10, rc::gen::just(Command{Settle{.runs = (1 << run_count) - 1}})},
        {1, command_of<Report>(below(run_count), rc::gen::inRange(1, 6), below(5), below(5))},
        {3, command_of<Expire>(rc::gen::element<int>(Expire::runs, Expire::settlements), rc::gen::just(false))},
        {1, command_of<Close>(place_in(months))},
    });
}

rc::Gen<Command> some_commutable_command() {
    return rc::gen::weightedOneOf<Command>({
        {6, rc::gen::map(apply(),
                         [](Command command) {
                             std::get<Apply>(command).copy = 0;
                             return command;
                         })},
        {2, rc::gen::map(insert(),
                         [](Command command) {
                             std::get<Insert>(command).run = std::get<Insert>(command).row;
                             return command;
                         })},
        {4, settle()},
    });
}

}  // namespace runledger::test::whole_ledger
