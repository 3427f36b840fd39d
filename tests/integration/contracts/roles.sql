-- What Supabase has before the first migration, as far as contracts need it.
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create schema auth;
grant usage on schema auth to anon, authenticated, service_role;
create function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb
$$;
create function auth.uid() returns uuid language sql stable as $$
  select (auth.jwt() ->> 'sub')::uuid
$$;
-- Hosted Supabase grants new tables of the schema public to everyone by default, or used to: what
-- a migration does not revoke would show here.
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
