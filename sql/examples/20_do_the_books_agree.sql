-- Is each stored event counted once?
SELECT * FROM runledger.ledger_balance_v1;
