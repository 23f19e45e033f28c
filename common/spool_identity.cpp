#include "common/spool_identity.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <stdexcept>

namespace runledger {
namespace {

constexpr std::string_view first_word = "runledger-spool ";
constexpr std::string_view folder_word = "folder ";
constexpr std::string_view host_word = "host ";
constexpr std::string_view hostname_word = "hostname ";
constexpr std::size_t hostname_bytes_max = 255;

// Ours alone: it keeps the id that we write from being the one that another program writes. Never to be changed.
constexpr std::array<std::uint8_t, 16> application_id{0x5e, 0x1f, 0x9b, 0x3a, 0x70, 0x4d, 0x4c, 0x86,
                                                      0x9a, 0x2e, 0xd1, 0x07, 0x53, 0xc8, 0xbf, 0x64};

// The first half of an HMAC-SHA256, marked as a random UUID: as sd_id128_get_machine_app_specific(3) has it.
HostId digest(std::span<const std::uint8_t> key, std::string_view message) {
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> code{};
    unsigned length = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());  // OpenSSL's characters are unsigned.
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes, message.size(), code.data(), &length) ==
        nullptr) {
        throw std::runtime_error("HMAC-SHA256 is not available");
    }
    HostId id;
    std::copy_n(code.begin(), id.bytes.size(), id.bytes.begin());
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0FU) | 0x40U);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3FU) | 0x80U);
    return id;
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

std::string printable(std::string_view name) {
    std::string text(name.substr(0, hostname_bytes_max));
    std::replace_if(text.begin(), text.end(), is_control, '?');
    return text.empty() ? "unnamed" : text;
}

// Takes a line that begins with the word off the text and returns its rest.
std::optional<std::string_view> take_line(std::string_view& text, std::string_view word) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos || !text.starts_with(word)) {
        return std::nullopt;
    }
    const std::string_view rest = text.substr(word.size(), end - std::min(end, word.size()));
    text.remove_prefix(end + 1);
    return rest;
}

// As we write it and not otherwise: hyphens or upper case are no text of ours.
template <class Id>
std::optional<Id> parse_id(std::string_view text) {
    const auto id = Id::parse(text);
    return id && id->hex() == text ? id : std::nullopt;
}

}  // namespace

SpoolHost SpoolHost::from_machine(std::string_view machine_id_text, std::string_view hostname) {
    const auto machine = Id128<struct MachineTag>::parse(machine_id_text.substr(0, machine_id_text.find('\n')));
    if (!machine || *machine == Id128<struct MachineTag>{}) {
        return from_name(hostname);
    }
    const std::string message(application_id.begin(), application_id.end());
    return {.id = digest(machine->bytes, message), .name = printable(hostname)};
}

SpoolHost SpoolHost::from_name(std::string_view name) {
    return {.id = digest(application_id, "name " + std::string(name)), .name = printable(name)};
}

std::string format_spool_identity(const SpoolIdentity& identity) {
    std::string text(first_word);
    text.append(std::to_string(spool_identity_version)).append("\n");
    text.append(folder_word).append(identity.folder.hex()).append("\n");
    text.append(host_word).append(identity.host.id.hex()).append("\n");
    text.append(hostname_word).append(printable(identity.host.name)).append("\n");
    return text;
}

std::variant<SpoolIdentity, SpoolIdentityFault> parse_spool_identity(std::string_view text) {
    const auto version_text = take_line(text, first_word);
    if (!version_text) {
        return SpoolIdentityFault::damaged;
    }
    std::uint32_t version = 0;
    const auto [end, error] = std::from_chars(version_text->begin(), version_text->end(), version);
    if (error != std::errc{} || end != version_text->end() || std::to_string(version) != *version_text) {
        return SpoolIdentityFault::damaged;
    }
    if (version != spool_identity_version) {
        return SpoolIdentityFault::unknown_version;
    }
    const auto folder_text = take_line(text, folder_word);
    const auto host_text = take_line(text, host_word);
    const auto hostname = take_line(text, hostname_word);
    if (!folder_text || !host_text || !hostname || !text.empty()) {
        return SpoolIdentityFault::damaged;
    }
    const auto folder = parse_id<SpoolFolderId>(*folder_text);
    const auto host = parse_id<HostId>(*host_text);
    if (!folder || !host || printable(*hostname) != *hostname) {
        return SpoolIdentityFault::damaged;
    }
    return SpoolIdentity{.folder = *folder, .host = {.id = *host, .name = std::string(*hostname)}};
}

std::optional<std::string> find_spool_identity_fault(const std::variant<SpoolIdentity, SpoolIdentityFault>& identity,
                                                     const SpoolHost& host, std::string_view folder) {
    const std::string claim = "\"runledger spool claim " + std::string(folder) + "\"";
    if (const auto* fault = std::get_if<SpoolIdentityFault>(&identity)) {
        switch (*fault) {
            case SpoolIdentityFault::damaged:
                return "its file \"identity\", which says whose it is, is damaged; if no other host uses the folder, " +
                       claim + " writes a new one";
            case SpoolIdentityFault::unknown_version:
                return "its file \"identity\" was written by a later version of runledger: run that version, or " +
                       claim + " if no other host uses the folder";
        }
    }
    const auto& owner = std::get<SpoolIdentity>(identity).host;
    if (owner.id == host.id) {
        return std::nullopt;
    }
    return "the folder belongs to the host \"" + owner.name + "\" (" + owner.id.hex() + "), and this is \"" +
           host.name + "\" (" + host.id.hex() + "): two hosts must not send one spool; if no other host uses it, " +
           claim + " makes it this host's";
}

}  // namespace runledger
