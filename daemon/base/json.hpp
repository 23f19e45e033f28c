// RapidJSON's document, with failed assertions as exceptions: include this instead of RapidJSON's own headers.
//
// A wrong assumption about foreign JSON must not abort the daemon: the code that reads a document catches
// std::logic_error. Nor must a refused allocation: the stages use the types that are declared here. Every file of a
// program must see the same definitions, so they are here once.
#pragma once

#include <stdexcept>

#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #x))
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "common/json_memory.hpp"

namespace runledger {

// RapidJSON's document, its values, and text that is written, all of which throw std::bad_alloc.
using JsonPool = rapidjson::MemoryPoolAllocator<JsonMemory>;
using JsonDocument = rapidjson::GenericDocument<rapidjson::UTF8<>, JsonPool, JsonMemory>;
using JsonValue = rapidjson::GenericValue<rapidjson::UTF8<>, JsonPool>;
using JsonText = rapidjson::GenericStringBuffer<rapidjson::UTF8<>, JsonMemory>;
using JsonWriter = rapidjson::Writer<JsonText, rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory>;

}  // namespace runledger
