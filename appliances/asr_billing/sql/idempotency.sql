-- name: find
select request_sha256, status, answer from idempotency_key where caller = :caller and request_key = :request_key;

-- name: keep
insert into idempotency_key (caller, request_key, request_sha256, status, answer, created_at)
values (:caller, :request_key, :request_sha256, :status, :answer, :moment);

-- name: forget_old
delete from idempotency_key where created_at < :moment rows 100;
