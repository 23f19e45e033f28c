// RapidJSON's document, with failed assertions as exceptions: include this instead of RapidJSON's own headers.
//
// A wrong assumption about foreign JSON must not abort the daemon: the code that reads a document catches
// std::logic_error. Every file of a program must see the same definitions, so they are here once.
#pragma once

#include <stdexcept>

#define RAPIDJSON_ASSERT(x) ((x) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #x))
#define RAPIDJSON_NOEXCEPT_ASSERT(x) static_cast<void>(x)

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
