-- $1 xid8: no entry is of an older transaction, $2 integer: how many entries. Says which groups have ended.
SELECT looked_at, told, is_all, up_to FROM runledger.tell_groups($1::xid8, $2::integer)
