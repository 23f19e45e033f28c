-- Whether there is a row in adoption, of an adoption that is not finished.
SELECT EXISTS (SELECT FROM runledger.adoption WHERE finished_at IS NULL)
