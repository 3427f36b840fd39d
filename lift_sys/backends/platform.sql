-- What a Supabase project has before its first migration, for a plain Postgres: the API's roles
-- and their limits, and the schemas and functions that policies call. Never run on a Supabase.
-- Idempotent, and safe against the same file running in another database of the same server:
-- roles belong to the server, so an advisory lock (which belongs to one database) cannot guard them.

do $$
declare
  role_name text;
begin
  foreach role_name in array array['anon', 'authenticated', 'service_role', 'authenticator'] loop
    continue when exists (select from pg_catalog.pg_roles where rolname = role_name);
    begin
      execute pg_catalog.format(
        'create role %I noinherit %s',
        role_name,
        case role_name when 'service_role' then 'bypassrls' when 'authenticator' then 'login' else '' end
      );
      -- The time limits of hosted Supabase. Whoever runs PostgREST gives authenticator its password.
      case role_name
        when 'anon' then
          alter role anon set statement_timeout = '3s';
        when 'authenticated' then
          alter role authenticated set statement_timeout = '8s';
        when 'authenticator' then
          alter role authenticator set statement_timeout = '8s';
          alter role authenticator set lock_timeout = '8s';
        else
          null;
      end case;
    exception
      when duplicate_object or unique_violation then
        null;  -- another database's migration was faster
    end;
  end loop;
end
$$;

do $$
declare
  member text;
  role_name text;
begin
  -- The migrating role too, as on Supabase: it then may take each role to try a policy out.
  foreach member in array array['authenticator', current_user] loop
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
      continue when pg_catalog.pg_has_role(member, role_name, 'member');
      begin
        execute pg_catalog.format('grant %I to %I', role_name, member);
      exception
        when unique_violation then
          null;  -- another database's migration was faster
      end;
    end loop;
  end loop;
end
$$;

grant usage on schema public to anon, authenticated, service_role;

create schema if not exists extensions;
grant usage on schema extensions to anon, authenticated, service_role;

create schema if not exists auth;
grant usage on schema auth to anon, authenticated, service_role;

-- PostgREST sets request.jwt.claims for one transaction; afterwards it reads '' and not null.
create or replace function auth.jwt() returns jsonb
language sql stable
return nullif(current_setting('request.jwt.claims', true), '')::jsonb;

comment on function auth.jwt() is 'The claims of the request''s token; null without one.';

create or replace function auth.uid() returns uuid
language sql stable
return (auth.jwt() ->> 'sub')::uuid;

comment on function auth.uid() is 'The claim sub of the request''s token, as a uuid.';

create or replace function auth.role() returns text
language sql stable
return auth.jwt() ->> 'role';

comment on function auth.role() is 'The claim role of the request''s token.';

create or replace function auth.email() returns text
language sql stable
return auth.jwt() ->> 'email';

comment on function auth.email() is 'The claim email of the request''s token.';
