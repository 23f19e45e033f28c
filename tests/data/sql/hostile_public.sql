-- What a role that may create in `public` can put in the way of a session whose search_path is public, pg_catalog: each
-- function, operator and type of PostgreSQL's that can be shadowed by one of the same name and arguments, and some
-- catalogs. Whatever is called says "SHADOW" and its name in the server's log.
--
-- Run in an empty database by a superuser with search_path = pg_catalog, pg_temp.
CREATE SCHEMA IF NOT EXISTS public;
DO $$
BEGIN
    IF to_regrole('squatter') IS NULL THEN
        CREATE ROLE squatter;
    END IF;
END
$$;
GRANT ALL ON SCHEMA public TO squatter;
SET LOCAL ROLE squatter;

CREATE FUNCTION public.was_called(name pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE WARNING 'SHADOW % called by %', name, current_user;
    RETURN true;
END
$$;

-- The same name and arguments, and what the one in pg_catalog would return.
DO $do$
DECLARE
    shadowed record;
    arguments pg_catalog.text;
BEGIN
    FOR shadowed IN
        SELECT p.oid, p.proname, p.pronargs, p.proretset, format_type(p.prorettype, NULL) AS result,
               ARRAY(SELECT format('$%s', n) FROM generate_series(1, p.pronargs) AS n) AS parameters,
               ARRAY(SELECT format_type(a, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS t (a, n) ORDER BY n) AS types
        FROM pg_proc AS p JOIN pg_type AS r ON r.oid = p.prorettype
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND NOT p.proretset
              AND p.provariadic = 0 AND r.typtype <> 'p'
              AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) AS a JOIN pg_type AS t ON t.oid = a WHERE t.typtype = 'p')
              AND p.proname !~ '(_in|_out|_send|_recv|in|out|send|recv)$'
    LOOP
        arguments := array_to_string(shadowed.types, ', ');
        EXECUTE format(
            'CREATE OR REPLACE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp '
            'AS %L', shadowed.proname, arguments, shadowed.result,
            format('BEGIN PERFORM public.was_called(%L); RETURN pg_catalog.%I(%s); END',
                   format('%s(%s)', shadowed.proname, arguments), shadowed.proname,
                   array_to_string(shadowed.parameters, ', ')));
    END LOOP;
    -- Closer to what is called than pg_catalog's own, which takes any number of arguments of any type: found first even
    -- with the default search_path.
    FOR shadowed IN
        SELECT name, count FROM unnest(ARRAY['format', 'concat', 'num_nulls', 'num_nonnulls', 'jsonb_build_object',
                                             'json_build_object']) AS name, generate_series(1, 6) AS count
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp '
            'AS %L', shadowed.name, array_to_string(array_fill('text'::text, ARRAY[shadowed.count]), ', '),
            CASE shadowed.name WHEN 'jsonb_build_object' THEN 'jsonb' WHEN 'json_build_object' THEN 'json'
                               WHEN 'num_nulls' THEN 'integer' WHEN 'num_nonnulls' THEN 'integer' ELSE 'text' END,
            format('BEGIN PERFORM public.was_called(%L); RETURN pg_catalog.%I(%s); END', shadowed.name, shadowed.name,
                   (SELECT string_agg(format('$%s', n), ', ') FROM generate_series(1, shadowed.count) AS n)));
    END LOOP;
    FOR shadowed IN
        SELECT o.oprname, format_type(o.oprleft, NULL) AS left_type, format_type(o.oprright, NULL) AS right_type, p.proname
        FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
        WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprleft <> 0
              AND to_regprocedure(format('public.%I(%s, %s)', p.proname, format_type(o.oprleft, NULL),
                                         format_type(o.oprright, NULL))) IS NOT NULL
    LOOP
        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.%I)', shadowed.oprname,
                       shadowed.left_type, shadowed.right_type, shadowed.proname);
    END LOOP;
    FOR shadowed IN
        SELECT name FROM unnest(ARRAY['text', 'timestamptz', 'jsonb', 'uuid', 'bytea', 'date', 'regclass', 'regrole',
                                      'regnamespace', 'regprocedure', 'name', 'oid', 'tstzrange', 'int4', 'int8']) AS name
    LOOP
        EXECUTE format('CREATE DOMAIN public.%I AS pg_catalog.%1$I CHECK (public.was_called(%L))', shadowed.name,
                       'type ' || shadowed.name);
    END LOOP;
    FOR shadowed IN
        SELECT name FROM unnest(ARRAY['pg_class', 'pg_proc', 'pg_namespace', 'pg_inherits', 'pg_roles',
                                      'pg_trigger', 'pg_constraint', 'pg_depend', 'pg_index', 'pg_locks', 'pg_type']) AS name
    LOOP
        EXECUTE format('CREATE VIEW public.%I AS SELECT * FROM pg_catalog.%1$I WHERE public.was_called(%L)', shadowed.name,
                       'relation ' || shadowed.name);
        EXECUTE format('GRANT SELECT ON public.%I TO PUBLIC', shadowed.name);
    END LOOP;
END
$do$;
RESET ROLE;
