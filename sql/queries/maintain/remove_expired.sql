-- $1 what, $2 integer days, $3 integer rows at most.
SELECT runledger.remove_expired($1, $2::integer, $3::integer)
