-- Messages that were only logged and are not to be sent.
SELECT count(*) FROM runledger.notifications WHERE state = 'logged'
