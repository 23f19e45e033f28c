-- What `runledger check` has to know of the server and of the login.
SELECT current_setting('server_version_num')::integer AS version,
       current_setting('server_version') AS version_text,
       current_setting('server_encoding') AS encoding,
       current_database() AS database,
       current_user AS login,
       pg_is_in_recovery() AS is_standby,
       current_setting('fsync')::boolean AND current_setting('full_page_writes')::boolean AS is_synced,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
       extract(epoch FROM clock_timestamp())::double precision AS now_seconds
