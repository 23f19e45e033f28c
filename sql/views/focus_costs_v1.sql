CREATE OR REPLACE VIEW runledger.focus_costs_v1 AS
-- Each month in which a generation ended, as report_days_v1 has the days.
WITH RECURSIVE zone AS MATERIALIZED (
    SELECT runledger.report_time_zone() AS name
), months AS (
    SELECT d.day, runledger.month_begins_at((d.day + interval '1 month')::date, zone.name) AS ends_at
    FROM zone
    CROSS JOIN LATERAL (
        SELECT date_trunc('month', g.response_timestamp AT TIME ZONE zone.name)::date AS day
        FROM runledger.generations AS g
        WHERE g.response_timestamp >= '1970-01-01 00:00:00+00' AND g.response_timestamp < '10000-01-01 00:00:00+00'
        ORDER BY g.response_timestamp LIMIT 1) AS d
    UNION ALL
    SELECT d.day, runledger.month_begins_at((d.day + interval '1 month')::date, zone.name)
    FROM months AS before
    CROSS JOIN zone
    CROSS JOIN LATERAL (
        SELECT date_trunc('month', g.response_timestamp AT TIME ZONE zone.name)::date AS day
        FROM runledger.generations AS g
        WHERE g.response_timestamp >= before.ends_at AND g.response_timestamp < '10000-01-01 00:00:00+00'
        ORDER BY g.response_timestamp LIMIT 1) AS d
), open_periods AS MATERIALIZED (
    -- The month after a closed one begins where that ends, and takes the corrections.
    SELECT m.period,
           coalesce(before.ends_at,
                    runledger.month_begins_at(to_date(m.period || '-01', 'YYYY-MM-DD'), zone.name)) AS begins_at,
           runledger.month_begins_at(to_date(runledger.next_period(m.period) || '-01', 'YYYY-MM-DD'), zone.name) AS ends_at
    FROM (SELECT to_char(months.day, 'YYYY-MM') AS period FROM months
          UNION SELECT runledger.next_period(max(p.period)) FROM runledger.closed_periods AS p) AS m
    CROSS JOIN zone
    LEFT JOIN runledger.closed_periods AS before ON runledger.next_period(before.period) = m.period
    WHERE m.period IS NOT NULL AND NOT EXISTS (SELECT FROM runledger.closed_periods AS p WHERE p.period = m.period)
), named AS MATERIALIZED (
    SELECT runledger.focus_setting('billing_account_id', current_database()) AS billing_account_id,
           runledger.focus_setting('billing_account_name', NULL) AS billing_account_name,
           provider.name AS provider_name,
           runledger.focus_setting('publisher_name', provider.name) AS publisher_name,
           runledger.focus_setting('invoice_issuer_name', provider.name) AS invoice_issuer_name,
           runledger.focus_setting('service_name', 'ComfyDeploy') AS service_name,
           (SELECT array_agg(btrim(listed.key))
            FROM unnest(string_to_array(runledger.focus_setting('tags', NULL), ',')) AS listed (key)) AS tags
    FROM (SELECT runledger.focus_setting('provider_name', 'ComfyDeploy') AS name) AS provider
), billed AS (
    -- What is charged: one row a charge, and its billing period. In a month that is open, as the rows stand.
    SELECT m.period, m.begins_at AS period_begins_at, m.ends_at AS period_ends_at, NULL::text AS corrected_period,
           coalesce(g.application_id::text, g.id::text) AS handle, g.run_id, g.metadata, g.account_key AS account, g.cost_usd, g.cost_note, s.gpu,
           g.response_timestamp AS ended_at, s.running_at, s.token_count,
           -- A cost that no rate gives is a flat price: the application gave it, or the row was edited by hand.
           CASE WHEN s.cost_usd = g.cost_usd THEN s.duration_us
                WHEN g.duration_ms < 'Infinity' THEN g.duration_ms * 1000 END AS duration_us,
           coalesce(CASE WHEN s.cost_usd = g.cost_usd THEN s.rate_amount END, g.cost_usd) AS price,
           coalesce(CASE WHEN s.cost_usd = g.cost_usd THEN s.rate_unit END, 'run') AS unit, NULL::text AS correction
    FROM open_periods AS m
    JOIN runledger.generations AS g ON g.response_timestamp >= m.begins_at AND g.response_timestamp < m.ends_at
    LEFT JOIN LATERAL (
        SELECT * FROM runledger.settlements AS audit
        WHERE audit.generation_id = g.id AND audit.outcome <> 'edited_by_hand' AND NOT audit.row_is_gone
        ORDER BY audit.id DESC LIMIT 1) AS s ON true
    -- NULL is unknown, and so is NaN, which is above all numbers. A cost that only the application has written counts
    -- for a generation that is completed.
    WHERE g.cost_usd < 'Infinity' AND (g.status = 'completed' OR s.cost_usd = g.cost_usd)
    UNION ALL
    -- In a closed month, as it was billed. Only names are those of today, so that a person can be forgotten.
    SELECT p.period, p.begins_at, p.ends_at, NULL,
           coalesce(g.application_id::text, line.generation_id::text), s.run_id, g.metadata, g.account_key, line.cost_usd,
           line.cost_note, line.gpu, line.finished_at, s.running_at, s.token_count, line.duration_us,
           coalesce(line.rate_amount, line.cost_usd), coalesce(line.rate_unit, 'run'), NULL
    FROM runledger.closed_periods AS p
    JOIN runledger.closed_runs AS line ON line.period = p.period
    LEFT JOIN runledger.settlements AS s ON s.id = line.settlement_id
    LEFT JOIN runledger.generations AS g ON g.id = line.generation_id AND NOT s.row_is_gone
    WHERE line.cost_usd IS NOT NULL
    UNION ALL
    -- What was posted into a month as a correction of an earlier one: the difference, which may be negative.
    SELECT p.period, p.begins_at, p.ends_at, c.period,
           coalesce(g.application_id::text, c.generation_id::text), s.run_id, g.metadata, g.account_key, c.difference_usd,
           c.cost_note_after, coalesce(was.gpu, s.gpu), was.finished_at,
           coalesce(was.running_at, CASE WHEN was.duration_us < 1e13 THEN
                    was.finished_at - was.duration_us::double precision * interval '1 microsecond' END), NULL, NULL, NULL,
           coalesce(c.rate_unit_after, c.rate_unit_before, 'run'),
           format('Correction of %s: %s USD instead of %s', c.period, coalesce(c.cost_usd_after::text, 'no known'),
                  coalesce(c.cost_usd_before::text, 'no known'))
    FROM (SELECT closed.period, closed.begins_at, closed.ends_at FROM runledger.closed_periods AS closed
          UNION ALL SELECT m.period, m.begins_at, m.ends_at FROM open_periods AS m) AS p
    JOIN runledger.corrections AS c ON c.posted_in = p.period
    LEFT JOIN runledger.settlements AS s ON s.id = c.settlement_id
    -- The charge that it corrects, by whose time it is known; a run that the month did not have is its own. Not by the
    -- settlement that caused it: one that withdraws a row has no time.
    LEFT JOIN runledger.settlements AS was ON was.id = coalesce(c.replaced_settlement_id, c.line_settlement_id)
    LEFT JOIN runledger.generations AS g ON g.id = c.generation_id AND NOT s.row_is_gone
    WHERE c.difference_usd <> 0
), counted AS (
    SELECT b.*, runledger.unit_us(b.unit) IS NOT NULL AS is_by_time,
           trim_scale(b.duration_us * 0.000001) AS seconds,
           CASE
               WHEN b.correction IS NOT NULL THEN NULL
               WHEN b.unit = 'second' THEN trim_scale(b.duration_us * 0.000001)
               WHEN b.unit = 'minute' THEN trim_scale(round(round(b.duration_us, 40) / 60000000, 30))
               WHEN b.unit = 'hour' THEN trim_scale(round(round(b.duration_us, 40) / 3600000000, 30))
               WHEN b.unit = 'token' THEN b.token_count
               ELSE 1 END AS quantity,
           CASE b.unit WHEN 'second' THEN 'Seconds' WHEN 'minute' THEN 'Minutes' WHEN 'hour' THEN 'Hours'
                       WHEN 'token' THEN 'Tokens' WHEN 'request' THEN 'Requests' ELSE 'Runs' END AS plural,
           coalesce(b.gpu, CASE b.unit WHEN 'token' THEN 'Token' WHEN 'request' THEN 'Request' WHEN 'run' THEN 'Run'
                                       ELSE 'Compute' END) AS sku,
           -- With another clock than the ending's it may be later.
           least(coalesce(b.running_at,
                          b.ended_at - CASE WHEN b.duration_us < 1e13 THEN b.duration_us ELSE 0 END::double precision
                                       * interval '1 microsecond'),
                 b.ended_at) AS began_at
    FROM billed AS b
), described AS (
    SELECT c.*,
           coalesce(c.correction, format('Run%s: %s', ' on ' || c.gpu,
                  CASE WHEN c.is_by_time THEN format('%s seconds at %s USD a %s', c.seconds, c.price, c.unit)
                       WHEN c.unit = 'token' THEN format('%s tokens at %s USD a token', c.quantity, c.price)
                       ELSE format('%s USD a %s', c.price, c.unit) END)) AS description
    FROM counted AS c
)
SELECT c.cost_usd AS "BilledCost",
       n.billing_account_id AS "BillingAccountId",
       n.billing_account_name AS "BillingAccountName",
       'USD'::text AS "BillingCurrency",
       c.period_ends_at AS "BillingPeriodEnd",
       c.period_begins_at AS "BillingPeriodStart",
       'Usage'::text AS "ChargeCategory",
       CASE WHEN c.correction IS NOT NULL THEN 'Correction' END AS "ChargeClass",
       c.description AS "ChargeDescription",
       'Usage-Based'::text AS "ChargeFrequency",
       greatest(date_trunc('second', c.ended_at + interval '999999 microseconds'),
                date_trunc('second', c.began_at) + interval '1 second') AS "ChargePeriodEnd",
       date_trunc('second', c.began_at) AS "ChargePeriodStart",
       CASE WHEN c.correction IS NULL AND c.is_by_time THEN c.seconds ELSE c.quantity END AS "ConsumedQuantity",
       CASE WHEN c.correction IS NOT NULL THEN NULL WHEN c.is_by_time THEN 'Seconds' ELSE c.plural END AS "ConsumedUnit",
       c.cost_usd AS "ContractedCost",
       c.price AS "ContractedUnitPrice",
       c.cost_usd AS "EffectiveCost",
       NULL::text AS "InvoiceId",
       n.invoice_issuer_name AS "InvoiceIssuerName",
       c.cost_usd AS "ListCost",
       c.price AS "ListUnitPrice",
       'Standard'::text AS "PricingCategory",
       c.quantity AS "PricingQuantity",
       CASE WHEN c.correction IS NULL THEN c.plural END AS "PricingUnit",
       n.provider_name AS "ProviderName",
       n.publisher_name AS "PublisherName",
       c.run_id AS "ResourceId",
       NULL::text AS "ResourceName",
       CASE WHEN c.run_id IS NOT NULL THEN 'Run' END AS "ResourceType",
       'AI and Machine Learning'::text AS "ServiceCategory",
       n.service_name AS "ServiceName",
       'Generative AI'::text AS "ServiceSubcategory",
       c.sku AS "SkuId",
       CASE WHEN c.is_by_time THEN 'Compute Time' ELSE c.plural END AS "SkuMeter",
       CASE WHEN c.gpu IS NOT NULL THEN jsonb_build_object('InstanceType', c.gpu) END AS "SkuPriceDetails",
       c.sku || '/' || c.unit AS "SkuPriceId",
       c.account AS "SubAccountId",
       c.account AS "SubAccountName",
       CASE WHEN n.tags IS NOT NULL THEN runledger.focus_tags(c.metadata, n.tags) END AS "Tags",
       c.period AS "x_BillingMonth",
       c.corrected_period AS "x_CorrectedMonth",
       c.cost_note AS "x_CostNote",
       c.seconds AS "x_DurationSeconds",
       c.handle AS "x_GenerationId"
FROM described AS c CROSS JOIN named AS n;
COMMENT ON VIEW runledger.focus_costs_v1 IS
    'Costs in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification: a row for each generation with a known cost. In a closed month, as it was billed; a correction has ChargeClass Correction, in the month that it was posted into. Generations without a cost have no row, because BilledCost must not be NULL and unknown is not zero: day_costs_v1 counts those that are owed as unpriced, and `runledger export focus` says how many they are. Columns that begin with x_ are the ledger''s own. docs/dba.md, "FOCUS", lists the settings.';
COMMENT ON COLUMN runledger.focus_costs_v1."BilledCost" IS
    'US dollars: cost_usd, exact, with up to 12 decimals; of a correction, the difference, which may be negative. Metric, never NULL: a generation whose cost is unknown has no row.';
COMMENT ON COLUMN runledger.focus_costs_v1."BillingAccountId" IS
    'The setting runledger.focus_billing_account_id; the name of the database if it is not set.';
COMMENT ON COLUMN runledger.focus_costs_v1."BillingAccountName" IS
    'The setting runledger.focus_billing_account_name; NULL if it is not set.';
COMMENT ON COLUMN runledger.focus_costs_v1."BillingCurrency" IS
    'USD: the ledger has no other currency.';
COMMENT ON COLUMN runledger.focus_costs_v1."BillingPeriodEnd" IS
    'The first instant of the next month, exclusive.';
COMMENT ON COLUMN runledger.focus_costs_v1."BillingPeriodStart" IS
    'The first instant of the month in which the run''s ending was received, in the time zone runledger.report_time_zone(); of a closed month, as it was closed; of a correction, of the month that it was posted into.';
COMMENT ON COLUMN runledger.focus_costs_v1."ChargeCategory" IS
    'Usage: a run, priced by what it consumed.';
COMMENT ON COLUMN runledger.focus_costs_v1."ChargeClass" IS
    'Correction: the row corrects a month that was closed before, and is billed with this one. NULL: a charge of its own month.';
COMMENT ON COLUMN runledger.focus_costs_v1."ChargeDescription" IS
    'A sentence with the GPU, the quantity and the rate; of a correction, with both costs.';
COMMENT ON COLUMN runledger.focus_costs_v1."ChargeFrequency" IS
    'Usage-Based.';
COMMENT ON COLUMN runledger.focus_costs_v1."ChargePeriodEnd" IS
    'When the run''s ending was received, rounded up to the whole second, because FOCUS has no smaller unit; at least a second after the start. Exclusive. Of a correction, the end of the charge that it corrects.';
COMMENT ON COLUMN runledger.focus_costs_v1."ChargePeriodStart" IS
    'When the run was first seen running, rounded down to the whole second. If that is unknown, the ending less the duration. It may lie in the month before the billing period, because a run belongs to the month in which it ended. Of a correction, the start of the charge that it corrects.';
COMMENT ON COLUMN runledger.focus_costs_v1."ConsumedQuantity" IS
    'What was consumed, in ConsumedUnit: seconds for a rate by time, tokens for one by tokens, 1 for a flat price. Exact.';
COMMENT ON COLUMN runledger.focus_costs_v1."ConsumedUnit" IS
    'Seconds, Tokens, Requests or Runs.';
COMMENT ON COLUMN runledger.focus_costs_v1."ContractedCost" IS
    'The same as BilledCost: the ledger knows one price.';
COMMENT ON COLUMN runledger.focus_costs_v1."ContractedUnitPrice" IS
    'The same as ListUnitPrice.';
COMMENT ON COLUMN runledger.focus_costs_v1."EffectiveCost" IS
    'The same as BilledCost: nothing is amortised.';
COMMENT ON COLUMN runledger.focus_costs_v1."InvoiceId" IS
    'NULL: the ledger issues no invoice.';
COMMENT ON COLUMN runledger.focus_costs_v1."InvoiceIssuerName" IS
    'The setting runledger.focus_invoice_issuer_name; the provider''s name if it is not set.';
COMMENT ON COLUMN runledger.focus_costs_v1."ListCost" IS
    'The same as BilledCost.';
COMMENT ON COLUMN runledger.focus_costs_v1."ListUnitPrice" IS
    'US dollars per PricingUnit, as copied at the settlement. If the row was adopted or edited by hand, so that no rate gave its cost: the cost itself, for one run. NULL for a correction, as are the quantities and their units.';
COMMENT ON COLUMN runledger.focus_costs_v1."PricingCategory" IS
    'Standard: the rate was agreed before the run.';
COMMENT ON COLUMN runledger.focus_costs_v1."PricingQuantity" IS
    'How many PricingUnits: ListUnitPrice times it is ListCost, up to half of the cost''s twelfth decimal. Minutes and hours have 30 decimals.';
COMMENT ON COLUMN runledger.focus_costs_v1."PricingUnit" IS
    'Seconds, Minutes, Hours, Runs, Requests or Tokens: the unit of the rate.';
COMMENT ON COLUMN runledger.focus_costs_v1."ProviderName" IS
    'The setting runledger.focus_provider_name; ComfyDeploy if it is not set.';
COMMENT ON COLUMN runledger.focus_costs_v1."PublisherName" IS
    'The setting runledger.focus_publisher_name; the provider''s name if it is not set.';
COMMENT ON COLUMN runledger.focus_costs_v1."ResourceId" IS
    'The run''s id; of a forgotten run, its pseudonym. NULL: the generation names no run.';
COMMENT ON COLUMN runledger.focus_costs_v1."ResourceName" IS
    'NULL: a run has no name but its id.';
COMMENT ON COLUMN runledger.focus_costs_v1."ResourceType" IS
    'Run; NULL without a ResourceId.';
COMMENT ON COLUMN runledger.focus_costs_v1."ServiceCategory" IS
    'AI and Machine Learning.';
COMMENT ON COLUMN runledger.focus_costs_v1."ServiceName" IS
    'The setting runledger.focus_service_name; ComfyDeploy if it is not set.';
COMMENT ON COLUMN runledger.focus_costs_v1."ServiceSubcategory" IS
    'Generative AI.';
COMMENT ON COLUMN runledger.focus_costs_v1."SkuId" IS
    'The GPU at the settlement; without one, the word of the unit: Compute for a rate by time, Run, Request or Token.';
COMMENT ON COLUMN runledger.focus_costs_v1."SkuMeter" IS
    'What is counted: Compute Time, Runs, Requests or Tokens.';
COMMENT ON COLUMN runledger.focus_costs_v1."SkuPriceDetails" IS
    '{"InstanceType": …} with the GPU; NULL: there was none.';
COMMENT ON COLUMN runledger.focus_costs_v1."SkuPriceId" IS
    'SkuId and the unit of the rate, such as A10G/second.';
COMMENT ON COLUMN runledger.focus_costs_v1."SubAccountId" IS
    'The account: metadata.accountId, or the keys that runledger.use_metadata_keys has chosen. NULL: none, or unusable.';
COMMENT ON COLUMN runledger.focus_costs_v1."SubAccountName" IS
    'The same as SubAccountId: the ledger knows no other name.';
COMMENT ON COLUMN runledger.focus_costs_v1."Tags" IS
    'Those keys of metadata that the setting runledger.focus_tags lists, separated by commas, and whose value is a string, a number or a boolean; NULL: none.';
COMMENT ON COLUMN runledger.focus_costs_v1."x_BillingMonth" IS
    'The billing period as 2026-06. A condition on it keeps the view from reading other months.';
COMMENT ON COLUMN runledger.focus_costs_v1."x_CorrectedMonth" IS
    'The closed month that a correction is about; NULL: no correction.';
COMMENT ON COLUMN runledger.focus_costs_v1."x_CostNote" IS
    'cost_note: clocks_differ, provider_times; NULL: nothing to say.';
COMMENT ON COLUMN runledger.focus_costs_v1."x_DurationSeconds" IS
    'Seconds, exact to the microsecond, also beside a flat price; NULL: unknown.';
COMMENT ON COLUMN runledger.focus_costs_v1."x_GenerationId" IS
    'The application''s handle for the row: generations.id, or application_id if its table was adopted with a key that is no number.';
