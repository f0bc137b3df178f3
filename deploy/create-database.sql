-- Creates the database user and the database of Galenic. The user is no superuser, so row-level security holds for it. Run it as an administrator:
--   psql --set=ON_ERROR_STOP=1 --set=password=SECRET --file=deploy/create-database.sql postgres
CREATE ROLE galenic LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE galenic OWNER galenic;
REVOKE ALL ON DATABASE galenic FROM PUBLIC;
