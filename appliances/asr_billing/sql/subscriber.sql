-- name: insert
insert into subscriber (contract, name, kind, phone, email, address, comment,
                        created_at, created_by, changed_at, changed_by)
values (:contract, :name, :kind, :phone, :email, :address, :comment, :moment, :author, :moment, :author)
returning id;

-- name: update
update subscriber
set contract = :contract, name = :name, kind = :kind, phone = :phone, email = :email, address = :address,
    comment = :comment, version = version + 1, changed_at = :moment, changed_by = :author
where id = :id and version = :version;

-- name: one
select id, contract, name, kind, phone, email, address, comment, version, created_at, created_by, changed_at, changed_by
from subscriber where id = :id;

-- name: count
select count(*) as subscribers from subscriber;

-- name: forget_words
delete from subscriber_word where subscriber_id = :id;

-- name: add_word
insert into subscriber_word (word, subscriber_id) values (:word, :id);

-- The page of a list is put together from the pieces below by subscriber_store.py.

-- name: page
select first (:limit) s.id, s.contract, s.name, s.kind, s.phone, s.email, s.address, s.comment, s.version,
       s.created_at, s.created_by, s.changed_at, s.changed_by
from {source}
where {conditions}
order by {key} {direction}, s.id {direction};

-- name: source_all
subscriber s

-- name: source_found
(select distinct w.subscriber_id from subscriber_word w where w.word starting with :term0) f
    join subscriber s on s.id = f.subscriber_id

-- name: condition_term
exists (select 1 from subscriber_word w where w.subscriber_id = s.id and w.word starting with :term{number})

-- name: condition_place
({key} {compare} :value or ({key} = :value and s.id {compare} :id))
