-- What the application needs to run its migrations; it owns what it creates. Run at every start of the server.
grant create table to user billing;
grant create view to user billing;
grant create procedure to user billing;
grant create function to user billing;
grant create package to user billing;
grant create sequence to user billing;
grant create domain to user billing;
grant create exception to user billing;
grant create collation to user billing;
commit;
