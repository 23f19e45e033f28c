#include <stdexcept>

// RapidJSON's asserts must neither abort a worker nor be compiled out.
#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #x))
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "nginx-module/nginx/seconds.hpp"
#include "nginx-module/status/metrics.hpp"

namespace runledger::edge {

namespace {

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write_key(Writer& writer, std::string_view name) {
    writer.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
}

void write_samples(Writer& writer, const MetricFamily& family) {
    writer.StartObject();
    for (const MetricSample& sample : family.samples) {
        write_key(writer, sample.label_value);
        writer.Uint64(sample.value);
    }
    writer.EndObject();
}

void write_histogram(Writer& writer, const MetricFamily& family) {
    const std::string sum = to_seconds_text(family.sum);
    writer.StartObject();
    write_key(writer, "count");
    writer.Uint64(family.samples.back().value);
    write_key(writer, "sum");
    writer.RawValue(sum.data(), sum.size(), rapidjson::kNumberType);  // As it is: a double would lose microseconds.
    write_key(writer, "buckets");
    write_samples(writer, family);
    writer.EndObject();
}

}  // namespace

std::string to_json(const MetricFamilies& families) {
    rapidjson::StringBuffer buffer;
    Writer writer{buffer};
    writer.StartObject();
    for (const MetricFamily& family : families) {
        write_key(writer, family.name);
        if (family.type == MetricType::histogram) {
            write_histogram(writer, family);
        } else if (family.label.empty()) {
            writer.Uint64(family.samples.front().value);
        } else {
            write_samples(writer, family);
        }
    }
    writer.EndObject();
    std::string text{buffer.GetString(), buffer.GetSize()};
    text += '\n';
    return text;
}

}  // namespace runledger::edge
