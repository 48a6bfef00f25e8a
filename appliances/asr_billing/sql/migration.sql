-- name: exists
select 1 from rdb$relations where rdb$relation_name = 'SCHEMA_MIGRATION';

-- name: lock
select number from schema_migration where number = 0 with lock;

-- name: all
select number, name, sha256, parts_done, parts from schema_migration where number > 0 order by number;

-- name: begin
insert into schema_migration (number, name, sha256, parts_done, parts, changed_at)
values (:number, :name, :sha256, 1, :parts, :moment);

-- name: advance
update schema_migration set parts_done = parts_done + 1, changed_at = :moment where number = :number;

-- name: first
insert into schema_migration (number, name, sha256, parts_done, parts, changed_at)
values (0, 'lock', '', 0, 0, current_timestamp);
