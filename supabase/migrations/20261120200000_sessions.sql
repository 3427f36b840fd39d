-- Sessions and what they are made of. Every row carries its user, and every key begins with it:
-- row-level security needs no join, and the tables can be sharded by user.
-- Free-form values are json, not jsonb: jsonb rewrites numbers, json keeps the text as it came.
-- What only the calls use is in a schema of its own, which no API exposes.

set local lock_timeout = '4s';
set local statement_timeout = '60s';

create schema lift_sys_internal;

comment on schema lift_sys_internal is
  'What the calls on sessions share. Not for an API to expose.';

create table public.sessions (
  user_id text collate "C" not null,
  id text collate "C" not null,
  status text not null,
  source text not null,
  original_input text not null default '(no input provided)',
  current_ir jsonb,
  revision_count integer not null default 0,
  draft_count integer not null default 0,
  hole_count integer not null default 0,
  item_bytes bigint not null default 0,
  metadata json not null default '{}',
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finalized_at timestamptz,
  constraint sessions_pkey primary key (user_id, id),
  constraint sessions_user_id_length check (char_length(user_id) between 1 and 255),
  constraint sessions_id_length check (char_length(id) between 1 and 255),
  constraint sessions_status_known check (status in ('active', 'finalized', 'abandoned')),
  constraint sessions_source_known check (source in ('prompt', 'code'))
)
-- Each update writes the row anew, so wide values stay out of it. It leaves a dead row and maybe a
-- dead draft behind: they are cleared away long before they are a fifth of a large table.
with (
  toast_tuple_target = 256,
  autovacuum_vacuum_scale_factor = 0.02,
  toast.autovacuum_vacuum_scale_factor = 0.02
);

comment on table public.sessions is
  'One refinement of a specification, from the first input to finalized or abandoned.';

comment on column public.sessions.original_input is 'What the first revision says.';
comment on column public.sessions.current_ir is
  'The last draft''s representation, for queries; the draft itself has it to the letter.';
comment on column public.sessions.item_bytes is
  'How large the items are as json, about: answers with many sessions are measured by it.';
comment on column public.sessions.version is 'How many writes the session has seen.';

-- One index for every list: one that is not narrowed merges six runs of it. Each update renews its
-- entry, so that a second index for the same would cost each update again. Ascending, although it
-- is read backwards: entries are added at the end of a run, and full pages are left behind.
create index sessions_latest on public.sessions (user_id, status, source, updated_at, id);

-- An item is written once. Up to half a page it stays in its row: read in one go, and packed better
-- than in the pieces of a TOAST table.
create table public.session_revisions (
  user_id text collate "C" not null,
  session_id text collate "C" not null,
  revision_number integer not null,
  content text not null,
  revision_type text not null,
  target_hole text,
  metadata json not null default '{}',
  created_at timestamptz not null default now(),
  constraint session_revisions_pkey primary key (user_id, session_id, revision_number),
  constraint session_revisions_session foreign key (user_id, session_id)
    references public.sessions (user_id, id) on delete cascade,
  constraint session_revisions_number_natural check (revision_number >= 1),
  constraint session_revisions_type_known check (
    revision_type in ('initial', 'hole_fill', 'constraint_add', 'manual_edit')
  )
)
with (toast_tuple_target = 4064);

comment on table public.session_revisions is
  'The inputs of the user, numbered from 1 in the order they were added.';

create table public.session_drafts (
  user_id text collate "C" not null,
  session_id text collate "C" not null,
  draft_number integer not null,
  version integer not null,
  ir json not null,
  validation_status text not null,
  smt_results json not null default '[]',
  ambiguities json not null default '[]',
  metadata json not null default '{}',
  created_at timestamptz not null default now(),
  constraint session_drafts_pkey primary key (user_id, session_id, draft_number),
  constraint session_drafts_session foreign key (user_id, session_id)
    references public.sessions (user_id, id) on delete cascade,
  constraint session_drafts_number_natural check (draft_number >= 1),
  constraint session_drafts_version_natural check (version >= 1),
  constraint session_drafts_status_known check (
    validation_status in ('pending', 'valid', 'contradictory', 'incomplete')
  )
)
with (toast_tuple_target = 4064);

comment on table public.session_drafts is
  'Snapshots of the intermediate representation, numbered from 1 in the order they were added.';

create table public.hole_resolutions (
  user_id text collate "C" not null,
  session_id text collate "C" not null,
  resolution_number integer not null,
  hole_id text not null,
  resolution_text text not null,
  resolution_type text not null,
  applied boolean not null default false,
  metadata json not null default '{}',
  created_at timestamptz not null default now(),
  constraint hole_resolutions_pkey primary key (user_id, session_id, resolution_number),
  constraint hole_resolutions_session foreign key (user_id, session_id)
    references public.sessions (user_id, id) on delete cascade,
  constraint hole_resolutions_number_natural check (resolution_number >= 1),
  constraint hole_resolutions_type_known check (
    resolution_type in ('clarify_intent', 'add_constraint', 'refine_signature', 'specify_effect')
  )
)
with (toast_tuple_target = 4064);

comment on table public.hole_resolutions is
  'The answers to holes, numbered from 1 in the order they were added.';

create table lift_sys_internal.session_writes (
  user_id text collate "C" not null,
  key text collate "C" not null,
  call text not null,
  fingerprint text not null,
  result json,
  written_at timestamptz not null default now(),
  constraint session_writes_pkey primary key (user_id, key)
);

comment on table lift_sys_internal.session_writes is
  'Committed writes by their key, for a day: a write that is repeated is answered, not done again.';

create index session_writes_by_age on lift_sys_internal.session_writes (written_at);

-- Who may do what: the database keeps users apart, whatever the code on top does.
-- A user reads the tables as they like, and writes them through the calls alone, which say so for
-- their transaction (lift_sys.in_call): no API offers a way to say it, so that history is neither
-- rewritten nor counts forged by a request to a table.

revoke all on schema lift_sys_internal from public;
grant usage on schema lift_sys_internal to authenticated, service_role;

revoke all on table public.sessions from public, anon, authenticated, service_role;
revoke all on table public.session_revisions from public, anon, authenticated, service_role;
revoke all on table public.session_drafts from public, anon, authenticated, service_role;
revoke all on table public.hole_resolutions from public, anon, authenticated, service_role;
revoke all on table lift_sys_internal.session_writes
  from public, anon, authenticated, service_role;

grant select, insert, update, delete on table public.sessions to authenticated, service_role;
grant select, insert on table public.session_revisions to authenticated, service_role;
grant select, insert on table public.session_drafts to authenticated, service_role;
grant select, insert, update (applied) on table public.hole_resolutions
  to authenticated, service_role;
grant select, insert, update, delete on table lift_sys_internal.session_writes
  to authenticated, service_role;

alter table public.sessions enable row level security;
alter table public.session_revisions enable row level security;
alter table public.session_drafts enable row level security;
alter table public.hole_resolutions enable row level security;
alter table lift_sys_internal.session_writes enable row level security;

create policy "users read their own sessions" on public.sessions
  for select to authenticated
  using (user_id = ((select auth.jwt()) ->> 'sub'));
create policy "users add their own sessions" on public.sessions
  for insert to authenticated
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );
create policy "users change their own sessions" on public.sessions
  for update to authenticated
  using (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  )
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );
create policy "users delete their own sessions" on public.sessions
  for delete to authenticated
  using (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );

create policy "users read their own revisions" on public.session_revisions
  for select to authenticated
  using (user_id = ((select auth.jwt()) ->> 'sub'));
create policy "users add their own revisions" on public.session_revisions
  for insert to authenticated
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );

create policy "users read their own drafts" on public.session_drafts
  for select to authenticated
  using (user_id = ((select auth.jwt()) ->> 'sub'));
create policy "users add their own drafts" on public.session_drafts
  for insert to authenticated
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );

create policy "users read their own resolutions" on public.hole_resolutions
  for select to authenticated
  using (user_id = ((select auth.jwt()) ->> 'sub'));
create policy "users add their own resolutions" on public.hole_resolutions
  for insert to authenticated
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );
create policy "users apply their own resolutions" on public.hole_resolutions
  for update to authenticated
  using (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  )
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
    and applied
  );

create policy "users read their own writes" on lift_sys_internal.session_writes
  for select to authenticated
  using (user_id = ((select auth.jwt()) ->> 'sub'));
create policy "users add their own writes" on lift_sys_internal.session_writes
  for insert to authenticated
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );
create policy "users change their own writes" on lift_sys_internal.session_writes
  for update to authenticated
  using (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  )
  with check (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );
create policy "users delete their own writes" on lift_sys_internal.session_writes
  for delete to authenticated
  using (
    user_id = ((select auth.jwt()) ->> 'sub')
    and (select current_setting('lift_sys.in_call', true)) = 'yes'
  );
