-- Masks links: people may see everything except the query, which is a key if the link is presigned.
CREATE OR REPLACE FUNCTION runledger.masked_url(url text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(
        regexp_replace(url, '[?#].*$', '?…'),
        '^([a-z][a-z0-9+.-]*://)[^/?#]*@', '\1…@', 'i');
COMMENT ON FUNCTION runledger.masked_url(text) IS
    'A URL with its query and fragment, and a user or password in it, replaced by …, because a presigned link''s query is a key. Never raises.';

CREATE OR REPLACE FUNCTION runledger.masked_links(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(
        regexp_replace(
            regexp_replace(
                value,
                -- A user or a password before the host.
                '([a-z][a-z0-9+.-]*:(?:\\*/){2})[^\s"<>\\/?#@]*@', '\1…@', 'gi'),
            -- From the first ?, # or an escape of either to the link's end.
            '([a-z][a-z0-9+.-]*:(?:\\*/){2}(?:[^\s"<>\\?#]|\\+/)*)(?:[?#]|\\+u003f|\\+u0023)(?:[^\s"<>\\]|\\+[^\s"\\nrt])*',
            '\1?…', 'gi'),
        -- Names of signatures, for links whose beginning was cut off.
        '\m(x-amz-[a-z-]+|x-goog-[a-z-]+|signature|sig|policy|key-pair-id|token)=(?:[^\s"<>\\&]|\\+[^\s"\\nrtu])+',
        '\1=…', 'gi');
COMMENT ON FUNCTION runledger.masked_links(text) IS
    'A text, JSON or not, in which each URL''s query, fragment, user and password are replaced by …; so are signatures outside URLs. Never raises.';

CREATE OR REPLACE FUNCTION runledger.masked_links(value jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN runledger.masked_links(value::text)::jsonb;
COMMENT ON FUNCTION runledger.masked_links(jsonb) IS 'The same for JSON, in keys and values. Never raises.';
