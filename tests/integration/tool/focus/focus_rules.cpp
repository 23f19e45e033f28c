#include "tests/integration/tool/focus/focus_rules.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <regex>
#include <set>
#include <stdexcept>

namespace runledger::test {
namespace {

enum class Level : std::uint8_t { mandatory, conditional, recommended };
enum class Type : std::uint8_t { string, decimal, date_time, json };

// "Content constraints" of each column: specification/columns/<file>.md.
struct ColumnRule {
    const char* name;
    Level level;
    Type type;
    bool may_be_null;
    const char* file;
};
constexpr std::array<ColumnRule, 57> column_rules{{
    {"AvailabilityZone", Level::recommended, Type::string, true, "availabilityzone"},
    {"BilledCost", Level::mandatory, Type::decimal, false, "billedcost"},
    {"BillingAccountId", Level::mandatory, Type::string, false, "billingaccountid"},
    {"BillingAccountName", Level::mandatory, Type::string, true, "billingaccountname"},
    {"BillingAccountType", Level::conditional, Type::string, false, "billingaccounttype"},
    {"BillingCurrency", Level::mandatory, Type::string, false, "billingcurrency"},
    {"BillingPeriodEnd", Level::mandatory, Type::date_time, false, "billingperiodend"},
    {"BillingPeriodStart", Level::mandatory, Type::date_time, false, "billingperiodstart"},
    {"CapacityReservationId", Level::conditional, Type::string, true, "capacityreservationid"},
    {"CapacityReservationStatus", Level::conditional, Type::string, true, "capacityreservationstatus"},
    {"ChargeCategory", Level::mandatory, Type::string, false, "chargecategory"},
    {"ChargeClass", Level::mandatory, Type::string, true, "chargeclass"},
    {"ChargeDescription", Level::mandatory, Type::string, true, "chargedescription"},
    {"ChargeFrequency", Level::recommended, Type::string, false, "chargefrequency"},
    {"ChargePeriodEnd", Level::mandatory, Type::date_time, false, "chargeperiodend"},
    {"ChargePeriodStart", Level::mandatory, Type::date_time, false, "chargeperiodstart"},
    {"CommitmentDiscountCategory", Level::conditional, Type::string, true, "commitmentdiscountcategory"},
    {"CommitmentDiscountId", Level::conditional, Type::string, true, "commitmentdiscountid"},
    {"CommitmentDiscountName", Level::conditional, Type::string, true, "commitmentdiscountname"},
    {"CommitmentDiscountQuantity", Level::conditional, Type::decimal, true, "commitmentdiscountquantity"},
    {"CommitmentDiscountStatus", Level::conditional, Type::string, true, "commitmentdiscountstatus"},
    {"CommitmentDiscountType", Level::conditional, Type::string, true, "commitmentdiscounttype"},
    {"CommitmentDiscountUnit", Level::conditional, Type::string, true, "commitmentdiscountunit"},
    {"ConsumedQuantity", Level::conditional, Type::decimal, true, "consumedquantity"},
    {"ConsumedUnit", Level::conditional, Type::string, true, "consumedunit"},
    {"ContractedCost", Level::mandatory, Type::decimal, false, "contractedcost"},
    {"ContractedUnitPrice", Level::conditional, Type::decimal, true, "contractedunitprice"},
    {"EffectiveCost", Level::mandatory, Type::decimal, false, "effectivecost"},
    {"InvoiceId", Level::recommended, Type::string, true, "invoiceid"},
    {"InvoiceIssuerName", Level::mandatory, Type::string, false, "invoiceissuer"},
    {"ListCost", Level::mandatory, Type::decimal, false, "listcost"},
    {"ListUnitPrice", Level::conditional, Type::decimal, true, "listunitprice"},
    {"PricingCategory", Level::conditional, Type::string, true, "pricingcategory"},
    {"PricingCurrency", Level::conditional, Type::string, true, "pricingcurrency"},
    {"PricingCurrencyContractedUnitPrice", Level::conditional, Type::decimal, true,
     "pricingcurrencycontractedunitprice"},
    {"PricingCurrencyEffectiveCost", Level::conditional, Type::decimal, true, "pricingcurrencyeffectivecost"},
    {"PricingCurrencyListUnitPrice", Level::conditional, Type::decimal, true, "pricingcurrencylistunitprice"},
    {"PricingQuantity", Level::mandatory, Type::decimal, true, "pricingquantity"},
    {"PricingUnit", Level::mandatory, Type::string, true, "pricingunit"},
    {"ProviderName", Level::mandatory, Type::string, false, "provider"},
    {"PublisherName", Level::mandatory, Type::string, false, "publisher"},
    {"RegionId", Level::conditional, Type::string, true, "regionid"},
    {"RegionName", Level::conditional, Type::string, true, "regionname"},
    {"ResourceId", Level::conditional, Type::string, true, "resourceid"},
    {"ResourceName", Level::conditional, Type::string, true, "resourcename"},
    {"ResourceType", Level::conditional, Type::string, true, "resourcetype"},
    {"ServiceCategory", Level::mandatory, Type::string, false, "servicecategory"},
    {"ServiceName", Level::mandatory, Type::string, false, "servicename"},
    {"ServiceSubcategory", Level::recommended, Type::string, false, "servicesubcategory"},
    {"SkuId", Level::conditional, Type::string, true, "skuid"},
    {"SkuMeter", Level::conditional, Type::string, true, "skumeter"},
    {"SkuPriceDetails", Level::conditional, Type::json, true, "skupricedetails"},
    {"SkuPriceId", Level::conditional, Type::string, true, "skupriceid"},
    {"SubAccountId", Level::conditional, Type::string, true, "subaccountid"},
    {"SubAccountName", Level::conditional, Type::string, true, "subaccountname"},
    {"SubAccountType", Level::conditional, Type::string, true, "subaccounttype"},
    {"Tags", Level::conditional, Type::json, true, "tags"},
}};

// "Allowed values" of the same files.
const std::map<std::string, std::set<std::string>>& allowed_values() {
    static const std::map<std::string, std::set<std::string>> values{
        {"BillingCurrency", {"USD"}},  // ISO 4217 (currency_format.md), and the one that the ledger has.
        {"ChargeCategory", {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}},
        {"ChargeClass", {"Correction"}},
        {"ChargeFrequency", {"One-Time", "Recurring", "Usage-Based"}},
        {"PricingCategory", {"Standard", "Dynamic", "Committed", "Other"}},
        {"ServiceCategory",
         {"AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
          "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media",
          "Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other"}},
        // Of the category AI and Machine Learning.
        {"ServiceSubcategory",
         {"AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
          "Other (AI and Machine Learning)"}},
    };
    return values;
}

// unit_format.md: a plural of the recommended units, or of a count-based unit of one's own, which is capitalised.
const std::set<std::string> units{"Seconds", "Minutes", "Hours", "Tokens", "Requests", "Runs"};

std::optional<std::string> value_of(const FocusRow& row, const std::string& name) {
    const auto found = row.find(name);
    return found == row.end() ? std::nullopt : found->second;
}

bool is_null(const FocusRow& row, const std::string& name) { return !value_of(row, name); }

double number_of(const FocusRow& row, const std::string& name) { return std::stod(value_of(row, name).value()); }

bool is_usage_or_purchase(const FocusRow& row) {
    const auto category = value_of(row, "ChargeCategory");
    return (category == "Usage" || category == "Purchase") && is_null(row, "ChargeClass");
}

// "The product of … MUST match": up to the rounding of the cost to 12 decimals, and of a double.
bool is_product(const FocusRow& row, const std::string& price, const std::string& cost) {
    if (is_null(row, price) || is_null(row, "PricingQuantity") || !is_null(row, "ChargeClass")) {
        return true;
    }
    const double product = number_of(row, price) * number_of(row, "PricingQuantity");
    return std::abs(product - number_of(row, cost)) <= 1e-12 + 1e-12 * std::abs(product);
}

// key_value_format.md: one JSON object of scalars, each key once.
bool is_key_value(const std::string& text) {
    rapidjson::Document object;
    object.Parse(text.c_str());
    if (object.HasParseError() || !object.IsObject()) {
        return false;
    }
    std::set<std::string> keys;
    return std::all_of(object.MemberBegin(), object.MemberEnd(), [&](const auto& member) {
        return !member.value.IsObject() && !member.value.IsArray() && keys.insert(member.name.GetString()).second;
    });
}

bool is_of_type(Type type, const std::string& text) {
    // numeric_format.md: no plus sign, no comma, no unit; a sign of the exponent only if it is negative.
    static const std::regex decimal(R"(-?[0-9]+(\.[0-9]+)?(E-?[0-9]+)?)");
    // datetime_format.md: 'YYYY-MM-DDTHH:mm:ssZ'.
    static const std::regex date_time(R"([0-9]{4}-(0[1-9]|1[0-2])-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z)");
    switch (type) {
        case Type::string:
            // string_handling.md, null_handling.md: neither empty nor of blanks alone.
            return text.find_first_not_of(' ') != std::string::npos;
        case Type::decimal:
            return std::regex_match(text, decimal);
        case Type::date_time:
            return std::regex_match(text, date_time);
        case Type::json:
            return is_key_value(text);
    }
    throw std::logic_error("Type");
}

// What several columns have to say together.
struct RowRule {
    const char* sentence;
    const char* file;
    std::function<bool(const FocusRow&)> is_kept;
};

RowRule null_together(const char* sentence, const char* file, const char* one, const char* other) {
    return {sentence, file, [=](const FocusRow& row) { return is_null(row, one) == is_null(row, other); }};
}

RowRule known_for_usage(const char* sentence, const char* file, const char* name) {
    return {sentence, file, [=](const FocusRow& row) { return !is_usage_or_purchase(row) || !is_null(row, name); }};
}

RowRule never_negative(const char* sentence, const char* file, const char* name) {
    return {sentence, file, [=](const FocusRow& row) { return is_null(row, name) || number_of(row, name) >= 0; }};
}

const std::vector<RowRule>& row_rules() {
    static const std::vector<RowRule> rules{
        // Times of this form compare as texts.
        {"BillingPeriodEnd is the exclusive end of a period that begins at BillingPeriodStart", "billingperiodend",
         [](const FocusRow& row) { return value_of(row, "BillingPeriodStart") < value_of(row, "BillingPeriodEnd"); }},
        {"ChargePeriodEnd is the exclusive end of a period that begins at ChargePeriodStart", "chargeperiodend",
         [](const FocusRow& row) { return value_of(row, "ChargePeriodStart") < value_of(row, "ChargePeriodEnd"); }},
        {"a charge ends within its billing period", "billingperiodend",
         [](const FocusRow& row) {
             return !is_null(row, "ChargeClass") ||
                    (value_of(row, "BillingPeriodStart") < value_of(row, "ChargePeriodEnd") &&
                     value_of(row, "ChargePeriodEnd") <= value_of(row, "BillingPeriodEnd"));
         }},
        {"ChargeFrequency is not Usage-Based if ChargeCategory is Purchase", "chargefrequency",
         [](const FocusRow& row) {
             return value_of(row, "ChargeCategory") != "Purchase" || value_of(row, "ChargeFrequency") != "Usage-Based";
         }},
        {"ConsumedQuantity is not null if ChargeCategory is Usage and ChargeClass is not Correction, and null if it is "
         "not Usage",
         "consumedquantity",
         [](const FocusRow& row) {
             const bool is_usage = value_of(row, "ChargeCategory") == "Usage";
             return is_null(row, "ConsumedQuantity") ? !is_usage || !is_null(row, "ChargeClass") : is_usage;
         }},
        null_together("ConsumedUnit is null iff ConsumedQuantity is", "consumedunit", "ConsumedUnit",
                      "ConsumedQuantity"),
        {"ConsumedUnit is in the form of units", "unit_format",
         [](const FocusRow& row) {
             return is_null(row, "ConsumedUnit") || units.contains(value_of(row, "ConsumedUnit").value());
         }},
        null_together("PricingUnit is null iff PricingQuantity is", "pricingunit", "PricingUnit", "PricingQuantity"),
        {"PricingUnit is in the form of units", "unit_format",
         [](const FocusRow& row) {
             return is_null(row, "PricingUnit") || units.contains(value_of(row, "PricingUnit").value());
         }},
        known_for_usage("PricingQuantity is not null for usage", "pricingquantity", "PricingQuantity"),
        known_for_usage("PricingCategory is not null for usage", "pricingcategory", "PricingCategory"),
        known_for_usage("ListUnitPrice is not null for usage", "listunitprice", "ListUnitPrice"),
        known_for_usage("ContractedUnitPrice is not null for usage", "contractedunitprice", "ContractedUnitPrice"),
        known_for_usage("SkuId is not null for usage", "skuid", "SkuId"),
        known_for_usage("SkuPriceId is not null for usage", "skupriceid", "SkuPriceId"),
        never_negative("ListUnitPrice is not negative", "listunitprice", "ListUnitPrice"),
        never_negative("ContractedUnitPrice is not negative", "contractedunitprice", "ContractedUnitPrice"),
        {"ListUnitPrice times PricingQuantity is ListCost", "listcost",
         [](const FocusRow& row) { return is_product(row, "ListUnitPrice", "ListCost"); }},
        {"ContractedUnitPrice times PricingQuantity is ContractedCost", "contractedcost",
         [](const FocusRow& row) { return is_product(row, "ContractedUnitPrice", "ContractedCost"); }},
        {"ListCost is BilledCost if ListUnitPrice is null", "listcost",
         [](const FocusRow& row) {
             return !is_null(row, "ListUnitPrice") || value_of(row, "ListCost") == value_of(row, "BilledCost");
         }},
        {"ContractedCost is BilledCost if ContractedUnitPrice is null", "contractedcost",
         [](const FocusRow& row) {
             return !is_null(row, "ContractedUnitPrice") ||
                    value_of(row, "ContractedCost") == value_of(row, "BilledCost");
         }},
        null_together("ResourceType is null iff ResourceId is", "resourcetype", "ResourceType", "ResourceId"),
        {"ResourceName is null if ResourceId is, and does not repeat it", "resourcename",
         [](const FocusRow& row) {
             return is_null(row, "ResourceName") ||
                    (!is_null(row, "ResourceId") && value_of(row, "ResourceName") != value_of(row, "ResourceId"));
         }},
        null_together("SkuMeter is null iff SkuId is", "skumeter", "SkuMeter", "SkuId"),
        {"SkuPriceDetails is null if SkuPriceId is", "skupricedetails",
         [](const FocusRow& row) { return is_null(row, "SkuPriceDetails") || !is_null(row, "SkuPriceId"); }},
        null_together("SubAccountName is null iff SubAccountId is", "subaccountname", "SubAccountName", "SubAccountId"),
        {"ServiceSubcategory has this ServiceCategory as its parent", "servicesubcategory",
         [](const FocusRow& row) { return value_of(row, "ServiceCategory") == "AI and Machine Learning"; }},
    };
    return rules;
}

const ColumnRule* find_rule(const std::string& name) {
    const auto found = std::find_if(column_rules.begin(), column_rules.end(),
                                    [&](const ColumnRule& rule) { return rule.name == name; });
    return found == column_rules.end() ? nullptr : &*found;
}

}  // namespace

FocusFile read_focus_file(std::string_view text) {
    FocusFile file;
    std::vector<std::optional<std::string>> fields;
    std::size_t at = 0;
    const auto fail = [&](std::string_view what) {
        throw std::runtime_error(fmt::format("line {}: {}", file.rows.size() + (file.columns.empty() ? 1 : 2), what));
    };
    while (at < text.size()) {
        std::optional<std::string> field;
        if (text[at] == '"') {
            field.emplace();
            for (++at; at < text.size(); ++at) {
                if (text[at] == '"' && (at + 1 == text.size() || text[at + 1] != '"')) {
                    break;
                }
                at += text[at] == '"' ? 1 : 0;
                *field += text[at];
            }
            if (at++ >= text.size()) {
                fail("a quote is not closed");
            }
        } else {
            const std::size_t end = std::min(text.find_first_of(",\r\n\"", at), text.size());
            if (end > at) {
                field = text.substr(at, end - at);
            }
            at = end;
        }
        fields.push_back(std::move(field));
        if (text.substr(at, 1) == ",") {
            ++at;
            if (at == text.size()) {
                fail("ends with a comma");
            }
            continue;
        }
        if (text.substr(at, 2) != "\r\n") {
            fail("does not end with CR LF");
        }
        at += 2;
        if (file.columns.empty()) {
            for (const auto& name : fields) {
                file.columns.push_back(name.value_or(""));
            }
        } else {
            if (fields.size() != file.columns.size()) {
                fail(fmt::format("{} fields and {} columns", fields.size(), file.columns.size()));
            }
            FocusRow& row = file.rows.emplace_back();
            for (std::size_t column = 0; column < fields.size(); ++column) {
                row.emplace(file.columns[column], std::move(fields[column]));
            }
        }
        fields.clear();
    }
    return file;
}

std::vector<std::string> broken_by_columns(const std::vector<std::string>& columns) {
    std::vector<std::string> broken;
    static const std::regex custom("x_[A-Z][A-Za-z0-9]*");
    bool has_custom = false;
    std::set<std::string> seen;
    for (const std::string& name : columns) {
        if (!seen.insert(name).second) {
            broken.push_back(fmt::format("{} is there twice", name));
        }
        if (find_rule(name) != nullptr) {
            if (has_custom) {
                broken.push_back(fmt::format("{} comes after a custom column (column_handling.md)", name));
            }
        } else if (std::regex_match(name, custom)) {
            has_custom = true;
        } else {
            broken.push_back(
                fmt::format("{} is no column of FOCUS, nor x_… in Pascal case (column_handling.md)", name));
        }
        if (name.size() > 50) {
            broken.push_back(fmt::format("{} has over 50 characters (column_handling.md)", name));
        }
    }
    if (!std::is_sorted(columns.begin(), columns.end())) {  // 'x' comes after all capitals.
        broken.emplace_back("the columns are not in alphabetical order (column_handling.md)");
    }
    for (const ColumnRule& rule : column_rules) {
        if (rule.level == Level::mandatory && !seen.contains(rule.name)) {
            broken.push_back(fmt::format("{} is missing ({}.md)", rule.name, rule.file));
        }
    }
    return broken;
}

std::vector<std::string> broken_by_row(const FocusRow& row) {
    std::vector<std::string> broken;
    for (const auto& [name, value] : row) {
        const ColumnRule* rule = find_rule(name);
        if (rule == nullptr) {
            continue;
        }
        if (!value) {
            if (!rule->may_be_null) {
                broken.push_back(fmt::format("{} is null ({}.md)", name, rule->file));
            }
            continue;
        }
        if (!is_of_type(rule->type, *value)) {
            broken.push_back(fmt::format("{} is \"{}\", which is of another form ({}.md)", name, *value, rule->file));
        }
        const auto allowed = allowed_values().find(name);
        if (allowed != allowed_values().end() && !allowed->second.contains(*value)) {
            broken.push_back(fmt::format("{} is \"{}\", which is not allowed ({}.md)", name, *value, rule->file));
        }
    }
    if (!broken.empty()) {
        return broken;  // What follows reads the numbers.
    }
    for (const RowRule& rule : row_rules()) {
        if (!rule.is_kept(row)) {
            broken.push_back(fmt::format("not: {} ({}.md)", rule.sentence, rule.file));
        }
    }
    return broken;
}

}  // namespace runledger::test
