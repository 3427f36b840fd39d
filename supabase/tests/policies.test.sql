-- Row security keeps users apart and history as it is, whatever a query says.
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions, public;
select plan(37);

select is(
  array(
    select c.relname::text
    from pg_class as c
    where c.relnamespace in ('public'::regnamespace, 'lift_sys_internal'::regnamespace)
      and c.relkind = 'r' and not c.relrowsecurity
  ),
  array[]::text[],
  'every table has row security'
);
select policies_are('public', 'sessions', array[
  'users read their own sessions', 'users add their own sessions',
  'users change their own sessions', 'users delete their own sessions'
]);
select policies_are('public', 'session_revisions', array[
  'users read their own revisions', 'users add their own revisions'
]);
select policies_are('public', 'session_drafts', array[
  'users read their own drafts', 'users add their own drafts'
]);
select policies_are('public', 'hole_resolutions', array[
  'users read their own resolutions', 'users add their own resolutions',
  'users apply their own resolutions'
]);
select policies_are('lift_sys_internal', 'session_writes', array[
  'users read their own writes', 'users add their own writes',
  'users change their own writes', 'users delete their own writes'
]);
select policy_roles_are(p.schemaname, p.tablename, p.policyname, array['authenticated'])
from pg_policies as p
where p.schemaname in ('public', 'lift_sys_internal');

-- One session of ann, with one item of each kind.
insert into public.sessions (user_id, id, status, source) values ('ann', 's', 'active', 'prompt');
insert into public.session_revisions (user_id, session_id, revision_number, content, revision_type)
values ('ann', 's', 1, 'hello', 'initial');
insert into public.session_drafts (
  user_id, session_id, draft_number, version, ir, validation_status
)
values ('ann', 's', 1, 1, '{}', 'valid');
insert into public.hole_resolutions (
  user_id, session_id, resolution_number, hole_id, resolution_text, resolution_type, applied
)
values ('ann', 's', 1, 'h', 'yes', 'add_constraint', true);

set local role authenticated;
set local request.jwt.claims = '{"sub": "bob"}';
select is_empty('select 1 from public.' || t, 'bob sees no ' || t) from unnest(array[
  'sessions', 'session_revisions', 'session_drafts', 'hole_resolutions'
]) as t;

set local request.jwt.claims = '{"sub": "ann"}';
select isnt_empty('select 1 from public.sessions', 'ann sees hers');
select throws_ok(
  $$insert into public.sessions (user_id, id, status, source) values ('ann', 't', 'active', 'code')$$,
  '42501', null, 'nobody adds a session outside of a call'
);
select is_empty(
  $$update public.sessions set version = 9 returning id$$, 'nor changes one'
);
select is_empty($$delete from public.sessions returning id$$, 'nor deletes one');
select throws_ok(
  $$update public.session_revisions set content = 'bye'$$, '42501', null, 'no item is rewritten'
);
select is_empty(
  $$update public.hole_resolutions set applied = false returning 1$$, 'nothing is unapplied'
);

-- As in a call.
set local lift_sys.in_call = 'yes';
select lives_ok(
  $$update public.sessions set version = 2$$, 'a call changes a session of its user'
);
select throws_ok(
  $$update public.sessions set user_id = 'bob'$$, '42501', null, 'and cannot give it away'
);
select throws_ok(
  $$update public.hole_resolutions set applied = false$$,
  '42501', null, 'nor unapply a resolution'
);
set local request.jwt.claims = '{"sub": "bob"}';
select throws_ok(
  $$insert into public.sessions (user_id, id, status, source) values ('ann', 't', 'active', 'code')$$,
  '42501', null, 'nor add one for somebody else'
);
select is_empty($$update public.sessions set version = 9 returning id$$, 'nor change theirs');
select is_empty($$delete from public.sessions returning id$$, 'nor delete theirs');

select * from finish();
rollback;
