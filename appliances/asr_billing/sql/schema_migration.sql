-- The table by which the database knows its version. Row 0 is there to be locked by who migrates.
create table schema_migration (
    number integer not null,
    name varchar(100) not null,
    sha256 varchar(64) not null,
    parts_done integer not null,
    parts integer not null,
    changed_at timestamp not null,
    constraint schema_migration_pk primary key (number)
);
