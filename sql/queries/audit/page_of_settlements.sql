-- $1 bigint: the last settlement of the page before; $2 integer how many a page has. The last one of the page, or NULL.
SELECT max(id) FROM (SELECT id FROM runledger.settlements WHERE id > $1::bigint ORDER BY id LIMIT $2::integer) AS page
