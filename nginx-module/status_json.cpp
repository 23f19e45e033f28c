#include <stdexcept>

// RapidJSON's asserts must neither abort a worker nor be compiled out.
#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #x))
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "nginx-module/status_metrics.hpp"

namespace runledger::edge {

namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write_key(Writer& writer, std::string_view name) {
    writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
}

}  // namespace

std::string to_json(const MetricFamilies& families) {
    rapidjson::StringBuffer buffer;
    Writer writer{buffer};
    writer.StartObject();
    for (const MetricFamily& family : families) {
        write_key(writer, family.name);
        if (family.label.empty()) {
            writer.Uint64(family.samples.front().value);
            continue;
        }
        writer.StartObject();
        for (const MetricSample& sample : family.samples) {
            write_key(writer, sample.label_value);
            writer.Uint64(sample.value);
        }
        writer.EndObject();
    }
    writer.EndObject();
    std::string text{buffer.GetString(), buffer.GetSize()};
    text += '\n';
    return text;
}

}  // namespace runledger::edge
