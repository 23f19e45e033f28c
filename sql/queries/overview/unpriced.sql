-- Completed generations whose cost is unknown, by the reason.
SELECT cost_note, without_cost FROM runledger.cost_notes_v1
WHERE without_cost > 0 AND cost_note <> 'not_charged'
ORDER BY without_cost DESC
