-- $1 bigint id, $2 the frame without the person's events, in hexadecimal.
UPDATE runledger.quarantine SET content = decode($2, 'hex') WHERE id = $1::bigint
