-- What there is: tables, keys, functions, and who has a right to them.
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions, public;
select plan(47);

select tables_are(
  'public', array['sessions', 'session_revisions', 'session_drafts', 'hole_resolutions']
);
select tables_are('lift_sys_internal', array['session_writes']);
select columns_are('public', 'sessions', array[
  'user_id', 'id', 'status', 'source', 'original_input', 'current_ir', 'revision_count',
  'draft_count', 'hole_count', 'item_bytes', 'metadata', 'version', 'created_at', 'updated_at',
  'finalized_at'
]);
select col_is_pk('public', 'sessions', array['user_id', 'id'], 'sessions by user');
select col_is_pk(
  'public', 'session_revisions', array['user_id', 'session_id', 'revision_number'],
  'revisions by user'
);
select col_is_pk(
  'public', 'session_drafts', array['user_id', 'session_id', 'draft_number'], 'drafts by user'
);
select col_is_pk(
  'public', 'hole_resolutions', array['user_id', 'session_id', 'resolution_number'],
  'resolutions by user'
);
select col_is_pk('lift_sys_internal', 'session_writes', array['user_id', 'key'], 'keys by user');
select fk_ok('public', t, array['user_id', 'session_id'], 'public', 'sessions', array['user_id', 'id'])
from unnest(array['session_revisions', 'session_drafts', 'hole_resolutions']) as t;

-- Free-form values keep their text; only what is asked by queries is taken apart.
select col_type_is('public', 'sessions', 'metadata', 'json', 'metadata keeps its text');
select col_type_is('public', 'session_drafts', 'ir', 'json', 'a draft keeps its text');
select col_type_is('public', 'sessions', 'current_ir', 'jsonb', 'the current draft is for queries');
select is(
  (
    select array_agg(distinct c.collname::text)
    from pg_attribute as a
    join pg_collation as c on c.oid = a.attcollation
    join pg_class as t on t.oid = a.attrelid
    where t.relnamespace in ('public'::regnamespace, 'lift_sys_internal'::regnamespace)
      and t.relkind = 'r' and a.attname in ('user_id', 'id', 'session_id', 'key')
  ),
  array['C'],
  'ids are ordered by code point, in every locale'
);

select functions_are('public', array[
  'create_sessions_v1', 'get_session_v1', 'update_session_v1', 'refresh_session_v1',
  'delete_session_v1', 'list_sessions_v1', 'load_sessions_v1'
]);
select functions_are('lift_sys_internal', array[
  'claim_session_write_v1', 'add_session_items_v1', 'session_json_v1',
  'lock_session_v1', 'base_session_update_v1', 'forget_old_writes_v1'
]);
select is(
  array(
    select p.proname::text
    from pg_proc as p
    where p.pronamespace in ('public'::regnamespace, 'lift_sys_internal'::regnamespace)
      and p.proname like '%\_v1' and p.prosecdef
  ),
  array['forget_old_writes_v1'],
  'functions run as their caller, but for the one that clears away'
);
select is_empty(
  $$
    select p.proname
    from pg_proc as p
    where p.pronamespace in ('public'::regnamespace, 'lift_sys_internal'::regnamespace)
      and p.proname like '%\_v1'
      and (
        not p.proconfig @> array['search_path=""']
        or obj_description(p.oid, 'pg_proc') is null
      )
  $$,
  'functions look nowhere but where they say, and say what they are for'
);
select is_empty(
  $$
    select c.relname
    from pg_class as c
    where c.relnamespace in ('public'::regnamespace, 'lift_sys_internal'::regnamespace)
      and c.relkind = 'r' and obj_description(c.oid, 'pg_class') is null
  $$,
  'tables say what they are for'
);

select table_privs_are('public', t, 'anon', array[]::text[]) from unnest(array[
  'sessions', 'session_revisions', 'session_drafts', 'hole_resolutions'
]) as t;
select table_privs_are('lift_sys_internal', 'session_writes', 'anon', array[]::text[]);
select table_privs_are('public', 'sessions', r, array['SELECT', 'INSERT', 'UPDATE', 'DELETE'])
from unnest(array['authenticated', 'service_role']) as r;
select table_privs_are('public', t, r, array['SELECT', 'INSERT'])
from unnest(array['session_revisions', 'session_drafts', 'hole_resolutions']) as t,
  unnest(array['authenticated', 'service_role']) as r;
select column_privs_are(
  'public', 'hole_resolutions', 'applied', r, array['SELECT', 'INSERT', 'UPDATE']
)
from unnest(array['authenticated', 'service_role']) as r;
select schema_privs_are('lift_sys_internal', 'anon', array[]::text[]);
select schema_privs_are('lift_sys_internal', r, array['USAGE'])
from unnest(array['authenticated', 'service_role']) as r;
select function_privs_are('public', f, array['text', 'json'], 'anon', array[]::text[])
from unnest(array[
  'get_session_v1', 'refresh_session_v1', 'list_sessions_v1', 'load_sessions_v1'
]) as f;
select function_privs_are('public', f, array['text', 'json', 'json'], 'anon', array[]::text[])
from unnest(array['create_sessions_v1', 'update_session_v1', 'delete_session_v1']) as f;
select function_privs_are('public', 'get_session_v1', array['text', 'json'], r, array['EXECUTE'])
from unnest(array['authenticated', 'service_role']) as r;

select * from finish();
rollback;
