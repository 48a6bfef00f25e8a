-- Run by firebird_setup.py on the alias of the unfinished file. Forced writes are on in a new database.
create database 'billing.new' page_size 16384 default character set utf8;
