-- name: engine
select rdb$get_context('SYSTEM', 'ENGINE_VERSION') as version from rdb$database;
