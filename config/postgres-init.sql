-- Run once by the postgres image, when its volume is new: the orchestrator's own role, no superuser, and its database.
\set password `cat /run/secrets/database_password`
CREATE ROLE orchestrator LOGIN PASSWORD :'password';
CREATE DATABASE orchestrator OWNER orchestrator;
REVOKE ALL ON DATABASE orchestrator FROM PUBLIC;
